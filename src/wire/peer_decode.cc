#include "base/assertion.h"
#include "base/bounds.h"
#include "base/mutant.h"
#include "wire/peer_frame.h"

namespace ringfort::wire {

namespace {

namespace schema = peer_protocol;

// Heads have no nested vectors: what they decode to is a small multiple of what they are.
constexpr std::size_t head_decoded_bytes_max = 4 * limits::frame_bytes_max;

using Fault = FlatReader::Fault;
using Outcome = Result<PeerFrame, FrameErrc>;

class PeerDecoder {
  public:
    PeerDecoder(Bytes head, Bytes raw, Arena& arena) : reader_(head, head_decoded_bytes_max), raw_(raw), arena_(arena) {}

    Outcome decode(PeerKind kind) {
        const FlatTable table = reader_.root();
        switch (kind) {
            case PeerKind::hello: return hello(table);
            case PeerKind::hello_reply: return hello_reply(table);
            case PeerKind::raft: return message(table);
            case PeerKind::read_round: return read_round(table);
            case PeerKind::read_round_answer: return read_round_answer(table);
            case PeerKind::beat: return beat(table);
            case PeerKind::forward: return forward(table);
            case PeerKind::forward_reply: return forward_reply(table);
            case PeerKind::snapshot: return snapshot(table);
            case PeerKind::snapshot_answer: return snapshot_answer(table);
            case PeerKind::credit: return credit(table);
            case PeerKind::forward_cancel: return forward_cancel(table);
            case PeerKind::forward_credit: return forward_credit(table);
            case PeerKind::read_index: return read_index(table);
            case PeerKind::read_index_answer: return read_index_answer(table);
            case PeerKind::state_hashes: return state_hashes(table);
        }
        return failure(FrameErrc::unknown_kind);
    }

  private:
    static std::uint64_t u64(const FlatTable& table, std::uint16_t field) {
        return table.scalar<std::uint64_t>(field);
    }
    static std::uint32_t u32(const FlatTable& table, std::uint16_t field) {
        return table.scalar<std::uint32_t>(field);
    }
    static raft::EntryId entry_id(const FlatTable& table, std::uint16_t term, std::uint16_t index) {
        return {Term(u64(table, term)), LogIndex(u64(table, index))};
    }
    // An enumeration of consecutive values.
    template <class T>
    T enumerator(std::uint8_t value, T first, T last) {
        if (value < static_cast<std::uint8_t>(first) || value > static_cast<std::uint8_t>(last)) {
            reader_.fail(Fault::malformed);
            return first;
        }
        return static_cast<T>(value);
    }
    // The raw part, which is `bytes` long and padded.
    Bytes raw(std::size_t bytes) {
        if (round_up(bytes, frame_alignment) != raw_.size()) {
            reader_.fail(Fault::malformed);
            return {};
        }
        return raw_.first(bytes);
    }
    Outcome outcome(const PeerFrame& frame) const {
        if (!reader_.ok()) {
            return failure(FrameErrc::malformed_body);
        }
        return frame;
    }
    // Of kinds that have no raw part.
    Outcome outcome_without_raw(const PeerFrame& frame) {
        discard_raw();
        return outcome(frame);
    }
    void discard_raw() {
        if (!raw_.empty()) {
            reader_.fail(Fault::malformed);
        }
    }

    Outcome hello(const FlatTable& table);
    Outcome hello_reply(const FlatTable& table);
    Outcome message(const FlatTable& table);
    bool entries(const FlatStructs& heads, std::span<raft::Entry> out);
    std::span<const raft::FetchItem> fetch_items(const FlatStructs& items);
    Outcome read_round(const FlatTable& table);
    Outcome read_round_answer(const FlatTable& table);
    Outcome beat(const FlatTable& table);
    Outcome forward(const FlatTable& table);
    Outcome forward_reply(const FlatTable& table);
    Outcome forward_cancel(const FlatTable& table);
    Outcome forward_credit(const FlatTable& table);
    Outcome snapshot(const FlatTable& table);
    Outcome snapshot_answer(const FlatTable& table);
    Outcome credit(const FlatTable& table);
    Outcome read_index(const FlatTable& table);
    Outcome read_index_answer(const FlatTable& table);
    Outcome state_hashes(const FlatTable& table);
    std::span<const ReadRoundItem> round_items(const FlatStructs& items);
    // At most `count_max`, or the head is malformed.
    FlatStructs bounded(const FlatStructs& items, std::size_t count_max);

    FlatReader reader_;
    Bytes raw_;
    Arena& arena_;
};

Outcome PeerDecoder::hello(const FlatTable& table) {
    using Table = schema::Hello;
    return outcome_without_raw(PeerHello{.cluster_id = ClusterId(u64(table, Table::VT_CLUSTER_ID)),
                                         .node = NodeId(u64(table, Table::VT_NODE)),
                                         .target = NodeId(u64(table, Table::VT_TARGET)),
                                         .instance = InstanceId(u64(table, Table::VT_INSTANCE)),
                                         .incarnation = Incarnation(u64(table, Table::VT_INCARNATION)),
                                         .shard = ShardId(u64(table, Table::VT_SHARD)),
                                         .shard_count = u32(table, Table::VT_SHARD_COUNT),
                                         .target_shard = ShardId(u64(table, Table::VT_TARGET_SHARD)),
                                         .feature_level = u32(table, Table::VT_FEATURE_LEVEL),
                                         .bootstrapped = table.boolean(Table::VT_BOOTSTRAPPED),
                                         .probe = table.boolean(Table::VT_PROBE),
                                         .your_instance = InstanceId(u64(table, Table::VT_YOUR_INSTANCE)),
                                         .your_incarnation = Incarnation(u64(table, Table::VT_YOUR_INCARNATION)),
                                         .client_address =
                                             table.text(Table::VT_CLIENT_ADDRESS, client_address_bytes_max)});
}

Outcome PeerDecoder::hello_reply(const FlatTable& table) {
    using Table = schema::HelloReply;
    const auto refusal = enumerator(table.scalar<std::uint8_t>(Table::VT_REFUSAL), Refusal::none, Refusal::stopping);
    return outcome_without_raw(PeerHelloReply{.refusal = refusal,
                                              .cluster_id = ClusterId(u64(table, Table::VT_CLUSTER_ID)),
                                              .node = NodeId(u64(table, Table::VT_NODE)),
                                              .instance = InstanceId(u64(table, Table::VT_INSTANCE)),
                                              .incarnation = Incarnation(u64(table, Table::VT_INCARNATION)),
                                              .shard = ShardId(u64(table, Table::VT_SHARD)),
                                              .shard_count = u32(table, Table::VT_SHARD_COUNT),
                                              .feature_level = u32(table, Table::VT_FEATURE_LEVEL),
                                              .bootstrapped = table.boolean(Table::VT_BOOTSTRAPPED),
                                              .your_instance = InstanceId(u64(table, Table::VT_YOUR_INSTANCE)),
                                              .your_incarnation = Incarnation(u64(table, Table::VT_YOUR_INCARNATION)),
                                              .client_address =
                                                  table.text(Table::VT_CLIENT_ADDRESS, client_address_bytes_max)});
}

Outcome PeerDecoder::message(const FlatTable& table) {
    using Table = schema::RaftMessage;
    raft::Message message;
    message.type = enumerator(table.scalar<std::uint8_t>(Table::VT_TYPE), raft::MessageType::append,
                              raft::message_type_last);
    message.range = RangeId(u64(table, Table::VT_RANGE));
    message.from = NodeId(u64(table, Table::VT_FROM));
    message.to = NodeId(u64(table, Table::VT_TO));
    message.incarnation = Incarnation(u64(table, Table::VT_INCARNATION));
    message.term = Term(u64(table, Table::VT_TERM));
    message.prev = entry_id(table, Table::VT_PREV_TERM, Table::VT_PREV_INDEX);
    message.commit = LogIndex(u64(table, Table::VT_COMMIT));
    message.entry_count = u32(table, Table::VT_ENTRY_COUNT);
    message.reject = table.boolean(Table::VT_REJECT);
    message.counts = table.boolean(Table::VT_COUNTS, true) || MUTANT(doubt_lost_on_the_way);
    message.match = LogIndex(u64(table, Table::VT_MATCH));
    message.hint = entry_id(table, Table::VT_HINT_TERM, Table::VT_HINT_INDEX);
    message.known = Incarnation(u64(table, Table::VT_KNOWN));
    message.transfer = table.boolean(Table::VT_TRANSFER);
    message.fetch = fetch_items(table.structs(Table::VT_FETCH, sizeof(schema::FetchItem)));

    const FlatStructs heads = table.structs(Table::VT_ENTRIES, sizeof(schema::EntryHead));
    if (message.type == raft::MessageType::append && message.entry_count != heads.size()) {
        reader_.fail(Fault::malformed);
    }
    const std::span<raft::Entry> found = reader_.take_array<raft::Entry>(arena_, heads.size());
    message.entries = found;
    if (reader_.ok() && !entries(heads, found)) {
        return failure(FrameErrc::bad_checksum);
    }
    return outcome(message);
}

// False: a payload is not what its proposer made.
bool PeerDecoder::entries(const FlatStructs& heads, std::span<raft::Entry> out) {
    static_assert(sizeof(schema::EntryHead) == 32);
    std::size_t raw_bytes = 0;
    for (std::size_t i = 0; i < out.size(); i++) {
        raw_bytes += heads.field<std::uint32_t>(i, 24);
    }
    Bytes payloads = raw(raw_bytes);
    if (!reader_.ok()) {
        return true;
    }
    for (std::size_t i = 0; i < out.size(); i++) {
        raft::Entry& entry = out[i];
        entry.id = {Term(heads.field<std::uint64_t>(i, 0)), LogIndex(heads.field<std::uint64_t>(i, 8))};
        entry.checksum = heads.field<std::uint64_t>(i, 16);
        entry.kind =
            enumerator(heads.field<std::uint8_t>(i, 28), raft::EntryKind::command, raft::EntryKind::fence);
        const std::size_t bytes = heads.field<std::uint32_t>(i, 24);
        entry.payload = payloads.first(bytes);
        payloads = payloads.subspan(bytes);
        if (checksum(entry.payload) != entry.checksum) {
            return false;
        }
    }
    return true;
}

std::span<const raft::FetchItem> PeerDecoder::fetch_items(const FlatStructs& items) {
    static_assert(sizeof(schema::FetchItem) == 32);
    const std::span<raft::FetchItem> out = reader_.take_array<raft::FetchItem>(arena_, items.size());
    for (std::size_t i = 0; i < out.size(); i++) {
        out[i] = {.id = {Term(items.field<std::uint64_t>(i, 0)), LogIndex(items.field<std::uint64_t>(i, 8))},
                  .checksum = items.field<std::uint64_t>(i, 16),
                  .result = enumerator(items.field<std::uint8_t>(i, 24), raft::FetchResult::have,
                                       raft::fetch_result_last)};
    }
    return out;
}

Outcome PeerDecoder::read_round(const FlatTable& table) {
    using Table = schema::ReadRound;
    const FlatStructs items = table.structs(Table::VT_ITEMS, sizeof(schema::ReadRoundItem));
    return outcome_without_raw(ReadRound{
        .round = {u64(table, Table::VT_ROUND_HIGH), u64(table, Table::VT_ROUND_LOW)}, .items = round_items(items)});
}

std::span<const ReadRoundItem> PeerDecoder::round_items(const FlatStructs& items) {
    static_assert(sizeof(schema::ReadRoundItem) == 16);
    const std::span<ReadRoundItem> out = reader_.take_array<ReadRoundItem>(arena_, items.size());
    for (std::size_t i = 0; i < out.size(); i++) {
        out[i] = {RangeId(items.field<std::uint64_t>(i, 0)), Term(items.field<std::uint64_t>(i, 8))};
    }
    return out;
}

FlatStructs PeerDecoder::bounded(const FlatStructs& items, std::size_t count_max) {
    if (items.size() <= count_max) {
        return items;
    }
    reader_.fail(Fault::malformed);
    return {};
}

Outcome PeerDecoder::read_index(const FlatTable& table) {
    using Table = schema::ReadIndex;
    const FlatStructs items =
        bounded(table.structs(Table::VT_ITEMS, sizeof(schema::ReadRoundItem)), read_index_items_max);
    return outcome_without_raw(ReadIndex{
        .round = {u64(table, Table::VT_ROUND_HIGH), u64(table, Table::VT_ROUND_LOW)}, .items = round_items(items)});
}

Outcome PeerDecoder::read_index_answer(const FlatTable& table) {
    using Table = schema::ReadIndexAnswer;
    static_assert(sizeof(schema::ReadIndexAnswerItem) == 24);
    const FlatStructs items =
        bounded(table.structs(Table::VT_ITEMS, sizeof(schema::ReadIndexAnswerItem)), read_index_items_max);
    const std::span<ReadIndexAnswerItem> out = reader_.take_array<ReadIndexAnswerItem>(arena_, items.size());
    for (std::size_t i = 0; i < out.size(); i++) {
        out[i] = {RangeId(items.field<std::uint64_t>(i, 0)), Term(items.field<std::uint64_t>(i, 8)),
                  LogIndex(items.field<std::uint64_t>(i, 16))};
    }
    return outcome_without_raw(
        ReadIndexAnswer{.round = {u64(table, Table::VT_ROUND_HIGH), u64(table, Table::VT_ROUND_LOW)}, .items = out});
}

Outcome PeerDecoder::state_hashes(const FlatTable& table) {
    using Table = schema::StateHashes;
    static_assert(sizeof(schema::StateHash) == 32);
    const auto kind =
        enumerator(table.scalar<std::uint8_t>(Table::VT_KIND), StateHashKind::ask, StateHashKind::rebuild);
    const FlatStructs items = bounded(table.structs(Table::VT_ITEMS, sizeof(schema::StateHash)), state_hashes_max);
    const std::span<StateHash> out = reader_.take_array<StateHash>(arena_, items.size());
    for (std::size_t i = 0; i < out.size(); i++) {
        out[i] = {RangeId(items.field<std::uint64_t>(i, 0)), Term(items.field<std::uint64_t>(i, 8)),
                  LogIndex(items.field<std::uint64_t>(i, 16)), items.field<std::uint64_t>(i, 24)};
    }
    return outcome_without_raw(StateHashes{.kind = kind, .items = out});
}

Outcome PeerDecoder::read_round_answer(const FlatTable& table) {
    using Table = schema::ReadRoundAnswer;
    const FlatStructs confirmed = table.structs(Table::VT_CONFIRMED, sizeof(std::uint64_t));
    const std::span<RangeId> out = reader_.take_array<RangeId>(arena_, confirmed.size());
    for (std::size_t i = 0; i < out.size(); i++) {
        out[i] = RangeId(confirmed.field<std::uint64_t>(i, 0));
    }
    return outcome_without_raw(ReadRoundAnswer{
        .round = {u64(table, Table::VT_ROUND_HIGH), u64(table, Table::VT_ROUND_LOW)}, .confirmed = out});
}

Outcome PeerDecoder::beat(const FlatTable& table) {
    using Table = schema::Beat;
    return outcome_without_raw(Beat{.sent_at_ns = table.scalar<std::int64_t>(Table::VT_SENT_AT_NS),
                                    .echo_ns = table.scalar<std::int64_t>(Table::VT_ECHO_NS),
                                    .durable_age_ns = table.scalar<std::int64_t>(Table::VT_DURABLE_AGE_NS),
                                    .load = u32(table, Table::VT_LOAD),
                                    .disk_slow = table.boolean(Table::VT_DISK_SLOW)});
}

Outcome PeerDecoder::forward(const FlatTable& table) {
    using Table = schema::Forward;
    return outcome(Forward{.token = u64(table, Table::VT_TOKEN),
                           .range = RangeId(u64(table, Table::VT_RANGE)),
                           .generation = Generation(u64(table, Table::VT_GENERATION)),
                           .timeout_ns = table.scalar<std::int64_t>(Table::VT_TIMEOUT_NS),
                           .kind = table.scalar<std::uint8_t>(Table::VT_KIND),
                           .reply_credit = u32(table, Table::VT_REPLY_CREDIT),
                           .body = raw(u32(table, Table::VT_BODY_BYTES))});
}

Outcome PeerDecoder::forward_reply(const FlatTable& table) {
    using Table = schema::ForwardReply;
    const std::uint32_t body_bytes = u32(table, Table::VT_BODY_BYTES);
    if (body_bytes % frame_alignment != 0) {   // it is to be the end of a client's frame
        reader_.fail(Fault::malformed);
    }
    return outcome(ForwardReply{.token = u64(table, Table::VT_TOKEN),
                                .kind = table.scalar<std::uint8_t>(Table::VT_KIND),
                                .flags = table.scalar<std::uint8_t>(Table::VT_FLAGS),
                                .body = raw(body_bytes)});
}

Outcome PeerDecoder::forward_cancel(const FlatTable& table) {
    return outcome_without_raw(ForwardCancel{.token = u64(table, schema::ForwardCancel::VT_TOKEN)});
}

Outcome PeerDecoder::forward_credit(const FlatTable& table) {
    using Table = schema::ForwardCredit;
    return outcome_without_raw(
        ForwardCredit{.token = u64(table, Table::VT_TOKEN), .bytes = u64(table, Table::VT_BYTES)});
}

Outcome PeerDecoder::snapshot(const FlatTable& table) {
    using Table = schema::SnapshotSlice;
    return outcome(SnapshotSlice{.range = RangeId(u64(table, Table::VT_RANGE)),
                                 .term = Term(u64(table, Table::VT_TERM)),
                                 .snapshot = entry_id(table, Table::VT_SNAPSHOT_TERM, Table::VT_SNAPSHOT_INDEX),
                                 .total_bytes = u64(table, Table::VT_TOTAL_BYTES),
                                 .offset = u64(table, Table::VT_OFFSET),
                                 .state_hash = u64(table, Table::VT_STATE_HASH),
                                 .file_checksum = u64(table, Table::VT_FILE_CHECKSUM),
                                 .configuration = as_bytes(table.bytes(Table::VT_CONFIGURATION)),
                                 .data = raw(u32(table, Table::VT_DATA_BYTES))});
}

Outcome PeerDecoder::snapshot_answer(const FlatTable& table) {
    using Table = schema::SnapshotAnswer;
    const auto verdict = enumerator(table.scalar<std::uint8_t>(Table::VT_VERDICT), SnapshotVerdict::installed,
                                    SnapshotVerdict::progress);
    return outcome_without_raw(
        SnapshotAnswer{.range = RangeId(u64(table, Table::VT_RANGE)),
                       .term = Term(u64(table, Table::VT_TERM)),
                       .snapshot = entry_id(table, Table::VT_SNAPSHOT_TERM, Table::VT_SNAPSHOT_INDEX),
                       .offset = u64(table, Table::VT_OFFSET),
                       .verdict = verdict});
}

Outcome PeerDecoder::credit(const FlatTable& table) {
    using Table = schema::Credit;
    const auto cls =
        enumerator(table.scalar<std::uint8_t>(Table::VT_CLS), LinkClass::control, LinkClass::snapshot);
    return outcome_without_raw(Credit{.cls = cls, .bytes = u64(table, Table::VT_BYTES)});
}

}  // namespace

Result<PeerFrame, FrameErrc> decode_peer(const FrameReader::Frame& frame, Arena& arena) {
    if (frame.header.flags != 0 || frame.header.request_id != 0) {
        return failure(FrameErrc::reserved_not_zero);
    }
    if (frame.body.size() < peer_prefix_bytes || frame.body.size() % frame_alignment != 0 ||
        frame.header.length != limits::frame_header_bytes + frame.body.size()) {
        return failure(FrameErrc::bad_length);
    }
    std::byte header[limits::frame_header_bytes];
    encode_frame_header(header, frame.header);
    if (load<std::uint64_t>(frame.body.data()) != peer_checksum(header, frame.body.subspan(peer_checksum_bytes))) {
        return failure(FrameErrc::bad_checksum);
    }
    const std::size_t head_bytes = load<std::uint32_t>(frame.body.data() + peer_checksum_bytes);
    if (load<std::uint32_t>(frame.body.data() + peer_checksum_bytes + 4) != 0) {
        return failure(FrameErrc::reserved_not_zero);
    }
    const Bytes behind = frame.body.subspan(peer_prefix_bytes);
    if (round_up(head_bytes, frame_alignment) > behind.size()) {
        return failure(FrameErrc::malformed_body);
    }
    const Bytes raw = behind.subspan(round_up(head_bytes, frame_alignment));
    return PeerDecoder(behind.first(head_bytes), raw, arena).decode(static_cast<PeerKind>(frame.header.kind));
}

}  // namespace ringfort::wire
