#include "shard/log_collector.h"

#include "base/assertion.h"

namespace ringfort::shard {

LogCollector::LogCollector(Owner& owner, ReplicaTable& replicas, SegmentSet& segments, std::uint64_t bytes_goal)
    : owner_(owner), replicas_(replicas), segments_(segments), bytes_goal_(bytes_goal) {
    read_.callback = [](EntryRead& read) {
        auto& self = *static_cast<LogCollector*>(read.context);
        self.next_entry_ = 0;
        if (read.damaged) {
            self.unreadable_segment_ = self.segment_;
        }
    };
    read_.context = this;
}

// `space`: the log is larger than wanted. Else it may still hold more garbage than is worth keeping.
bool LogCollector::wanted(bool& space) const {
    const std::uint64_t bytes = segments_.live_segments_bytes();
    const std::uint64_t segment_bytes = segments_.oldest().bytes;
    space = bytes > bytes_goal_;
    const std::uint64_t spare = (segments_.quiet() ? 2 : 6) * segment_bytes;
    return space || bytes > 2 * segments_.live_bytes() + spare;
}

void LogCollector::step() {
    if (read_.in_flight) {
        return;
    }
    if (next_entry_ < read_.entries.size()) {
        copy_entries();
        return;
    }
    bool space = false;
    if (segments_.live_count() < 3 || !wanted(space)) {
        return;
    }
    Segment& oldest = segments_.oldest();
    if (oldest.live_entries == 0) {
        return;  // goes by itself, once that is durable
    }
    const Holder& holder = biggest_holder(oldest);
    if (holder.last == 0) {
        return;
    }
    const bool few = (oldest.live_bytes + 64 * oldest.live_entries) * few_live_share <= oldest.bytes;
    const std::uint64_t bytes = segments_.live_segments_bytes();
    const bool force = bytes > 2 * bytes_goal_ && bytes > 3 * segments_.live_bytes();
    if ((few || force) && unreadable_segment_ != oldest.number) {
        segment_ = oldest.number;
        reading_range_ = holder.range;
        owner_.read_live(holder.range, holder.first, holder.last, read_bytes, read_);
        return;
    }
    if (space || unreadable_segment_ == oldest.number) {
        ask(holder.range);
    }
}

// Asks once, and again when the log has grown by some segments since.
void LogCollector::ask(RangeId range) {
    constexpr std::uint64_t again_after_segments = 4;
    const std::uint64_t newest = segments_[segments_.live_count() - 1].number;
    if (asked_segment_ == segments_.oldest().number && asked_range_ == range &&
        newest < asked_at_ + again_after_segments) {
        return;
    }
    asked_segment_ = segments_.oldest().number;
    asked_range_ = range;
    asked_at_ = newest;
    owner_.want_checkpoint(range);
}

// Looked for anew only when it may be another: while a checkpoint is being written, every turn asks. Nothing is added to a
// segment that is not the newest, so what is live there is the same for as long as it is as many entries.
const LogCollector::Holder& LogCollector::biggest_holder(const Segment& segment) {
    if (holder_segment_ != segment.number || holder_entries_ != segment.live_entries) {
        holder_ = find_biggest_holder(segment.number);
        holder_segment_ = segment.number;
        holder_entries_ = segment.live_entries;
    }
    VERIFY(holder_ == find_biggest_holder(segment.number));
    return holder_;
}

// The replica with the most live bytes in the segment. Its runs there come first, but for those that were copied.
LogCollector::Holder LogCollector::find_biggest_holder(std::uint64_t segment) const {
    Holder out;
    for (std::size_t i = 0; i < replicas_.size(); i++) {
        Holder holder{replicas_[i].range, 0, 0, 0};
        bool at_end = false;
        for (const log::EntryRun& run : replicas_[i].runs) {
            if (run.place.segment == segment) {
                if (!at_end) {
                    holder.first = holder.first == 0 ? run.first : holder.first;
                    holder.last = run.last();
                }
                holder.bytes += run.payload_bytes + run.count;
            } else if (run.place.sequence == run.appended_batch) {
                break;
            } else {
                at_end = holder.first != 0;
            }
        }
        if (holder.last != 0 && (out.last == 0 || holder.bytes > out.bytes)) {
            out = holder;
        }
    }
    return out;
}

void LogCollector::copy_entries() {
    refused_ = false;
    for (std::size_t done = 0; done < entries_per_step && next_entry_ < read_.entries.size(); done++) {
        if (!owner_.write_again(reading_range_, read_.entries[next_entry_], segment_)) {
            refused_ = true;
            return;
        }
        next_entry_++;
        copied_entries_++;
    }
}

}  // namespace ringfort::shard
