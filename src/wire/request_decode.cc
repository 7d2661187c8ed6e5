// Requests: frame bodies -> api types. What a stranger sent: see flat_reader.h for what is checked where.
#include <algorithm>

#include "base/assertion.h"
#include "base/mutant.h"
#include "wire/client_frame.h"

namespace ringfort::wire {

namespace {

class RequestDecoder {
  public:
    RequestDecoder(Bytes body, Arena& arena) : reader_(body, limits::decoded_bytes_max), arena_(arena) {}

    Result<api::Request, api::Errc> decode(ClientKind kind) {
        using Table = protocol::Request;
        const FlatTable table = reader_.root();
        Result<api::Request, api::Errc> out;  // filled in place: requests are large
        api::Request& request = *out;
        const auto timeout_ns = table.scalar<std::uint64_t>(Table::VT_TIMEOUT_NS);
        request.timeout =
            Duration(std::min(timeout_ns, static_cast<std::uint64_t>(request_timeout_max.count())));
        request.redirect = table.boolean(Table::VT_REDIRECT);
        if (table.boolean(Table::VT_HAS_DOMAIN)) {
            request.domain = DomainId(table.scalar<std::uint64_t>(Table::VT_DOMAIN));
        }
        request.client = table.scalar<std::uint64_t>(Table::VT_CLIENT);
        request.client_sequence = table.scalar<std::uint64_t>(Table::VT_CLIENT_SEQUENCE);
        const auto type = table.scalar<std::uint8_t>(Table::VT_OP_TYPE);
        if (type == 0 || type != union_number(kind)) {
            reader_.fail(FlatReader::Fault::malformed);
        } else {
            decode_operation(static_cast<protocol::Operation>(type), member(table, Table::VT_OP), request.op);
        }
        if (const api::Errc error = outcome(); error != api::Errc::ok) {
            out = failure(error);
        }
        return out;
    }

  private:
    // Refusals come before faults: what was refused was whole.
    api::Errc outcome() const {
        if (refused_ != api::Errc::ok) {
            return refused_;
        }
        switch (reader_.fault()) {
            case FlatReader::Fault::none: return api::Errc::ok;
            case FlatReader::Fault::malformed: return api::Errc::malformed_request;
            case FlatReader::Fault::too_large: return api::Errc::request_too_large;
        }
        UNREACHABLE();
    }
    void refuse(api::Errc error) {
        if (reader_.ok() && refused_ == api::Errc::ok) {
            refused_ = error;
        }
    }
    bool stopped() const { return !reader_.ok() || refused_ != api::Errc::ok; }

    // A union's type says that there is a table: then there must be one.
    FlatTable member(const FlatTable& table, std::uint16_t field) {
        const FlatTable found = table.table(field);
        if (!found) {
            reader_.fail(FlatReader::Fault::malformed);
        }
        return found;
    }

    void decode_operation(protocol::Operation type, const FlatTable& table, api::Operation& out) {
        switch (type) {
            case protocol::Operation::RangeRequest: out.emplace<api::RangeRequest>(range(table)); return;
            case protocol::Operation::PutRequest: out.emplace<api::PutRequest>(put(table)); return;
            case protocol::Operation::DeleteRangeRequest: out = delete_range(table); return;
            case protocol::Operation::TxnRequest: out = txn(table, 1); return;
            case protocol::Operation::CompactRequest: out = compact(table); return;
            case protocol::Operation::StatusRequest: out = api::StatusRequest{}; return;
            case protocol::Operation::MemberListRequest: out = member_list(table); return;
            case protocol::Operation::MoveLeaderRequest: out = move_leader(table); return;
            case protocol::Operation::LeaseGrantRequest: out = lease_grant(table); return;
            case protocol::Operation::LeaseRevokeRequest: out = lease_revoke(table); return;
            case protocol::Operation::LeaseKeepAliveRequest: out = lease_keep_alive(table); return;
            case protocol::Operation::LeaseTimeToLiveRequest: out = lease_time_to_live(table); return;
            case protocol::Operation::LeaseListRequest: out = lease_list(table); return;
            case protocol::Operation::WatchRequest: out = watch(table); return;
            case protocol::Operation::HashKvRequest: out = hash_kv(table); return;
            case protocol::Operation::AlarmRequest: out = alarm(table); return;
            case protocol::Operation::NONE: break;
        }
        refuse(api::Errc::unsupported_request);
    }

    static api::RangeRequest range(const FlatTable& table) {
        using Table = protocol::RangeRequest;
        return {.key = table.bytes(Table::VT_KEY),
                .range_end = table.bytes(Table::VT_RANGE_END),
                .limit = table.scalar<std::int64_t>(Table::VT_LIMIT),
                .revision = table.scalar<std::int64_t>(Table::VT_REVISION),
                .sort_order = static_cast<api::SortOrder>(table.scalar<std::uint8_t>(Table::VT_SORT_ORDER)),
                .sort_target = static_cast<api::SortTarget>(table.scalar<std::uint8_t>(Table::VT_SORT_TARGET)),
                .serializable = table.boolean(Table::VT_SERIALIZABLE) || MUTANT(every_read_stale),
                .keys_only = table.boolean(Table::VT_KEYS_ONLY),
                .count_only = table.boolean(Table::VT_COUNT_ONLY),
                .min_mod_revision = table.scalar<std::int64_t>(Table::VT_MIN_MOD_REVISION),
                .max_mod_revision = table.scalar<std::int64_t>(Table::VT_MAX_MOD_REVISION),
                .min_create_revision = table.scalar<std::int64_t>(Table::VT_MIN_CREATE_REVISION),
                .max_create_revision = table.scalar<std::int64_t>(Table::VT_MAX_CREATE_REVISION)};
    }
    static api::PutRequest put(const FlatTable& table) {
        using Table = protocol::PutRequest;
        return {.key = table.bytes(Table::VT_KEY),
                .value = table.bytes(Table::VT_VALUE),
                .lease = table.scalar<std::int64_t>(Table::VT_LEASE),
                .prev_kv = table.boolean(Table::VT_PREV_KV),
                .ignore_value = table.boolean(Table::VT_IGNORE_VALUE),
                .ignore_lease = table.boolean(Table::VT_IGNORE_LEASE)};
    }
    static api::DeleteRangeRequest delete_range(const FlatTable& table) {
        using Table = protocol::DeleteRangeRequest;
        return {.key = table.bytes(Table::VT_KEY),
                .range_end = table.bytes(Table::VT_RANGE_END),
                .prev_kv = table.boolean(Table::VT_PREV_KV)};
    }
    static api::CompactRequest compact(const FlatTable& table) {
        return {.revision = table.scalar<std::int64_t>(protocol::CompactRequest::VT_REVISION),
                .physical = table.boolean(protocol::CompactRequest::VT_PHYSICAL)};
    }
    static api::MemberListRequest member_list(const FlatTable& table) {
        return {.linearizable = table.boolean(protocol::MemberListRequest::VT_LINEARIZABLE, true)};
    }
    static api::MoveLeaderRequest move_leader(const FlatTable& table) {
        using Table = protocol::MoveLeaderRequest;
        api::MoveLeaderRequest move{.target = NodeId(table.scalar<std::uint64_t>(Table::VT_TARGET)), .range = {}};
        if (table.boolean(Table::VT_HAS_RANGE)) {
            move.range = RangeId(table.scalar<std::uint64_t>(Table::VT_RANGE));
        }
        return move;
    }

    static api::LeaseGrantRequest lease_grant(const FlatTable& table) {
        using Table = protocol::LeaseGrantRequest;
        return {.ttl = table.scalar<std::int64_t>(Table::VT_TTL), .id = table.scalar<std::int64_t>(Table::VT_ID)};
    }
    static api::LeaseRevokeRequest lease_revoke(const FlatTable& table) {
        return {.id = table.scalar<std::int64_t>(protocol::LeaseRevokeRequest::VT_ID)};
    }
    api::LeaseKeepAliveRequest lease_keep_alive(const FlatTable& table) {
        const FlatStructs ids = table.structs(protocol::LeaseKeepAliveRequest::VT_IDS, sizeof(api::LeaseId));
        return {.ids = numbers(ids, reader_, arena_)};
    }
    static api::LeaseTimeToLiveRequest lease_time_to_live(const FlatTable& table) {
        using Table = protocol::LeaseTimeToLiveRequest;
        return {.id = table.scalar<std::int64_t>(Table::VT_ID),
                .keys = table.boolean(Table::VT_KEYS),
                .from_key = table.bytes(Table::VT_FROM_KEY)};
    }
    static api::LeaseListRequest lease_list(const FlatTable& table) {
        using Table = protocol::LeaseListRequest;
        return {.has_after = table.boolean(Table::VT_HAS_AFTER), .after = table.scalar<std::int64_t>(Table::VT_AFTER)};
    }
    static api::HashKvRequest hash_kv(const FlatTable& table) {
        return {.revision = table.scalar<std::int64_t>(protocol::HashKvRequest::VT_REVISION)};
    }
    api::AlarmRequest alarm(const FlatTable& table) {
        using Table = protocol::AlarmRequest;
        const auto action = table.scalar<std::uint8_t>(Table::VT_ACTION);
        const auto type = table.scalar<std::uint8_t>(Table::VT_ALARM);
        if (action > static_cast<std::uint8_t>(protocol::AlarmAction::MAX) ||
            type > static_cast<std::uint8_t>(protocol::AlarmType::MAX)) {
            refuse(api::Errc::unsupported_request);
        }
        return {.action = static_cast<api::AlarmAction>(action),
                .member = NodeId(table.scalar<std::uint64_t>(Table::VT_MEMBER_ID)),
                .alarm = static_cast<api::AlarmType>(type)};
    }
    static api::WatchRequest watch(const FlatTable& table) {
        using Table = protocol::WatchRequest;
        return {.key = table.bytes(Table::VT_KEY),
                .range_end = table.bytes(Table::VT_RANGE_END),
                .start_revision = table.scalar<std::int64_t>(Table::VT_START_REVISION),
                .progress_notify = table.boolean(Table::VT_PROGRESS_NOTIFY),
                .prev_kv = table.boolean(Table::VT_PREV_KV),
                .no_put = table.boolean(Table::VT_NO_PUT),
                .no_delete = table.boolean(Table::VT_NO_DELETE),
                .require_leader = table.boolean(Table::VT_REQUIRE_LEADER)};
    }

    api::TxnRequest txn(const FlatTable& table, std::size_t depth) {
        if (depth > limits::txn_depth_max) {
            refuse(api::Errc::too_deep);
            return {};
        }
        using Table = protocol::TxnRequest;
        return {.compare = compares(table.tables(Table::VT_COMPARE)),
                .success = ops(table.tables(Table::VT_SUCCESS), depth),
                .failure = ops(table.tables(Table::VT_FAILURE), depth)};
    }

    std::span<const api::Compare> compares(const FlatTables& tables) {
        const std::span<api::Compare> out = take<api::Compare>(tables.size());
        for (std::size_t i = 0; i < out.size() && !stopped(); i++) {
            out[i] = compare(tables[i]);
        }
        return out;
    }
    api::Compare compare(const FlatTable& table) {
        using Table = protocol::Compare;
        const auto result = table.scalar<std::uint8_t>(Table::VT_RESULT);
        const auto target = table.scalar<std::uint8_t>(Table::VT_TARGET);
        if (result > static_cast<std::uint8_t>(protocol::CompareResult::MAX) ||
            target > static_cast<std::uint8_t>(protocol::CompareTarget::MAX)) {
            refuse(api::Errc::unsupported_request);
        }
        return {.result = static_cast<api::CompareResult>(result),
                .target = static_cast<api::CompareTarget>(target),
                .key = table.bytes(Table::VT_KEY),
                .range_end = table.bytes(Table::VT_RANGE_END),
                .number = table.scalar<std::int64_t>(Table::VT_NUMBER),
                .value = table.bytes(Table::VT_VALUE)};
    }

    std::span<const api::RequestOp> ops(const FlatTables& tables, std::size_t depth) {
        const std::span<api::RequestOp> out = take<api::RequestOp>(tables.size());
        for (std::size_t i = 0; i < out.size() && !stopped(); i++) {
            decode_op(tables[i], depth, out[i]);
        }
        return out;
    }
    void decode_op(const FlatTable& table, std::size_t depth, api::RequestOp& out) {
        const auto type = table.scalar<std::uint8_t>(protocol::RequestOp::VT_OP_TYPE);
        if (type > static_cast<std::uint8_t>(protocol::TxnOp::MAX)) {
            refuse(api::Errc::unsupported_request);
            return;
        }
        const FlatTable op = member(table, protocol::RequestOp::VT_OP);
        switch (static_cast<protocol::TxnOp>(type)) {
            case protocol::TxnOp::RangeRequest: out.op = range(op); return;
            case protocol::TxnOp::PutRequest: out.op = put(op); return;
            case protocol::TxnOp::DeleteRangeRequest: out.op = delete_range(op); return;
            case protocol::TxnOp::TxnRequest: out.op = txn(op, depth + 1); return;
            case protocol::TxnOp::NONE: break;
        }
        reader_.fail(FlatReader::Fault::malformed);
    }

    template <class T>
    std::span<T> take(std::size_t count) {
        if (count > limits::txn_ops_max) {
            refuse(api::Errc::too_many_ops);
        }
        return stopped() ? std::span<T>() : reader_.take_array<T>(arena_, count);
    }

    FlatReader reader_;
    Arena& arena_;
    api::Errc refused_{api::Errc::ok};
};

}  // namespace

Result<api::Request, api::Errc> decode_request(ClientKind kind, Bytes body, Arena& arena) {
    if (union_number(kind) == 0) {
        return failure(api::Errc::unsupported_request);
    }
    return RequestDecoder(body, arena).decode(kind);
}

}  // namespace ringfort::wire
