// Replies: api types -> frames.
#include <variant>

#include "base/assertion.h"
#include "wire/client_frame.h"
#include "wire/range_reply.h"

namespace ringfort::wire {

namespace {

class ResponseEncoder {
  public:
    ResponseEncoder(FlatBuilder& builder, OutBuffer& out) : builder_(builder), out_(out) {}

    Flat<void> operator()(const api::RangeResponse& range) {
        const auto kvs = put_kvs(range.kvs);
        return protocol::CreateRangeResponse(builder_, kvs, range.more, range.count).Union();
    }
    Flat<void> operator()(const api::PutResponse& put) {
        const Flat<protocol::KeyValue> prev_kv = put.prev_kv ? put_kv(*put.prev_kv) : 0;
        return protocol::CreatePutResponse(builder_, prev_kv).Union();
    }
    Flat<void> operator()(const api::DeleteRangeResponse& remove) {
        const auto prev_kvs = put_kvs(remove.prev_kvs);
        return protocol::CreateDeleteRangeResponse(builder_, remove.deleted, prev_kvs).Union();
    }
    Flat<void> operator()(const api::TxnResponse& txn) {
        const auto responses =
            put_vector<protocol::ResponseOp>(builder_, out_, txn.responses, [&](const api::ResponseOp& item) {
                const Flat<void> op = std::visit(*this, item.op);
                return protocol::CreateResponseOp(builder_, static_cast<protocol::TxnOpResult>(item.op.index() + 1),
                                                  op);
            });
        return protocol::CreateTxnResponse(builder_, txn.succeeded, responses).Union();
    }
    Flat<void> operator()(const api::CompactResponse&) { return protocol::CreateCompactResponse(builder_).Union(); }
    Flat<void> operator()(const api::StatusResponse& status) {
        const auto version = put_text(builder_, status.version);
        const auto ranges =
            put_vector<protocol::RangeStatus>(builder_, out_, status.ranges,
                                              [&](const api::RangeStatus& range) { return put_range_status(range); });
        const auto errors = put_texts(status.errors);
        return protocol::CreateStatusResponse(builder_, version, status.memory_bytes, status.memory_quota_bytes,
                                              status.log_bytes_written, status.log_entry_bytes, status.log_flushes,
                                              status.cpu_us, ranges, errors, status.resident_bytes)
            .Union();
    }
    Flat<void> operator()(const api::MemberListResponse& list) {
        const auto members = put_vector<protocol::Member>(
            builder_, out_, list.members, [&](const api::Member& member) { return put_member(member); });
        return protocol::CreateMemberListResponse(builder_, members).Union();
    }
    Flat<void> operator()(const api::MoveLeaderResponse&) {
        return protocol::CreateMoveLeaderResponse(builder_).Union();
    }
    Flat<void> operator()(const api::WatchResponse& watch) {
        const auto reason = put_text(builder_, watch.cancel_reason);
        const auto events = put_vector<protocol::Event>(builder_, out_, watch.events,
                                                        [&](const api::Event& event) { return put_event(event); });
        return protocol::CreateWatchResponse(builder_, watch.created, watch.canceled, watch.compact_revision, reason,
                                             events)
            .Union();
    }

    Flat<void> operator()(const api::LeaseGrantResponse& grant) {
        return protocol::CreateLeaseGrantResponse(builder_, grant.id, grant.ttl).Union();
    }
    Flat<void> operator()(const api::LeaseRevokeResponse&) {
        return protocol::CreateLeaseRevokeResponse(builder_).Union();
    }
    Flat<void> operator()(const api::LeaseKeepAliveResponse& keep_alive) {
        const auto ttls = put_numbers(builder_, keep_alive.ttls);
        return protocol::CreateLeaseKeepAliveResponse(builder_, ttls).Union();
    }
    Flat<void> operator()(const api::LeaseTimeToLiveResponse& lease) {
        const auto keys = put_vector<protocol::Key>(builder_, out_, lease.keys, [&](std::string_view key) {
            const auto bytes = put_bytes(builder_, key);
            return protocol::CreateKey(builder_, bytes);
        });
        return protocol::CreateLeaseTimeToLiveResponse(builder_, lease.id, lease.ttl, lease.granted_ttl, keys,
                                                       lease.more)
            .Union();
    }
    Flat<void> operator()(const api::LeaseListResponse& list) {
        const auto ids = put_numbers(builder_, list.ids);
        return protocol::CreateLeaseListResponse(builder_, ids, list.more).Union();
    }
    Flat<void> operator()(const api::HashKvResponse& hash) {
        return protocol::CreateHashKvResponse(builder_, hash.hash, hash.compact_revision, hash.hash_revision).Union();
    }
    Flat<void> operator()(const api::AlarmResponse& response) {
        const auto alarms =
            put_vector<protocol::AlarmMember>(builder_, out_, response.alarms, [&](const api::Alarm& alarm) {
                return protocol::CreateAlarmMember(builder_, alarm.member.value,
                                                   static_cast<protocol::AlarmType>(alarm.type));
            });
        return protocol::CreateAlarmResponse(builder_, alarms).Union();
    }

  private:
    Flat<protocol::Event> put_event(const api::Event& event) {
        const Flat<protocol::KeyValue> prev_kv = event.prev_kv ? put_kv(*event.prev_kv) : 0;
        const auto kv = put_kv(event.kv);
        return protocol::CreateEvent(builder_, static_cast<protocol::EventType>(event.type), kv, prev_kv);
    }
    Flat<protocol::KeyValue> put_kv(const api::KeyValue& kv) {
        const auto value = put_bytes(builder_, kv.value);
        const auto key = put_bytes(builder_, kv.key);
        return protocol::CreateKeyValue(builder_, key, kv.create_revision, kv.mod_revision, kv.version, value,
                                        kv.lease);
    }
    Flat<flatbuffers::Vector<Flat<protocol::KeyValue>>> put_kvs(std::span<const api::KeyValue> kvs) {
        return put_vector<protocol::KeyValue>(builder_, out_, kvs,
                                              [&](const api::KeyValue& kv) { return put_kv(kv); });
    }
    // An empty text among others is there, not absent.
    Flat<flatbuffers::Vector<Flat<flatbuffers::String>>> put_texts(std::span<const std::string_view> texts) {
        return put_vector<flatbuffers::String>(builder_, out_, texts, [&](std::string_view text) {
            return builder_.CreateString(text.empty() ? "" : text.data(), text.size());
        });
    }
    Flat<protocol::RangeStatus> put_range_status(const api::RangeStatus& range) {
        const auto begin = put_bytes(builder_, range.begin);
        const auto end = put_bytes(builder_, range.end);
        return protocol::CreateRangeStatus(builder_, range.range.value, range.domain.value, begin, end,
                                           range.leader.value, range.term.value, range.commit.value,
                                           range.applied.value, range.revision, range.compact_revision,
                                           range.state_hash, range.live_bytes, range.shard.value, range.in_doubt);
    }
    Flat<protocol::Member> put_member(const api::Member& member) {
        const auto name = put_text(builder_, member.name);
        const auto peer_urls = put_texts(member.peer_urls);
        const auto client_urls = put_texts(member.client_urls);
        return protocol::CreateMember(builder_, member.id.value, name, peer_urls, client_urls, member.is_learner);
    }

    FlatBuilder& builder_;
    OutBuffer& out_;
};

// Bytes of keys and values: never more than the encoded form, and most of it.
struct ResponseData {
    static std::size_t of(const api::KeyValue& kv) { return kv.key.size() + kv.value.size(); }
    static std::size_t of(std::span<const api::KeyValue> kvs) {
        // Their tables are at least this long.
        constexpr std::size_t table_bytes = 8;
        std::size_t bytes = kvs.size() * table_bytes;
        for (const api::KeyValue& kv : kvs) {
            bytes += of(kv);
        }
        return bytes;
    }
    std::size_t operator()(const api::RangeResponse& range) const { return of(range.kvs); }
    std::size_t operator()(const api::PutResponse& put) const { return put.prev_kv ? of(*put.prev_kv) : 0; }
    std::size_t operator()(const api::DeleteRangeResponse& remove) const { return of(remove.prev_kvs); }
    std::size_t operator()(const api::TxnResponse& txn) const {
        std::size_t bytes = 0;
        for (const api::ResponseOp& item : txn.responses) {
            bytes += std::visit(*this, item.op);
        }
        return bytes;
    }
    std::size_t operator()(const api::LeaseKeepAliveResponse& keep_alive) const { return keep_alive.ttls.size_bytes(); }
    std::size_t operator()(const api::LeaseTimeToLiveResponse& lease) const {
        std::size_t bytes = 0;
        for (const std::string_view key : lease.keys) {
            bytes += key.size();
        }
        return bytes;
    }
    std::size_t operator()(const api::LeaseListResponse& list) const { return list.ids.size_bytes(); }
    std::size_t operator()(const api::AlarmResponse& response) const { return response.alarms.size_bytes(); }
    std::size_t operator()(const api::WatchResponse& watch) const {
        std::size_t bytes = 0;
        for (const api::Event& event : watch.events) {
            bytes += of(event.kv) + (event.prev_kv ? of(*event.prev_kv) : 0);
        }
        return bytes;
    }
    template <class Other>
    std::size_t operator()(const Other&) const {
        return 0;
    }
};

bool encode_result(FrameHeader header, const api::ResponseHeader& from, const api::Result& result, OutBuffer& out) {
    const std::size_t data_bytes = std::visit(ResponseData{}, result);
    if (data_bytes > client_frame_bytes_max) {
        return false;
    }
    return append_client_frame(out, header, data_bytes + small_body_bytes, [&](FlatBuilder& builder) {
        const Flat<void> body = std::visit(ResponseEncoder(builder, out), result);
        return protocol::CreateReply(builder, from.cluster_id.value, from.member_id.value, from.revision,
                                     from.raft_term.value, from.domain.value,
                                     static_cast<protocol::Result>(result.index() + 1), body);
    });
}

// A put's reply without a former value: the same bytes every time but for the fields of its head, which are written into a
// copy. Built anew it costs a leader a twentieth of what a put costs it.
class BarePutReply {
  public:
    BarePutReply() {
        OutBuffer out;
        append_flat(out, small_body_bytes, [](FlatBuilder& builder) {
            builder.ForceDefaults(true);   // every field has its place
            const Flat<void> body = protocol::CreatePutResponse(builder).Union();
            return protocol::CreateReply(builder, 0, 0, 0, 0, 0, protocol::Result::PutResponse, body);
        });
        bytes_.assign(out.at(0), out.at(out.pending_bytes()));
        cluster_id_ = place_of(protocol::Reply::VT_CLUSTER_ID);
        member_id_ = place_of(protocol::Reply::VT_MEMBER_ID);
        revision_ = place_of(protocol::Reply::VT_REVISION);
        raft_term_ = place_of(protocol::Reply::VT_RAFT_TERM);
        domain_ = place_of(protocol::Reply::VT_DOMAIN);
    }
    void append_to(OutBuffer& out, FrameHeader header, const api::ResponseHeader& from) const {
        header.length = static_cast<std::uint32_t>(limits::frame_header_bytes + bytes_.size());
        std::byte* const frame = out.extend(header.length);
        encode_frame_header(frame, header);
        std::byte* const body = frame + limits::frame_header_bytes;
        std::memcpy(body, bytes_.data(), bytes_.size());
        store(body + cluster_id_, from.cluster_id.value);
        store(body + member_id_, from.member_id.value);
        store(body + revision_, from.revision);
        store(body + raft_term_, from.raft_term.value);
        store(body + domain_, std::uint64_t{from.domain.value});
    }

  private:
    std::size_t place_of(flatbuffers::voffset_t field) const {
        const auto* begin = reinterpret_cast<const std::uint8_t*>(bytes_.data());
        const std::uint8_t* at = flatbuffers::GetRoot<flatbuffers::Table>(begin)->GetAddressOf(field);
        ASSERT(at != nullptr);
        return static_cast<std::size_t>(at - begin);
    }

    std::vector<std::byte> bytes_;
    std::size_t cluster_id_, member_id_, revision_, raft_term_, domain_;
};

bool encode_error(FrameHeader header, const api::ResponseHeader& from, const api::ErrorInfo& error, OutBuffer& out) {
    const std::size_t data_bytes = error.detail.size() + error.leader_address.size();
    if (data_bytes > client_frame_bytes_max) {
        return false;
    }
    header.flags |= flag_error;
    return append_client_frame(out, header, data_bytes + small_body_bytes, [&](FlatBuilder& builder) {
        const auto detail = put_text(builder, error.detail);
        const auto address = put_text(builder, error.leader_address);
        return protocol::CreateError(builder, from.cluster_id.value, from.member_id.value, from.revision,
                                     from.raft_term.value, from.domain.value, static_cast<std::uint16_t>(error.code),
                                     static_cast<protocol::ErrorClass>(api::error_class(error.code)), detail,
                                     error.leader.value, address);
    });
}

}  // namespace

bool encode_response(std::uint64_t request_id, ClientKind kind, const api::Response& response, OutBuffer& out) {
    FrameHeader header{.kind = static_cast<std::uint8_t>(kind),
                       .flags = response.more_frames ? std::uint8_t{flag_more} : std::uint8_t{0},
                       .request_id = request_id};
    if (const auto* error = std::get_if<api::ErrorInfo>(&response.body)) {
        ASSERT(error->code != api::Errc::ok && !response.more_frames);
        return encode_error(header, response.header, *error, out);
    }
    const auto& result = *std::get_if<api::Result>(&response.body);
    ASSERT(operation_kinds[result.index()] == kind);
    if (const auto* range = std::get_if<api::RangeResponse>(&result)) {
        return encode_range_reply(header, response.header, *range, out);
    }
    if (const auto* watch = std::get_if<api::WatchResponse>(&result); watch != nullptr && watch->goes_on) {
        header.flags |= flag_goes_on;
    }
    if (const auto* put = std::get_if<api::PutResponse>(&result); put != nullptr && !put->prev_kv) {
        static const BarePutReply bare_put_reply;
        bare_put_reply.append_to(out, header, response.header);
        return true;
    }
    return encode_result(header, response.header, result, out);
}

}  // namespace ringfort::wire
