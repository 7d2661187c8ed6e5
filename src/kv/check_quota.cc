// What the memory limit refuses.
#include <algorithm>

#include "kv/command.h"
#include "kv/lease_table.h"
#include "kv/store.h"

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

// Values that stand in no command: a put that keeps the former value writes it anew.
class KeptValues {
  public:
    KeptValues(const Store& store, std::uint64_t value_bytes_pending)
        : store_(store), value_bytes_pending_(value_bytes_pending) {}

    std::uint64_t bytes(const api::PutRequest& put) const {
        if (!put.ignore_value) {
            return 0;
        }
        const auto former = store_.get(put.key);
        return std::max<std::uint64_t>(former ? former->value.size() : 0, value_bytes_pending_);
    }
    std::uint64_t bytes(const api::TxnRequest& txn) const {
        return std::max(bytes(txn.success), bytes(txn.failure));
    }

  private:
    std::uint64_t bytes(std::span<const api::RequestOp> branch) const {
        std::uint64_t sum = 0;
        for (const api::RequestOp& op : branch) {
            if (const auto* put = std::get_if<api::PutRequest>(&op.op)) {
                sum += bytes(*put);
            } else if (const auto* nested = std::get_if<api::TxnRequest>(&op.op)) {
                sum += bytes(*nested);
            }
        }
        return sum;
    }

    const Store& store_;
    std::uint64_t value_bytes_pending_;
};

}  // namespace

bool adds_data(const api::Operation& operation) {
    if (const auto* txn = std::get_if<api::TxnRequest>(&operation)) {
        return adds_data(*txn);
    }
    return std::holds_alternative<api::PutRequest>(operation) || std::holds_alternative<api::LeaseGrantRequest>(operation);
}

std::uint64_t added_bytes(const api::Operation& operation, const Store& store, std::uint64_t value_bytes_pending) {
    if (!adds_data(operation)) {
        return 0;
    }
    if (std::holds_alternative<api::LeaseGrantRequest>(operation)) {
        return lease_node_bytes;
    }
    const KeptValues kept(store, value_bytes_pending);
    if (const auto* put = std::get_if<api::PutRequest>(&operation)) {
        return command_bytes(*put) + kept.bytes(*put);
    }
    const auto& txn = std::get<api::TxnRequest>(operation);
    return command_bytes(txn) + kept.bytes(txn);
}

api::Errc check_quota(const MemoryUse& use) {
    const bool full = use.quota_bytes != 0 && use.added_bytes > 0 && use.used_bytes + use.added_bytes > use.quota_bytes;
    return full ? api::Errc::no_space : api::Errc::ok;
}

}  // namespace ringfort::kv
