// What the memory limit refuses.
#include "kv/command.h"

namespace ringfort::kv {

namespace {

bool adds_data(const api::TxnRequest& txn) {
    for (const auto& branch : {txn.success, txn.failure}) {
        for (const api::RequestOp& op : branch) {
            const auto* nested = std::get_if<api::TxnRequest>(&op.op);
            if (std::holds_alternative<api::PutRequest>(op.op) || (nested != nullptr && adds_data(*nested))) {
                return true;
            }
        }
    }
    return false;
}

}  // namespace

bool adds_data(const api::Operation& operation) {
    if (const auto* txn = std::get_if<api::TxnRequest>(&operation)) {
        return adds_data(*txn);
    }
    return std::holds_alternative<api::PutRequest>(operation);
}

api::Errc check_quota(const api::Operation& operation, std::uint64_t used_bytes, std::uint64_t quota_bytes) {
    if (quota_bytes == 0 || !adds_data(operation)) {
        return api::Errc::ok;
    }
    const auto* put = std::get_if<api::PutRequest>(&operation);
    const std::size_t bytes = put != nullptr ? command_bytes(*put) : command_bytes(std::get<api::TxnRequest>(operation));
    return used_bytes + bytes > quota_bytes ? api::Errc::no_space : api::Errc::ok;
}

}  // namespace ringfort::kv
