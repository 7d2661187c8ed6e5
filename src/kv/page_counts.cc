#include "kv/page_counts.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/assertion.h"

namespace ringfort::kv {

bool PageCounts::Kept::is_of(const api::Interval& interval, api::Revision revision) const {
    if (at != revision || begin_bytes != interval.begin.size() || endless == interval.end.has_value()) {
        return false;
    }
    const std::string_view both = keys;
    return both.substr(0, begin_bytes) == interval.begin && (endless || both.substr(begin_bytes) == *interval.end);
}

// The newest first: what is asked for was mostly left just before.
const PageCounts::Kept* PageCounts::Shelf::find(const api::Interval& interval, api::Revision at) const {
    const auto found = std::find_if(kept.rbegin(), kept.rend(), [&](const Kept& one) { return one.is_of(interval, at); });
    return found == kept.rend() ? nullptr : &*found;
}

void PageCounts::Shelf::add(Kept one) {
    key_bytes += one.keys.size();
    kept.push_back(std::move(one));
    while (kept.size() > counts_max || key_bytes > key_bytes_max) {
        key_bytes -= kept.front().keys.size();
        kept.pop_front();
    }
    ASSERT(!kept.empty());
}

void PageCounts::Shelf::forget_below(api::Revision revision) {
    std::erase_if(kept, [&](const Kept& one) { return one.at < revision; });
    key_bytes = 0;
    for (const Kept& one : kept) {
        key_bytes += one.keys.size();
    }
}

std::optional<std::uint64_t> PageCounts::find(const api::Interval& interval, api::Revision at) const {
    const Kept* one = of_pages_.find(interval, at);
    if (one == nullptr) {
        one = of_tree_.find(interval, at);
    }
    return one != nullptr ? std::optional(one->count) : std::nullopt;
}

void PageCounts::add(Source source, const api::Interval& interval, api::Revision at, std::uint64_t count) {
    ASSERT(!interval.empty());
    if (const auto known = find(interval, at)) {
        ASSERT(*known == count);
        return;
    }
    std::string keys(interval.begin);
    keys += interval.end.value_or(std::string_view{});
    if (keys.size() <= key_bytes_max) {
        Shelf& shelf = source == Source::tree ? of_tree_ : of_pages_;
        shelf.add({at, count, std::move(keys), interval.begin.size(), !interval.end});
    }
}

void PageCounts::forget_below(api::Revision revision) {
    of_tree_.forget_below(revision);
    of_pages_.forget_below(revision);
}

}  // namespace ringfort::kv
