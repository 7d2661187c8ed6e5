// The body, all offsets forward, every vtable once:
//
//   Front           root offset, the three vtables, the tables Reply and RangeResponse
//   u32 count, u32 offsets[count], zeros to 8
//   of each pair    KeyValueTable, u32 bytes, key, zeros to 4, u32 bytes, value, zeros to 8
#include "wire/range_reply.h"

#include <cstddef>

#include "wire/client_frame.h"
#include "wire/flat_layout.h"

namespace ringfort::wire {

namespace {

// No implicit padding anywhere: these are copied out as they are.
struct ReplyTable {
    std::int32_t vtable;
    std::uint32_t result;
    std::uint64_t cluster_id;
    std::uint64_t member_id;
    std::int64_t revision;
    std::uint64_t raft_term;
    std::uint64_t domain;
    std::uint8_t result_type;
    std::uint8_t zero[7];
};
struct RangeTable {
    std::int32_t vtable;
    std::uint32_t kvs;
    std::int64_t count;
    std::uint8_t more;
    std::uint8_t zero[7];
};
struct KeyValueTable {
    std::int32_t vtable;
    std::uint32_t key;
    std::uint32_t value;
    std::uint32_t zero;
    std::int64_t create_revision;
    std::int64_t mod_revision;
    std::int64_t version;
    std::int64_t lease;
};
struct Front {
    std::uint32_t root;
    FlatVtable<7> reply_vtable;
    FlatVtable<3> range_vtable;
    FlatVtable<6> kv_vtable;
    ReplyTable reply;
    RangeTable range;
};
static_assert(sizeof(ReplyTable) == 56 && sizeof(RangeTable) == 24 && sizeof(KeyValueTable) == 48);
static_assert(sizeof(Front) == 128 && offsetof(Front, reply) == 48 && offsetof(Front, range) == 104);

constexpr Front make_front() {
    using Reply = protocol::Reply;
    using Range = protocol::RangeResponse;
    using Pair = protocol::KeyValue;
    Front front{};
    front.root = offsetof(Front, reply);
    front.reply_vtable = {sizeof(front.reply_vtable), sizeof(ReplyTable)};
    front.reply_vtable[Reply::VT_CLUSTER_ID / 2] = offsetof(ReplyTable, cluster_id);
    front.reply_vtable[Reply::VT_MEMBER_ID / 2] = offsetof(ReplyTable, member_id);
    front.reply_vtable[Reply::VT_REVISION / 2] = offsetof(ReplyTable, revision);
    front.reply_vtable[Reply::VT_RAFT_TERM / 2] = offsetof(ReplyTable, raft_term);
    front.reply_vtable[Reply::VT_DOMAIN / 2] = offsetof(ReplyTable, domain);
    front.reply_vtable[Reply::VT_RESULT_TYPE / 2] = offsetof(ReplyTable, result_type);
    front.reply_vtable[Reply::VT_RESULT / 2] = offsetof(ReplyTable, result);
    front.range_vtable = {sizeof(front.range_vtable), sizeof(RangeTable)};
    front.range_vtable[Range::VT_KVS / 2] = offsetof(RangeTable, kvs);
    front.range_vtable[Range::VT_MORE / 2] = offsetof(RangeTable, more);
    front.range_vtable[Range::VT_COUNT / 2] = offsetof(RangeTable, count);
    front.kv_vtable = {sizeof(front.kv_vtable), sizeof(KeyValueTable)};
    front.kv_vtable[Pair::VT_KEY / 2] = offsetof(KeyValueTable, key);
    front.kv_vtable[Pair::VT_CREATE_REVISION / 2] = offsetof(KeyValueTable, create_revision);
    front.kv_vtable[Pair::VT_MOD_REVISION / 2] = offsetof(KeyValueTable, mod_revision);
    front.kv_vtable[Pair::VT_VERSION / 2] = offsetof(KeyValueTable, version);
    front.kv_vtable[Pair::VT_VALUE / 2] = offsetof(KeyValueTable, value);
    front.kv_vtable[Pair::VT_LEASE / 2] = offsetof(KeyValueTable, lease);

    front.reply.vtable = offsetof(Front, reply) - offsetof(Front, reply_vtable);
    front.reply.result = offsetof(Front, range) - (offsetof(Front, reply) + offsetof(ReplyTable, result));
    front.reply.result_type = static_cast<std::uint8_t>(protocol::Result::RangeResponse);
    front.range.vtable = offsetof(Front, range) - offsetof(Front, range_vtable);
    front.range.kvs = sizeof(Front) - (offsetof(Front, range) + offsetof(RangeTable, kvs));
    return front;
}
constexpr Front front_template = make_front();

std::size_t value_at(const api::KeyValue& kv) {
    return sizeof(KeyValueTable) + flat_word_bytes + round_up(kv.key.size(), flat_word_bytes);
}
// Of the body.
std::size_t pairs_at(const api::RangeResponse& range) {
    return round_up(sizeof(Front) + (1 + range.kvs.size()) * flat_word_bytes, frame_alignment);
}
std::size_t pair_bytes(const api::KeyValue& kv) {
    return round_up(value_at(kv) + flat_word_bytes + kv.value.size(), frame_alignment);
}

void put_vector_of_bytes(std::byte* at, std::string_view bytes) {
    store(at, static_cast<std::uint32_t>(bytes.size()));
    if (!bytes.empty()) {
        std::memcpy(at + flat_word_bytes, bytes.data(), bytes.size());
    }
}

// `at`: pair_bytes(kv) of room, at `place` of the body.
void put_pair(std::byte* at, std::size_t place, std::size_t bytes, const api::KeyValue& kv) {
    const std::size_t value = value_at(kv);
    // Padding first: what follows overwrites all that is not padding.
    store(at + bytes - frame_alignment, std::uint64_t{0});
    store(at + value - flat_word_bytes, std::uint32_t{0});
    const KeyValueTable table{
        .vtable = static_cast<std::int32_t>(place - offsetof(Front, kv_vtable)),
        .key = static_cast<std::uint32_t>(sizeof(KeyValueTable) - offsetof(KeyValueTable, key)),
        .value = static_cast<std::uint32_t>(value - offsetof(KeyValueTable, value)),
        .zero = 0,
        .create_revision = kv.create_revision,
        .mod_revision = kv.mod_revision,
        .version = kv.version,
        .lease = kv.lease};
    store(at, table);
    put_vector_of_bytes(at + sizeof(KeyValueTable), kv.key);
    put_vector_of_bytes(at + value, kv.value);
}

}  // namespace

std::size_t range_reply_bytes(const api::RangeResponse& range) {
    std::size_t bytes = limits::frame_header_bytes + pairs_at(range);
    for (const api::KeyValue& kv : range.kvs) {
        bytes += pair_bytes(kv);
    }
    return bytes;
}

bool encode_range_reply(const FrameHeader& header, const api::ResponseHeader& from, const api::RangeResponse& range,
                        OutBuffer& out) {
    ASSERT(out.pending_bytes() % frame_alignment == 0);
    const std::size_t length = range_reply_bytes(range);
    if (length > client_frame_bytes_max) {
        return false;
    }
    std::byte* frame = out.extend(length);
    FrameHeader whole = header;
    whole.length = static_cast<std::uint32_t>(length);
    encode_frame_header(frame, whole);

    std::byte* body = frame + limits::frame_header_bytes;
    Front front = front_template;
    front.reply.cluster_id = from.cluster_id.value;
    front.reply.member_id = from.member_id.value;
    front.reply.revision = from.revision;
    front.reply.raft_term = from.raft_term.value;
    front.reply.domain = from.domain.value;
    front.range.count = range.count;
    front.range.more = range.more ? 1 : 0;
    store(body, front);

    std::size_t place = pairs_at(range);
    store(body + place - flat_word_bytes, std::uint32_t{0});  // padding, if there is any
    std::size_t offset_at = sizeof(Front);
    store(body + offset_at, static_cast<std::uint32_t>(range.kvs.size()));
    for (const api::KeyValue& kv : range.kvs) {
        offset_at += flat_word_bytes;
        store(body + offset_at, static_cast<std::uint32_t>(place - offset_at));
        const std::size_t bytes = pair_bytes(kv);
        put_pair(body + place, place, bytes, kv);
        place += bytes;
    }
    ASSERT(limits::frame_header_bytes + place == length);
    return true;
}

}  // namespace ringfort::wire
