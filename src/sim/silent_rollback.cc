#include "sim/silent_rollback.h"

#include <algorithm>
#include <utility>

#include "base/assertion.h"

namespace ringfort::sim {

namespace {

constexpr Duration patience = 5s;

}  // namespace

bool SilentRollback::begin(FaultKind how, std::size_t node) {
    SimNode& victim = cluster_.node(node);
    if (node_ || cluster_.node_count() < 3 || !victim.instance()) {
        return false;
    }
    node_ = node;
    how_ = how;
    instance_ = victim.instance();
    if (how == FaultKind::lying_flush) {
        victim.media().set_lying(true);
    } else {
        copy_ = victim.media().copy();
    }
    return true;
}

bool SilentRollback::end_life() {
    if (!node_) {
        return false;
    }
    SimNode& victim = cluster_.node(*node_);
    // What another process said before the one that runs is in that one's log, if it was true.
    if (!victim.running() || !victim.ready() || victim.instance() != instance_) {
        call_off();
        return false;
    }
    forgotten_ = victim.inspect();
    victim.kill();
    give_up_at_ = cluster_.queue().now() + patience;
    return true;
}

SilentRollback::Step SilentRollback::go_back() {
    SimNode& victim = cluster_.node(*node_);
    if (victim.running() || victim.starting() || !victim.powered() || victim.instance() != instance_ ||
        cluster_.queue().now() >= give_up_at_) {
        call_off();
        return Step::called_off;
    }
    if (!victim.media().quiet() || !others_hold_it()) {
        return Step::wait;
    }
    if (how_ == FaultKind::lying_flush) {
        victim.cut_power(cluster_.options().keep_per_million, SimNode::Claims::lost);
        victim.power_on();
    } else {
        victim.media().put_back(copy_);
    }
    gone_back_ = node_;
    to_make_good_ = std::move(forgotten_);
    call_off();
    return Step::done;
}

void SilentRollback::call_off() {
    if (node_) {
        cluster_.node(*node_).media().set_lying(false);
    }
    node_.reset();
    copy_.clear();
    forgotten_.clear();
}

bool SilentRollback::made_good() {
    if (!gone_back_) {
        return true;
    }
    SimNode& node = cluster_.node(*gone_back_);
    const auto views = node.running() && node.ready() ? node.inspect() : std::vector<shard::ReplicaView>{};
    const bool all = std::ranges::all_of(to_make_good_, [&](const shard::ReplicaView& forgotten) {
        return std::ranges::any_of(views, [&](const shard::ReplicaView& view) {
            return view.range == forgotten.range && !view.in_doubt && view.durable.term >= forgotten.term &&
                   view.durable.index >= forgotten.last.index;
        });
    });
    if (all) {
        gone_back_.reset();
        to_make_good_.clear();
    }
    return all;
}

// Who holds an entry of the term the node was in, or of a later one, at or behind the end of the node's log, has all that
// was committed with the node's help: the log of that term's leader had it (Raft 5.4.3), and agrees up to there. Nobody
// who has that term durable votes in it, or in an earlier one, for anybody else. A log with damaged entries may miss
// just those that the node has.
bool SilentRollback::others_hold_it() {
    std::vector<std::size_t> without(forgotten_.size(), 1);   // by range: the node itself
    for (std::size_t i = 0; i < cluster_.node_count(); i++) {
        if (i == *node_) {
            continue;
        }
        const auto views = cluster_.node(i).running() ? cluster_.node(i).inspect() : std::vector<shard::ReplicaView>{};
        for (std::size_t r = 0; r < forgotten_.size(); r++) {
            const shard::ReplicaView& forgotten = forgotten_[r];
            const auto held = std::find_if(views.begin(), views.end(), [&](const shard::ReplicaView& view) {
                return view.range == forgotten.range && !view.in_doubt && !view.damaged &&
                       view.durable.term >= forgotten.term && view.durable.index >= forgotten.last.index;
            });
            without[r] += held == views.end() ? 1U : 0U;
        }
    }
    const std::size_t minority = (cluster_.node_count() - 1) / 2;
    return std::all_of(without.begin(), without.end(), [&](std::size_t count) { return count <= minority; });
}

}  // namespace ringfort::sim
