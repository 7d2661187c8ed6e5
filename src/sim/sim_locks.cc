#include "sim/sim_locks.h"

#include <algorithm>

#include "base/assertion.h"
#include "sim/checkers/locks.h"
#include "sim/sim_client.h"
#include "sim/workload.h"

namespace ringfort::sim {

namespace {

constexpr Duration locks_tick_mean = 60ms;
constexpr Duration account_pause = 200ms;
// Of one that may never be over: there is no room for what leaving in doubt writes.
constexpr Duration leaving_max = 5s;
constexpr std::uint64_t rest_ns_max = 8'000'000'000;
constexpr std::size_t locks_of_a_client = 2;

}  // namespace

SimLocks::SimLocks(EventQueue& queue, client::Core& core, SimClient& client, const SimLocksOptions& options,
                   LockRecords& records)
    : queue_(queue), core_(core), client_(client), options_(options), records_(records), random_(options.seed) {
    for (std::size_t i = 0; i <= locks_of_a_client; i++) {
        places_.push_back(std::make_unique<Place>());
        Place& place = *places_.back();
        place.owner = this;
        place.election = i == locks_of_a_client;
        place.name = domain_prefix(options.domain) + (place.election ? "elect" : "lock" + std::to_string(i));
    }
}

SimLocks::~SimLocks() = default;

void SimLocks::start() {
    if (!options_.enabled) {
        return;
    }
    working_ = true;
    if (std::exchange(started_, true)) {
        return;
    }
    if (options_.keeps_account) {
        watch_account();
    }
    const std::string& election = places_.back()->name;
    records_.tales.push_back({options_.client, election, {}, 0});
    tale_ = &records_.tales.back();
    observer_ = std::make_unique<client::LeaderWatch>(core_, election, &SimLocks::on_leader, this);
    observer_->start();
    schedule_tick();
}

void SimLocks::schedule_tick() {
    const auto mean = static_cast<std::uint64_t>(locks_tick_mean.count());
    queue_.schedule_in(Duration(static_cast<std::int64_t>(random_.between(1, 2 * mean))), &SimLocks::on_tick, this, 0);
}

void SimLocks::on_tick(void* context, std::uint64_t, std::uint64_t) {
    auto& self = *static_cast<SimLocks*>(context);
    self.act();
    self.client_.wake();
    self.schedule_tick();
}

std::string SimLocks::fresh_value() { return "c" + std::to_string(options_.client) + "l" + std::to_string(++values_); }

// ---------------------------------------------------------------------------------------------- by lot

void SimLocks::act() {
    if (session_ == Session::none && working_) {
        open_session();
    }
    if (session_ != Session::open) {
        return;
    }
    if (!working_) {
        for (const auto& place : places_) {
            const bool stuck = place->contender->leaving() && queue_.now() - place->leaving_since > leaving_max;
            if (stuck || std::ranges::all_of(places_, [](const auto& one) { return one->contender->out(); })) {
                close_session();
                return;
            }
            if (place->contender->holds()) {
                leave(*place);
            }
        }
        return;
    }
    if (random_.one_in(150)) {
        close_session();
    } else if (random_.one_in(150)) {
        // The process dies: nobody renews the lease, or waits for what is under way.
        kept_.remove({0, lease_});
        end_session();
        for (const auto& place : places_) {
            place->contender.reset();
        }
    } else {
        act(*places_[random_.below(places_.size())]);
    }
}

void SimLocks::act(Place& place) {
    const std::uint64_t lot = random_.below(12);
    if (place.former.token != 0 && !place.contender->holds() && random_.one_in(4)) {
        write_guarded(place, place.former);   // as one does who was paused, and does not know that his turn is over
    }
    if (place.contender->out() || (place.contender->leaving() && lot == 0)) {
        if (queue_.now() >= place.rests_until) {
            enter(place);
        }
    } else if (place.contender->leaving()) {
        return;
    } else if (!place.contender->holds()) {
        if (lot == 0) {
            leave(place);
        }
    } else if (lot < 4) {
        write_guarded(place, place.former);
    } else if (lot < 8 && place.election && !place.proclaiming) {
        place.proclaiming = true;
        place.value = fresh_value();
        place.contender->proclaim(place.value);
    } else if (lot < 8) {
        leave(place);
    }
}

void SimLocks::enter(Place& place) {
    end_absence(place);
    place.value = fresh_value();
    place.contender->enter(place.value, random_.one_in(4) ? client::Contender::Entry::if_free
                                                          : client::Contender::Entry::wait);
}

void SimLocks::leave(Place& place) {
    end_claim(place);
    place.leaving_since = queue_.now();
    if (random_.one_in(2)) {
        place.rests_until = queue_.now() + Duration(static_cast<std::int64_t>(random_.below(rest_ns_max)));
    }
    place.contender->leave();
}

void SimLocks::end_absence(Place& place) const {
    if (place.absence != nullptr) {
        place.absence->until = queue_.now();
    }
    place.absence = nullptr;
}

void SimLocks::end_claim(Place& place) const {
    if (place.claim != nullptr) {
        place.claim->until = queue_.now();
    }
    place.claim = nullptr;
    place.proclaiming = false;
}

void SimLocks::write_guarded(const Place& place, const GuardedAction& guard) {
    RecordedOperation operation;
    operation.client = options_.client;
    operation.domain = options_.domain;
    operation.transaction = true;
    operation.compares.push_back({api::CompareTarget::create, api::CompareResult::equal, guard.key, guard.token, {}});
    StepRequest step;
    step.kind = StepKind::put;
    step.key = domain_prefix(options_.domain) + "guarded/" + std::to_string(place.election ? 9 : 0);
    step.value = fresh_value();
    operation.success.push_back(std::move(step));
    records_.actions.push_back(guard);
    records_.actions.back().operation = client_.ask(std::move(operation));
}

// ---------------------------------------------------------------------------------------------- the session

std::uint64_t SimLocks::ask(StepRequest step, Duration timeout) {
    RecordedOperation operation;
    operation.client = options_.client;
    operation.domain = options_.domain;
    operation.timeout = timeout;
    operation.success.push_back(std::move(step));
    return client_.ask(std::move(operation));
}

void SimLocks::open_session() {
    session_ = Session::opening;
    StepRequest grant;
    grant.kind = StepKind::grant;
    grant.ttl = static_cast<std::int64_t>(random_.between(2, 5));
    grant_ = ask(std::move(grant), {});
}

void SimLocks::learn(const RecordedOperation& operation) {
    if (session_ == Session::opening && operation.number == grant_) {
        on_opened(operation);
        return;
    }
    const auto renewal = renewals_.find(operation.number);
    if (renewal == renewals_.end()) {
        return;
    }
    const std::vector<std::int64_t> ids{renewal->second};
    renewals_.erase(renewal);
    if (operation.outcome == Outcome::ok) {
        kept_.on_answer(0, ids, operation.invoked, queue_.now(),
                        LeaseKeepAliveReply{.header = {}, .ttls = {operation.results[0].ttl}});
    } else {
        kept_.on_answer(0, ids, operation.invoked, queue_.now(), Error{ErrorCode::timed_out});
    }
    run_kept();
}

void SimLocks::on_opened(const RecordedOperation& operation) {
    if (operation.outcome != Outcome::ok) {
        session_ = Session::none;
        return;
    }
    session_ = Session::open;
    lease_ = operation.results[0].lease;
    for (const auto& place : places_) {
        place->contender = std::make_unique<client::Contender>(core_, place->name, lease_, &SimLocks::on_news, place.get());
    }
    kept_.add({0, lease_}, operation.results[0].ttl, 0, operation.invoked, [this] { end_session(); });
    run_kept();
}

void SimLocks::end_session() {
    session_ = Session::none;
    for (const auto& place : places_) {
        place->contender->end();
        end_claim(*place);
        end_absence(*place);
    }
}

void SimLocks::close_session() {
    kept_.remove({0, lease_});
    end_session();
    StepRequest revoke;
    revoke.kind = StepKind::revoke;
    revoke.lease = lease_;
    ask(std::move(revoke), {});
}

void SimLocks::run_kept() {
    kept_.run(queue_.now(), [this](const std::vector<std::int64_t>& ids, const LeaseOptions& options) {
        for (const std::int64_t id : ids) {
            StepRequest renew;
            renew.kind = StepKind::keep_alive;
            renew.lease = id;
            renewals_.emplace(ask(std::move(renew), std::chrono::milliseconds(options.timeout_ms)), id);
        }
    });
    kept_token_++;
    if (const Instant next = kept_.next_due(); next != never) {
        queue_.schedule(std::max(next, queue_.now()), &SimLocks::on_kept, this, kept_token_);
    }
}

void SimLocks::on_kept(void* context, std::uint64_t token, std::uint64_t) {
    auto& self = *static_cast<SimLocks*>(context);
    if (token == self.kept_token_) {
        self.run_kept();
    }
}

// ---------------------------------------------------------------------------------------------- news

void SimLocks::on_news(void* context, const client::ContenderNews& news) {
    using Kind = client::ContenderNews::Kind;
    auto& place = *static_cast<Place*>(context);
    SimLocks& self = *place.owner;
    self.queue_.note((static_cast<std::uint64_t>(news.kind) << 56) ^ static_cast<std::uint64_t>(news.header.revision));
    switch (news.kind) {
        case Kind::held: {
            const api::Revision token = place.contender->place();
            const std::string& key = place.contender->key();
            self.records_.claims.push_back(
                {self.options_.client, place.name, key, token, news.header.revision, self.queue_.now(), never});
            place.claim = &self.records_.claims.back();
            place.former = {0, place.name, key, token};
            return;
        }
        case Kind::lost: self.end_claim(place); return;
        case Kind::proclaimed:
            place.proclaiming = false;
            self.records_.proclamations.push_back({place.name, place.contender->key(), place.value, news.header.revision});
            return;
        case Kind::unproclaimed: place.proclaiming = false; return;
        case Kind::left:
            if (place.contender->out() && news.header.revision > 0) {
                self.records_.absences.push_back({place.contender->key(), news.header.revision, never});
                place.absence = &self.records_.absences.back();
            }
            return;
        case Kind::taken:
        case Kind::refused: return;
    }
    UNREACHABLE();
}

void SimLocks::on_leader(void* context, const client::LeaderNews& news) {
    auto& self = *static_cast<SimLocks*>(context);
    if (news.error == api::Errc::ok) {
        self.queue_.note(static_cast<std::uint64_t>(news.header.revision));
        self.tale_->told.push_back({news.header.revision, recorded(news.leader)});
        self.observer_->done(news.token, news.bytes);
    }
}

void SimLocks::watch_account() {
    const std::string begin = domain_prefix(options_.domain);
    const std::string end = begin + "\xff";
    api::WatchRequest request;
    request.key = begin;
    request.range_end = end;
    request.start_revision = account_next_;
    account_ = std::make_unique<client::Watch>(core_, request, std::nullopt, &SimLocks::on_account, this);
    account_->start();
    client_.wake();
}

void SimLocks::on_account(void* context, const client::WatchNews& news) {
    auto& self = *static_cast<SimLocks*>(context);
    if (news.kind == client::WatchNews::Kind::ended) {
        self.queue_.schedule_in(account_pause, &SimLocks::on_account_again, &self, 0);
        return;
    }
    for (const api::Event& event : news.events) {
        self.records_.account.push_back({news.revision, event.type == api::EventType::remove, recorded(event.kv),
                                         self.queue_.now()});
    }
    self.account_next_ = self.account_->next();
    self.records_.account_through = self.account_next_ - 1;
    if (news.bytes > 0) {
        self.account_->done(news.token, news.bytes);
    }
}

void SimLocks::on_account_again(void* context, std::uint64_t, std::uint64_t) {
    static_cast<SimLocks*>(context)->watch_account();
}

bool SimLocks::told(const LockLines& lines, api::Revision newest) {
    if (options_.keeps_account && account_next_ <= newest) {
        return false;
    }
    const auto& firsts = lines.history(tale_->name);
    tale_->through = observer_->next() - 1;
    const auto leads = std::ranges::find_if(firsts.rbegin(), firsts.rend(),
                                            [](const LockLines::First& one) { return !one.kv.key.empty(); });
    return leads == firsts.rend() || tale_->through >= leads->from;
}

std::string SimLocks::describe() const {
    std::string out = "client " + std::to_string(options_.client) + (session_ == Session::none      ? " has no session"
                                                                     : session_ == Session::opening ? " opens a session"
                                                                                                    : " has a session");
    for (const auto& place : places_) {
        if (place->contender != nullptr && session_ == Session::open && !place->contender->out()) {
            out += "; " + place->contender->key() +
                   (place->contender->holds() ? " holds" : place->contender->leaving() ? " leaves" : " waits") +
                   ", place " + std::to_string(place->contender->place());
        }
    }
    return out + "; observer told through " + std::to_string(observer_ != nullptr ? observer_->next() - 1 : 0);
}

}  // namespace ringfort::sim
