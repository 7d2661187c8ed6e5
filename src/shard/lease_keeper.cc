#include "shard/lease_keeper.h"

#include <algorithm>
#include <utility>

#include "base/mark.h"
#include "base/mutant.h"
#include "shard/replica.h"
#include "shard/replicas.h"
#include "shard/router.h"
#include "shard/streams.h"
#include "wire/client_codec.h"

namespace ringfort::shard {

namespace {

// More than this between two looks at the clock is a stop in which nobody was heard.
constexpr Duration counted_at_once = 500ms;
constexpr Duration tick_interval = 1s;
constexpr Duration look_interval = kv::LeaseTable::wheel_slot;
// Expiries proposed at a time in a range; the others wait in the wheel.
constexpr std::size_t expiring_max = 1024;
constexpr std::size_t late_answers_per_turn = 1024;
constexpr std::int64_t second_ns = 1'000'000'000;

// Of what the keeper proposes for itself; keep-alives have the number of their batch.
constexpr std::uint64_t own_token = 0;

// etcd's: one and a half election timeouts, in whole seconds.
std::int64_t least_ttl(Duration election_timeout) {
    return div_ceil<std::int64_t>(election_timeout.count() * 3 / 2, second_ns);
}

}  // namespace

LeaseKeeper::LeaseKeeper(Context& context) : context_(context) {}

// ------------------------------------------------------------------------------------------------ the clock

LeaseKeeper::Clock& LeaseKeeper::clock_of(const Replica& replica) {
    auto found = std::find_if(clocks_.begin(), clocks_.end(),
                              [&](const Clock& clock) { return clock.range == replica.range(); });
    if (found == clocks_.end()) {
        clocks_.push_back({});
        found = clocks_.end() - 1;
        found->range = replica.range();
    }
    if (const Term term = replica.raft().term(); found->term != term) {
        found->term = term;
        found->looked_at = context_.now;
        found->reading = replica.store()->lease_clock();
        found->heard = true;
        found->spoke = false;
    }
    return *found;
}

// Not while the log has no room: keep-alives wait where they are then, and nobody's time runs out meanwhile.
bool LeaseKeeper::hears(const Replica& replica) const {
    return context_.router->accepting() && std::ranges::none_of(batches_, [&](const auto& batch) {
        return batch->replica == &replica && batch->state == BatchState::gathering && batch->held_up;
    });
}

kv::LeaseTime LeaseKeeper::now_of(const Replica& replica) {
    Clock& clock = clock_of(replica);
    const bool heard_before = std::exchange(clock.heard, hears(replica));
    const Duration counted = heard_before && clock.heard ? counted_at_once : Duration(0);
    const Duration passed = std::min<Duration>(context_.now - clock.looked_at, counted);
    clock.looked_at = context_.now;
    clock.reading.ns += passed.count() * (MUTANT(lease_clock_runs_fast) ? 2 : 1);
    clock.reading = std::clamp(clock.reading, replica.store()->lease_clock(), kv::LeaseTime{kv::lease_clock_max_ns});
    return clock.reading;
}

kv::LeaseStamp LeaseKeeper::stamp(const Replica& replica) {
    const kv::LeaseTime now = now_of(replica);
    return {replica.raft().term(), now};
}

void LeaseKeeper::on_leader_known(Replica& replica) {
    if (replica.store() != nullptr && replica.raft().is_leader()) {
        static_cast<void>(clock_of(replica));   // from here on this term's time counts
        next_look_ = context_.now;
        context_.want_timers(context_.now);
    }
}

// ------------------------------------------------------------------------------------------------ commands

kv::CommandBody LeaseKeeper::command_of(const api::Operation& op, const Replica& replica) {
    if (const auto* revoke = std::get_if<api::LeaseRevokeRequest>(&op)) {
        return kv::LeaseRevoke{stamp(replica), revoke->id};
    }
    const auto& grant = std::get<api::LeaseGrantRequest>(op);
    kv::LeaseGrant out{stamp(replica), grant.id, std::max(grant.ttl, least_ttl(context_.config.election_timeout))};
    while (out.id == 0 || (grant.id == 0 && replica.store()->lease(out.id))) {
        out.id = static_cast<api::LeaseId>(context_.prng.next() >> 1);
    }
    return out;
}

bool LeaseKeeper::propose_own(Replica& replica, const kv::CommandBody& body) {
    const Origin origin{OriginKind::leases, wire::ClientKind::lease_revoke, replica.range().value, own_token};
    return replica.propose(origin, replica.command_header(), body, never) == api::Errc::ok;
}

// ------------------------------------------------------------------------------------------------ keep-alives

LeaseKeeper::Batch& LeaseKeeper::gathering_batch(Replica& replica) {
    for (auto batch = batches_.rbegin(); batch != batches_.rend(); ++batch) {
        if ((*batch)->state == BatchState::gathering && (*batch)->replica == &replica) {
            return **batch;
        }
    }
    batches_.push_back(std::make_unique<Batch>());
    batches_.back()->number = next_batch_++;
    batches_.back()->replica = &replica;
    return *batches_.back();
}

api::Errc LeaseKeeper::add(Replica& replica, const Origin& origin, std::span<const api::LeaseId> ids,
                           Instant deadline) {
    // A batch is about as large as a request may be; one request always fits.
    const std::size_t ids_max = std::clamp(context_.request_bytes() / sizeof(api::LeaseId),
                                           limits::lease_keep_alive_ids_max, kv::lease_keep_alive_ids_max);
    const ShardBounds& bounds = context_.config.bounds;
    if (waiting_ >= bounds.keep_alives || waiting_ids_ + ids.size() > bounds.keep_alive_ids) {
        MARK("keep-alive refused: too many wait");
        return api::Errc::too_many_requests;
    }
    Batch* batch = &gathering_batch(replica);
    if (batch->ids.size() + ids.size() > ids_max) {
        propose(*batch);
        if (batch->state == BatchState::gathering) {
            return api::Errc::too_many_requests;
        }
        batch = &gathering_batch(replica);
    }
    batch->ids.insert(batch->ids.end(), ids.begin(), ids.end());
    batch->waiters.push_back({origin, batch->ids.size(), deadline});
    batch->deadline = std::max(batch->deadline, deadline);
    waiting_++;
    waiting_ids_ += ids.size();
    return api::Errc::ok;
}

void LeaseKeeper::propose() {
    for (std::size_t i = 0; i < batches_.size(); i++) {
        if (batches_[i]->state == BatchState::gathering) {
            propose(*batches_[i]);
        }
    }
}

// No room in the log: it goes on gathering.
void LeaseKeeper::propose(Batch& batch) {
    Replica& replica = *batch.replica;
    const Origin origin{OriginKind::leases, wire::ClientKind::lease_keep_alive, replica.range().value, batch.number};
    const kv::LeaseKeepAlive body{stamp(replica), batch.ids};
    const api::Errc code = replica.propose(origin, replica.command_header(), body, batch.deadline);
    if (code == api::Errc::ok) {
        batch.state = MUTANT(keep_alive_answered_uncommitted) ? BatchState::done : BatchState::proposed;
        clock_of(replica).spoke_at = context_.now;
    } else if (code != api::Errc::too_many_requests || !context_.log->has_space() || context_.now >= batch.deadline) {
        batch.state = BatchState::done;
        const api::Errc no_room = context_.log->has_space() ? api::Errc::timed_out : api::Errc::no_space;
        batch.code = code == api::Errc::too_many_requests ? no_room : code;
    } else {
        batch.held_up = true;
    }
}

void LeaseKeeper::on_outcome(const Origin& origin, const api::Response& response) {
    if (origin.token == own_token) {
        for (Clock& clock : clocks_) {
            if (clock.range == RangeId(origin.place) && clock.expiring > 0 && --clock.expiring == 0) {
                next_look_ = context_.now;   // there may be more whose time is over
                context_.want_timers(context_.now);
            }
        }
        return;
    }
    for (const auto& batch : batches_) {
        if (batch->number == origin.token && batch->state == BatchState::proposed) {
            const auto* error = std::get_if<api::ErrorInfo>(&response.body);
            batch->state = BatchState::done;
            batch->code = error != nullptr ? error->code : api::Errc::ok;
        }
    }
}

// true: the budget ended.
bool LeaseKeeper::answer_batch(Batch& batch, WorkBudget& budget) {
    Replica& replica = *batch.replica;
    std::size_t begin = batch.answered > 0 ? batch.waiters[batch.answered - 1].ids_end : 0;
    for (; batch.answered < batch.waiters.size(); batch.answered++) {
        if (budget.spent()) {
            return true;
        }
        const Waiter& waiter = batch.waiters[batch.answered];
        const std::span<const api::LeaseId> ids(batch.ids.begin() + static_cast<std::ptrdiff_t>(begin),
                                                batch.ids.begin() + static_cast<std::ptrdiff_t>(waiter.ids_end));
        begin = waiter.ids_end;
        waiting_ids_ -= ids.size();
        if (waiter.origin.kind == OriginKind::none) {
            continue;
        }
        waiting_--;
        budget.take(1 + static_cast<std::int64_t>(ids.size()), 0);
        if (batch.code != api::Errc::ok) {
            context_.router->answer_error(waiter.origin, batch.code, "", replica.header());
            continue;
        }
        context_.answer_arena.reset();
        const auto ttls = context_.answer_arena.make_array<std::int64_t>(ids.size());
        for (std::size_t i = 0; i < ids.size(); i++) {
            const auto lease = replica.store()->lease(ids[i]);
            ttls[i] = lease ? lease->ttl : 0;
        }
        context_.router->answer(waiter.origin, replica.header(), api::LeaseKeepAliveResponse{ttls});
    }
    return false;
}

// A batch waits as long as the last of its waiters, each of them no longer than it said: some a turn are told so.
void LeaseKeeper::answer_late(Instant now) {
    std::size_t answers_left = late_answers_per_turn;
    for (const auto& batch : batches_) {
        if (batch->state == BatchState::done) {
            continue;
        }
        for (Waiter& waiter : batch->waiters) {
            if (waiter.origin.kind == OriginKind::none || waiter.deadline > now) {
                continue;
            }
            if (answers_left == 0) {
                next_look_ = now;
                return;
            }
            answers_left--;
            context_.router->answer_error(waiter.origin, api::Errc::timed_out, "", batch->replica->header());
            waiter.origin.kind = OriginKind::none;
            waiting_--;
        }
    }
}

bool LeaseKeeper::run() {
    PartBudget budget(context_.work, TurnPart::keep_alives);
    for (const auto& batch : batches_) {
        if (batch->state == BatchState::done && answer_batch(*batch, budget)) {
            return true;
        }
    }
    std::erase_if(batches_, [](const auto& batch) {
        return batch->state == BatchState::done && batch->answered == batch->waiters.size();
    });
    return false;
}

// ------------------------------------------------------------------------------------------------ expiry

void LeaseKeeper::on_timers(Instant now) {
    if (now < next_look_) {
        return;
    }
    next_look_ = now + look_interval;
    answer_late(now);
    if (context_.stopping) {
        return;
    }
    propose();   // what was heard in this turn is heard before anything ends
    PartBudget budget(context_.work, TurnPart::expiry);
    const auto& replicas = context_.replicas->all();
    const std::size_t first = first_;
    for (std::size_t i = 0; i < replicas.size(); i++) {
        Replica& replica = *replicas[(first + i) % replicas.size()];
        if (replica.store() == nullptr || replica.store()->lease_count() == 0 || replica.out_of_service() ||
            !replica.raft().accepts_proposals()) {
            continue;
        }
        const bool spent_before = budget.spent();
        keep(replica, now, budget);
        if (budget.spent() && !spent_before) {
            first_ = (first + i + 1) % replicas.size();   // the others begin next time,
            next_look_ = now;                             // which is soon
        }
    }
}

void LeaseKeeper::keep(Replica& replica, Instant now, WorkBudget& budget) {
    Clock& clock = clock_of(replica);
    static_cast<void>(now_of(replica));   // it is looked at often enough to count everything
    // Where nothing is committed for long, nothing more is asked for: what was proposed stands in the log.
    if (clock.expiring > 0) {
        return;
    }
    const bool known = replica.store()->lease_term() == clock.term;
    if (!clock.spoke || now - clock.spoke_at >= tick_interval) {
        ids_.clear();
        if (MUTANT(new_leader_renews_leases) && !clock.spoke) {
            WorkBudget all{INT64_MAX, INT64_MAX};
            static_cast<void>(list(replica, {}, all));
        }
        const kv::CommandBody tick = ids_.empty() ? kv::CommandBody(kv::LeaseTick{stamp(replica)})
                                                  : kv::CommandBody(kv::LeaseKeepAlive{stamp(replica), ids_});
        if (propose_own(replica, tick)) {
            clock.spoke = true;
            clock.spoke_at = now;
            clock.expiring++;
        }
    }
    if (known && !budget.spent()) {
        expire(replica, clock, budget);
    }
}

// More is looked for once all that was proposed has its outcome (on_outcome()).
void LeaseKeeper::expire(Replica& replica, Clock& clock, WorkBudget& budget) {
    expired_.clear();
    static_cast<void>(replica.store()->find_expired(now_of(replica), budget, expiring_max, expired_));
    budget.take(static_cast<std::int64_t>(expired_.size()), 0);
    for (const kv::Store::ExpiredLease& lease : expired_) {
        // What is not proposed now is found again.
        if (propose_own(replica, kv::LeaseExpire{stamp(replica), lease.id, lease.version})) {
            clock.spoke_at = context_.now;
            clock.expiring++;
        }
    }
}

Instant LeaseKeeper::next_deadline() const {
    const bool kept = std::ranges::any_of(context_.replicas->all(), [](const auto& replica) {
        return replica->store() != nullptr && replica->store()->lease_count() > 0 && replica->raft().is_leader();
    });
    const bool gathering = std::ranges::any_of(
        batches_, [](const auto& batch) { return batch->state == BatchState::gathering; });
    return gathering ? context_.now : kept || waiting_ > 0 ? next_look_ : never;
}

// ------------------------------------------------------------------------------------------------ reads

void LeaseKeeper::serve(Replica& replica, const PendingRead& read, WorkBudget& budget) {
    context_.answer_arena.reset();
    const auto request = wire::decode_request(read.origin.request, read.body, context_.answer_arena);
    ASSERT(request.has_value());   // it was when it was taken
    budget.take(0, static_cast<std::int64_t>(read.body.size()));
    const auto* lease = std::get_if<api::LeaseTimeToLiveRequest>(&request->op);
    const auto question = lease != nullptr ? HeldReads::Question(*lease) : std::get<api::LeaseListRequest>(request->op);
    if (replica.store()->applying() || !context_.router->takes_answers(read.origin)) {
        MARK("read of leases is held back");
        context_.streams->hold(replica, read.origin, question, read.deadline);
        return;
    }
    answer(replica, read.origin, question, budget);
}

void LeaseKeeper::answer(Replica& replica, const Origin& origin, const HeldReads::Question& question,
                         WorkBudget& budget) {
    if (const auto* lease = std::get_if<api::LeaseTimeToLiveRequest>(&question)) {
        context_.router->answer(origin, replica.header(), time_to_live(replica, *lease, budget));
    } else {
        context_.router->answer(origin, replica.header(), list(replica, std::get<api::LeaseListRequest>(question), budget));
    }
}

api::LeaseTimeToLiveResponse LeaseKeeper::time_to_live(Replica& replica, const api::LeaseTimeToLiveRequest& request,
                                                       WorkBudget& budget) {
    api::LeaseTimeToLiveResponse out;
    out.id = request.id;
    out.ttl = -1;
    const auto lease = replica.store()->lease(request.id);
    if (!lease) {
        return out;
    }
    // Whoever no longer leads has heard so after the read was confirmed: what it counted so far is good.
    const kv::LeaseTime now = replica.raft().is_leader() ? now_of(replica) : replica.store()->lease_clock();
    out.ttl = std::max<std::int64_t>(lease->deadline.ns - now.ns, 0) / second_ns;
    out.granted_ttl = lease->ttl;
    if (request.keys) {
        keys_.clear();
        out.more = replica.store()->list_lease_keys(request.id, request.from_key,
                                                    {limits::lease_list_keys_max, limits::lease_list_key_bytes}, keys_);
        out.keys = keys_;
        for (const std::string_view key : keys_) {
            budget.take(1, static_cast<std::int64_t>(key.size()));
        }
    }
    return out;
}

api::LeaseListResponse LeaseKeeper::list(Replica& replica, const api::LeaseListRequest& request, WorkBudget& budget) {
    ids_.clear();
    const auto after = request.has_after ? std::optional(request.after) : std::nullopt;
    const bool more = replica.store()->list_leases(after, limits::lease_list_ids_max, ids_);
    budget.take(static_cast<std::int64_t>(ids_.size()), static_cast<std::int64_t>(ids_.size() * sizeof(api::LeaseId)));
    return {ids_, more};
}

// ------------------------------------------------------------------------------------------------ the end

std::size_t LeaseKeeper::held_bytes() const {
    return waiting_ids_ * sizeof(api::LeaseId) + waiting_ * sizeof(Waiter);
}

void LeaseKeeper::list_pools(PoolList& out) const {
    const ShardBounds& bounds = context_.config.bounds;
    out.push_back({"keep-alives without an answer", waiting_, bounds.keep_alives});
    out.push_back({"leases in keep-alives", waiting_ids_, bounds.keep_alive_ids});
    out.push_back({"batches of keep-alives", batches_.size()});   // each is a pending write of its replica
}

void LeaseKeeper::fail_all(api::Errc code) {
    for (const auto& batch : batches_) {
        batch->code = batch->state == BatchState::done ? batch->code : code;
        batch->state = BatchState::done;
        WorkBudget all{INT64_MAX, INT64_MAX};
        static_cast<void>(answer_batch(*batch, all));
    }
    batches_.clear();
}

}  // namespace ringfort::shard
