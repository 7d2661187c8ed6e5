#include "messages.h"

#include "base/checksum.h"

namespace ringfort::wire::test {

// ---------------------------------------------------------------------------------------------- random

std::uint64_t RandomMessages::u64() {
    // Zero, small, and of every bit length.
    return prng_.one_in(4) ? 0 : prng_.next() >> prng_.below(64);
}

std::string_view RandomMessages::text(std::size_t bytes_max) {
    const std::size_t bytes = prng_.one_in(4) ? 0 : prng_.between(1, bytes_max);
    std::string out(bytes, '\0');
    for (char& c : out) {
        c = static_cast<char>(prng_.below(256));
    }
    return arena_.copy(out);
}

std::span<const std::string_view> RandomMessages::texts() {
    const auto out = arena_.make_array<std::string_view>(prng_.below(4));
    for (auto& item : out) {
        item = text(30);
    }
    return out;
}

std::span<const std::int64_t> RandomMessages::numbers() {
    const auto out = arena_.make_array<std::int64_t>(prng_.below(5));
    for (auto& item : out) {
        item = i64();
    }
    return out;
}

api::KeyValue RandomMessages::kv() {
    return {.key = text(40),
            .create_revision = i64(),
            .mod_revision = i64(),
            .version = i64(),
            .value = text(300),
            .lease = i64()};
}

std::span<const api::KeyValue> RandomMessages::kvs() {
    const auto out = arena_.make_array<api::KeyValue>(prng_.below(5));
    for (auto& item : out) {
        item = kv();
    }
    return out;
}

std::span<const api::RequestOp> RandomMessages::ops(std::size_t depth) {
    const auto out = arena_.make_array<api::RequestOp>(prng_.below(4));
    for (auto& item : out) {
        const api::Operation random = operation(prng_.below(3));
        if (depth < 4 && prng_.one_in(4)) {
            item.op = txn(depth + 1);
        } else if (const auto* range = std::get_if<api::RangeRequest>(&random)) {
            item.op = *range;
        } else if (const auto* put = std::get_if<api::PutRequest>(&random)) {
            item.op = *put;
        } else if (const auto* remove = std::get_if<api::DeleteRangeRequest>(&random)) {
            item.op = *remove;
        }
    }
    return out;
}

api::TxnRequest RandomMessages::txn(std::size_t depth) {
    const auto compare = arena_.make_array<api::Compare>(prng_.below(4));
    for (auto& item : compare) {
        item = {.result = static_cast<api::CompareResult>(prng_.below(4)),
                .target = static_cast<api::CompareTarget>(prng_.below(5)),
                .key = text(40),
                .range_end = text(40),
                .number = i64(),
                .value = text(100)};
    }
    const auto success = ops(depth);
    const auto failure = ops(depth);
    return {.compare = compare, .success = success, .failure = failure};
}

api::Operation RandomMessages::operation(std::size_t index) {
    switch (index) {
        case 0:
            return api::RangeRequest{.key = text(40),
                                     .range_end = text(40),
                                     .limit = i64(),
                                     .revision = i64(),
                                     .sort_order = static_cast<api::SortOrder>(prng_.below(256)),
                                     .sort_target = static_cast<api::SortTarget>(prng_.below(256)),
                                     .serializable = coin(),
                                     .keys_only = coin(),
                                     .count_only = coin(),
                                     .min_mod_revision = i64(),
                                     .max_mod_revision = i64(),
                                     .min_create_revision = i64(),
                                     .max_create_revision = i64()};
        case 1:
            return api::PutRequest{.key = text(40),
                                   .value = text(2000),
                                   .lease = i64(),
                                   .prev_kv = coin(),
                                   .ignore_value = coin(),
                                   .ignore_lease = coin()};
        case 2: return api::DeleteRangeRequest{.key = text(40), .range_end = text(40), .prev_kv = coin()};
        case 3: return txn(1);
        case 4: return api::CompactRequest{.revision = i64(), .physical = coin()};
        case 5: return api::StatusRequest{};
        case 6: return api::MemberListRequest{.linearizable = coin()};
        case 8: return api::LeaseGrantRequest{.ttl = i64(), .id = i64()};
        case 9: return api::LeaseRevokeRequest{.id = i64()};
        case 10: return api::LeaseKeepAliveRequest{.ids = numbers()};
        case 11: return api::LeaseTimeToLiveRequest{.id = i64(), .keys = coin(), .from_key = text(40)};
        case 12: return api::LeaseListRequest{.has_after = coin(), .after = i64()};
        case 13:
            return api::WatchRequest{.key = text(40), .range_end = text(40), .start_revision = i64(),
                                     .progress_notify = coin(), .prev_kv = coin(), .no_put = coin(),
                                     .no_delete = coin(), .require_leader = coin()};
        case 14: return api::HashKvRequest{.revision = i64()};
        case 15:
            return api::AlarmRequest{.action = static_cast<api::AlarmAction>(prng_.below(3)), .member = NodeId(u64()),
                                     .alarm = static_cast<api::AlarmType>(prng_.below(3))};
        default: break;
    }
    api::MoveLeaderRequest move{.target = NodeId(u64()), .range = {}};
    if (coin()) {
        move.range = RangeId(u64());
    }
    return move;
}

api::Request RandomMessages::request() {
    api::Request request;
    request.op = operation(prng_.below(std::variant_size_v<api::Operation>));
    if (coin()) {
        request.domain = DomainId(u64());
    }
    request.timeout = Duration(prng_.below(static_cast<std::uint64_t>(request_timeout_max.count()) + 1));
    request.redirect = coin();
    request.client = u64();
    request.client_sequence = u64();
    return request;
}

api::TxnResponse RandomMessages::txn_response(std::size_t depth) {
    const auto responses = arena_.make_array<api::ResponseOp>(prng_.below(4));
    for (auto& item : responses) {
        const std::size_t index = prng_.below(depth < 4 ? 4 : 3);
        if (index == 3) {
            item.op = txn_response(depth + 1);
            continue;
        }
        const api::Result random = result(index);
        if (const auto* range = std::get_if<api::RangeResponse>(&random)) {
            item.op = *range;
        } else if (const auto* put = std::get_if<api::PutResponse>(&random)) {
            item.op = *put;
        } else if (const auto* remove = std::get_if<api::DeleteRangeResponse>(&random)) {
            item.op = *remove;
        }
    }
    return {.succeeded = coin(), .responses = responses};
}

api::Result RandomMessages::result(std::size_t index) {
    switch (index) {
        case 0: return api::RangeResponse{.kvs = kvs(), .more = coin(), .count = i64()};
        case 1: {
            api::PutResponse put;
            if (coin()) {
                put.prev_kv = kv();
            }
            return put;
        }
        case 2: return api::DeleteRangeResponse{.deleted = i64(), .prev_kvs = kvs()};
        case 3: return txn_response(1);
        case 4: return api::CompactResponse{};
        case 5: {
            const auto ranges = arena_.make_array<api::RangeStatus>(prng_.below(4));
            for (auto& item : ranges) {
                item = {.range = RangeId(u64()), .domain = DomainId(u64()), .begin = text(20), .end = text(20),
                        .leader = NodeId(u64()), .term = Term(u64()), .commit = LogIndex(u64()),
                        .applied = LogIndex(u64()), .revision = i64(), .compact_revision = i64(),
                        .state_hash = u64(), .live_bytes = u64(), .shard = ShardId(u64()),
                        .in_doubt = coin()};
            }
            return api::StatusResponse{.version = text(20), .memory_bytes = u64(), .memory_quota_bytes = u64(),
                                       .log_bytes_written = u64(), .log_entry_bytes = u64(), .log_flushes = u64(),
                                       .cpu_us = u64(), .resident_bytes = u64(), .ranges = ranges,
                                       .errors = texts()};
        }
        case 6: {
            const auto members = arena_.make_array<api::Member>(prng_.below(5));
            for (auto& item : members) {
                item = {.id = NodeId(u64()), .name = text(20), .peer_urls = texts(), .client_urls = texts(),
                        .is_learner = coin()};
            }
            return api::MemberListResponse{.members = members};
        }
        case 8: return api::LeaseGrantResponse{.id = i64(), .ttl = i64()};
        case 9: return api::LeaseRevokeResponse{};
        case 10: return api::LeaseKeepAliveResponse{.ttls = numbers()};
        case 11:
            return api::LeaseTimeToLiveResponse{
                .id = i64(), .ttl = i64(), .granted_ttl = i64(), .keys = texts(), .more = coin()};
        case 12: return api::LeaseListResponse{.ids = numbers(), .more = coin()};
        case 13: {
            const auto events = arena_.make_array<api::Event>(prng_.below(4));
            for (auto& item : events) {
                item = {.type = coin() ? api::EventType::put : api::EventType::remove, .kv = kv(), .prev_kv = {}};
                if (coin()) {
                    item.prev_kv = kv();
                }
            }
            return api::WatchResponse{.created = coin(), .canceled = coin(), .compact_revision = i64(),
                                      .cancel_reason = text(40), .events = events, .goes_on = coin()};
        }
        case 15: {
            const auto alarms = arena_.make_array<api::Alarm>(prng_.below(5));
            for (auto& item : alarms) {
                item = {NodeId(u64()), static_cast<api::AlarmType>(prng_.below(3))};
            }
            return api::AlarmResponse{.alarms = alarms};
        }
        case 14: return api::HashKvResponse{.hash = u64(), .compact_revision = i64(), .hash_revision = i64()};
        default: return api::MoveLeaderResponse{};
    }
}

api::Response RandomMessages::response() {
    api::Response response;
    response.header = {.cluster_id = ClusterId(u64()), .member_id = NodeId(u64()), .revision = i64(),
                       .raft_term = Term(u64()), .domain = DomainId(u64())};
    if (prng_.one_in(4)) {
        std::uint16_t code = 0;
        while (code == 0 || !api::known_error(code)) {
            code = static_cast<std::uint16_t>(prng_.below(50));
        }
        response.body = api::ErrorInfo{.code = static_cast<api::Errc>(code), .detail = text(100),
                                       .leader = NodeId(u64()), .leader_address = text(30)};
    } else {
        response.body = result(prng_.below(std::variant_size_v<api::Result>));
        response.more_frames = coin();
    }
    return response;
}

ClientHello RandomMessages::client_hello() {
    return {.cluster_id = ClusterId(u64()), .client_name = text(client_name_bytes_max), .has_shard = coin(),
            .shard = ShardId(u64()), .key = text(100), .reply_credit_bytes = u32()};
}

ClientHelloReply RandomMessages::client_hello_reply() {
    return {.cluster_id = ClusterId(u64()), .member_id = NodeId(u64()), .shard = ShardId(u64()),
            .shard_count = u32(), .frame_bytes_max = u32(), .requests_max = u32(), .server_version = text(30),
            .version = static_cast<std::uint16_t>(u64())};
}

raft::Message RandomMessages::raft_message() {
    const auto entries = arena_.make_array<raft::Entry>(prng_.below(6));
    for (auto& item : entries) {
        const Bytes payload = as_bytes(text(500));
        item = {.id = entry_id(), .kind = static_cast<raft::EntryKind>(prng_.between(1, 4)),
                .checksum = checksum(payload), .payload = payload};
    }
    const auto fetch = arena_.make_array<raft::FetchItem>(prng_.below(4));
    for (auto& item : fetch) {
        item = {.id = entry_id(), .checksum = u64(), .result = enumerator(raft::fetch_result_last)};
    }
    const raft::MessageType type = enumerator(raft::message_type_last);
    return {.type = type, .range = RangeId(u64()), .from = NodeId(u64()), .to = NodeId(u64()),
            .incarnation = Incarnation(u64()), .term = Term(u64()), .prev = entry_id(), .commit = LogIndex(u64()),
            .entry_count = type == raft::MessageType::append ? static_cast<std::uint32_t>(entries.size()) : u32(),
            .entries = entries, .reject = coin(), .counts = coin(), .match = LogIndex(u64()), .hint = entry_id(),
            .known = Incarnation(u64()), .transfer = coin(), .fetch = fetch};
}

PeerFrame RandomMessages::peer_frame(std::size_t index) {
    switch (index) {
        case 0:
            return PeerHello{.cluster_id = ClusterId(u64()), .node = NodeId(u64()), .target = NodeId(u64()),
                             .instance = InstanceId(u64()), .incarnation = Incarnation(u64()),
                             .shard = ShardId(u64()), .shard_count = u32(), .target_shard = ShardId(u64()),
                             .feature_level = u32(), .bootstrapped = coin(), .probe = coin(),
                             .your_instance = InstanceId(u64()), .your_incarnation = Incarnation(u64()),
                             .client_address = text(client_address_bytes_max)};
        case 1:
            return PeerHelloReply{.refusal = static_cast<Refusal>(prng_.below(8)), .cluster_id = ClusterId(u64()),
                                  .node = NodeId(u64()), .instance = InstanceId(u64()),
                                  .incarnation = Incarnation(u64()), .shard = ShardId(u64()), .shard_count = u32(),
                                  .feature_level = u32(), .bootstrapped = coin(),
                                  .your_instance = InstanceId(u64()), .your_incarnation = Incarnation(u64()),
                                  .client_address = text(client_address_bytes_max)};
        case 2: return raft_message();
        case 3: {
            const auto items = arena_.make_array<ReadRoundItem>(prng_.below(6));
            for (auto& item : items) {
                item = {RangeId(u64()), Term(u64())};
            }
            return ReadRound{.round = {u64(), u64()}, .items = items};
        }
        case 4: {
            const auto confirmed = arena_.make_array<RangeId>(prng_.below(6));
            for (auto& item : confirmed) {
                item = RangeId(u64());
            }
            return ReadRoundAnswer{.round = {u64(), u64()}, .confirmed = confirmed};
        }
        case 5:
            return Beat{.sent_at_ns = i64(), .echo_ns = i64(), .durable_age_ns = i64(), .load = u32(),
                        .disk_slow = coin()};
        case 6:
            return Forward{.token = u64(), .range = RangeId(u64()), .generation = Generation(u64()),
                           .timeout_ns = i64(), .kind = static_cast<std::uint8_t>(u64()), .reply_credit = u32(),
                           .body = as_bytes(text(1000))};
        case 7: {
            const Bytes body = as_bytes(text(1000));
            return ForwardReply{.token = u64(), .kind = static_cast<std::uint8_t>(u64()),
                                .flags = static_cast<std::uint8_t>(u64()),
                                .body = body.first(body.size() / frame_alignment * frame_alignment)};
        }
        case 8: return ForwardCancel{.token = u64()};
        case 9:
            return SnapshotSlice{.range = RangeId(u64()), .term = Term(u64()), .snapshot = entry_id(),
                                 .total_bytes = u64(), .offset = u64(), .state_hash = u64(),
                                 .file_checksum = u64(), .configuration = as_bytes(text(100)),
                                 .data = as_bytes(text(3000))};
        case 10:
            return SnapshotAnswer{.range = RangeId(u64()), .term = Term(u64()), .snapshot = entry_id(),
                                  .offset = u64(), .verdict = static_cast<SnapshotVerdict>(prng_.between(1, 3))};
        case 11: return ForwardCredit{.token = u64(), .bytes = u64()};
        case 13: {
            const auto items = arena_.make_array<ReadRoundItem>(prng_.below(6));
            for (auto& item : items) {
                item = {RangeId(u64()), Term(u64())};
            }
            return ReadIndex{.round = {u64(), u64()}, .items = items};
        }
        case 14: {
            const auto items = arena_.make_array<ReadIndexAnswerItem>(prng_.below(6));
            for (auto& item : items) {
                item = {RangeId(u64()), Term(u64()), LogIndex(u64())};
            }
            return ReadIndexAnswer{.round = {u64(), u64()}, .items = items};
        }
        case 15: {
            const auto items = arena_.make_array<StateHash>(prng_.below(6));
            for (auto& item : items) {
                item = {RangeId(u64()), Term(u64()), LogIndex(u64()), u64()};
            }
            return StateHashes{.kind = static_cast<StateHashKind>(prng_.below(4)), .items = items};
        }
        default: return Credit{.cls = static_cast<LinkClass>(prng_.below(4)), .bytes = u64()};
    }
}

// ---------------------------------------------------------------------------------------------- texts

namespace {

// Writes fields one behind the other; texts and lists with their lengths, so that no two messages share a text.
class Writer {
  public:
    template <class... Fields>
    Writer& add(const Fields&... fields) {
        (put(fields), ...);
        return *this;
    }
    std::string out;

  private:
    template <class T>
        requires std::is_integral_v<T> || std::is_enum_v<T>
    void put(T value) {
        out += std::to_string(static_cast<std::int64_t>(value)) + " ";
    }
    template <class T>
        requires std::is_base_of_v<Id<T>, T>
    void put(const T& id) {
        out += std::to_string(id.value) + " ";
    }
    void put(std::string_view value) {
        out += std::to_string(value.size()) + "'";
        out += value;
        out += "' ";
    }
    void put(Bytes value) { put(as_text(value)); }
    template <class T>
    void put(const std::optional<T>& value) {
        out += value ? "some " : "none ";
        if (value) {
            put(*value);
        }
    }
    template <class T>
    void put(std::span<const T> list) {
        out += "[" + std::to_string(list.size()) + ": ";
        for (const T& item : list) {
            put(item);
        }
        out += "] ";
    }
    template <class... T>
    void put(const std::variant<T...>& value) {
        out += "#" + std::to_string(value.index()) + " ";
        std::visit([&](const auto& item) { put(item); }, value);
    }
    void put(const api::RangeRequest& r) {
        add(r.key, r.range_end, r.limit, r.revision, r.sort_order, r.sort_target, r.serializable, r.keys_only,
            r.count_only, r.min_mod_revision, r.max_mod_revision, r.min_create_revision, r.max_create_revision);
    }
    void put(const api::PutRequest& r) { add(r.key, r.value, r.lease, r.prev_kv, r.ignore_value, r.ignore_lease); }
    void put(const api::DeleteRangeRequest& r) { add(r.key, r.range_end, r.prev_kv); }
    void put(const api::Compare& c) { add(c.result, c.target, c.key, c.range_end, c.number, c.value); }
    void put(const api::RequestOp& op) { put(op.op); }
    void put(const api::TxnRequest& r) { add(r.compare, r.success, r.failure); }
    void put(const api::CompactRequest& r) { add(r.revision, r.physical); }
    void put(const api::StatusRequest&) {}
    void put(const api::MemberListRequest& r) { put(r.linearizable); }
    void put(const api::MoveLeaderRequest& r) { add(r.target, r.range); }
    void put(const api::LeaseGrantRequest& r) { add(r.ttl, r.id); }
    void put(const api::LeaseRevokeRequest& r) { put(r.id); }
    void put(const api::LeaseKeepAliveRequest& r) { put(r.ids); }
    void put(const api::LeaseTimeToLiveRequest& r) { add(r.id, r.keys, r.from_key); }
    void put(const api::LeaseListRequest& r) { add(r.has_after, r.after); }
    void put(const api::WatchRequest& r) {
        add(r.key, r.range_end, r.start_revision, r.progress_notify, r.prev_kv, r.no_put, r.no_delete, r.require_leader);
    }
    void put(const api::HashKvRequest& r) { put(r.revision); }
    void put(const api::AlarmRequest& r) { add(r.action, r.member, r.alarm); }
    void put(const api::KeyValue& kv) {
        add(kv.key, kv.create_revision, kv.mod_revision, kv.version, kv.value, kv.lease);
    }
    void put(const api::RangeResponse& r) { add(r.kvs, r.more, r.count); }
    void put(const api::PutResponse& r) { put(r.prev_kv); }
    void put(const api::DeleteRangeResponse& r) { add(r.deleted, r.prev_kvs); }
    void put(const api::ResponseOp& op) { put(op.op); }
    void put(const api::TxnResponse& r) { add(r.succeeded, r.responses); }
    void put(const api::CompactResponse&) {}
    void put(const api::RangeStatus& s) {
        add(s.range, s.domain, s.begin, s.end, s.leader, s.term, s.commit, s.applied, s.revision,
            s.compact_revision, s.state_hash, s.live_bytes, s.shard, s.in_doubt);
    }
    void put(const api::StatusResponse& r) {
        add(r.version, r.memory_bytes, r.memory_quota_bytes, r.log_bytes_written, r.log_entry_bytes, r.log_flushes,
            r.cpu_us, r.resident_bytes, r.ranges, r.errors);
    }
    void put(const api::Member& m) { add(m.id, m.name, m.peer_urls, m.client_urls, m.is_learner); }
    void put(const api::MemberListResponse& r) { put(r.members); }
    void put(const api::MoveLeaderResponse&) {}
    void put(const api::LeaseGrantResponse& r) { add(r.id, r.ttl); }
    void put(const api::LeaseRevokeResponse&) {}
    void put(const api::LeaseKeepAliveResponse& r) { put(r.ttls); }
    void put(const api::LeaseTimeToLiveResponse& r) { add(r.id, r.ttl, r.granted_ttl, r.keys, r.more); }
    void put(const api::LeaseListResponse& r) { add(r.ids, r.more); }
    void put(const api::Event& e) { add(e.type, e.kv, e.prev_kv); }
    void put(const api::WatchResponse& r) {
        add(r.created, r.canceled, r.compact_revision, r.cancel_reason, r.events, r.goes_on);
    }
    void put(const api::Alarm& a) { add(a.member, a.type); }
    void put(const api::AlarmResponse& r) { put(r.alarms); }
    void put(const api::HashKvResponse& r) { add(r.hash, r.compact_revision, r.hash_revision); }
    void put(const api::ErrorInfo& e) { add(e.code, e.detail, e.leader, e.leader_address); }

    void put(const raft::EntryId& id) { add(id.term, id.index); }
    void put(const raft::Entry& e) { add(e.id, e.kind, e.checksum, e.payload); }
    void put(const raft::FetchItem& item) { add(item.id, item.checksum, item.result); }
    void put(const PeerHello& h) {
        add(h.cluster_id, h.node, h.target, h.instance, h.incarnation, h.shard, h.shard_count, h.target_shard,
            h.feature_level, h.bootstrapped, h.probe, h.your_instance, h.your_incarnation, h.client_address);
    }
    void put(const PeerHelloReply& h) {
        add(h.refusal, h.cluster_id, h.node, h.instance, h.incarnation, h.shard, h.shard_count, h.feature_level,
            h.bootstrapped, h.your_instance, h.your_incarnation, h.client_address);
    }
    void put(const raft::Message& m) {
        add(m.type, m.range, m.from, m.to, m.incarnation, m.term, m.prev, m.commit, m.entry_count, m.entries,
            m.reject, m.counts, m.match, m.hint, m.known, m.transfer, m.fetch);
    }
    void put(const ReadRoundItem& item) { add(item.range, item.term); }
    void put(const ReadRound& r) { add(r.round[0], r.round[1], r.items); }
    void put(const ReadRoundAnswer& r) { add(r.round[0], r.round[1], r.confirmed); }
    void put(const Beat& b) { add(b.sent_at_ns, b.echo_ns, b.durable_age_ns, b.load, b.disk_slow); }
    void put(const Forward& f) { add(f.token, f.range, f.generation, f.timeout_ns, f.kind, f.reply_credit, f.body); }
    void put(const ForwardReply& f) { add(f.token, f.kind, f.flags, f.body); }
    void put(const ForwardCancel& f) { put(f.token); }
    void put(const ForwardCredit& f) { add(f.token, f.bytes); }
    void put(const SnapshotSlice& s) {
        add(s.range, s.term, s.snapshot, s.total_bytes, s.offset, s.state_hash, s.file_checksum, s.configuration,
            s.data);
    }
    void put(const SnapshotAnswer& s) { add(s.range, s.term, s.snapshot, s.offset, s.verdict); }
    void put(const ReadIndex& r) { add(r.round[0], r.round[1], r.items); }
    void put(const ReadIndexAnswerItem& item) { add(item.range, item.term, item.index); }
    void put(const StateHash& item) { add(item.range, item.term, item.index, item.hash); }
    void put(const StateHashes& r) { add(r.kind, r.items); }
    void put(const ReadIndexAnswer& r) { add(r.round[0], r.round[1], r.items); }
    void put(const Credit& c) { add(c.cls, c.bytes); }
};

}  // namespace

std::string text_of(const api::Request& request) {
    return Writer()
        .add(request.op, request.domain, request.timeout.count(), request.redirect, request.client,
             request.client_sequence)
        .out;
}
std::string text_of(const api::Response& response) {
    const api::ResponseHeader& header = response.header;
    return Writer()
        .add(header.cluster_id, header.member_id, header.revision, header.raft_term, header.domain, response.body,
             response.more_frames)
        .out;
}
std::string text_of(const ClientHello& hello) {
    return Writer()
        .add(hello.cluster_id, hello.client_name, hello.has_shard, hello.shard, hello.key, hello.reply_credit_bytes)
        .out;
}
std::string text_of(const ClientHelloReply& reply) {
    return Writer()
        .add(reply.cluster_id, reply.member_id, reply.shard, reply.shard_count, reply.frame_bytes_max,
             reply.requests_max, reply.server_version, reply.version)
        .out;
}
std::string text_of(const PeerFrame& frame) {
    return Writer().add(frame).out;
}

ClientKind kind_of_result(std::size_t index) {
    return operation_kinds[index];
}

void encode_peer_frame(const PeerFrame& frame, OutBuffer& out) {
    std::visit([&](const auto& message) { encode_peer(message, out); }, frame);
}

}  // namespace ringfort::wire::test
