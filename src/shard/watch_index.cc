#include "shard/watch_index.h"

#include "base/checksum.h"

namespace ringfort::shard {

namespace {

// Whether an interval that ends at `a` (or nowhere) ends before one that ends at `b`.
bool ends_before(bool a_no_end, std::string_view a, bool b_no_end, std::string_view b) {
    return !a_no_end && (b_no_end || a < b);
}
bool ends_before(const Watcher& a, const Watcher& b) {
    return ends_before(a.no_end, a.end(), b.no_end, b.end());
}
bool precedes(const Watcher& a, const Watcher& b) {
    const int order = a.begin().compare(b.begin());
    return order != 0 ? order < 0 : ends_before(a, b);
}
bool precedes(const Watcher& a, const WatchIndex::After& b) {
    const int order = a.begin().compare(b.begin);
    return order != 0 ? order < 0 : ends_before(a.no_end, a.end(), b.no_end, b.end);
}
bool is_at(const Watcher& a, const WatchIndex::After& b) {
    return a.begin() == b.begin && a.no_end == b.no_end && (a.no_end || a.end() == b.end);
}

}  // namespace

// ------------------------------------------------------------------------------------------------ single keys

std::uint32_t WatchIndex::hash_of(std::string_view key) const {
    return static_cast<std::uint32_t>(checksum(as_bytes(key), hash_seed_));
}

std::uint32_t WatchIndex::find_point(std::string_view key) const {
    if (points_.empty()) {
        return no_slot;
    }
    const std::uint32_t hash = hash_of(key);
    std::uint32_t at = points_.first(hash);
    while (at != no_slot && (groups_[at].priority != hash || of(at).begin() != key)) {
        at = groups_[at].left;
    }
    return at;
}

// ------------------------------------------------------------------------------------------------ the tree

void WatchIndex::update(std::uint32_t group) {
    Group& node = groups_[group];
    node.last_end = group;
    for (const std::uint32_t child : {node.left, node.right}) {
        if (child != no_slot && ends_before(of(node.last_end), of(groups_[child].last_end))) {
            node.last_end = groups_[child].last_end;
        }
    }
}

// Requires: everything left precedes everything right.
std::uint32_t WatchIndex::merge(std::uint32_t left, std::uint32_t right) {
    if (left == no_slot || right == no_slot) {
        return left == no_slot ? right : left;
    }
    if (groups_[left].priority >= groups_[right].priority) {
        groups_[left].right = merge(groups_[left].right, right);
        update(left);
        return left;
    }
    groups_[right].left = merge(left, groups_[right].left);
    update(right);
    return right;
}

WatchIndex::Halves WatchIndex::split(std::uint32_t root, const Watcher& at) {
    if (root == no_slot) {
        return {no_slot, no_slot};
    }
    if (precedes(of(root), at)) {
        const Halves halves = split(groups_[root].right, at);
        groups_[root].right = halves.below;
        update(root);
        return {root, halves.rest};
    }
    const Halves halves = split(groups_[root].left, at);
    groups_[root].left = halves.rest;
    update(root);
    return {halves.below, root};
}

std::uint32_t WatchIndex::insert_below(std::uint32_t root, std::uint32_t group) {
    if (root == no_slot) {
        return group;
    }
    if (groups_[group].priority > groups_[root].priority) {
        const Halves halves = split(root, of(group));
        groups_[group].left = halves.below;
        groups_[group].right = halves.rest;
        update(group);
        return group;
    }
    std::uint32_t& child = precedes(of(group), of(root)) ? groups_[root].left : groups_[root].right;
    child = insert_below(child, group);
    update(root);
    return root;
}

std::uint32_t WatchIndex::erase_below(std::uint32_t root, std::uint32_t group) {
    ASSERT(root != no_slot);
    if (root == group) {
        return merge(groups_[group].left, groups_[group].right);
    }
    std::uint32_t& child = precedes(of(group), of(root)) ? groups_[root].left : groups_[root].right;
    child = erase_below(child, group);
    update(root);
    return root;
}

std::uint32_t WatchIndex::find_group(const Watcher& watcher) const {
    std::uint32_t at = root_;
    while (at != no_slot) {
        if (precedes(watcher, of(at))) {
            at = groups_[at].left;
        } else if (precedes(of(at), watcher)) {
            at = groups_[at].right;
        } else {
            return at;
        }
    }
    return no_slot;
}

// ------------------------------------------------------------------------------------------------ watches

// In front of the others of its group: who goes through a group does not meet it.
void WatchIndex::insert(std::uint32_t slot) {
    Watcher& watcher = watchers_[slot];
    watcher.group = watcher.point ? find_point(watcher.begin()) : find_group(watcher);
    watcher.group_previous = no_slot;
    if (watcher.group != no_slot) {
        Group& group = groups_[watcher.group];
        watcher.group_next = group.first;
        watchers_[group.first].group_previous = slot;
        group.first = slot;
        return;
    }
    watcher.group = groups_.take();
    watcher.group_next = no_slot;
    Group& group = groups_[watcher.group];
    group.first = slot;
    if (watcher.point) {
        group.priority = hash_of(watcher.begin());
        points_.insert(*this, watcher.group);
        return;
    }
    group.last_end = watcher.group;
    group.priority = static_cast<std::uint32_t>(prng_.next());
    root_ = insert_below(root_, watcher.group);
}

std::uint32_t WatchIndex::erase(std::uint32_t slot) {
    Watcher& watcher = watchers_[slot];
    const std::uint32_t at = watcher.group;
    Group& group = groups_[at];
    const bool only = group.first == slot && watcher.group_next == no_slot;
    if (only) {
        if (watcher.point) {
            points_.erase(*this, at);
        } else {
            root_ = erase_below(root_, at);
        }
        groups_.give_back(at);
    } else {
        const std::uint32_t previous = watcher.group_previous;
        (previous != no_slot ? watchers_[previous].group_next : group.first) = watcher.group_next;
        if (watcher.group_next != no_slot) {
            watchers_[watcher.group_next].group_previous = watcher.group_previous;
        }
    }
    watcher.group = watcher.group_next = watcher.group_previous = no_slot;
    return only ? at : no_slot;
}

bool WatchIndex::find(std::string_view key, std::size_t found_max, After& after, std::vector<std::uint32_t>& found) const {
    found.clear();
    const std::uint32_t point = after.point ? no_slot : find_point(key);
    after.point = true;
    if (point != no_slot) {
        found.push_back(point);
    }
    const std::size_t points = found.size();
    find_below(root_, key, found_max, after, found);
    if (found.size() < found_max) {
        return false;
    }
    if (found.size() > points) {
        const Watcher& last = of(found.back());
        after.interval = true;
        after.begin = last.begin();
        after.end = last.end();
        after.no_end = last.no_end;
    }
    return true;
}

void WatchIndex::find_below(std::uint32_t root, std::string_view key, std::size_t found_max, const After& after,
                            std::vector<std::uint32_t>& found) const {
    if (root == no_slot || found.size() == found_max || !of(groups_[root].last_end).ends_behind(key)) {
        return;
    }
    const Watcher& here = of(root);
    const bool passed = after.interval && (precedes(here, after) || is_at(here, after));
    if (!passed) {
        find_below(groups_[root].left, key, found_max, after, found);
    }
    if (here.begin() > key) {
        return;   // and so does everything to the right
    }
    if (!passed && found.size() < found_max && here.ends_behind(key)) {
        found.push_back(root);
    }
    find_below(groups_[root].right, key, found_max, after, found);
}

}  // namespace ringfort::shard
