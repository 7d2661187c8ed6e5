#include "shard/replicas.h"

#include <algorithm>

#include "shard/directory_view.h"
#include "shard/lease_keeper.h"
#include "shard/peer_links.h"
#include "shard/read_rounds.h"
#include "shard/router.h"

namespace ringfort::shard {

namespace {

// After a closed connection the survivors pre-vote almost at once; the spread only keeps them from splitting the vote.
constexpr Duration close_spread = 30ms;
// How often deadlines of pending requests are looked at.
constexpr Duration expiry_interval = 50ms;
constexpr std::size_t replica_expiries_per_turn = 1024;
constexpr Duration nudge_interval = 1s;

}  // namespace

Replicas::Replicas(Context& context) : context_(context) {}

Replica& Replicas::add(ReplicaStart&& start) {
    ASSERT(find(start.range) == nullptr);
    auto replica = std::make_unique<Replica>(context_, std::move(start));
    Replica& added = *replica;
    const auto at = std::lower_bound(replicas_.begin(), replicas_.end(), replica,
                                     [](const auto& a, const auto& b) { return a->range() < b->range(); });
    replicas_.insert(at, std::move(replica));
    context_.links->want_links_of(added);
    for (const NodeId node : added.raft().configuration().voters) {
        if (node != context_.config.self && !context_.links->alive(added, node)) {
            added.step(raft::PeerLost{node});
        }
    }
    // One whose promises were lost knows no configuration, and yet has to tell its peers of its new incarnation: what
    // they said on a link that was up before the replica was made is gone, and an idle leader says nothing more.
    if (added.raft().in_doubt()) {
        for (const PeerLinks::Peer& peer : context_.links->peers()) {
            if (context_.links->alive(added, peer.node)) {
                added.step(raft::PeerBack{peer.node});
            }
        }
        added.schedule_election(context_.config.election_timeout);
    }
    mark_active(added);
    return added;
}

Replica* Replicas::find(RangeId range) {
    const auto at = std::lower_bound(replicas_.begin(), replicas_.end(), range,
                                     [](const auto& a, RangeId id) { return a->range() < id; });
    return at != replicas_.end() && (*at)->range() == range ? at->get() : nullptr;
}

// ------------------------------------------------------------------------------------------------ durability

Replicas::DurableNote& Replicas::note_of(Replica& replica) {
    const BatchSequence batch = context_.log->open_batch();
    for (auto note = notes_.rbegin(); note != notes_.rend() && note->batch == batch; ++note) {
        if (note->replica == &replica) {
            return *note;
        }
    }
    ASSERT(notes_.empty() || notes_.back().batch <= batch);
    notes_.push_back({batch, &replica, {}, {}, {}});
    return notes_.back();
}

void Replicas::note_persisted(Replica& replica) {
    DurableNote& note = note_of(replica);
    note.last = replica.raft().last();
    note.term = replica.raft().term();
}

void Replicas::note_repaired(Replica& replica, LogIndex index) {
    note_persisted(replica);
    note_of(replica).repaired.push_back(index);
}

void Replicas::send_when_durable(BatchSequence batch, Replica& replica, const raft::Message& message) {
    ASSERT(message.entry_count == 0 || message.entries.empty());
    messages_.push_back({batch, &replica, message, {message.fetch.begin(), message.fetch.end()}});
}

void Replicas::on_durable(BatchSequence through) {
    while (!messages_.empty() && messages_.front().batch <= through) {
        DurableMessage item = std::move(messages_.front());
        messages_.pop_front();
        item.message.fetch = item.fetch_items;
        item.replica->send(item.message);
    }
    while (!notes_.empty() && notes_.front().batch <= through) {
        const DurableNote note = std::move(notes_.front());
        notes_.pop_front();
        note.replica->on_durable(note.last, note.term, note.repaired);
    }
}

// ------------------------------------------------------------------------------------------------ the turn

void Replicas::mark_active(Replica& replica) {
    if (std::find(active_.begin(), active_.end(), &replica) == active_.end()) {
        active_.push_back(&replica);
    }
}

bool Replicas::flush_and_apply() {
    working_.swap(active_);
    active_.clear();
    PartBudget budget(context_.work, TurnPart::apply);
    bool more = false;
    // One budget for all: each begins in its turn, so that a long command of one range holds up the others for one pass.
    if (!working_.empty()) {
        std::rotate(working_.begin(), working_.begin() + static_cast<std::ptrdiff_t>(passes_++ % working_.size()),
                    working_.end());
    }
    for (Replica* replica : working_) {
        replica->flush();
        if (replica->apply(budget)) {
            mark_active(*replica);
            more = true;
        }
        replica->note_caught_up();
    }
    // What apply and flush set in motion (an answer makes no work, a configuration entry may) is flushed before the
    // batch closes.
    for (std::size_t i = 0; i < active_.size(); i++) {
        active_[i]->flush();
    }
    working_.clear();
    return more;
}

void Replicas::after_close_batch() {
    for (const auto& replica : replicas_) {
        replica->after_close_batch();
    }
}

void Replicas::on_timers(Instant now) {
    for (const auto& replica : replicas_) {
        replica->on_timer(now);
    }
    if (now >= expired_at_ + expiry_interval) {
        std::size_t answers_left = replica_expiries_per_turn;
        const bool all = std::all_of(replicas_.begin(), replicas_.end(),
                                     [&](const auto& replica) { return replica->expire(now, answers_left); });
        expired_at_ = all ? now : expired_at_;
    }
    if (now >= nudged_at_ + nudge_interval) {
        nudged_at_ = now;
        for (const auto& replica : replicas_) {
            replica->nudge();
        }
    }
}

Instant Replicas::next_deadline() const {
    Instant next = replicas_.empty() ? never : nudged_at_ + nudge_interval;
    for (const auto& replica : replicas_) {
        next = std::min(next, replica->election_at());
        if (replica->pending_count() > 0) {
            next = std::min(next, expired_at_ + expiry_interval);
        }
    }
    return next;
}

// ------------------------------------------------------------------------------------------------ news

void Replicas::on_peer_lost(NodeId peer, ShardId remote_shard, bool closed) {
    last_loss_was_close_ = closed;
    for (const auto& replica : replicas_) {
        if (context_.links->remote_shard_of(*replica, peer) == remote_shard) {
            replica->step(raft::PeerLost{peer});
        }
    }
}

void Replicas::on_peer_back(NodeId peer, ShardId remote_shard) {
    for (const auto& replica : replicas_) {
        if (context_.links->remote_shard_of(*replica, peer) == remote_shard) {
            replica->step(raft::PeerBack{peer});
        }
    }
    context_.rounds->on_peer_back();
}

Duration Replicas::election_delay(const Replica& replica, std::uint32_t attempts) const {
    if (attempts > 0) {
        return context_.config.election_timeout / 4;
    }
    if (replica.raft().configuration().voters.size() == 1) {
        return Duration(1);   // nobody to leave room for
    }
    return last_loss_was_close_ ? close_spread : context_.config.election_timeout / 5;
}

void Replicas::on_leader_known(Replica& replica) {
    context_.router->on_leader_known(replica.range());
    context_.leases->on_leader_known(replica);
    if (replica.directory()) {
        maybe_bootstrap(replica);
    }
}

void Replicas::maybe_bootstrap(Replica& replica) {
    if (replica.raft().is_leader() && !replica.directory()->bootstrapped()) {
        // A second bootstrap, by a leader that has not applied the first yet, changes nothing.
        const auto command = kv::encode_bootstrap_command(initial_directory(context_.config));
        if (!replica.propose_raw(command)) {
            context_.log_line(env::LogLevel::error, "the directory's first entry could not be proposed");
        }
    }
}

void Replicas::on_directory_applied(Replica& replica) {
    context_.router->on_directory_changed(*replica.directory());
}

void Replicas::on_unreadable(Replica& replica, LogIndex index) {
    context_.halted = true;
    context_.world.process.halt(env::Halt::corrupt,
                                "range " + std::to_string(replica.range().value) + ": log entry " +
                                    std::to_string(index.value) +
                                    " cannot be read back, and no other replica has it");
}

void Replicas::transfer_all() {
    for (const auto& replica : replicas_) {
        if (replica->raft().is_leader()) {
            replica->transfer_leadership(NodeId());
        }
    }
}

void Replicas::transfer_outpaced() {
    for (const auto& replica : replicas_) {
        replica->transfer_if_outpaced();
    }
}

void Replicas::fail_all(api::Errc code) {
    for (const auto& replica : replicas_) {
        replica->fail_pending(code);
    }
}

std::size_t Replicas::leader_count() const {
    return static_cast<std::size_t>(
        std::count_if(replicas_.begin(), replicas_.end(), [](const auto& r) { return r->raft().is_leader(); }));
}

bool Replicas::lead_any() const {
    return std::ranges::any_of(replicas_, [](const auto& r) { return r->raft().is_leader(); });
}

const Replica* Replicas::not_caught_up() const {
    const auto found = std::ranges::find_if(replicas_, [](const auto& r) { return !r->caught_up(); });
    return found == replicas_.end() ? nullptr : found->get();
}

void Replicas::list_pools(PoolList& out) const {
    // A batch holds something of each replica at most once, and batches are open, closed or in flight.
    out.push_back({"what is to be durable", notes_.size(), (limits::batches_in_flight_max + 2) * replicas_.size()});
    out.push_back({"messages that wait for a flush", messages_.size()});
    for (const auto& replica : replicas_) {
        replica->list_pools(out);
    }
}

std::size_t Replicas::pending_count() const {
    std::size_t count = 0;
    for (const auto& replica : replicas_) {
        count += replica->pending_count();
    }
    return count;
}

}  // namespace ringfort::shard
