#include "kv/checkpoint_scan.h"

#include "base/mutant.h"

#include <algorithm>

namespace ringfort::kv {

namespace {

constexpr std::uint32_t cache_line_bytes = 64;
// Of a longer value the processor sees by itself that it is read in order.
constexpr std::uint32_t prefetch_bytes_max = 8 * cache_line_bytes;

// In keys walked: its record and its newest version.
constexpr std::int64_t begin_cost = 2;

// Not as far as the first cache: there a miss holds one of few places until it is over, and loads wait for one.
void prefetch_at(const void* begin, std::size_t offset) {
    constexpr int second_cache = 2;
    __builtin_prefetch(static_cast<const char*>(begin) + offset, 0, second_cache);
}

void prefetch_head(const Version* version) {
    prefetch_at(version, 0);
    prefetch_at(version, sizeof(Version) + sizeof(Version::Extension) - 1);   // it may lie across two lines
}

}  // namespace

CheckpointScan::CheckpointScan(const StoreState& state, api::Revision revision)
    : state_(state), revision_(revision), floor_(state.compact_revision), found_(found_max) {}

CheckpointScan::Front CheckpointScan::find_front(WorkBudget& budget) {
    for (;;) {
        while (front_ < lane_count_ && lanes_[front_].next == nullptr && at_ == lanes_[front_].count) {
            front_++;
            at_ = 0;
        }
        if (gathered_ && known()) {
            return Front::found;
        }
        if (budget.spent()) {
            return Front::spent;
        }
        if (front_ == lane_count_) {
            if (!begin_group(budget)) {
                return Front::end;
            }
        } else if (gathered_) {
            continue_front();
        } else {
            gathered_ = gather(budget);
            if (gathered_) {
                begin_values();
            }
        }
    }
}

// ---------------------------------------------------------------------------------------------- groups

// False: no key is left.
bool CheckpointScan::begin_group(WorkBudget& budget) {
    choose_lanes();
    if (!cursor_set_ || cursor_shape_ != state_.tree.shape()) {
        cursor_ = state_.tree.lower_bound(position_);
        cursor_shape_ = state_.tree.shape();
        cursor_set_ = true;
    }
    lane_count_ = 0;
    for (; lane_count_ < lanes_wanted_ && !cursor_.at_end(); cursor_.next()) {
        const KeyRecord* record = cursor_.record();
        prefetch_at(record, 0);
        lanes_[lane_count_++] = {record, nullptr, 0};
    }
    if (lane_count_ == 0) {
        return false;
    }
    position_.assign(lanes_[lane_count_ - 1].record->key());
    position_.push_back('\0');
    cursor_.prefetch_leaf();
    for (std::uint32_t i = 0; i < lane_count_; i++) {
        const KeyRecord* record = lanes_[i].record;
        prefetch_at(record, KeyRecord::bytes(record->key_bytes) - 1);
        lanes_[i].next = record->latest;
        prefetch_head(lanes_[i].next);
    }
    // In the same step: a removal compacted everywhere may go, and its key with it, before the next one.
    for (std::uint32_t i = 0; i < lane_count_; i++) {
        look_at_next(i);
    }
    budget.take(begin_cost * lane_count_, 0);
    return true;
}

// Chains that did not fit get more room in the next group, at the price of waiting more for each.
void CheckpointScan::choose_lanes() {
    if (overfull_) {
        lanes_wanted_ = std::max(lanes_min, lanes_wanted_ / 2);
    } else if (group_found_ < found_max / 4) {
        lanes_wanted_ = std::min(lanes_max, lanes_wanted_ * 2);
    }
    room_ = found_max / lanes_wanted_;
    group_found_ = 0;
    overfull_ = false;
    gathered_ = false;
    front_ = 0;
    at_ = 0;
}

// False: the budget ended.
bool CheckpointScan::gather(WorkBudget& budget) {
    for (bool more = true; more;) {
        more = false;
        for (std::uint32_t i = front_; i < lane_count_; i++) {
            if (lanes_[i].next == nullptr) {
                continue;
            }
            if (lanes_[i].count == room_) {
                overfull_ = true;
                continue;
            }
            if (budget.spent()) {
                return false;
            }
            look_at_next(i);
            budget.take(1, 0);
            more = true;
        }
    }
    return true;
}

void CheckpointScan::look_at_next(std::uint32_t lane_at) {
    Lane& lane = lanes_[lane_at];
    const Version* version = lane.next;
    if (version->mod > floor_) {
        lane.next = version->older();
        if (lane.next != nullptr) {
            prefetch_head(lane.next);
        }
        if (version->mod > revision_ && !MUTANT(checkpoint_beyond_its_cut)) {
            return;   // newer than the cut
        }
    } else {
        lane.next = nullptr;   // older ones cannot be read any more
        if (version->tombstone()) {
            return;   // nothing to read at all
        }
    }
    ASSERT(lane.count < room_);
    found(lane_at)[lane.count++] = {version, static_cast<std::uint32_t>(version->bytes())};
    group_found_++;
}

// The front's chain did not fit: its room is free again, but for a version of which it is not known if it is the last.
void CheckpointScan::continue_front() {
    Lane& lane = lanes_[front_];
    ASSERT(lane.next != nullptr && at_ + 1 >= lane.count);
    if (at_ < lane.count) {
        found(front_)[0] = found(front_)[at_];
    }
    lane.count -= at_;
    at_ = 0;
    gathered_ = false;
}

// ---------------------------------------------------------------------------------------------- values

void CheckpointScan::begin_values() {
    ahead_lane_ = front_;
    ahead_at_ = at_;
    for (std::uint32_t i = 0; i < values_ahead; i++) {
        bring_value();
    }
}

void CheckpointScan::bring_value() {
    while (ahead_lane_ < lane_count_ && ahead_at_ == lanes_[ahead_lane_].count) {
        ahead_lane_++;
        ahead_at_ = 0;
    }
    if (ahead_lane_ == lane_count_) {
        return;
    }
    const Found& ahead = found(ahead_lane_)[ahead_at_++];
    const std::uint32_t bytes = std::min(ahead.bytes, prefetch_bytes_max);
    for (std::uint32_t at = 0; at < bytes; at += cache_line_bytes) {
        prefetch_at(ahead.version, at);
    }
    prefetch_at(ahead.version, bytes - 1);
}

}  // namespace ringfort::kv
