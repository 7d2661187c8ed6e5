#include "client/public_call.h"

#include <iterator>

namespace ringfort::client {

bool GetCall::take(std::vector<KeyValue> kvs) {
    if (piece_) {
        return kvs.empty() || piece_(std::move(kvs));
    }
    gathered_.insert(gathered_.end(), std::make_move_iterator(kvs.begin()), std::make_move_iterator(kvs.end()));
    return true;
}

bool GetCall::on_piece(const api::Response& response) {
    const auto* range = std::get_if<api::RangeResponse>(&std::get<api::Result>(response.body));
    if (range == nullptr || take(to_public(*range).kvs)) {
        return false;
    }
    GetReply reply;
    reply.header = to_public(response.header);
    reply.more = true;
    done_(std::move(reply));
    return true;
}

void GetCall::finish(const api::Response& response) {
    const auto* range = std::get_if<api::RangeResponse>(&std::get<api::Result>(response.body));
    if (range == nullptr) {
        fail(unexpected_reply());
        return;
    }
    GetReply reply = to_public(*range);
    reply.header = to_public(response.header);
    const bool streamed = piece_ != nullptr;
    take(std::move(reply.kvs));
    reply.kvs = streamed ? std::vector<KeyValue>() : std::move(gathered_);
    done_(std::move(reply));
}

}  // namespace ringfort::client
