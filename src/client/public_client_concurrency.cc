// Sessions, locks and elections of the public library: each hands over to the client's thread, and waits.
#include "ringfort/concurrency.h"

#include <algorithm>

#include "client/public_client_contender.h"
#include "client/public_client_observer.h"

namespace ringfort {

using client::Contender;
using client::PublicContender;
using client::PublicObserver;
using client::PublicSession;
using client::Waiter;

// ---------------------------------------------------------------------------------------------- sessions

namespace {

// Nobody believes in it any more, before anybody else can have what it had.
// Once it is removed `lost` has run, or never does: a session that is found lost behind that has told its owner. Whether it
// was not.
bool end_session(const std::shared_ptr<PublicSession>& session) {
    session->client.kept.remove({session->domain, session->lease});
    if (!session->note_lost()) {
        return false;
    }
    session->client.run_there([session] { session->client.on_session_lost(*session); });
    return true;
}

}  // namespace

Session::Session(std::shared_ptr<PublicSession> state) : state_(std::move(state)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
}

Outcome<Session> Session::open(Client& client, const SessionOptions& options) {
    const LeaseOptions asked{.domain = options.domain, .timeout_ms = options.timeout_ms};
    auto granted = client.lease_grant(options.ttl, 0, asked);
    if (!granted) {
        return granted.error();
    }
    auto state = std::make_shared<PublicSession>(*client.impl_, *granted, options.domain);
    const auto end = [state, lost = options.lost] {
        if (state->note_lost()) {
            state->client.on_session_lost(*state);
            if (lost) {
                lost();
            }
        }
    };
    state->client.keep_alive(*granted, asked, end, [state](Instant until) { return state->note_lives(until); });
    return Session(std::move(state));
}

Session::~Session() {
    if (state_ == nullptr || !end_session(state_)) {
        return;
    }
    state_->client.revoke(state_->lease, {.domain = state_->domain}, [](const Outcome<LeaseRevokeReply>&) {});
}

std::int64_t Session::lease() const { return state_->lease; }

bool Session::lost() const { return state_->is_lost(); }

bool Session::wait_lost(std::int64_t timeout_ms) {
    PublicSession& state = *state_;
    Client::Impl& client = state.client;
    if (client.threading == Threading::polled) {
        const Instant until = timeout_ms < 0 ? never : client.clock.now() + client::from_ms(timeout_ms);
        while (!state.is_noted_lost() && client.clock.now() < until) {   // then whoever is to be told is
            client.poll(until == never ? 1000 : std::min<std::int64_t>((until - client.clock.now()) / 1ms + 1, 1000));
        }
        return state.is_lost();
    }
    std::unique_lock lock(state.mutex);
    const auto is_over = [&state] { return state.lost; };
    if (timeout_ms < 0) {
        state.over.wait(lock, is_over);
        return true;
    }
    return state.over.wait_for(lock, client::from_ms(timeout_ms), is_over) || state.lives_until <= client.clock.now();
}

Outcome<LeaseRevokeReply> Session::close() {
    if (!end_session(state_)) {
        return client::session_lost_error();
    }
    Client::Impl& client = state_->client;
    Waiter<LeaseRevokeReply> waiter;
    client.revoke(state_->lease, {.domain = state_->domain},
                  [&waiter](Outcome<LeaseRevokeReply> reply) { waiter.answer(std::move(reply)); });
    client::wait_for(client, waiter, -1);
    return std::move(*waiter.outcome);
}

void Session::orphan() {
    end_session(state_);
}

// ---------------------------------------------------------------------------------------------- turns

namespace {

std::shared_ptr<PublicContender> make_contender(const std::shared_ptr<PublicSession>& session, std::string_view name) {
    return std::make_shared<PublicContender>(session, name);
}

void abandon(std::shared_ptr<PublicContender> contender) {
    if (contender != nullptr) {
        PublicSession& session = contender->session();
        session.client.run_there([contender] { contender->abandon(); });
    }
}

void enter_async(const std::shared_ptr<PublicContender>& contender, std::string_view value, Contender::Entry entry,
                 PublicContender::Entered entered) {
    contender->session().client.run_there(
        [contender, value = std::string(value), entry, entered = std::move(entered)]() mutable {
            contender->enter(value, entry, std::move(entered));
        });
}

Outcome<Held> enter(const std::shared_ptr<PublicContender>& contender, std::string_view value, Contender::Entry entry,
                    std::int64_t timeout_ms) {
    Client::Impl& client = contender->session().client;
    Waiter<Held> waiter;
    enter_async(contender, value, entry, [&waiter](Outcome<Held> outcome) { waiter.answer(std::move(outcome)); });
    if (!client::wait_for(client, waiter, timeout_ms)) {
        // Its turn may come meanwhile: then it is held.
        client.run_there([contender] {
            contender->give_up({ErrorCode::timed_out, ErrorClass::definite, "etcdserver: request timed out",
                                "its turn did not come"});
        });
        client::wait_for(client, waiter, -1);
    }
    return std::move(*waiter.outcome);
}

// Waits so long, and no longer: what it waits for goes on.
template <class Start>
Outcome<Header> wait_for_header(Client::Impl& client, std::int64_t timeout_ms, Start start) {
    const auto waiter = std::make_shared<Waiter<Header>>();
    client.run_there([start, waiter] { start([waiter](Outcome<Header> outcome) { waiter->answer(std::move(outcome)); }); });
    const std::int64_t at_most_ms = timeout_ms > 0 ? timeout_ms : client.request_timeout_ms;
    if (!client::wait_for(client, *waiter, at_most_ms)) {
        return Error{ErrorCode::timed_out, ErrorClass::indefinite, "etcdserver: request timed out", "it is being tried on"};
    }
    const std::lock_guard lock(waiter->mutex);
    return *waiter->outcome;
}

Outcome<Header> leave(const std::shared_ptr<PublicContender>& contender, std::int64_t timeout_ms) {
    return wait_for_header(contender->session().client, timeout_ms,
                           [contender](PublicContender::Done done) { contender->leave(std::move(done)); });
}

}  // namespace

// ---------------------------------------------------------------------------------------------- locks

Lock::Lock(Session& session, std::string_view name) : state_(make_contender(session.state_, name)) {}
Lock::Lock(Lock&&) noexcept = default;
Lock& Lock::operator=(Lock&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
}
Lock::~Lock() { abandon(std::move(state_)); }

Outcome<Held> Lock::lock(std::int64_t timeout_ms) { return enter(state_, {}, Contender::Entry::wait, timeout_ms); }

Outcome<Held> Lock::try_lock(std::int64_t timeout_ms) { return enter(state_, {}, Contender::Entry::if_free, timeout_ms); }

void Lock::lock_async(Callback held) { enter_async(state_, {}, Contender::Entry::wait, std::move(held)); }

Outcome<Header> Lock::unlock(std::int64_t timeout_ms) { return leave(state_, timeout_ms); }

const std::string& Lock::key() const { return state_->key(); }

// ---------------------------------------------------------------------------------------------- elections

Election::Election(Session& session, std::string_view name) : state_(make_contender(session.state_, name)) {}
Election::Election(Election&&) noexcept = default;
Election& Election::operator=(Election&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
}
Election::~Election() { abandon(std::move(state_)); }

Outcome<Held> Election::campaign(std::string_view value, std::int64_t timeout_ms) {
    return enter(state_, value, Contender::Entry::wait, timeout_ms);
}

void Election::campaign_async(std::string_view value, Callback elected) {
    enter_async(state_, value, Contender::Entry::wait, std::move(elected));
}

Outcome<Header> Election::proclaim(std::string_view value, std::int64_t timeout_ms) {
    const auto proclaim = [contender = state_, value = std::string(value)](PublicContender::Done done) {
        contender->proclaim(value, std::move(done));
    };
    return wait_for_header(state_->session().client, timeout_ms, proclaim);
}

Outcome<Header> Election::resign(std::int64_t timeout_ms) { return leave(state_, timeout_ms); }

const std::string& Election::key() const { return state_->key(); }

Outcome<Leader> Election::leader(Client& client, std::string_view name, const CallOptions& options) {
    const client::LineKeys line(name);
    GetOptions first;
    first.range_end = line.end;
    first.sort_order = SortOrder::ascend;
    first.sort_target = SortTarget::create;
    first.limit = 1;
    first.timeout_ms = options.timeout_ms;
    auto got = client.get(line.begin, first);
    if (!got) {
        return got.error();
    }
    if (got->kvs.empty()) {
        return Error{ErrorCode::no_elected, ErrorClass::definite, "election: no leader", {}};
    }
    return Leader{got->header, std::move(got->kvs.front())};
}

// ---------------------------------------------------------------------------------------------- observers

Observer::Observer(Client& client, std::string_view name)
    : state_(std::make_shared<PublicObserver>(*client.impl_, name)) {
    state_->client().run_there([state = state_] {
        if (state->client().core) {
            state->client().add_resident(state);
        }
        state->start();
    });
}
Observer::Observer(Observer&&) noexcept = default;
Observer& Observer::operator=(Observer&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
}
Observer::~Observer() {
    if (state_ != nullptr) {
        Client::Impl& client = state_->client();
        client.run_there([state = std::move(state_)] { state->abandon(); });
    }
}

Outcome<Leader> Observer::next(std::int64_t timeout_ms) {
    return client::next_of(state_->client(), state_->inbox(), timeout_ms,
                           [state = state_](std::uint64_t token, std::uint64_t bytes) { state->done(token, bytes); });
}

}  // namespace ringfort
