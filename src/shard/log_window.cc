#include "shard/log_window.h"

#include "base/bounds.h"

namespace ringfort::shard {

BatchWindow::BatchWindow(std::size_t bytes) : memory_(bytes), closed_(bytes / limits::block_bytes) {}

std::size_t BatchWindow::capacity() const {
    if (closed_.empty() || closed_[0].begin < open_begin_) {
        return memory_.size() - open_begin_;
    }
    return closed_[0].begin - open_begin_;
}

void BatchWindow::make_room(std::size_t wanted, std::uint64_t durable, bool open_is_empty) {
    while (capacity() < wanted) {
        const bool ends_at_the_end = closed_.empty() || closed_[0].begin < open_begin_;
        if (!ends_at_the_end) {
            if (closed_[0].sequence > durable) {
                return;
            }
            closed_.pop();
        } else if (open_begin_ > 0 && open_is_empty) {
            open_begin_ = 0;
        } else {
            return;
        }
    }
}

void BatchWindow::close(std::uint64_t sequence, std::size_t bytes, std::size_t directory) {
    ASSERT(bytes % limits::block_bytes == 0 && bytes <= capacity());
    ASSERT(closed_.empty() || closed_.back().sequence + 1 == sequence);
    closed_.push({sequence, open_begin_, bytes, directory});
    open_begin_ += bytes;
}

BatchWindow::View BatchWindow::find(std::uint64_t sequence) const {
    if (closed_.empty() || sequence < closed_[0].sequence || sequence - closed_[0].sequence >= closed_.count()) {
        return {};
    }
    const Closed& batch = closed_[sequence - closed_[0].sequence];
    const std::byte* memory = memory_.data() + batch.begin;
    return {memory, memory + batch.directory, batch.bytes};
}

std::uint64_t BatchWindow::oldest(std::uint64_t none) const { return closed_.empty() ? none : closed_[0].sequence; }

}  // namespace ringfort::shard
