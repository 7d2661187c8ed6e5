#include "client/public_convert.h"

#include <algorithm>
#include <string>

namespace ringfort::client {

api::RangeRequest to_api(std::string_view key, const GetOptions& options, Arena& arena) {
    api::RangeRequest request;
    request.key = arena.copy(key);
    request.range_end = arena.copy(options.range_end);
    request.limit = options.limit;
    request.revision = options.revision;
    request.sort_order = static_cast<api::SortOrder>(options.sort_order);
    request.sort_target = static_cast<api::SortTarget>(options.sort_target);
    request.serializable = options.serializable;
    request.keys_only = options.keys_only;
    request.count_only = options.count_only;
    request.min_mod_revision = options.min_mod_revision;
    request.max_mod_revision = options.max_mod_revision;
    request.min_create_revision = options.min_create_revision;
    request.max_create_revision = options.max_create_revision;
    return request;
}

api::PutRequest to_api(std::string_view key, std::string_view value, const PutOptions& options, Arena& arena) {
    api::PutRequest request;
    request.key = arena.copy(key);
    request.value = arena.copy(value);
    request.lease = options.lease;
    request.prev_kv = options.prev_kv;
    request.ignore_value = options.ignore_value;
    request.ignore_lease = options.ignore_lease;
    return request;
}

api::DeleteRangeRequest to_api(std::string_view key, const DeleteOptions& options, Arena& arena) {
    api::DeleteRangeRequest request;
    request.key = arena.copy(key);
    request.range_end = arena.copy(options.range_end);
    request.prev_kv = options.prev_kv;
    return request;
}

namespace {

struct OpConverter {
    Arena& arena;
    api::RequestOp operator()(const OpGet& op) const { return {to_api(op.key, op.options, arena)}; }
    api::RequestOp operator()(const OpPut& op) const { return {to_api(op.key, op.value, op.options, arena)}; }
    api::RequestOp operator()(const OpDelete& op) const { return {to_api(op.key, op.options, arena)}; }
    api::RequestOp operator()(const Txn& op) const { return {to_api(op, arena)}; }
};

std::span<const api::RequestOp> to_api(const std::vector<Op>& ops, Arena& arena) {
    const std::span<api::RequestOp> converted = arena.make_array<api::RequestOp>(ops.size());
    for (std::size_t i = 0; i < ops.size(); i++) {
        converted[i] = std::visit(OpConverter{arena}, ops[i]);
    }
    return converted;
}

}  // namespace

api::TxnRequest to_api(const Txn& txn, Arena& arena) {
    const std::span<api::Compare> compares = arena.make_array<api::Compare>(txn.compares.size());
    for (std::size_t i = 0; i < compares.size(); i++) {
        const Compare& from = txn.compares[i];
        compares[i].result = static_cast<api::CompareResult>(from.result);
        compares[i].target = static_cast<api::CompareTarget>(from.target);
        compares[i].key = arena.copy(from.key);
        compares[i].range_end = arena.copy(from.range_end);
        compares[i].number = from.number;
        compares[i].value = arena.copy(from.value);
    }
    api::TxnRequest request;
    request.compare = compares;
    request.success = to_api(txn.success, arena);
    request.failure = to_api(txn.failure, arena);
    return request;
}

api::WatchRequest to_api(std::string_view key, const WatchOptions& options, Arena& arena) {
    api::WatchRequest request;
    request.key = arena.copy(key);
    request.range_end = arena.copy(options.range_end);
    request.start_revision = options.start_revision;
    request.progress_notify = options.progress_notify;
    request.prev_kv = options.prev_kv;
    request.no_put = options.no_put;
    request.no_delete = options.no_delete;
    request.require_leader = options.require_leader;
    return request;
}

// ---------------------------------------------------------------------------------------------- times and replies

namespace {

constexpr std::int64_t timeout_ms_max = 24LL * 3600 * 1000;

}  // namespace

Duration from_ms(std::int64_t count) {
    return std::chrono::milliseconds(std::clamp<std::int64_t>(count, 0, timeout_ms_max));
}

Error to_public(const api::ErrorInfo& error) {
    Error out;
    out.code = static_cast<ErrorCode>(error.code);
    out.error_class = static_cast<ErrorClass>(api::error_class(error.code));
    out.message = api::error_text(error.code);
    out.detail = error.detail;
    return out;
}

Header to_public(const api::ResponseHeader& header) {
    return {header.cluster_id.value, header.member_id.value, header.revision, header.raft_term.value,
            header.domain.value};
}

KeyValue to_public(const api::KeyValue& kv) {
    return {std::string(kv.key), kv.create_revision, kv.mod_revision, kv.version, std::string(kv.value), kv.lease};
}

Event to_public(const api::Event& event) {
    Event out;
    out.type = static_cast<EventType>(event.type);
    out.kv = to_public(event.kv);
    if (event.prev_kv) {
        out.prev_kv = to_public(*event.prev_kv);
    }
    return out;
}

namespace {
std::vector<KeyValue> to_public(std::span<const api::KeyValue> kvs) {
    std::vector<KeyValue> out;
    out.reserve(kvs.size());
    for (const api::KeyValue& kv : kvs) {
        out.push_back(client::to_public(kv));
    }
    return out;
}
std::vector<std::string> to_public(std::span<const std::string_view> texts) {
    return {texts.begin(), texts.end()};
}
}  // namespace

GetReply to_public(const api::RangeResponse& response) {
    GetReply out;
    out.kvs = to_public(response.kvs);
    out.more = response.more;
    out.count = response.count;
    return out;
}

PutReply to_public(const api::PutResponse& response) {
    PutReply out;
    if (response.prev_kv) {
        out.prev_kv = to_public(*response.prev_kv);
    }
    return out;
}

DeleteReply to_public(const api::DeleteRangeResponse& response) {
    DeleteReply out;
    out.deleted = response.deleted;
    out.prev_kvs = to_public(response.prev_kvs);
    return out;
}

TxnReply to_public(const api::TxnResponse& response) {
    TxnReply out;
    out.succeeded = response.succeeded;
    for (const api::ResponseOp& op : response.responses) {
        std::visit([&out](const auto& one) { out.replies.emplace_back(to_public(one)); }, op.op);
    }
    return out;
}

template <>
void set_header(TxnReply& reply, const Header& header) {
    reply.header = header;
    Header inner;
    inner.revision = header.revision;
    for (OpReply& one : reply.replies) {
        std::visit([&inner](auto& op) { set_header(op, inner); }, one);
    }
}

CompactReply to_public(const api::CompactResponse&) {
    return {};
}
MoveLeaderReply to_public(const api::MoveLeaderResponse&) {
    return {};
}

AlarmReply to_public(const api::AlarmResponse& response) {
    AlarmReply out;
    for (const api::Alarm& alarm : response.alarms) {
        out.alarms.push_back({alarm.member.value, static_cast<AlarmType>(alarm.type)});
    }
    return out;
}

HashKvReply to_public(const api::HashKvResponse& response) {
    return {.header = {},
            .hash = response.hash,
            .compact_revision = response.compact_revision,
            .hash_revision = response.hash_revision};
}

LeaseGrantReply to_public(const api::LeaseGrantResponse& response) {
    return {.header = {}, .id = response.id, .ttl = response.ttl, .asked_ns = 0};
}
LeaseRevokeReply to_public(const api::LeaseRevokeResponse&) {
    return {};
}
LeaseKeepAliveReply to_public(const api::LeaseKeepAliveResponse& response) {
    return {.header = {}, .ttls = {response.ttls.begin(), response.ttls.end()}};
}
LeaseTimeToLiveReply to_public(const api::LeaseTimeToLiveResponse& response) {
    return {.header = {},
            .id = response.id,
            .ttl = response.ttl,
            .granted_ttl = response.granted_ttl,
            .keys = to_public(response.keys)};
}
LeaseListReply to_public(const api::LeaseListResponse& response) {
    return {.header = {}, .ids = {response.ids.begin(), response.ids.end()}};
}

namespace {
RangeStatus to_public(const api::RangeStatus& from) {
    RangeStatus out;
    out.range = from.range.value;
    out.domain = from.domain.value;
    out.begin = from.begin;
    out.end = from.end;
    out.leader = from.leader.value;
    out.raft_term = from.term.value;
    out.commit_index = from.commit.value;
    out.applied_index = from.applied.value;
    out.revision = from.revision;
    out.compact_revision = from.compact_revision;
    out.state_hash = from.state_hash;
    out.live_bytes = from.live_bytes;
    out.shard = from.shard.value;
    out.in_doubt = from.in_doubt;
    return out;
}
}  // namespace

StatusReply to_public(const api::StatusResponse& response) {
    StatusReply out;
    out.version = response.version;
    out.memory_bytes = response.memory_bytes;
    out.memory_quota_bytes = response.memory_quota_bytes;
    out.log_bytes_written = response.log_bytes_written;
    out.log_entry_bytes = response.log_entry_bytes;
    out.log_flushes = response.log_flushes;
    out.cpu_us = response.cpu_us;
    out.resident_bytes = response.resident_bytes;
    for (const api::RangeStatus& range : response.ranges) {
        out.ranges.push_back(to_public(range));
    }
    out.errors = to_public(response.errors);
    return out;
}

MemberListReply to_public(const api::MemberListResponse& response) {
    MemberListReply out;
    for (const api::Member& member : response.members) {
        out.members.push_back({member.id.value, std::string(member.name), to_public(member.peer_urls),
                               to_public(member.client_urls), member.is_learner});
    }
    return out;
}

}  // namespace ringfort::client
