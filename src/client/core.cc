#include "client/core.h"

#include <algorithm>

#include "base/assertion.h"
#include "base/bounds.h"
#include "client/core_impl.h"

namespace ringfort::client {

Core::Core(env::Network& network, env::Clock& clock, std::uint64_t seed, const CoreOptions& options)
    : impl_(std::make_unique<Impl>(network, clock, seed, options)) {}
Core::~Core() = default;

std::uint64_t Core::submit(const api::Request& request, Callback callback, void* context, Afresh afresh, Place place) {
    return impl_->submit(request, callback, context, afresh, place);
}
void Core::cancel(std::uint64_t token) {
    impl_->cancel(token);
}
void Core::grant(std::uint64_t token, std::uint32_t bytes, bool progress) {
    impl_->grant(token, bytes, progress);
}
std::uint32_t Core::frame_bytes() const {
    return impl_->frame_length;
}
void Core::call_in(Duration pause, Alarm alarm, void* context) {
    ASSERT(pause > 0ns);
    call_off(context);
    impl_->alarms.push_back({impl_->current_time() + pause, alarm, context});
}
void Core::call_off(void* context) {
    std::erase_if(impl_->alarms, [context](const Impl::Alarmed& one) { return one.context == context; });
}
Instant Core::turn() {
    return impl_->turn();
}
std::size_t Core::pending() const {
    return impl_->pending.count() - impl_->watch_count + impl_->refused.size();
}
bool Core::connected() const {
    return impl_->ready_count > 0;
}
std::size_t Core::ready_connections() const {
    return impl_->ready_count;
}
const CoreCounters& Core::counters() const {
    return impl_->counters;
}

namespace {
// Credit is granted anew when half of it is used: waiting for more than a server gives would be for ever.
CoreOptions bounded(CoreOptions options) {
    options.reply_credit_bytes =
        std::min(options.reply_credit_bytes, static_cast<std::uint32_t>(limits::frame_bytes_max));
    return options;
}
}  // namespace

Core::Impl::Impl(env::Network& net, env::Clock& clk, std::uint64_t seed, const CoreOptions& opts)
    : network(net),
      clock(clk),
      options(bounded(opts)),
      prng(seed),
      endpoints(options.endpoints),
      pending(options.in_flight_max + options.reserved_max),
      request_timers(options.in_flight_max + options.reserved_max),
      connection_timers(options.connections) {
    ASSERT(options.connections > 0 && options.connections < no_connection);
    ASSERT(options.keepalive_time > 0ns && options.dial_timeout > 0ns && options.request_timeout > 0ns);
    const Instant start_time = clock.now();
    for (std::uint32_t number = 0; number < options.connections; number++) {
        connections.push_back(std::make_unique<Connection>(network, *this, options, number));
        Connection& connection = *connections.back();
        connection.next_endpoint = static_cast<std::uint32_t>((options.first_endpoint + number) % endpoints.count());
        connection_timers.set(number, start_time);
    }
}

// What came in first (it frees room and may name a leader), then timers (a request answered in this turn does not
// expire in it), then who wanted to be called, then waiting requests onto connections, and one send each at the end with
// everything in it.
Instant Core::Impl::turn() {
    ASSERT(!in_turn);
    in_turn = true;
    now = clock.now();
    deliver_refusals();
    network.dispatch(env::ConnectionClass::client);

    due.clear();
    request_timers.collect_due(now, due);
    for (std::size_t i = 0; i < due.size(); i++) {
        on_timer(due[i]);
    }
    due.clear();
    connection_timers.collect_due(now, due);
    for (std::size_t i = 0; i < due.size(); i++) {
        on_connection_timer(*connections[due[i]]);
    }
    ring_alarms();
    pump();
    flush();
    in_turn = false;
    if (!refused.empty()) {
        return now;
    }
    Instant next = std::min(request_timers.next_due(), connection_timers.next_due());
    for (const Alarmed& one : alarms) {
        next = std::min(next, one.at);
    }
    return next;
}

// Those set meanwhile are due later, and those called off are not there any more.
void Core::Impl::ring_alarms() {
    for (;;) {
        const auto is_due = [this](const Alarmed& one) { return one.at <= now; };
        const auto at = std::find_if(alarms.begin(), alarms.end(), is_due);
        if (at == alarms.end()) {
            return;
        }
        const Alarmed one = *at;
        alarms.erase(at);
        one.alarm(one.context);
    }
}

void Core::Impl::deliver_refusals() {
    refused_now.swap(refused);
    for (const Refused& one : refused_now) {
        if (one.callback == nullptr) {
            continue;   // cancelled by the callback of another
        }
        const bool bound = one.code == api::Errc::too_many_requests;
        one.callback(one.context, one.token,
                     error_response(one.code, bound ? "the client's own bound of requests in flight" : ""));
    }
    refused_now.clear();
}

void Core::Impl::flush() {
    for (std::size_t i = 0; i < sendable.size(); i++) {
        sendable[i]->queued_for_flush = false;
        sendable[i]->flush();
    }
    sendable.clear();
}

}  // namespace ringfort::client
