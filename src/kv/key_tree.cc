#include "kv/key_tree.h"

#include "kv/key_tree_node.h"

namespace ringfort::kv {

namespace {

// A node below a third of its room looks for a neighbour to merge with; merged nodes keep a quarter of it free.
constexpr std::size_t merge_below = KeyTree::node_entries_max / 3;
constexpr std::size_t merged_entries_max = KeyTree::node_entries_max * 3 / 4;

}  // namespace

// ---------------------------------------------------------------------------------------------- cursor

KeyRecord* KeyTree::Cursor::record() const {
    return leaf_->record(at_);
}

bool KeyTree::Cursor::live() const {
    return leaf_->live(at_);
}

void KeyTree::Cursor::next() {
    ASSERT(leaf_ != nullptr);
    if (++at_ == leaf_->count) {
        leaf_ = leaf_->next;
        at_ = 0;
    }
}

void KeyTree::Cursor::prev() {
    ASSERT(leaf_ != nullptr);
    if (at_ == 0) {
        leaf_ = leaf_->prev;
        at_ = leaf_ == nullptr ? 0 : leaf_->count;
    }
    if (leaf_ != nullptr) {
        at_--;
    }
}

void KeyTree::Cursor::prefetch_next() const {
    constexpr std::uint32_t records_ahead = 8, versions_ahead = 4;
    if (at_ + records_ahead < leaf_->count) {
        __builtin_prefetch(leaf_->record(at_ + records_ahead));
    } else if (leaf_->next != nullptr && at_ + records_ahead - leaf_->count < leaf_->next->count) {
        __builtin_prefetch(leaf_->next->record(at_ + records_ahead - leaf_->count));
    }
    if (at_ + versions_ahead < leaf_->count) {
        __builtin_prefetch(leaf_->record(at_ + versions_ahead)->latest);
    } else if (leaf_->next != nullptr && at_ + versions_ahead - leaf_->count < leaf_->next->count) {
        __builtin_prefetch(leaf_->next->record(at_ + versions_ahead - leaf_->count)->latest);
    }
}

void KeyTree::Cursor::prefetch_leaf() const {
    if (leaf_ == nullptr || leaf_->next == nullptr) {
        return;
    }
    constexpr std::size_t cache_line_bytes = 64;
    const Leaf* leaf = leaf_->next;
    __builtin_prefetch(&leaf->count);
    for (std::size_t at = 0; at < node_entries_max; at += cache_line_bytes / sizeof(leaf->slot[0])) {
        __builtin_prefetch(leaf->slot + at);
    }
    __builtin_prefetch(&leaf->next);
}

// ---------------------------------------------------------------------------------------------- nodes

KeyTree::Leaf* KeyTree::new_leaf() {
    auto* leaf = static_cast<Leaf*>(slab_.allocate(sizeof(Leaf)));
    leaf->count = 0;
    leaf->level = 0;
    leaf->skip = 0;
    leaf->prev = leaf->next = nullptr;
    return leaf;
}

KeyTree::Inner* KeyTree::new_inner(std::uint16_t level) {
    auto* inner = static_cast<Inner*>(slab_.allocate(sizeof(Inner)));
    inner->count = 0;
    inner->level = level;
    inner->skip = 0;
    return inner;
}

void KeyTree::free_node(Node* node) {
    slab_.release(node, node->level == 0 ? sizeof(Leaf) : sizeof(Inner));
}

// ---------------------------------------------------------------------------------------------- insert

// Full nodes are split on the way down, so that the parent of a node being split always has room.
void KeyTree::insert(KeyRecord* record, bool live) {
    shape_++;
    const std::string_view key = record->key();
    if (root_ == nullptr) {
        root_ = new_leaf();
    }
    if (root_->full()) {
        grow_root();
    }
    Node* node = root_;
    bool least = true;   // every step so far went to the first child
    while (node->level > 0) {
        auto* inner = static_cast<Inner*>(node);
        std::uint32_t at = inner->child_for(key);
        if (inner->child[at]->full()) {
            // Ascending inserts leave full nodes behind instead of half full ones.
            const bool at_end = at + 1u == inner->count && inner->child[at]->key(node_entries_max - 1) < key;
            split_child(inner, at, at_end);
            at = inner->child_for(key);
        }
        inner->records_below[at]++;
        inner->live_below[at] += live ? 1u : 0u;
        if (least && at == 0 && key < inner->key(0)) {
            inner->place(0, record, false);
        }
        least = least && at == 0;
        node = inner->child[at];
    }
    const std::uint32_t at = node->lower(key);
    ASSERT(at == node->count || node->key(at) != key);
    node->open_gap(at);
    node->place(at, record, live);
    totals_.records++;
    totals_.live += live ? 1u : 0u;
    ASSERT(totals_.records <= UINT32_MAX);
}

void KeyTree::grow_root() {
    Node* old = root_;
    ASSERT(old->level + 1u < depth_max);
    Inner* root = new_inner(static_cast<std::uint16_t>(old->level + 1));
    root->add(0, old->record(0), old, totals_);
    root_ = root;
    split_child(root, 0, false);
    root->refresh();
}

void KeyTree::split_child(Inner* parent, std::uint32_t at, bool at_end) {
    Node* left = parent->child[at];
    const std::uint32_t keep = at_end ? left->count - 1u : left->count / 2u;
    const std::uint32_t moved = left->count - keep;
    Node* right;
    Counts right_counts;
    if (left->level == 0) {
        auto* left_leaf = static_cast<Leaf*>(left);
        Leaf* leaf = new_leaf();
        std::copy(left->slot + keep, left->slot + left->count, leaf->slot);
        leaf->count = static_cast<std::uint16_t>(moved);
        leaf->prev = left_leaf;
        leaf->next = left_leaf->next;
        if (leaf->next != nullptr) {
            leaf->next->prev = leaf;
        }
        left_leaf->next = leaf;
        right_counts = leaf->counts();
        right = leaf;
    } else {
        auto* left_inner = static_cast<Inner*>(left);
        Inner* inner = new_inner(left->level);
        std::copy(left->slot + keep, left->slot + left->count, inner->slot);
        std::copy(left_inner->child + keep, left_inner->child + left->count, inner->child);
        std::copy(left_inner->live_below + keep, left_inner->live_below + left->count, inner->live_below);
        std::copy(left_inner->records_below + keep, left_inner->records_below + left->count,
                  inner->records_below);
        inner->count = static_cast<std::uint16_t>(moved);
        right_counts = inner->counts();
        right = inner;
    }
    left->count = static_cast<std::uint16_t>(keep);
    left->refresh();
    right->refresh();
    parent->live_below[at] -= static_cast<std::uint32_t>(right_counts.live);
    parent->records_below[at] -= static_cast<std::uint32_t>(right_counts.records);
    parent->add(at + 1, right->record(0), right, right_counts);
}

// ---------------------------------------------------------------------------------------------- search

KeyTree::Leaf* KeyTree::descend(std::string_view key, Path& path) const {
    ASSERT(root_ != nullptr);
    Node* node = root_;
    while (node->level > 0) {
        auto* inner = static_cast<Inner*>(node);
        const std::uint32_t at = inner->child_for(key);
        path.node[path.depth] = inner;
        path.at[path.depth] = at;
        path.depth++;
        node = inner->child[at];
    }
    return static_cast<Leaf*>(node);
}

KeyRecord* KeyTree::find(std::string_view key) const {
    const Cursor cursor = lower_bound(key);
    return !cursor.at_end() && cursor.record()->key() == key ? cursor.record() : nullptr;
}

KeyTree::Cursor KeyTree::lower_bound(std::string_view key) const {
    Cursor out;
    if (root_ == nullptr) {
        return out;
    }
    Path path;
    out.leaf_ = descend(key, path);
    out.at_ = out.leaf_->lower(key);
    if (out.at_ == out.leaf_->count) {
        out.leaf_ = out.leaf_->next;
        out.at_ = 0;
    }
    return out;
}

KeyTree::Cursor KeyTree::last_before(std::optional<std::string_view> key) const {
    Cursor out;
    if (root_ == nullptr) {
        return out;
    }
    if (key) {
        Path path;
        out.leaf_ = descend(*key, path);
        out.at_ = out.leaf_->lower(*key);
    } else {
        Node* node = root_;
        while (node->level > 0) {
            node = static_cast<Inner*>(node)->child[node->count - 1u];
        }
        out.leaf_ = static_cast<Leaf*>(node);
        out.at_ = out.leaf_->count;
    }
    out.prev();
    return out;
}

KeyTree::Counts KeyTree::rank(std::string_view key) const {
    Counts out;
    if (root_ == nullptr) {
        return out;
    }
    Path path;
    const Leaf* leaf = descend(key, path);
    for (std::size_t i = 0; i < path.depth; i++) {
        const Counts before = path.node[i]->counts_before(path.at[i]);
        out.live += before.live;
        out.records += before.records;
    }
    const std::uint32_t at = leaf->lower(key);
    for (std::uint32_t i = 0; i < at; i++) {
        out.live += leaf->live(i) ? 1u : 0u;
    }
    out.records += at;
    return out;
}

KeyTree::Counts KeyTree::count(std::string_view begin, std::optional<std::string_view> end) const {
    if (end && *end <= begin) {
        return {};
    }
    const Counts below = rank(begin);
    const Counts reach = end ? rank(*end) : totals_;
    return {reach.live - below.live, reach.records - below.records};
}

void KeyTree::set_live(const KeyRecord* record, bool live) {
    Path path;
    Leaf* leaf = descend(record->key(), path);
    const std::uint32_t at = leaf->lower(record->key());
    ASSERT(at < leaf->count && leaf->record(at) == record && leaf->live(at) != live);
    leaf->slot[at] ^= 1;
    for (std::size_t i = 0; i < path.depth; i++) {
        path.node[i]->live_below[path.at[i]] += live ? 1u : ~0u;
    }
    totals_.live += live ? 1 : ~std::uint64_t{0};
}

// ---------------------------------------------------------------------------------------------- erase

void KeyTree::erase(const KeyRecord* record) {
    shape_++;
    Path path;
    Leaf* leaf = descend(record->key(), path);
    const std::uint32_t at = leaf->lower(record->key());
    ASSERT(at < leaf->count && leaf->record(at) == record);
    const std::uint32_t live = leaf->live(at) ? 1 : 0;
    for (std::size_t i = 0; i < path.depth; i++) {
        path.node[i]->records_below[path.at[i]]--;
        path.node[i]->live_below[path.at[i]] -= live;
    }
    totals_.records--;
    totals_.live -= live;
    leaf->close_gap(at);
    if (leaf->count == 0) {
        remove_empty(path, leaf);
    } else if (at == 0) {
        fix_least(path, path.depth, leaf->record(0));
    }
    merge_up(path);
    shrink_root();
}

// The least record below the first `depth` nodes of the path has changed.
void KeyTree::fix_least(Path& path, std::size_t depth, KeyRecord* least) {
    while (depth-- > 0) {
        path.node[depth]->place(path.at[depth], least, false);
        if (path.at[depth] != 0) {
            return;
        }
    }
}

// Takes an empty leaf out, and with it every node above that has no other child. Ensures: the path ends at the lowest
// node that remains.
void KeyTree::remove_empty(Path& path, Leaf* leaf) {
    if (leaf->prev != nullptr) {
        leaf->prev->next = leaf->next;
    }
    if (leaf->next != nullptr) {
        leaf->next->prev = leaf->prev;
    }
    free_node(leaf);
    while (path.depth > 0) {
        Inner* parent = path.node[path.depth - 1];
        const std::uint32_t at = path.at[path.depth - 1];
        parent->remove(at);
        if (parent->count > 0) {
            if (at == 0) {
                fix_least(path, path.depth - 1, parent->record(0));
            }
            path.depth--;
            return;
        }
        free_node(parent);
        path.depth--;
    }
    root_ = nullptr;
}

void KeyTree::merge_up(Path& path) {
    for (std::size_t depth = path.depth; depth-- > 0;) {
        Inner* parent = path.node[depth];
        const std::uint32_t at = path.at[depth];
        if (parent->child[at]->count >= merge_below) {
            return;
        }
        if (at + 1u < parent->count &&
            parent->child[at]->count + std::size_t{parent->child[at + 1]->count} <= merged_entries_max) {
            merge_children(parent, at);
        } else if (at > 0 &&
                   parent->child[at - 1]->count + std::size_t{parent->child[at]->count} <= merged_entries_max) {
            merge_children(parent, at - 1);
        } else {
            return;
        }
    }
}

void KeyTree::merge_children(Inner* parent, std::uint32_t left_at) {
    Node* left = parent->child[left_at];
    Node* right = parent->child[left_at + 1];
    std::copy(right->slot, right->slot + right->count, left->slot + left->count);
    if (left->level == 0) {
        auto* left_leaf = static_cast<Leaf*>(left);
        left_leaf->next = static_cast<Leaf*>(right)->next;
        if (left_leaf->next != nullptr) {
            left_leaf->next->prev = left_leaf;
        }
    } else {
        auto* to = static_cast<Inner*>(left);
        auto* from = static_cast<Inner*>(right);
        std::copy(from->child, from->child + from->count, to->child + to->count);
        std::copy(from->live_below, from->live_below + from->count, to->live_below + to->count);
        std::copy(from->records_below, from->records_below + from->count, to->records_below + to->count);
    }
    left->count = static_cast<std::uint16_t>(left->count + right->count);
    left->refresh();
    parent->live_below[left_at] += parent->live_below[left_at + 1];
    parent->records_below[left_at] += parent->records_below[left_at + 1];
    parent->remove(left_at + 1);
    free_node(right);
}

void KeyTree::shrink_root() {
    while (root_ != nullptr && root_->level > 0 && root_->count == 1) {
        Node* child = static_cast<Inner*>(root_)->child[0];
        free_node(root_);
        root_ = child;
    }
}

// ---------------------------------------------------------------------------------------------- invariants

KeyTree::Counts KeyTree::check_node(const Node* node, const KeyRecord** last) const {
    ASSERT(node->count > 0 && node->count <= node_entries_max);
    Counts sum;
    for (std::uint32_t i = 0; i < node->count; i++) {
        ASSERT(shared_prefix(node->key(i), node->key(0)) >= node->skip);
        ASSERT(node->head[i] == key_head(node->key(i), node->skip));
        if (node->level == 0) {
            if (*last != nullptr) {
                ASSERT((*last)->key() < node->key(i));
            }
            *last = node->record(i);
            sum.live += node->live(i) ? 1u : 0u;
            sum.records++;
            continue;
        }
        const auto* inner = static_cast<const Inner*>(node);
        ASSERT(inner->child[i]->level + 1 == node->level);
        ASSERT(inner->child[i]->record(0) == node->record(i));
        const Counts below = check_node(inner->child[i], last);
        ASSERT(below.live == inner->live_below[i] && below.records == inner->records_below[i]);
        sum.live += below.live;
        sum.records += below.records;
    }
    return sum;
}

void KeyTree::check_invariants() const {
    if (root_ == nullptr) {
        ASSERT(totals_.live == 0 && totals_.records == 0);
        return;
    }
    const KeyRecord* last = nullptr;
    const Counts sum = check_node(root_, &last);
    ASSERT(sum.live == totals_.live && sum.records == totals_.records);
}

}  // namespace ringfort::kv
