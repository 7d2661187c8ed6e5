#include "kv/garbage_queue.h"

#include <algorithm>

#include "base/assertion.h"

namespace ringfort::kv {

void GarbageQueue::append(Version* version) {
    if (last_ == nullptr || last_at_ == chunk_entries) {
        auto* chunk = static_cast<Chunk*>(slab_.allocate(sizeof(Chunk)));
        chunk->next = nullptr;
        if (last_ == nullptr) {
            first_ = chunk;
            first_at_ = 0;
        } else {
            last_->next = chunk;
        }
        last_ = chunk;
        last_at_ = 0;
    }
    last_->entry[last_at_++] = version;
    size_++;
}

void GarbageQueue::load(Version* version) {
    ASSERT(size_ == 0);
    loaded_.push_back({version->mod, version->sub, version});
    std::push_heap(loaded_.begin(), loaded_.end(), later);
}

Version* GarbageQueue::front() const {
    ASSERT(!empty());
    return loaded_.empty() ? first_->entry[first_at_] : loaded_.front().version;
}

void GarbageQueue::pop() {
    ASSERT(!empty());
    if (!loaded_.empty()) {
        std::pop_heap(loaded_.begin(), loaded_.end(), later);
        loaded_.pop_back();
        return;
    }
    first_at_++;
    size_--;
    if (first_ == last_ && size_ == 0) {
        slab_.release(first_, sizeof(Chunk));
        first_ = last_ = nullptr;
    } else if (first_at_ == chunk_entries) {
        Chunk* next = first_->next;
        slab_.release(first_, sizeof(Chunk));
        first_ = next;
        first_at_ = 0;
    }
}

bool GarbageQueue::dismantle(WorkBudget& budget) {
    for (; !loaded_.empty() && !budget.spent(); budget.take(1, 0)) {
        loaded_.pop_back();
    }
    return loaded_.empty();
}

}  // namespace ringfort::kv
