#include "shard/follower_reads.h"

#include <algorithm>

#include "base/mark.h"
#include "base/mutant.h"
#include "shard/peer_links.h"
#include "shard/replica.h"
#include "shard/router.h"

namespace ringfort::shard {

namespace {

constexpr std::size_t questions_out_max = 2;   // of one range
// From the question to the moment its reads may be served.
constexpr Duration give_up_after = 50ms;
constexpr Duration probe_interval = 50ms;
constexpr Duration caught_up_within = 25ms;
constexpr std::size_t spare_max = 16;
constexpr std::size_t spare_reads_max = 4096;

}  // namespace

FollowerReads::FollowerReads(Context& context) : context_(context), nonce_(context.prng.next()) {}

// ------------------------------------------------------------------------------------------------ taking reads

bool FollowerReads::add(Replica& replica, const PendingRead& read) {
    if (way_to_leader(replica) == nullptr || replica.out_of_service() || reads_ >= context_.config.bounds.follower_reads ||
        held_bytes_ + read.body.size() > context_.config.bounds.follower_read_bytes) {
        return false;
    }
    Group& group = group_of(replica);
    if (group.behind) {
        probe(group);
        return false;
    }
    cancels_.take(read.origin);
    Batch& batch = open_batch(group);
    held_bytes_ -= batch.arena.used_bytes();
    batch.reads.push_back(copy_of(read, batch.arena));
    held_bytes_ += batch.arena.used_bytes();
    reads_++;
    return true;
}

// Null: there is nobody to ask, or this replica's word counts for nothing.
Link* FollowerReads::way_to_leader(const Replica& replica) const {
    const NodeId leader = replica.raft().leader();
    if (!leader || leader == context_.config.self || replica.raft().in_doubt()) {
        return nullptr;
    }
    Link* link = context_.links->link_of(replica, leader);
    return link != nullptr && link->alive() ? link : nullptr;
}

FollowerReads::Group& FollowerReads::group_of(Replica& replica) {
    const auto at = std::lower_bound(groups_.begin(), groups_.end(), replica.range(),
                                     [](const auto& group, RangeId id) { return group->replica->range() < id; });
    if (at != groups_.end() && (*at)->replica == &replica) {
        return **at;
    }
    auto group = std::make_unique<Group>();
    group->replica = &replica;
    return **groups_.insert(at, std::move(group));
}

FollowerReads::Group* FollowerReads::find(RangeId range) {
    const auto at = std::lower_bound(groups_.begin(), groups_.end(), range,
                                     [](const auto& group, RangeId id) { return group->replica->range() < id; });
    return at != groups_.end() && (*at)->replica->range() == range ? at->get() : nullptr;
}

FollowerReads::Batch& FollowerReads::open_batch(Group& group) {
    if (!group.batches.empty() && group.batches.back()->stage == Stage::open) {
        return *group.batches.back();
    }
    if (spare_.empty()) {
        spare_.push_back(std::make_unique<Batch>());
    }
    group.batches.push_back(std::move(spare_.back()));
    spare_.pop_back();
    group.batches.back()->number = ++batches_opened_;
    if (!group.active) {
        group.active = true;
        active_.push_back(&group);
    }
    return *group.batches.back();
}

// Finds out whether a replica that was behind has caught up, at nobody's cost.
void FollowerReads::probe(Group& group) {
    if (context_.now >= group.probe_at) {
        group.probe_at = context_.now + probe_interval;
        open_batch(group);
    }
}

// ------------------------------------------------------------------------------------------------ answers

void FollowerReads::on_answer(const Link& link, const wire::ReadIndexAnswer& answer) {
    for (const wire::ReadIndexAnswerItem& item : answer.items) {
        Group* group = find(item.range);
        if (group == nullptr) {
            continue;
        }
        for (const auto& batch : group->batches) {
            // One that was given up, or asked anew elsewhere, does not wait for this any more.
            const bool answered = batch->round == answer.round || MUTANT(answer_to_earlier_question);
            if (batch->stage == Stage::asked && answered && batch->term == item.term &&
                batch->leader == link.node()) {
                batch->index = item.index;
                batch->stage = item.index ? Stage::known : Stage::leaving;
            }
        }
    }
}

void FollowerReads::list_pools(PoolList& out) const {
    out.push_back({"reads that wait at a follower", reads_, context_.config.bounds.follower_reads});
    out.push_back({"bytes of reads that wait at a follower", held_bytes_,
                   context_.config.bounds.follower_read_bytes + limits::decoded_bytes_max});
    out.push_back({"ranges with reads that wait at a follower", active_.size()});
    out.push_back({"cancels of reads at a follower", cancels_.size(), EarlyCancels::count_max});
}

void FollowerReads::on_cancel(const Origin& origin) {
    if (reads_ > 0) {
        cancels_.note(origin);
    }
}

// ------------------------------------------------------------------------------------------------ the turn

bool FollowerReads::run() {
    if (context_.halted) {
        return false;
    }
    bool more = false;
    PartBudget budget(context_.work, TurnPart::follower_reads);
    for (Group* group : active_) {
        look_at(*group);
    }
    for (std::size_t i = 0; i < active_.size() && !budget.spent(); i++) {
        if (work(*active_[i], budget)) {
            continue;
        }
        // The others begin next time.
        more = true;
        std::rotate(active_.begin(), active_.begin() + static_cast<std::ptrdiff_t>(i + 1), active_.end());
        break;
    }
    more |= budget.spent();
    for (Group* group : active_) {
        retire(*group);
    }
    std::erase_if(active_, [](const Group* group) { return !group->active; });
    forget_cancels();
    ask();
    return more;
}

// Whether the question may still be answered by whom it was put to.
bool FollowerReads::stands(const Group& group, const Batch& batch) const {
    const raft::Raft& raft = group.replica->raft();
    return raft.term() == batch.term && raft.leader() == batch.leader && way_to_leader(*group.replica) != nullptr;
}

void FollowerReads::look_at(Group& group) {
    for (const auto& batch : group.batches) {
        const bool late = context_.now - batch->asked_at >= give_up_after;
        switch (batch->stage) {
            case Stage::open:
                if (way_to_leader(*group.replica) == nullptr) {
                    batch->stage = Stage::leaving;
                }
                break;
            case Stage::asked:
                if (!stands(group, *batch)) {
                    MARK("follower read outlives its leader");
                    batch->stage = Stage::leaving;
                } else if (late) {
                    give_up(group);
                    return;
                }
                break;
            case Stage::known:
                if (group.replica->applied() >= batch->index || MUTANT(follower_reads_before_applied)) {
                    batch->stage = Stage::serving;
                    group.behind = group.behind && context_.now - batch->asked_at > caught_up_within;
                } else if (late) {
                    give_up(group);
                    return;
                }
                break;
            case Stage::serving:
            case Stage::leaving: break;
        }
    }
}

void FollowerReads::give_up(Group& group) {
    group.behind = true;
    group.probe_at = context_.now + probe_interval;
    MARK("follower read given up: behind");
    counters_.given_up++;
    for (const auto& batch : group.batches) {
        if (batch->stage != Stage::serving) {
            batch->stage = Stage::leaving;
        }
    }
}

// false: there is more to do than the budget permits.
bool FollowerReads::work(Group& group, WorkBudget& budget) {
    return std::all_of(group.batches.begin(), group.batches.end(),
                       [&](const auto& batch) { return work_off(group, *batch, budget); });
}

bool FollowerReads::work_off(Group& group, Batch& batch, WorkBudget& budget) {
    if (batch.stage != Stage::serving && batch.stage != Stage::leaving) {
        return true;
    }
    const bool serves = batch.stage == Stage::serving;
    for (; batch.done < batch.reads.size() && !budget.spent(); batch.done++) {
        const PendingRead& read = batch.reads[batch.done];
        reads_--;
        if (cancels_.take(read.origin)) {
            budget.take(1, 0);
            context_.router->answer_error(read.origin, api::Errc::cancelled, "", group.replica->header());
        } else if (serves) {
            counters_.served++;
            context_.router->serve_read(*group.replica, read, budget);
        } else {
            counters_.passed_on++;
            budget.take(1, static_cast<std::int64_t>(read.body.size()));
            context_.router->pass_on(*group.replica, read);
        }
    }
    return batch.done == batch.reads.size();
}

// Takes away batches that are through.
void FollowerReads::retire(Group& group) {
    for (auto& batch : group.batches) {
        const bool ends = batch->stage == Stage::serving || batch->stage == Stage::leaving;
        if (!ends || batch->done < batch->reads.size()) {
            continue;
        }
        held_bytes_ -= batch->arena.used_bytes();
        batch->arena.reset();
        batch->reads.clear();
        batch->done = 0;
        batch->stage = Stage::open;
        if (spare_.size() < spare_max && batch->reads.capacity() <= spare_reads_max) {
            spare_.push_back(std::move(batch));
        } else {
            batch.reset();
        }
    }
    std::erase(group.batches, nullptr);
    group.active = !group.batches.empty();
}

void FollowerReads::forget_cancels() {
    if (reads_ == 0) {
        cancels_.clear();
    }
    if (cancels_.empty()) {
        return;
    }
    std::uint64_t oldest = batches_opened_;
    for (const Group* group : active_) {
        oldest = std::min(oldest, group->batches.front()->number);
    }
    cancels_.forget(oldest, batches_opened_);
}

// ------------------------------------------------------------------------------------------------ questions

void FollowerReads::ask() {
    questions_.clear();
    for (Group* group : active_) {
        const auto out = static_cast<std::size_t>(
            std::count_if(group->batches.begin(), group->batches.end(), [](const auto& batch) {
                return batch->stage == Stage::asked || batch->stage == Stage::known;
            }));
        Batch& batch = *group->batches.back();
        if (batch.stage != Stage::open || out >= questions_out_max) {
            continue;
        }
        if (Link* link = way_to_leader(*group->replica)) {
            const raft::Raft& raft = group->replica->raft();
            batch.leader = raft.leader();
            batch.term = raft.term();
            questions_.push_back({link, &batch, {group->replica->range(), raft.term()}});
        }
    }
    if (!questions_.empty()) {
        send_questions();
    }
}

void FollowerReads::send_questions() {
    std::stable_sort(questions_.begin(), questions_.end(),
                     [](const Question& a, const Question& b) { return a.link->id() < b.link->id(); });
    context_.want_timers(context_.now + give_up_after);
    for (auto first = questions_.begin(); first != questions_.end();) {
        const std::array<std::uint64_t, 2> round = {nonce_, next_round_++};
        items_.clear();
        auto last = first;
        for (; last != questions_.end() && last->link == first->link && items_.size() < wire::read_index_items_max;
             ++last) {
            items_.push_back(last->item);
            last->batch->round = round;
            last->batch->asked_at = context_.now;
            last->batch->stage = Stage::asked;
        }
        counters_.asked += items_.size();
        first->link->send(wire::ReadIndex{round, items_}, wire::LinkClass::control);
        first = last;
    }
}

// ------------------------------------------------------------------------------------------------ time and end

Instant FollowerReads::next_deadline() const {
    Instant next = never;
    for (const Group* group : active_) {
        for (const auto& batch : group->batches) {
            if (batch->stage == Stage::asked || batch->stage == Stage::known) {
                next = std::min(next, batch->asked_at + give_up_after);
            }
        }
    }
    return next;
}

FollowerReadsView FollowerReads::counters() const {
    FollowerReadsView view = counters_;
    view.waiting = reads_;
    return view;
}

void FollowerReads::fail_all(api::Errc code) {
    for (Group* group : active_) {
        for (const auto& batch : group->batches) {
            for (; batch->done < batch->reads.size(); batch->done++) {
                reads_--;
                context_.router->answer_error(batch->reads[batch->done].origin, code, "", group->replica->header());
            }
        }
        group->batches.clear();
        group->active = false;
        group->behind = false;
    }
    active_.clear();
    held_bytes_ = 0;
}

}  // namespace ringfort::shard
