#include "kv/key_tree_node.h"

namespace ringfort::kv {

std::uint64_t key_head(std::string_view key, std::size_t skip) {
    if (key.size() >= skip + 8) {
        std::uint64_t raw;
        std::memcpy(&raw, key.data() + skip, 8);
        return __builtin_bswap64(raw);
    }
    std::uint64_t raw = 0;
    if (key.size() > skip) {
        std::memcpy(&raw, key.data() + skip, key.size() - skip);
    }
    return __builtin_bswap64(raw);
}

std::uint32_t shared_prefix(std::string_view a, std::string_view b) {
    const std::size_t bytes = std::min(a.size(), b.size());
    std::size_t at = 0;
    while (at < bytes && a[at] == b[at]) {
        at++;
    }
    return static_cast<std::uint32_t>(at);
}

std::uint32_t KeyTree::Node::lower(std::string_view wanted) const {
    if (count == 0) {
        return 0;
    }
    if (skip > 0) {
        const std::size_t shared = std::min<std::size_t>(skip, wanted.size());
        // Not memcmp: an empty key may have no address.
        const int order = wanted.substr(0, shared).compare(key(0).substr(0, shared));
        if (order != 0 || wanted.size() < skip) {
            return order > 0 ? count : 0;
        }
    }
    const std::uint64_t wanted_head = key_head(wanted, skip);
    std::uint32_t begin = 0;
    std::uint32_t end = count;
    while (begin < end) {
        const std::uint32_t middle = (begin + end) / 2;
        // Heads are zero-padded: equal heads say nothing about the lengths, so equal ones compare in full.
        const bool less = head[middle] != wanted_head ? head[middle] < wanted_head
                                                      : key(middle).substr(skip) < wanted.substr(skip);
        if (less) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return begin;
}

void KeyTree::Node::place(std::uint32_t at, KeyRecord* to, bool live_now) {
    ASSERT(at < count);
    slot[at] = reinterpret_cast<std::uintptr_t>(to) | (live_now ? 1u : 0u);
    if (count == 1) {
        skip = 0;
    } else {
        const std::uint32_t shared = shared_prefix(to->key(), key(at == 0 ? 1 : 0));
        if (shared < skip) {
            skip = shared;
            rewrite_heads();
        }
    }
    head[at] = key_head(to->key(), skip);
}

void KeyTree::Node::refresh() {
    skip = count < 2 ? 0 : shared_prefix(key(0), key(count - 1u));
    rewrite_heads();
}

void KeyTree::Node::rewrite_heads() {
    for (std::uint32_t i = 0; i < count; i++) {
        __builtin_prefetch(record(i));
    }
    for (std::uint32_t i = 0; i < count; i++) {
        head[i] = key_head(key(i), skip);
    }
}

void KeyTree::Node::open_gap(std::uint32_t at) {
    ASSERT(at <= count && !full());
    std::copy_backward(head + at, head + count, head + count + 1);
    std::copy_backward(slot + at, slot + count, slot + count + 1);
    count++;
}

void KeyTree::Node::close_gap(std::uint32_t at) {
    ASSERT(at < count);
    std::copy(head + at + 1, head + count, head + at);
    std::copy(slot + at + 1, slot + count, slot + at);
    count--;
}

KeyTree::Counts KeyTree::Leaf::counts() const {
    std::uint64_t live_count = 0;
    for (std::uint32_t i = 0; i < count; i++) {
        live_count += slot[i] & 1;
    }
    return {live_count, count};
}

std::uint32_t KeyTree::Inner::child_for(std::string_view wanted) const {
    const std::uint32_t at = lower(wanted);
    if (at < count && key(at) == wanted) {
        return at;
    }
    return at == 0 ? 0 : at - 1;
}

void KeyTree::Inner::add(std::uint32_t at, KeyRecord* least, Node* node, Counts counts) {
    std::copy_backward(child + at, child + count, child + count + 1);
    std::copy_backward(live_below + at, live_below + count, live_below + count + 1);
    std::copy_backward(records_below + at, records_below + count, records_below + count + 1);
    open_gap(at);
    place(at, least, false);
    child[at] = node;
    live_below[at] = static_cast<std::uint32_t>(counts.live);
    records_below[at] = static_cast<std::uint32_t>(counts.records);
}

void KeyTree::Inner::remove(std::uint32_t at) {
    std::copy(child + at + 1, child + count, child + at);
    std::copy(live_below + at + 1, live_below + count, live_below + at);
    std::copy(records_below + at + 1, records_below + count, records_below + at);
    close_gap(at);
}

KeyTree::Counts KeyTree::Inner::counts_before(std::uint32_t at) const {
    Counts out;
    for (std::uint32_t i = 0; i < at; i++) {
        out.live += live_below[i];
        out.records += records_below[i];
    }
    return out;
}

}  // namespace ringfort::kv
