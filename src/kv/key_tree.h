// The ordered index: a B+-tree over key records that counts.
//
// Each entry of a node holds eight bytes of its key inline (the "head"), taken behind the prefix that all keys of the
// node share, so that a search rarely leaves the node. Entries of inner nodes are the least record of their child and the
// numbers of records and of live records below it: the rank of a key, and so the count of an interval, costs one descent.
//
// Live means: the newest version, that of a command still in progress included, is not a removal.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "kv/slab.h"
#include "kv/version.h"

namespace ringfort::kv {

class KeyTree {
  public:
    static constexpr std::size_t node_entries_max = 62;
    static constexpr std::size_t depth_max = 16;

    struct Node;
    struct Leaf;
    struct Inner;

    // A place in the tree; invalid once shape() has changed.
    class Cursor {
      public:
        bool at_end() const { return leaf_ == nullptr; }
        KeyRecord* record() const;
        bool live() const;
        void next();
        void prev();
        // Brings the blocks of entries ahead into the cache.
        void prefetch_next() const;
        // Brings the entries of the leaf after this one into the cache.
        void prefetch_leaf() const;

      private:
        friend class KeyTree;
        Leaf* leaf_{nullptr};
        std::uint32_t at_{0};
    };

    struct Counts {
        std::uint64_t live{0};
        std::uint64_t records{0};
    };

    explicit KeyTree(Slab& slab) : slab_(slab) {}
    KeyTree(const KeyTree&) = delete;
    KeyTree& operator=(const KeyTree&) = delete;

    // Requires: the key is not in the tree.
    void insert(KeyRecord* record, bool live);
    // Requires: the record is in the tree.
    void erase(const KeyRecord* record);
    // Requires: the record is in the tree and was the opposite.
    void set_live(const KeyRecord* record, bool live);
    KeyRecord* find(std::string_view key) const;

    // The first entry with key >= `key`.
    Cursor lower_bound(std::string_view key) const;
    // The last entry with key < `key`; of all entries without one.
    Cursor last_before(std::optional<std::string_view> key) const;
    // Entries with begin <= key < end.
    Counts count(std::string_view begin, std::optional<std::string_view> end) const;
    Counts totals() const { return totals_; }
    // Changes with every insert and erase.
    std::uint64_t shape() const { return shape_; }

    void check_invariants() const;

  private:
    struct Path;

    Leaf* new_leaf();
    Inner* new_inner(std::uint16_t level);
    void free_node(Node* node);
    void grow_root();
    void split_child(Inner* parent, std::uint32_t at, bool at_end);
    Leaf* descend(std::string_view key, Path& path) const;
    void fix_least(Path& path, std::size_t depth, KeyRecord* least);
    void remove_empty(Path& path, Leaf* leaf);
    void merge_up(Path& path);
    void merge_children(Inner* parent, std::uint32_t left);
    void shrink_root();
    Counts rank(std::string_view key) const;
    Counts check_node(const Node* node, const KeyRecord** last) const;

    Slab& slab_;
    Node* root_{nullptr};   // null: empty
    Counts totals_;
    std::uint64_t shape_{0};
};

}  // namespace ringfort::kv
