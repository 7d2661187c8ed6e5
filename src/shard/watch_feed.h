// The watches of one replica: who is told which changes, in which order.
//
// All is served from the store's history, by passes. A pass is a place in the history and the watches that have been told
// all before it; it walks on, change by change, and tells each change those of its watches that it matches. The first pass,
// the live one, is at the end of history whenever a turn ends with time to spare. A watch that has missed something waits
// until a pass is begun for it and others like it; when that has come as far as the live one its watches go over to it.
//
// A watch whose connection is behind leaves its pass and costs nobody anything; it comes back as one that has missed
// something. Every change is encoded once for all watches of a pass.
//
// The live pass pins its place in the history, so that nothing it needs vanishes, as long as it is not far behind: with more
// to tell than there is time for it would keep compaction from freeing anything. The others pin nothing. A pass ends where
// compaction overtakes it: those of its watches that need what is gone are cancelled, the others wait for another pass.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/instant.h"
#include "base/work_budget.h"
#include "kv/store.h"
#include "shard/context.h"
#include "shard/watch_index.h"
#include "shard/watcher.h"

namespace ringfort::shard {

class Replica;
class Watches;

class WatchFeed {
  public:
    WatchFeed(Context& context, Watches& watches, Replica& replica, std::uint16_t number);
    ~WatchFeed();
    WatchFeed(const WatchFeed&) = delete;
    WatchFeed& operator=(const WatchFeed&) = delete;

    Replica& replica() { return replica_; }
    // A watch that is in no list: its `next` says what it has to be told.
    void add(std::uint32_t watcher);
    // Out of its pass, or from among those pending. What it had been told there stands in its `next`.
    void remove(std::uint32_t watcher);
    // It has a mark to come: now, if it has been told everything and begins no later.
    void mark(std::uint32_t watcher);
    bool is_live(const Watcher& watcher) const {
        return watcher.state == WatcherState::in_pass && watcher.feed == number_ && watcher.pass == live_;
    }
    // Up to here everything has been told to watches of the live pass.
    api::Revision told() const { return live().next.revision - 1; }

    // Tells what there is to tell, within the budgets. true: there is more to do at once.
    struct Budgets {
        WorkBudget& live;
        WorkBudget& history;
    };
    bool run(const Budgets& budgets);
    // Kept for the live pass, whatever is compacted.
    std::uint64_t pinned_changes() const { return pinned_ ? store_->changes_end() - live().at : 0; }
    // The store is about to be replaced: everybody goes on over the next one.
    void on_store_replaced();

  private:
    // Over history at a time: so that one over much of it does not hold up who has missed little.
    static constexpr std::size_t history_passes_max = 4;
    // Besides the live one, those included that were the live one.
    static constexpr std::size_t other_passes_max = 2 * history_passes_max;
    // For so long a live pass that is behind may hold up a compaction.
    static constexpr Duration compaction_waits_max = 1s;
    static constexpr std::size_t pass_watchers_max = 64 * 1024;
    static constexpr std::size_t groups_at_once = 64;

    enum class Stage : std::uint8_t { gather, walk, leave };
    struct Pass {
        Pass(Watchers& watchers, std::uint64_t seed) : index(watchers, seed) {}

        Stage stage{Stage::walk};
        WatchIndex index;
        WatcherList list;
        // The change it is at, by number and by what it is.
        std::uint64_t at{0};
        ChangeId next{};
        // Watches that were told a part of its revision; some may have left.
        std::vector<std::uint32_t> open;
        std::size_t closing_at{0};          // of `open`, once the revision is over,
        std::size_t closing_kept{0};        // and of those before it, who are open in a later revision

        // ---- within the change at `at`
        bool in_change{false};
        bool closing{false};
        WatchIndex::After after;
        bool more_groups{false};            // behind those; who joins meanwhile is told what comes later
        std::vector<std::uint32_t> groups;  // no_slot: gone meanwhile
        std::size_t group_at{0};
        std::uint32_t watcher_at{no_slot};  // of that group, the next to be told
        // As frames with and without the former pair, once somebody wants them; while closing, the revision's end in the
        // first.
        std::array<wire::OutBuffer, 2> frames;
    };

    Pass& live() const { return *passes_[live_]; }
    std::uint8_t new_pass();
    void attach();
    void mark_begun(WorkBudget& budget);
    void begin_live();
    void pin_live();
    void unpin();
    std::size_t other_passes() const;
    bool is_overtaken(const Pass& pass) const { return pass.next.revision < store_->changes_whole_from(); }
    // false: it has to wait until other passes are over.
    bool renew_live();
    void insert(std::uint8_t pass, std::uint32_t watcher);
    bool may_join(const Pass& pass, const Watcher& watcher) const;
    // Walks to that change at most. false: the budget ended.
    bool walk(Pass& pass, std::uint64_t end, WorkBudget& budget);
    bool tell(Pass& pass, const kv::Store::Change& change, WorkBudget& budget);
    bool next_group(Pass& pass, std::string_view key, WorkBudget& budget);
    bool tell_one(Pass& pass, std::uint32_t watcher, const kv::Store::Change& change, WorkBudget& budget);
    void drop_frames(Pass& pass);
    bool close_revision(Pass& pass, WorkBudget& budget);
    bool advance(std::uint8_t number, WorkBudget& budget);
    void begin_pass();
    bool gather(std::uint8_t number, WorkBudget& budget);
    bool hand_over(std::uint8_t number, WorkBudget& budget);
    bool leave(std::uint8_t number, WorkBudget& budget);

    Context& context_;
    Watches& watches_;
    Replica& replica_;
    const std::uint16_t number_;
    kv::Store* store_{nullptr};             // null: to be looked up anew
    std::optional<api::Revision> pinned_;   // in store_; none: the live pass is too far behind
    Instant in_step_at_{};                  // when it was at the end of history last
    std::vector<std::unique_ptr<Pass>> passes_;   // by number; null: none of that
    std::uint8_t live_{0};
    std::size_t next_pass_{0};              // whose turn it is
    WatcherList pending_;
    // Of watches in the live pass that begin later: where they begin, and who has a mark to come then.
    std::set<std::pair<api::Revision, std::uint32_t>> early_;
};

}  // namespace ringfort::shard
