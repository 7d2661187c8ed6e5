// What a read that its limit cut off leaves for the next page: how many keys the rest of its interval holds at its revision.
//
// The tree counts the newest revision alone, and whoever reads page by page stays at the revision of the first one: without
// these counts each page behind a write would walk all the rest for its own, n keys in n*n/page steps. Clients ask for the
// next page from the last key and a zero byte on, to the same end, at the same revision (backward: to the last key), and
// that is the interval kept here. How many keys an interval holds at a revision is a fact that no write changes: so it
// serves every read of that interval and revision, whatever its limit, order and filters. Commands neither leave nor look
// for counts: replicas have different ones.
//
// Two other ways were weighed. To correct the count of today by the changes since, which the history has, needs no memory
// and helps any interval, but a page costs a miss of memory for each write since the first. To keep the counts in
// the nodes of the tree by revision makes each write copy a path of it.
//
// Bounded: the oldest go first, because a count is asked for soon and once, or never. Whoever finds none walks.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "api/key_range.h"
#include "base/bytes.h"

namespace ringfort::kv {

class PageCounts {
  public:
    // Counts that the tree gave cost nothing, every limited read leaves one, and few are asked for: they do not displace
    // those of readers who are behind a write.
    enum class Source : std::uint8_t { tree, page };

    // Of each source.
    static constexpr std::size_t counts_max = 128;
    static constexpr std::size_t key_bytes_max = 64 * kib;

    std::optional<std::uint64_t> find(const api::Interval& interval, api::Revision at) const;
    // One whose keys do not fit is not kept. Requires: the interval is not empty.
    void add(Source source, const api::Interval& interval, api::Revision at, std::uint64_t count);
    // Those of revisions below, which nobody can read any more.
    void forget_below(api::Revision revision);

    std::uint64_t bytes() const { return of_tree_.bytes() + of_pages_.bytes(); }
    static constexpr std::uint64_t bytes_max() { return 2 * (counts_max * sizeof(Kept) + key_bytes_max); }

  private:
    // The keys lie behind one another: one block of memory.
    struct Kept {
        api::Revision at;
        std::uint64_t count;
        std::string keys;
        std::size_t begin_bytes;
        bool endless;

        bool is_of(const api::Interval& interval, api::Revision revision) const;
    };
    struct Shelf {
        std::deque<Kept> kept;      // oldest first
        std::size_t key_bytes{0};   // of them all

        const Kept* find(const api::Interval& interval, api::Revision at) const;
        void add(Kept one);
        void forget_below(api::Revision revision);
        std::uint64_t bytes() const { return kept.size() * sizeof(Kept) + key_bytes; }
    };

    Shelf of_tree_;
    Shelf of_pages_;
};

}  // namespace ringfort::kv
