// Requests: api types -> frames.
#include <variant>

#include "base/assertion.h"
#include "wire/client_frame.h"
#include "wire/plain_request.h"

namespace ringfort::wire {

namespace {

// Union members are numbered as the variants' alternatives, from 1.
template <class Union, class Variant>
Union union_type(const Variant& variant) {
    return static_cast<Union>(variant.index() + 1);
}

class RequestEncoder {
  public:
    RequestEncoder(FlatBuilder& builder, OutBuffer& out) : builder_(builder), out_(out) {}

    Flat<void> operator()(const api::RangeRequest& range) {
        const auto key = put_bytes(builder_, range.key);
        const auto range_end = put_bytes(builder_, range.range_end);
        return protocol::CreateRangeRequest(
                   builder_, key, range_end, range.limit, range.revision,
                   static_cast<protocol::SortOrder>(range.sort_order),
                   static_cast<protocol::SortTarget>(range.sort_target), range.serializable, range.keys_only,
                   range.count_only, range.min_mod_revision, range.max_mod_revision, range.min_create_revision,
                   range.max_create_revision)
            .Union();
    }
    Flat<void> operator()(const api::PutRequest& put) {
        const auto value = put_bytes(builder_, put.value);
        const auto key = put_bytes(builder_, put.key);
        return protocol::CreatePutRequest(builder_, key, value, put.lease, put.prev_kv, put.ignore_value,
                                          put.ignore_lease)
            .Union();
    }
    Flat<void> operator()(const api::DeleteRangeRequest& remove) {
        const auto key = put_bytes(builder_, remove.key);
        const auto range_end = put_bytes(builder_, remove.range_end);
        return protocol::CreateDeleteRangeRequest(builder_, key, range_end, remove.prev_kv).Union();
    }
    Flat<void> operator()(const api::TxnRequest& txn) {
        depth_++;
        ASSERT(depth_ <= limits::txn_depth_max);
        const auto compare = put_vector<protocol::Compare>(
            builder_, out_, txn.compare, [&](const api::Compare& item) { return put_compare(item); });
        const auto put_op = [&](const api::RequestOp& item) {
            const Flat<void> op = std::visit(*this, item.op);
            return protocol::CreateRequestOp(builder_, union_type<protocol::TxnOp>(item.op), op);
        };
        const auto success = put_vector<protocol::RequestOp>(builder_, out_, txn.success, put_op);
        const auto failure = put_vector<protocol::RequestOp>(builder_, out_, txn.failure, put_op);
        depth_--;
        return protocol::CreateTxnRequest(builder_, compare, success, failure).Union();
    }
    Flat<void> operator()(const api::CompactRequest& compact) {
        return protocol::CreateCompactRequest(builder_, compact.revision, compact.physical).Union();
    }
    Flat<void> operator()(const api::StatusRequest&) { return protocol::CreateStatusRequest(builder_).Union(); }
    Flat<void> operator()(const api::MemberListRequest& list) {
        return protocol::CreateMemberListRequest(builder_, list.linearizable).Union();
    }
    Flat<void> operator()(const api::MoveLeaderRequest& move) {
        return protocol::CreateMoveLeaderRequest(builder_, move.target.value, move.range.has_value(),
                                                 move.range.value_or(RangeId()).value)
            .Union();
    }
    Flat<void> operator()(const api::WatchRequest& watch) {
        const auto key = put_bytes(builder_, watch.key);
        const auto range_end = put_bytes(builder_, watch.range_end);
        return protocol::CreateWatchRequest(builder_, key, range_end, watch.start_revision, watch.progress_notify,
                                            watch.prev_kv, watch.no_put, watch.no_delete, watch.require_leader)
            .Union();
    }

    Flat<void> operator()(const api::LeaseGrantRequest& grant) {
        return protocol::CreateLeaseGrantRequest(builder_, grant.ttl, grant.id).Union();
    }
    Flat<void> operator()(const api::LeaseRevokeRequest& revoke) {
        return protocol::CreateLeaseRevokeRequest(builder_, revoke.id).Union();
    }
    Flat<void> operator()(const api::LeaseKeepAliveRequest& keep_alive) {
        const auto ids = put_numbers(builder_, keep_alive.ids);
        return protocol::CreateLeaseKeepAliveRequest(builder_, ids).Union();
    }
    Flat<void> operator()(const api::LeaseTimeToLiveRequest& question) {
        const auto from_key = put_bytes(builder_, question.from_key);
        return protocol::CreateLeaseTimeToLiveRequest(builder_, question.id, question.keys, from_key).Union();
    }
    Flat<void> operator()(const api::LeaseListRequest& list) {
        return protocol::CreateLeaseListRequest(builder_, list.has_after, list.after).Union();
    }
    Flat<void> operator()(const api::HashKvRequest& hash) {
        return protocol::CreateHashKvRequest(builder_, hash.revision).Union();
    }
    Flat<void> operator()(const api::AlarmRequest& alarm) {
        return protocol::CreateAlarmRequest(builder_, static_cast<protocol::AlarmAction>(alarm.action),
                                            alarm.member.value, static_cast<protocol::AlarmType>(alarm.alarm))
            .Union();
    }

  private:
    Flat<protocol::Compare> put_compare(const api::Compare& compare) {
        const auto key = put_bytes(builder_, compare.key);
        const auto range_end = put_bytes(builder_, compare.range_end);
        const auto value = put_bytes(builder_, compare.value);
        return protocol::CreateCompare(builder_, static_cast<protocol::CompareResult>(compare.result),
                                       static_cast<protocol::CompareTarget>(compare.target), key, range_end,
                                       compare.number, value);
    }

    FlatBuilder& builder_;
    OutBuffer& out_;
    std::size_t depth_{0};
};

// Bytes of keys and values: never more than the encoded form, and most of it.
struct RequestData {
    std::size_t operator()(const api::RangeRequest& range) const { return range.key.size() + range.range_end.size(); }
    std::size_t operator()(const api::PutRequest& put) const { return put.key.size() + put.value.size(); }
    std::size_t operator()(const api::DeleteRangeRequest& remove) const {
        return remove.key.size() + remove.range_end.size();
    }
    std::size_t operator()(const api::WatchRequest& watch) const { return watch.key.size() + watch.range_end.size(); }
    std::size_t operator()(const api::TxnRequest& txn) const {
        std::size_t bytes = 0;
        for (const api::Compare& compare : txn.compare) {
            bytes += compare.key.size() + compare.range_end.size() + compare.value.size();
        }
        for (const auto& branch : {txn.success, txn.failure}) {
            for (const api::RequestOp& item : branch) {
                bytes += std::visit(*this, item.op);
            }
        }
        return bytes;
    }
    std::size_t operator()(const api::LeaseKeepAliveRequest& keep_alive) const { return keep_alive.ids.size_bytes(); }
    std::size_t operator()(const api::LeaseTimeToLiveRequest& question) const { return question.from_key.size(); }
    template <class Other>
    std::size_t operator()(const Other&) const {
        return 0;
    }
};

}  // namespace

bool encode_request(std::uint64_t request_id, const api::Request& request, OutBuffer& out) {
    ASSERT(request.timeout >= Duration(0));
    const FrameHeader header{.kind = static_cast<std::uint8_t>(kind_of(request.op)), .request_id = request_id};
    switch (encode_plain_request(header, request, out)) {
        case PlainOutcome::appended: return true;
        case PlainOutcome::too_long: return false;
        case PlainOutcome::not_plain: break;
    }
    const std::size_t data_bytes = std::visit(RequestData{}, request.op);
    if (data_bytes > client_frame_bytes_max) {
        return false;
    }
    return append_client_frame(out, header, data_bytes + small_body_bytes, [&](FlatBuilder& builder) {
        const Flat<void> op = std::visit(RequestEncoder(builder, out), request.op);
        return protocol::CreateRequest(builder, static_cast<std::uint64_t>(request.timeout.count()), request.redirect,
                                       request.domain.has_value(), request.domain.value_or(DomainId()).value,
                                       request.client, request.client_sequence,
                                       union_type<protocol::Operation>(request.op), op);
    });
}

}  // namespace ringfort::wire
