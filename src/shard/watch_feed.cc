#include "shard/watch_feed.h"

#include <algorithm>

#include "base/mark.h"
#include "base/mutant.h"
#include "shard/replica.h"
#include "shard/watches.h"

namespace ringfort::shard {

namespace {

// Bytes copied are cheap beside those walked.
constexpr std::int64_t copy_share = 4;
constexpr std::size_t frame_keep_bytes = 64 * kib;

}  // namespace

WatchFeed::WatchFeed(Context& context, Watches& watches, Replica& replica, std::uint16_t number)
    : context_(context), watches_(watches), replica_(replica), number_(number), live_(new_pass()) {
    attach();
}

WatchFeed::~WatchFeed() {
    unpin();
}

std::uint8_t WatchFeed::new_pass() {
    auto room = std::find(passes_.begin(), passes_.end(), nullptr);
    if (room == passes_.end()) {
        ASSERT(passes_.size() < UINT8_MAX);
        room = passes_.insert(room, nullptr);
    }
    *room = std::make_unique<Pass>(watches_.watchers(), context_.prng.next());
    return static_cast<std::uint8_t>(room - passes_.begin());
}

void WatchFeed::attach() {
    store_ = replica_.store();
    ASSERT(store_ != nullptr);
    begin_live();
    pin_live();
}

void WatchFeed::begin_live() {
    live().at = store_->changes_end();
    live().next = {store_->revision() + 1, 0};
}

void WatchFeed::pin_live() {
    const std::uint64_t behind = store_->changes_end() - live().at;
    in_step_at_ = behind == 0 ? context_.now : in_step_at_;
    const api::Revision told_now = told();
    const bool in_the_way = told_now < store_->compact_revision();
    const bool may_be_in_the_way = pinned_ && context_.now - in_step_at_ <= compaction_waits_max;
    if (behind > context_.config.bounds.watch_lag_changes || (in_the_way && !may_be_in_the_way)) {
        unpin();
    } else if (told_now != pinned_) {
        store_->pin(told_now);
        unpin();
        pinned_ = told_now;
    }
}

void WatchFeed::unpin() {
    if (pinned_) {
        store_->unpin(*pinned_);
        pinned_.reset();
    }
}

void WatchFeed::on_store_replaced() {
    if (store_ == nullptr) {
        return;   // nothing was told since the last time
    }
    unpin();
    store_ = nullptr;
    for (auto& pass : passes_) {
        if (pass) {
            pass->stage = Stage::leave;
        }
    }
    live_ = new_pass();
}

// ------------------------------------------------------------------------------------------------ in and out

// It has been told all that the pass has behind it, and will be told what is before it.
bool WatchFeed::may_join(const Pass& pass, const Watcher& watcher) const {
    return pass.in_change || pass.closing ? watcher.next > pass.next : watcher.next >= pass.next;
}

void WatchFeed::insert(std::uint8_t number, std::uint32_t slot) {
    Watcher& watcher = watches_.watchers()[slot];
    Pass& pass = *passes_[number];
    watcher.state = WatcherState::in_pass;
    watcher.pass = number;
    watches_.watchers().append(pass.list, slot);
    if (watcher.wants_changes()) {
        pass.index.insert(slot);
    }
    if (watcher.open) {
        pass.open.push_back(slot);
    }
}

void WatchFeed::add(std::uint32_t slot) {
    if (store_ == nullptr) {
        attach();
    }
    Watcher& watcher = watches_.watchers()[slot];
    if (may_join(live(), watcher)) {
        insert(live_, slot);
        mark(slot);
    } else {
        watcher.state = WatcherState::pending;
        watches_.watchers().append(pending_, slot);
    }
}

void WatchFeed::remove(std::uint32_t slot) {
    Watcher& watcher = watches_.watchers()[slot];
    if (watcher.state == WatcherState::pending) {
        watches_.watchers().remove(pending_, slot);
        return;
    }
    ASSERT(watcher.state == WatcherState::in_pass);
    Pass& pass = *passes_[watcher.pass];
    early_.erase({watcher.next.revision, slot});
    watcher.next = MUTANT(watch_forgets_its_place) ? ChangeId{pass.next.revision + 1, 0} : std::max(watcher.next, pass.next);
    if (pass.watcher_at == slot) {
        pass.watcher_at = watcher.group_next;
    }
    watches_.watchers().remove(pass.list, slot);
    const std::uint32_t gone = watcher.wants_changes() ? pass.index.erase(slot) : no_slot;
    if (gone != no_slot) {
        std::replace(pass.groups.begin() + static_cast<std::ptrdiff_t>(std::min(pass.group_at, pass.groups.size())),
                     pass.groups.end(), gone, no_slot);
    }
}

void WatchFeed::mark(std::uint32_t slot) {
    Watcher& watcher = watches_.watchers()[slot];
    // In the middle of a revision its end says as much.
    if (!watcher.progress_wanted || !is_live(watcher) || watcher.open || store_ == nullptr) {
        return;
    }
    if (watcher.next.revision > told() + 1) {
        early_.emplace(watcher.next.revision, slot);
    } else {
        const bool ahead = MUTANT(progress_runs_ahead) && live().at < store_->changes_end();
        watches_.send_mark(slot, replica_, told() + (ahead ? 1 : 0));
    }
}

// Those that began meanwhile.
void WatchFeed::mark_begun(WorkBudget& budget) {
    while (!early_.empty() && early_.begin()->first <= told() + 1 && !budget.spent()) {
        const std::uint32_t slot = early_.begin()->second;
        early_.erase(early_.begin());
        mark(slot);
        budget.take(watch_look_keys + watch_frame_keys, 0);
    }
}

// ------------------------------------------------------------------------------------------------ telling

bool WatchFeed::walk(Pass& pass, std::uint64_t end, WorkBudget& budget) {
    pass.at = std::max(pass.at, store_->changes_begin());
    // The present is kept up with; over history there is no way to go once nobody is left.
    while (pass.at < end && (pass.list.count > 0 || &pass == &live())) {
        if (budget.spent()) {
            return false;
        }
        const auto change = store_->change(pass.at);
        if (!change) {
            pass.at++;   // compaction is here: the next look at the pass ends it
            continue;
        }
        pass.next = {change->event.kv.mod_revision, change->sub};
        if (!pass.closing && !tell(pass, *change, budget)) {
            return false;
        }
        if (change->whole) {
            pass.closing = true;
            if (!close_revision(pass, budget)) {
                return false;
            }
            pass.closing = false;
            pass.next = {pass.next.revision + 1, 0};
        } else {
            pass.next.sub++;
        }
        pass.at++;
        budget.take(watch_look_keys, 0);
    }
    return true;
}

// false: the budget ended before everybody knows it.
bool WatchFeed::tell(Pass& pass, const kv::Store::Change& change, WorkBudget& budget) {
    const std::string_view key = change.event.kv.key;
    if (!pass.in_change) {
        pass.in_change = true;
        pass.after.reset();
        pass.more_groups = true;
        pass.groups.clear();
        pass.group_at = 0;
        pass.watcher_at = no_slot;
    }
    while (pass.watcher_at != no_slot || next_group(pass, key, budget)) {
        if (budget.spent()) {
            return false;
        }
        const std::uint32_t slot = pass.watcher_at;
        const std::uint32_t next = watches_.watchers()[slot].group_next;
        if (!tell_one(pass, slot, change, budget)) {
            return false;
        }
        pass.watcher_at = next;
    }
    pass.in_change = false;
    drop_frames(pass);
    return true;
}

// Large ones are not kept as room for the next.
void WatchFeed::drop_frames(Pass& pass) {
    for (wire::OutBuffer& frame : pass.frames) {
        if (frame.pending_bytes() > frame_keep_bytes) {
            frame = wire::OutBuffer();
        }
        frame.truncate(0);
    }
}

// false: there is none left with that key.
bool WatchFeed::next_group(Pass& pass, std::string_view key, WorkBudget& budget) {
    for (;;) {
        if (pass.group_at == pass.groups.size()) {
            if (!pass.more_groups) {
                return false;
            }
            pass.group_at = 0;
            pass.more_groups = pass.index.find(key, groups_at_once, pass.after, pass.groups);
            if (pass.more_groups) {
                budget.take(0, static_cast<std::int64_t>(pass.after.begin.size() + pass.after.end.size()));
            }
            if (pass.groups.empty()) {
                return false;
            }
        }
        const std::uint32_t group = pass.groups[pass.group_at++];
        if (group != no_slot) {
            pass.watcher_at = pass.index.first_of(group);
            return true;
        }
    }
}

// false: the budget ended before it was told.
bool WatchFeed::tell_one(Pass& pass, std::uint32_t slot, const kv::Store::Change& change, WorkBudget& budget) {
    budget.take(watch_look_keys, 0);
    Watcher& watcher = watches_.watchers()[slot];
    const bool removal = change.event.type == api::EventType::remove;
    if ((watcher.next > pass.next && !MUTANT(watch_told_what_it_knows)) || (removal ? watcher.no_delete : watcher.no_put)) {
        return true;
    }
    if (!watches_.takes_frames(slot)) {
        MARK("a watch falls behind");
        remove(slot);
        watches_.set_aside(slot);
        return true;
    }
    wire::OutBuffer& frame = pass.frames[watcher.prev_kv ? 1 : 0];
    if (frame.pending_bytes() == 0) {
        api::Event event = change.event;
        if (watcher.prev_kv) {
            event.prev_kv = store_->former_pair(pass.at);
        }
        api::WatchResponse told_frame;
        told_frame.events = {&event, 1};
        watches_.encode(replica_, pass.next.revision, told_frame, frame);
        budget.take(watch_frame_keys, static_cast<std::int64_t>(frame.pending_bytes()));
        if (budget.spent()) {
            return false;
        }
    }
    const bool goes_on = !change.whole && !MUTANT(revision_told_in_parts);
    watches_.send_copy(slot, frame, goes_on);
    if (goes_on && !watcher.open) {
        pass.open.push_back(slot);
    }
    watcher.open = goes_on;
    watcher.next = {pass.next.revision, pass.next.sub + 1};
    if (change.whole && watcher.progress_wanted) {
        watches_.send_mark(slot, replica_, pass.next.revision);
    }
    budget.take(watch_frame_keys, static_cast<std::int64_t>(frame.pending_bytes()) / copy_share);
    return true;
}

// Who was told some of the revision and not its last change learns that this was all. These frames are small, one a watch:
// no bound holds them up.
bool WatchFeed::close_revision(Pass& pass, WorkBudget& budget) {
    wire::OutBuffer& frame = pass.frames[0];
    for (; pass.closing_at < pass.open.size(); pass.closing_at++) {
        if (budget.spent()) {
            return false;
        }
        const std::uint32_t slot = pass.open[pass.closing_at];
        Watcher& watcher = watches_.watchers()[slot];
        const bool here = watcher.state == WatcherState::in_pass && watcher.feed == number_ &&
                          passes_[watcher.pass].get() == &pass;
        if (here && watcher.open && watcher.next.revision > pass.next.revision) {
            pass.open[pass.closing_kept++] = slot;
        } else if (here && watcher.open) {
            watcher.open = false;
            if (frame.pending_bytes() == 0) {
                watches_.encode(replica_, pass.next.revision, {}, frame);
            }
            watches_.send_copy(slot, frame, false);
            if (watcher.progress_wanted) {
                watcher.progress_wanted = false;
                watches_.send_copy(slot, frame, false);   // the one before was the revision's end
            }
            budget.take(watch_frame_keys, 0);
        }
        budget.take(watch_look_keys, 0);
    }
    pass.open.resize(pass.closing_kept);
    pass.closing_at = pass.closing_kept = 0;
    drop_frames(pass);
    return true;
}

// ------------------------------------------------------------------------------------------------ passes

bool WatchFeed::run(const Budgets& budgets) {
    if (replica_.out_of_service()) {
        return false;
    }
    if (store_ == nullptr) {
        attach();
    }
    Pass& first = live();
    if (first.list.count == 0) {
        begin_live();
        first.in_change = first.closing = false;
        first.open.clear();
        first.closing_at = first.closing_kept = 0;
        drop_frames(first);
    }
    bool more = (!pinned_ && is_overtaken(first) && !renew_live()) || !walk(live(), store_->changes_end(), budgets.live);
    mark_begun(budgets.live);
    more |= !early_.empty() && early_.begin()->first <= told() + 1;
    pin_live();
    begin_pass();
    for (std::size_t i = 0; i < passes_.size(); i++) {
        const std::size_t number = (next_pass_ + i) % passes_.size();
        if (!passes_[number] || number == live_) {
            continue;
        }
        if (budgets.history.spent()) {
            next_pass_ = number;
            return true;
        }
        more |= advance(static_cast<std::uint8_t>(number), budgets.history);
    }
    return more || pending_.count > 0;
}

// true: it has more to do.
bool WatchFeed::advance(std::uint8_t number, WorkBudget& budget) {
    Pass& pass = *passes_[number];
    if (pass.stage == Stage::gather && !gather(number, budget)) {
        return true;
    }
    if (pass.stage == Stage::walk && is_overtaken(pass)) {
        MARK("compaction overtakes a watch");
        pass.stage = Stage::leave;
    }
    if (pass.stage == Stage::walk) {
        return !walk(pass, live().at, budget) || !hand_over(number, budget);
    }
    return !leave(number, budget);
}

std::size_t WatchFeed::other_passes() const {
    return passes_.size() - 1 - static_cast<std::size_t>(std::count(passes_.begin(), passes_.end(), nullptr));
}

// Whoever is in it and has missed nothing is in the next one soon.
bool WatchFeed::renew_live() {
    if (other_passes() >= other_passes_max) {
        return false;
    }
    MARK("compaction overtakes the present");
    live().stage = Stage::leave;
    live_ = new_pass();
    begin_live();
    return true;
}

void WatchFeed::begin_pass() {
    const bool one_gathers = std::any_of(passes_.begin(), passes_.end(), [](const auto& pass) {
        return pass != nullptr && pass->stage == Stage::gather;
    });
    if (pending_.count > 0 && !one_gathers && other_passes() < history_passes_max) {
        Pass& pass = *passes_[new_pass()];
        pass.stage = Stage::gather;
        pass.next = {INT64_MAX, 0};
    }
}

// Takes in those that have missed something. true: all it will have.
bool WatchFeed::gather(std::uint8_t number, WorkBudget& budget) {
    Pass& pass = *passes_[number];
    const api::Revision from = store_->changes_whole_from();
    while (pending_.count > 0 && pass.list.count < pass_watchers_max) {
        if (budget.spent()) {
            return false;
        }
        const std::uint32_t slot = pending_.first;
        Watcher& watcher = watches_.watchers()[slot];
        take_move(budget, watcher);
        if (watcher.next.revision < from && !MUTANT(watch_survives_compaction)) {
            MARK("a watch is cancelled by compaction");
            watches_.cancel_compacted(slot, replica_, from);
            continue;
        }
        watches_.watchers().remove(pending_, slot);
        if (may_join(live(), watcher)) {
            insert(live_, slot);
            mark(slot);
            continue;
        }
        pass.next = std::min(pass.next, watcher.next);
        insert(number, slot);
    }
    pass.stage = Stage::walk;
    pass.at = pass.list.count == 0 ? live().at : store_->first_change(pass.next.revision);
    pass.next = {pass.next.revision, 0};
    MARK("a pass over history begins");
    return true;
}

// Where the live pass is, its watches become that one's. true: the pass is over.
bool WatchFeed::hand_over(std::uint8_t number, WorkBudget& budget) {
    Pass& pass = *passes_[number];
    Pass& target = live();
    while (pass.list.count > 0) {
        if (budget.spent() || target.in_change || target.closing) {
            return false;
        }
        const std::uint32_t slot = pass.list.first;
        take_move(budget, watches_.watchers()[slot]);
        remove(slot);
        if (MUTANT(watch_loses_at_hand_over)) {
            watches_.watchers()[slot].next.revision++;
        }
        insert(live_, slot);
        mark(slot);
    }
    passes_[number].reset();
    return true;
}

// Its watches wait for another pass.
bool WatchFeed::leave(std::uint8_t number, WorkBudget& budget) {
    Pass& pass = *passes_[number];
    while (pass.list.count > 0) {
        if (budget.spent()) {
            return false;
        }
        const std::uint32_t slot = pass.list.first;
        take_move(budget, watches_.watchers()[slot]);
        remove(slot);
        watches_.watchers()[slot].state = WatcherState::pending;
        watches_.watchers().append(pending_, slot);
    }
    passes_[number].reset();
    return true;
}

}  // namespace ringfort::shard
