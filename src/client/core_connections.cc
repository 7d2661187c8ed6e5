// The upkeep of connections: dial, pause, keep-alive, following the leader, and what a loss means for requests.
#include <algorithm>

#include "base/assertion.h"
#include "base/mutant.h"
#include "client/core_impl.h"

namespace ringfort::client {

namespace {
// A connection follows the leader at most so often: with several leaders it would be on the road all the time.
constexpr Duration move_pause = 100ms;
// And not for so long to a node that could not be reached: the servers can, and forward.
constexpr Duration unreachable_pause = 60s;
// Watches alone may have nothing to tell for hours: who serves nothing else is asked less often.
constexpr int watch_periods = 3;
}  // namespace

void Core::Impl::on_sendable(Connection& connection) {
    ASSERT(!connection.queued_for_flush);
    connection.queued_for_flush = true;
    sendable.push_back(&connection);
}

void Core::Impl::on_ready(Connection& connection) {
    endpoints.succeeded(connection.endpoint);
    connection.next_endpoint = connection.endpoint;
    connection.received_at = now;
    connection.heard = false;
    ready_count++;
    counters.connects++;
    connection_timers.set(connection.number(), now + options.keepalive_time);
}

void Core::Impl::on_down(Connection& connection, bool was_ready, const DownReason& reason) {
    const std::uint32_t failed = connection.endpoint;
    endpoints[failed].refusal = reason.refusal;
    if (reason.protocol_error) {
        counters.protocol_errors++;
    }
    if (was_ready) {
        ready_count--;
    }
    if (!connection.retiring) {
        counters.connections_lost += was_ready ? 1 : 0;
        endpoints.failed(failed, now, prng, reason.text);
        connection.next_endpoint = (failed + 1) % endpoints.count();
        if (!was_ready) {
            endpoints[failed].move_at = now + unreachable_pause;
        }
    }
    connection_timers.set(connection.number(), now);
    release_requests(connection);
    const api::Errc refusal = endpoints.refused_by_all();
    if (refusal != api::Errc::ok) {
        refuse_waiting(refusal);
    }
}

void Core::Impl::release_requests(Connection& connection) {
    // Callbacks may cancel or submit: walk over tokens, not over the list.
    lost.clear();
    for (std::uint32_t index = connection.requests.first; index != no_request; index = pending[index].next) {
        lost.push_back(pending.token_of(index));
    }
    for (std::size_t i = 0; i < lost.size(); i++) {
        const std::uint32_t index = pending.find(lost[i]);
        if (index == no_request) {
            continue;
        }
        Pending& slot = pending[index];
        ASSERT(slot.connection == connection.number());
        const bool left = slot.epoch < connection.epoch() && !MUTANT(sent_taken_for_unsent);
        const Verdict verdict =
            after_connection_lost({.read = slot.read, .left = left, .handed_out = slot.handed_out()});
        if (verdict == Verdict::give_up) {
            complete_with(index, api::Errc::connection_lost, endpoints[connection.endpoint].last_error);
            continue;
        }
        detach(index);
        slot.avoid = connection.number();
        if (left && !reencode(index, options.follow_leader)) {
            continue;
        }
        slot.waiting = true;
        pending.append(waiting, index);
    }
    ASSERT(connection.requests.count == 0);
}

void Core::Impl::on_connection_timer(Connection& connection) {
    switch (connection.state()) {
        case Connection::State::down: start(connection); return;
        case Connection::State::connecting:
            connection.fail({.text = "no connection within the dial timeout"});
            return;
        case Connection::State::greeting: connection.fail({.text = "no hello within the dial timeout"}); return;
        case Connection::State::ready: keep_alive(connection); return;
    }
}

void Core::Impl::start(Connection& connection) {
    connection.reap();
    const std::uint32_t choice = endpoints.choose(connection.next_endpoint, now);
    if (endpoints[choice].retry_at > now) {
        connection_timers.set(connection.number(), endpoints[choice].retry_at);
        return;
    }
    connection.endpoint = choice;
    connection.pings_unanswered = 0;
    connection_timers.set(connection.number(), now + options.dial_timeout);
    connection.start(endpoints[choice].address);
}

// The question whether the server is there stands behind all that it was asked, and a slow network takes its time for
// large values. Left sooner, the same requests would go the same way once more, and never arrive. What it has is not on
// the way any more, and what has run out of time does not go again.
Duration Core::Impl::time_to_carry(const Connection& connection) {
    constexpr std::uint64_t bytes_per_ms = 1 * kib;
    std::uint64_t bytes = 0;
    Instant last_deadline = now;
    if (connection.unanswered == 0) {
        return 0ns;   // the server has all, and the many watches it may have are not walked through
    }
    for (std::uint32_t i = connection.requests.first; i != no_request; i = pending[i].next) {
        if (pending[i].epoch >= connection.carried_epoch) {
            bytes += pending[i].frame.size();
            last_deadline = std::max(last_deadline, pending[i].deadline);
        }
    }
    return std::min<Duration>(std::chrono::milliseconds(bytes / bytes_per_ms), last_deadline - now);
}

void Core::Impl::keep_alive(Connection& connection) {
    if (connection.heard) {
        connection.received_at = now;   // a long frame is under way
        connection.heard = false;
        connection.pinged = false;
    }
    if (connection.retiring && connection.requests.count == connection.watches_open) {
        retire_if_done(connection);
        return;
    }
    const bool owes = connection.unanswered > 0;
    const bool watched = connection.requests.count > 0;
    const bool reads_no_ping = connection.unanswered >= connection.requests_max();
    const Instant question_due = connection.received_at + options.keepalive_time * (owes ? 1 : watch_periods);
    if ((!owes && !watched) || reads_no_ping) {
        connection.received_at = now;   // silence says nothing: it owes nothing, or takes one request at a time
        connection.pinged = false;
    } else if (connection.pinged && connection.leave_at <= now) {
        connection.fail({.text = "the server went silent"});
        return;
    } else if (!connection.pinged && question_due <= now) {
        api::Request ping;
        ping.op = api::StatusRequest{};
        const bool encoded = wire::encode_request(ping_request_id, ping, connection.out());
        ASSERT(encoded);
        connection.note_appended();
        connection.pinged = true;
        if (connection.pings_unanswered++ == 0) {
            connection.pinged_epoch = connection.epoch();
        }
        connection.leave_at = now + options.keepalive_time + time_to_carry(connection);
    }
    // Looked at again when the silence is that long, and not a whole period later: a node that stands still is left two
    // periods after its last frame, if what is on the way to it is small. And however long that takes, once a period: it
    // may answer and then stand still, or be asked something beside its watches.
    const Instant period_end = connection.received_at + options.keepalive_time;
    const Instant next = connection.pinged ? connection.leave_at : period_end > now ? period_end : question_due;
    connection_timers.set(connection.number(), std::min(next, now + options.keepalive_time));
}

// What it has is forwarded meanwhile: nobody hurries to where no connection was to be had lately.
void Core::Impl::move_towards_leader(Connection& connection, std::uint32_t endpoint) {
    if (endpoints[endpoint].move_at <= now) {
        move_towards(connection, endpoint);
    }
}

// Those who leave a node must not all meet at the next. Who could not be reached lately is taken if all others were not.
std::uint32_t Core::Impl::lot_among_others(std::uint32_t endpoint) {
    const std::uint32_t count = endpoints.count();
    const std::uint64_t further = 1 + prng.below(std::max<std::uint64_t>(count - 1, 1));
    const auto lot = static_cast<std::uint32_t>((endpoint + further) % count);
    for (std::uint32_t step = 0; step < count; step++) {
        const std::uint32_t index = (lot + step) % count;
        if (index != endpoint && endpoints[index].move_at <= now) {
            return index;
        }
    }
    return lot;
}

void Core::Impl::move_towards(Connection& connection, std::uint32_t endpoint) {
    const bool paused = connection.moved_at.ns != INT64_MIN && connection.moved_at + move_pause > now;
    const bool resting = endpoints[endpoint].retry_at > now;
    if (endpoint == connection.endpoint || resting || !connection.ready() || connection.retiring || paused) {
        return;
    }
    connection.moved_at = now;
    connection.next_endpoint = endpoint;
    connection.retiring = true;
}

void Core::Impl::on_goodbye(Connection& connection) {
    connection.received_at = now;
    connection.pinged = false;
    leave(connection);
}

// The node stops or has failed: nothing new goes there, and the connection ends when what was sent is answered.
void Core::Impl::leave(Connection& connection) {
    if (connection.retiring) {
        return;
    }
    endpoints.failed(connection.endpoint, now, prng, "the node is stopping");
    connection.next_endpoint = (connection.endpoint + 1) % endpoints.count();
    connection.retiring = true;
    retire_if_done(connection);
}

// Watches never end by themselves: they go on elsewhere.
void Core::Impl::retire_if_done(Connection& connection) {
    if (connection.ready() && connection.retiring && connection.requests.count == connection.watches_open) {
        connection.fail({.text = "moved to another node"});
    }
}

}  // namespace ringfort::client
