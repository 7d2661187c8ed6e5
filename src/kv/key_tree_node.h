// The nodes of KeyTree and what can be done to one of them alone.
#pragma once

#include <algorithm>
#include <bit>

#include "kv/key_tree.h"

namespace ringfort::kv {

struct KeyTree::Node {
    std::uint16_t count;
    std::uint16_t level;     // 0: leaf
    std::uint32_t skip;      // Invariant: all keys share their first `skip` bytes
    std::uint64_t head[node_entries_max];      // of the bytes behind the prefix, big-endian, zero-padded
    std::uintptr_t slot[node_entries_max];     // the record; in leaves bit 0 says that it is live

    KeyRecord* record(std::uint32_t at) const {
        return reinterpret_cast<KeyRecord*>(slot[at] & ~std::uintptr_t{1});
    }
    std::string_view key(std::uint32_t at) const { return record(at)->key(); }
    bool live(std::uint32_t at) const { return (slot[at] & 1) != 0; }

    // The first entry with key >= `key`; count if there is none.
    std::uint32_t lower(std::string_view key) const;
    // Writes entry `at`, whose slot is free to be overwritten, for this record.
    void place(std::uint32_t at, KeyRecord* record, bool live);
    // Finds the longest shared prefix again and rewrites all heads.
    void refresh();
    void rewrite_heads();
    void open_gap(std::uint32_t at);
    void close_gap(std::uint32_t at);
    bool full() const { return count == node_entries_max; }
};

struct KeyTree::Leaf : Node {
    Leaf* prev;
    Leaf* next;

    Counts counts() const;
};

struct KeyTree::Inner : Node {
    Node* child[node_entries_max];
    std::uint32_t live_below[node_entries_max];
    std::uint32_t records_below[node_entries_max];

    // Which child holds the key, if any does.
    std::uint32_t child_for(std::string_view key) const;
    void add(std::uint32_t at, KeyRecord* least, Node* node, Counts counts);
    void remove(std::uint32_t at);
    Counts counts() const { return counts_before(count); }
    // Of the children before `at`.
    Counts counts_before(std::uint32_t at) const;
};

struct KeyTree::Path {
    Inner* node[depth_max];
    std::uint32_t at[depth_max];
    std::size_t depth{0};
};

std::uint64_t key_head(std::string_view key, std::size_t skip);
std::uint32_t shared_prefix(std::string_view a, std::string_view b);

}  // namespace ringfort::kv
