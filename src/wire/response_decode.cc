// Replies: frame bodies -> api types. A node may be broken or an impostor: as careful as with requests.
#include "base/assertion.h"
#include "wire/client_frame.h"

namespace ringfort::wire {

namespace {

// Transactions nest no deeper in replies than in requests.
constexpr std::size_t depth_max = limits::txn_depth_max;

class ResponseDecoder {
  public:
    ResponseDecoder(Bytes body, Arena& arena) : reader_(body, reply_decoded_bytes_max), arena_(arena) {}

    Result<api::Response, FrameErrc> decode_result(ClientKind kind) {
        using Table = protocol::Reply;
        const FlatTable table = reader_.root();
        Result<api::Response, FrameErrc> out;  // filled in place: responses are large
        out->header = header(table);
        const auto type = table.scalar<std::uint8_t>(Table::VT_RESULT_TYPE);
        if (type == 0 || type != union_number(kind)) {
            reader_.fail(FlatReader::Fault::malformed);
        } else {
            result(static_cast<protocol::Result>(type), member(table, Table::VT_RESULT),
                   *std::get_if<api::Result>(&out->body));
        }
        if (!reader_.ok()) {
            out = failure(FrameErrc::malformed_body);
        }
        return out;
    }

    Result<api::Response, FrameErrc> decode_error() {
        using Table = protocol::Error;
        const FlatTable table = reader_.root();
        api::Response response{.header = header(table), .body = {}, .more_frames = false};
        const auto code = table.scalar<std::uint16_t>(Table::VT_CODE);
        response.body = api::ErrorInfo{.code = static_cast<api::Errc>(code),
                                       .detail = table.bytes(Table::VT_DETAIL),
                                       .leader = NodeId(table.scalar<std::uint64_t>(Table::VT_LEADER)),
                                       .leader_address = table.bytes(Table::VT_LEADER_ADDRESS)};
        // Codes are added with protocol versions only: one that is unknown was not agreed on.
        if (!reader_.ok() || code == 0 || !api::known_error(code)) {
            return failure(FrameErrc::malformed_body);
        }
        return response;
    }

  private:
    // Reply and Error have these fields at the same ids.
    static api::ResponseHeader header(const FlatTable& table) {
        using Table = protocol::Reply;
        static_assert(static_cast<int>(Table::VT_DOMAIN) == static_cast<int>(protocol::Error::VT_DOMAIN));
        return {.cluster_id = ClusterId(table.scalar<std::uint64_t>(Table::VT_CLUSTER_ID)),
                .member_id = NodeId(table.scalar<std::uint64_t>(Table::VT_MEMBER_ID)),
                .revision = table.scalar<std::int64_t>(Table::VT_REVISION),
                .raft_term = Term(table.scalar<std::uint64_t>(Table::VT_RAFT_TERM)),
                .domain = DomainId(table.scalar<std::uint64_t>(Table::VT_DOMAIN))};
    }

    FlatTable member(const FlatTable& table, std::uint16_t field) {
        const FlatTable found = table.table(field);
        if (!found) {
            reader_.fail(FlatReader::Fault::malformed);
        }
        return found;
    }

    void result(protocol::Result type, const FlatTable& table, api::Result& out) {
        switch (type) {
            case protocol::Result::RangeResponse: out.emplace<api::RangeResponse>(range(table)); return;
            case protocol::Result::PutResponse: out.emplace<api::PutResponse>(put(table)); return;
            case protocol::Result::DeleteRangeResponse: out = delete_range(table); return;
            case protocol::Result::TxnResponse: out = txn(table, 1); return;
            case protocol::Result::CompactResponse: out = api::CompactResponse{}; return;
            case protocol::Result::StatusResponse: out = status(table); return;
            case protocol::Result::MemberListResponse: out = member_list(table); return;
            case protocol::Result::MoveLeaderResponse: out = api::MoveLeaderResponse{}; return;
            case protocol::Result::LeaseGrantResponse: out = lease_grant(table); return;
            case protocol::Result::LeaseRevokeResponse: out = api::LeaseRevokeResponse{}; return;
            case protocol::Result::LeaseKeepAliveResponse: out = lease_keep_alive(table); return;
            case protocol::Result::LeaseTimeToLiveResponse: out = lease_time_to_live(table); return;
            case protocol::Result::LeaseListResponse: out = lease_list(table); return;
            case protocol::Result::WatchResponse: out = watch(table); return;
            case protocol::Result::HashKvResponse: out = hash_kv(table); return;
            case protocol::Result::AlarmResponse: out = alarm(table); return;
            case protocol::Result::NONE: break;
        }
        reader_.fail(FlatReader::Fault::malformed);
    }

    static api::KeyValue kv(const FlatTable& table) {
        using Table = protocol::KeyValue;
        return {.key = table.bytes(Table::VT_KEY),
                .create_revision = table.scalar<std::int64_t>(Table::VT_CREATE_REVISION),
                .mod_revision = table.scalar<std::int64_t>(Table::VT_MOD_REVISION),
                .version = table.scalar<std::int64_t>(Table::VT_VERSION),
                .value = table.bytes(Table::VT_VALUE),
                .lease = table.scalar<std::int64_t>(Table::VT_LEASE)};
    }
    // `read(table)` of each, in the arena.
    template <class T, class Read>
    std::span<const T> array(const FlatTables& tables, Read&& read) {
        const std::span<T> out = reader_.take_array<T>(arena_, tables.size());
        for (std::size_t i = 0; i < out.size() && reader_.ok(); i++) {
            out[i] = read(tables[i]);
        }
        return out;
    }
    std::span<const std::string_view> texts(const FlatTables& strings) {
        const std::span<std::string_view> out = reader_.take_array<std::string_view>(arena_, strings.size());
        for (std::size_t i = 0; i < out.size() && reader_.ok(); i++) {
            out[i] = strings.bytes(i);
        }
        return out;
    }

    api::RangeResponse range(const FlatTable& table) {
        using Table = protocol::RangeResponse;
        return {.kvs = array<api::KeyValue>(table.tables(Table::VT_KVS), kv),
                .more = table.boolean(Table::VT_MORE),
                .count = table.scalar<std::int64_t>(Table::VT_COUNT)};
    }
    static api::PutResponse put(const FlatTable& table) {
        api::PutResponse response;
        if (const FlatTable prev_kv = table.table(protocol::PutResponse::VT_PREV_KV)) {
            response.prev_kv = kv(prev_kv);
        }
        return response;
    }
    api::DeleteRangeResponse delete_range(const FlatTable& table) {
        using Table = protocol::DeleteRangeResponse;
        return {.deleted = table.scalar<std::int64_t>(Table::VT_DELETED),
                .prev_kvs = array<api::KeyValue>(table.tables(Table::VT_PREV_KVS), kv)};
    }
    api::TxnResponse txn(const FlatTable& table, std::size_t depth) {
        using Table = protocol::TxnResponse;
        if (depth > depth_max) {
            reader_.fail(FlatReader::Fault::malformed);
            return {};
        }
        return {.succeeded = table.boolean(Table::VT_SUCCEEDED),
                .responses = array<api::ResponseOp>(table.tables(Table::VT_RESPONSES),
                                                    [&](const FlatTable& item) { return op(item, depth); })};
    }
    api::ResponseOp op(const FlatTable& table, std::size_t depth) {
        const auto type = table.scalar<std::uint8_t>(protocol::ResponseOp::VT_OP_TYPE);
        const FlatTable result = member(table, protocol::ResponseOp::VT_OP);
        switch (static_cast<protocol::TxnOpResult>(type)) {
            case protocol::TxnOpResult::RangeResponse: return {range(result)};
            case protocol::TxnOpResult::PutResponse: return {put(result)};
            case protocol::TxnOpResult::DeleteRangeResponse: return {delete_range(result)};
            case protocol::TxnOpResult::TxnResponse: return {txn(result, depth + 1)};
            case protocol::TxnOpResult::NONE: break;
        }
        reader_.fail(FlatReader::Fault::malformed);
        return {};
    }

    static api::RangeStatus range_status(const FlatTable& table) {
        using Table = protocol::RangeStatus;
        return {.range = RangeId(table.scalar<std::uint64_t>(Table::VT_RANGE)),
                .domain = DomainId(table.scalar<std::uint64_t>(Table::VT_DOMAIN)),
                .begin = table.bytes(Table::VT_BEGIN),
                .end = table.bytes(Table::VT_END),
                .leader = NodeId(table.scalar<std::uint64_t>(Table::VT_LEADER)),
                .term = Term(table.scalar<std::uint64_t>(Table::VT_TERM)),
                .commit = LogIndex(table.scalar<std::uint64_t>(Table::VT_COMMIT)),
                .applied = LogIndex(table.scalar<std::uint64_t>(Table::VT_APPLIED)),
                .revision = table.scalar<std::int64_t>(Table::VT_REVISION),
                .compact_revision = table.scalar<std::int64_t>(Table::VT_COMPACT_REVISION),
                .state_hash = table.scalar<std::uint64_t>(Table::VT_STATE_HASH),
                .live_bytes = table.scalar<std::uint64_t>(Table::VT_LIVE_BYTES),
                .shard = ShardId(table.scalar<std::uint64_t>(Table::VT_SHARD)),
                .in_doubt = table.boolean(Table::VT_IN_DOUBT)};
    }
    api::StatusResponse status(const FlatTable& table) {
        using Table = protocol::StatusResponse;
        return {.version = table.bytes(Table::VT_VERSION),
                .memory_bytes = table.scalar<std::uint64_t>(Table::VT_MEMORY_BYTES),
                .memory_quota_bytes = table.scalar<std::uint64_t>(Table::VT_MEMORY_QUOTA_BYTES),
                .log_bytes_written = table.scalar<std::uint64_t>(Table::VT_LOG_BYTES_WRITTEN),
                .log_entry_bytes = table.scalar<std::uint64_t>(Table::VT_LOG_ENTRY_BYTES),
                .log_flushes = table.scalar<std::uint64_t>(Table::VT_LOG_FLUSHES),
                .cpu_us = table.scalar<std::uint64_t>(Table::VT_CPU_US),
                .resident_bytes = table.scalar<std::uint64_t>(Table::VT_RESIDENT_BYTES),
                .ranges = array<api::RangeStatus>(table.tables(Table::VT_RANGES), range_status),
                .errors = texts(table.tables(Table::VT_ERRORS))};
    }
    api::MemberListResponse member_list(const FlatTable& table) {
        using Table = protocol::Member;
        return {.members = array<api::Member>(table.tables(protocol::MemberListResponse::VT_MEMBERS),
                                              [&](const FlatTable& item) {
                                                  return api::Member{
                                                      .id = NodeId(item.scalar<std::uint64_t>(Table::VT_ID)),
                                                      .name = item.bytes(Table::VT_NAME),
                                                      .peer_urls = texts(item.tables(Table::VT_PEER_URLS)),
                                                      .client_urls = texts(item.tables(Table::VT_CLIENT_URLS)),
                                                      .is_learner = item.boolean(Table::VT_IS_LEARNER)};
                                              })};
    }

    static api::LeaseGrantResponse lease_grant(const FlatTable& table) {
        using Table = protocol::LeaseGrantResponse;
        return {.id = table.scalar<std::int64_t>(Table::VT_ID), .ttl = table.scalar<std::int64_t>(Table::VT_TTL)};
    }
    api::LeaseKeepAliveResponse lease_keep_alive(const FlatTable& table) {
        const FlatStructs ttls = table.structs(protocol::LeaseKeepAliveResponse::VT_TTLS, sizeof(std::int64_t));
        return {.ttls = numbers(ttls, reader_, arena_)};
    }
    api::LeaseTimeToLiveResponse lease_time_to_live(const FlatTable& table) {
        using Table = protocol::LeaseTimeToLiveResponse;
        return {.id = table.scalar<std::int64_t>(Table::VT_ID),
                .ttl = table.scalar<std::int64_t>(Table::VT_TTL),
                .granted_ttl = table.scalar<std::int64_t>(Table::VT_GRANTED_TTL),
                .keys = array<std::string_view>(
                    table.tables(Table::VT_KEYS),
                    [](const FlatTable& item) { return item.bytes(protocol::Key::VT_KEY); }),
                .more = table.boolean(Table::VT_MORE)};
    }
    api::LeaseListResponse lease_list(const FlatTable& table) {
        using Table = protocol::LeaseListResponse;
        const FlatStructs ids = table.structs(Table::VT_IDS, sizeof(api::LeaseId));
        return {.ids = numbers(ids, reader_, arena_), .more = table.boolean(Table::VT_MORE)};
    }
    static api::HashKvResponse hash_kv(const FlatTable& table) {
        using Table = protocol::HashKvResponse;
        return {.hash = table.scalar<std::uint64_t>(Table::VT_HASH),
                .compact_revision = table.scalar<std::int64_t>(Table::VT_COMPACT_REVISION),
                .hash_revision = table.scalar<std::int64_t>(Table::VT_HASH_REVISION)};
    }
    api::AlarmResponse alarm(const FlatTable& table) {
        return {.alarms = array<api::Alarm>(
                    table.tables(protocol::AlarmResponse::VT_ALARMS), [](const FlatTable& item) {
                        using Item = protocol::AlarmMember;
                        return api::Alarm{NodeId(item.scalar<std::uint64_t>(Item::VT_MEMBER_ID)),
                                          static_cast<api::AlarmType>(item.scalar<std::uint8_t>(Item::VT_ALARM))};
                    })};
    }
    api::WatchResponse watch(const FlatTable& table) {
        using Table = protocol::WatchResponse;
        return {.created = table.boolean(Table::VT_CREATED),
                .canceled = table.boolean(Table::VT_CANCELED),
                .compact_revision = table.scalar<std::int64_t>(Table::VT_COMPACT_REVISION),
                .cancel_reason = table.bytes(Table::VT_CANCEL_REASON),
                .events = array<api::Event>(table.tables(Table::VT_EVENTS),
                                            [&](const FlatTable& item) { return event(item); })};
    }
    api::Event event(const FlatTable& table) {
        using Table = protocol::Event;
        const auto type = table.scalar<std::uint8_t>(Table::VT_TYPE);
        if (type > static_cast<std::uint8_t>(protocol::EventType::MAX)) {
            reader_.fail(FlatReader::Fault::malformed);
        }
        api::Event out{.type = static_cast<api::EventType>(type), .kv = kv(member(table, Table::VT_KV)), .prev_kv = {}};
        if (const FlatTable prev_kv = table.table(Table::VT_PREV_KV)) {
            out.prev_kv = kv(prev_kv);
        }
        return out;
    }

    FlatReader reader_;
    Arena& arena_;
};

}  // namespace

Result<api::Response, FrameErrc> decode_response(ClientKind kind, std::uint8_t flags, Bytes body, Arena& arena) {
    if ((flags & flag_error) != 0) {
        if ((flags & flag_more) != 0) {
            return failure(FrameErrc::malformed_body);
        }
        return ResponseDecoder(body, arena).decode_error();
    }
    if (union_number(kind) == 0) {
        return failure(FrameErrc::unknown_kind);
    }
    auto response = ResponseDecoder(body, arena).decode_result(kind);
    if (response) {
        response->more_frames = (flags & flag_more) != 0;
        if (kind == ClientKind::watch) {
            std::get<api::WatchResponse>(*std::get_if<api::Result>(&response->body)).goes_on = (flags & flag_goes_on) != 0;
        }
    }
    return response;
}

}  // namespace ringfort::wire
