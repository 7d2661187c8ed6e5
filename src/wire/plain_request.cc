// The body: PlainFront, u32 bytes, first text, zeros to 4, u32 bytes, second text, zeros to 8. A text without bytes is
// absent, as in what the builder makes.
#include "wire/plain_request.h"

#include <cstddef>

#include "wire/client_frame.h"
#include "wire/flat_layout.h"

namespace ringfort::wire {

namespace {

// No implicit padding anywhere: copied out as it is.
struct PlainFront {
    std::uint32_t root;
    FlatVtable<8> request_vtable;
    FlatVtable<2> op_vtable;
    // table Request
    std::int32_t request;
    std::uint32_t op;
    std::uint64_t timeout_ns;
    std::uint8_t op_type;
    std::uint8_t redirect;
    std::uint8_t zero[2];
    // table PutRequest, RangeRequest or DeleteRangeRequest
    std::int32_t op_table;
    std::uint32_t first;
    std::uint32_t second;
};
static_assert(sizeof(PlainFront) == 64 && offsetof(PlainFront, request) == 32 && offsetof(PlainFront, op_table) == 52);

constexpr std::size_t first_slot = protocol::PutRequest::VT_KEY / 2;
constexpr std::size_t second_slot = protocol::PutRequest::VT_VALUE / 2;
static_assert(protocol::RangeRequest::VT_KEY / 2 == first_slot && protocol::RangeRequest::VT_RANGE_END / 2 == second_slot);
static_assert(protocol::DeleteRangeRequest::VT_KEY / 2 == first_slot &&
              protocol::DeleteRangeRequest::VT_RANGE_END / 2 == second_slot);

// Where a field lies in its table.
constexpr std::uint16_t in_request(std::size_t at) {
    return static_cast<std::uint16_t>(at - offsetof(PlainFront, request));
}
constexpr std::uint16_t in_op(std::size_t at) {
    return static_cast<std::uint16_t>(at - offsetof(PlainFront, op_table));
}

constexpr PlainFront make_plain_front() {
    using Request = protocol::Request;
    PlainFront front{};
    front.root = offsetof(PlainFront, request);
    front.request_vtable = {sizeof(front.request_vtable), in_request(offsetof(PlainFront, op_table))};
    front.request_vtable[Request::VT_TIMEOUT_NS / 2] = in_request(offsetof(PlainFront, timeout_ns));
    front.request_vtable[Request::VT_REDIRECT / 2] = in_request(offsetof(PlainFront, redirect));
    front.request_vtable[Request::VT_OP_TYPE / 2] = in_request(offsetof(PlainFront, op_type));
    front.request_vtable[Request::VT_OP / 2] = in_request(offsetof(PlainFront, op));
    front.op_vtable = {sizeof(front.op_vtable), in_op(sizeof(PlainFront))};
    front.op_vtable[first_slot] = in_op(offsetof(PlainFront, first));
    front.op_vtable[second_slot] = in_op(offsetof(PlainFront, second));
    front.request = offsetof(PlainFront, request) - offsetof(PlainFront, request_vtable);
    front.op = offsetof(PlainFront, op_table) - offsetof(PlainFront, op);
    front.op_table = offsetof(PlainFront, op_table) - offsetof(PlainFront, op_vtable);
    front.first = sizeof(PlainFront) - offsetof(PlainFront, first);
    return front;
}
constexpr PlainFront plain_front = make_plain_front();

std::size_t bytes_of(std::string_view text) {
    return text.empty() ? 0 : flat_word_bytes + text.size();
}
void put_text_or_leave_out(std::byte* body, std::size_t slot, std::size_t at, std::string_view text) {
    if (text.empty()) {
        store(body + offsetof(PlainFront, op_vtable) + slot * sizeof(std::uint16_t), std::uint16_t{0});
        return;
    }
    store(body + at, static_cast<std::uint32_t>(text.size()));
    std::memcpy(body + at + flat_word_bytes, text.data(), text.size());
}

// Whether there is nothing but the two texts. Every field has a name here, so that one added later is not left out unseen.
bool plain_texts(const api::PutRequest& put, std::string_view& first, std::string_view& second) {
    const auto& [key, value, lease, prev_kv, ignore_value, ignore_lease] = put;
    first = key;
    second = value;
    return lease == 0 && !prev_kv && !ignore_value && !ignore_lease;
}
bool plain_texts(const api::RangeRequest& range, std::string_view& first, std::string_view& second) {
    const auto& [key, range_end, limit, revision, sort_order, sort_target, serializable, keys_only, count_only, min_mod,
                 max_mod, min_create, max_create] = range;
    first = key;
    second = range_end;
    return limit == 0 && revision == 0 && sort_order == api::SortOrder::none && sort_target == api::SortTarget::key &&
           !serializable && !keys_only && !count_only && min_mod == 0 && max_mod == 0 && min_create == 0 &&
           max_create == 0;
}
bool plain_texts(const api::DeleteRangeRequest& remove, std::string_view& first, std::string_view& second) {
    const auto& [key, range_end, prev_kv] = remove;
    first = key;
    second = range_end;
    return !prev_kv;
}
template <class Other>
bool plain_texts(const Other&, std::string_view&, std::string_view&) {
    return false;
}

}  // namespace

PlainOutcome encode_plain_request(const FrameHeader& header, const api::Request& request, OutBuffer& out) {
    ASSERT(out.pending_bytes() % frame_alignment == 0);
    const auto& [op, domain, timeout, redirect, client, client_sequence] = request;
    std::string_view first;
    std::string_view second;
    const bool plain = std::visit([&](const auto& one) { return plain_texts(one, first, second); }, op);
    if (!plain || domain.has_value() || client != 0 || client_sequence != 0) {
        return PlainOutcome::not_plain;
    }
    const std::size_t second_at = sizeof(PlainFront) + round_up(bytes_of(first), flat_word_bytes);
    const std::size_t end = second_at + bytes_of(second);
    const std::size_t length = limits::frame_header_bytes + round_up(end, frame_alignment);
    if (length > client_frame_bytes_max) {
        return PlainOutcome::too_long;
    }
    std::byte* const frame = out.extend(length);
    FrameHeader whole = header;
    whole.length = static_cast<std::uint32_t>(length);
    encode_frame_header(frame, whole);

    // Padding first: what follows overwrites all that is not padding.
    store(frame + length - frame_alignment, std::uint64_t{0});
    std::byte* const body = frame + limits::frame_header_bytes;
    store(body + second_at - flat_word_bytes, std::uint32_t{0});

    // Patched where it lies: patched first and then copied, the copy would wait for the patches.
    store(body, plain_front);
    store(body + offsetof(PlainFront, timeout_ns), static_cast<std::uint64_t>(timeout.count()));
    store(body + offsetof(PlainFront, op_type), static_cast<std::uint8_t>(op.index() + 1));
    store(body + offsetof(PlainFront, redirect), static_cast<std::uint8_t>(redirect ? 1 : 0));
    store(body + offsetof(PlainFront, second), static_cast<std::uint32_t>(second_at - offsetof(PlainFront, second)));
    put_text_or_leave_out(body, first_slot, sizeof(PlainFront), first);
    put_text_or_leave_out(body, second_slot, second_at, second);
    return PlainOutcome::appended;
}

}  // namespace ringfort::wire
