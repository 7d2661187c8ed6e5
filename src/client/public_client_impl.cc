#include "client/public_client_impl.h"

#include <algorithm>

#include "client/endpoint_table.h"
#include "wire/client_codec.h"

namespace ringfort {

using client::Call;

namespace {

constexpr std::int64_t request_timeout_ms_default = client::CoreOptions{}.request_timeout / 1ms;
constexpr std::size_t connections_max = 1024;
constexpr std::size_t in_flight_max = std::size_t{1} << 20;
// Keep-alives of our own that no calls keep out, with limits::lease_keep_alive_ids_max leases each.
constexpr std::size_t renewals_max = 8;

client::CoreOptions core_options(const ClientOptions& options) {
    client::CoreOptions core;
    core.pieces_renew_deadline = true;
    for (const std::string& endpoint : options.endpoints) {
        if (const auto normal = normalize_endpoint(endpoint)) {
            core.endpoints.push_back(*client::parse_address(*normal));
        }
    }
    if (options.dial_timeout_ms > 0) {
        core.dial_timeout = client::from_ms(options.dial_timeout_ms);
    }
    if (options.request_timeout_ms > 0) {
        core.request_timeout = client::from_ms(options.request_timeout_ms);
    }
    core.connections = std::clamp<std::size_t>(options.connections, 1, connections_max);
    core.in_flight_max = std::clamp<std::size_t>(options.in_flight_max, 1, in_flight_max);
    core.reserved_max = renewals_max;
    core.cluster_id = ClusterId(options.cluster_id);
    core.name = options.name.substr(0, wire::client_name_bytes_max);
    core.follow_leader = options.follow_leader;
    return core;
}

std::optional<std::string> find_invalid(const ClientOptions& options) {
    if (options.endpoints.empty()) {
        return std::string();
    }
    for (const std::string& endpoint : options.endpoints) {
        if (!normalize_endpoint(endpoint)) {
            return endpoint;
        }
    }
    if (options.endpoints.size() > client::EndpointTable::endpoints_max) {
        return options.endpoints[client::EndpointTable::endpoints_max];
    }
    return std::nullopt;
}

// Spreads reconnects of several clients; decides nothing else.
std::uint64_t fresh_seed(const void* address) {
    const auto wall = static_cast<std::uint64_t>(client::SystemClock().wall().ns);
    return wall ^ reinterpret_cast<std::uintptr_t>(address);
}

}  // namespace

Client::Impl::Impl(const ClientOptions& options)
    : invalid(find_invalid(options)),
      threading(options.threading),
      request_timeout_ms(options.request_timeout_ms > 0 ? options.request_timeout_ms : request_timeout_ms_default),
      network({.spin = std::chrono::microseconds(std::clamp<std::int64_t>(options.poll_us, 0, 1'000'000))}) {
    if (invalid) {
        return;
    }
    core.emplace(network, clock, fresh_seed(this), core_options(options));
    if (threading == Threading::background) {
        thread = std::thread([this] { run(); });
    }
}

Client::Impl::~Impl() {
    {
        const std::lock_guard lock(mutex);
        stopping = true;
    }
    if (thread.joinable()) {
        network.wake();
        thread.join();
    }
    run_jobs();
    for (std::size_t i = 0; i < residents.size(); i++) {   // who is told may bring others
        const auto resident = residents[i];
        resident->close();
    }
    run_jobs();
    residents.clear();
    watches.clear();
    core.reset();
    while (first != nullptr) {
        const std::unique_ptr<Call> call(first);
        unlink(*call);
        call->fail(cancelled());
    }
    for (const auto& call : handed_in) {
        call->fail(cancelled());
    }
}

bool Client::Impl::is_closing() {
    const std::lock_guard lock(mutex);
    return stopping;
}

Error Client::Impl::cancelled() {
    return {ErrorCode::cancelled, ErrorClass::indefinite, "etcdserver: request canceled", "the client was closed"};
}

Error Client::Impl::not_an_endpoint() const {
    return {ErrorCode::unsupported_request, ErrorClass::definite, "ringfort: not an endpoint: \"" + *invalid + "\"",
            "host:port or http://host:port is one"};
}

void Client::Impl::start(std::unique_ptr<Call> call) {
    if (invalid) {
        call->fail(not_an_endpoint());
        return;
    }
    const bool own_thread = on_own_thread();
    bool ring = false;
    bool refused = false;
    {
        const std::lock_guard lock(mutex);
        refused = stopping;
        if (!own_thread && !refused) {
            ring = handed_in.empty();
            handed_in.push_back(std::move(call));
        }
    }
    if (refused) {
        call->fail(cancelled());
    } else if (own_thread) {
        submit(std::move(call));
    }
    if (ring) {
        network.wake();
    }
}

void Client::Impl::submit(std::unique_ptr<Call> owned, client::Core::Place place) {
    Call* const call = owned.release();
    call->next = first;
    if (first != nullptr) {
        first->prev = call;
    }
    first = call;
    call->owner = this;
    const client::Core::Afresh afresh = [](void* context) { static_cast<Call*>(context)->begin_afresh(); };
    core->submit(call->request, &Impl::on_response, call, call->gathers() ? afresh : nullptr, place);
}

void Client::Impl::on_response(void* context, std::uint64_t token, const api::Response& response) {
    Call* const call = static_cast<Call*>(context);
    Impl& self = *static_cast<Impl*>(call->owner);
    if (response.more_frames) {
        if (!call->on_piece(response)) {
            return;
        }
        self.core->cancel(token);
    }
    const std::unique_ptr<Call> owned(call);
    self.unlink(*call);
    self.answered_count++;
    if (response.more_frames) {
        return;   // on_piece() has told the caller
    }
    if (const auto* error = std::get_if<api::ErrorInfo>(&response.body)) {
        call->fail(client::to_public(*error));
    } else {
        call->finish(response);
    }
}

void Client::Impl::unlink(Call& call) {
    (call.prev == nullptr ? first : call.prev->next) = call.next;
    if (call.next != nullptr) {
        call.next->prev = call.prev;
    }
    call.prev = nullptr;
    call.next = nullptr;
}

// ---------------------------------------------------------------------------------------------- the running thread

void Client::Impl::run_there(std::function<void()> job) {
    if (on_own_thread() || invalid) {
        job();
        return;
    }
    {
        const std::lock_guard lock(mutex);
        jobs.push_back(std::move(job));
    }
    network.wake();
}

void Client::Impl::run_jobs() {
    {
        const std::lock_guard lock(mutex);
        jobs_taken.swap(jobs);
    }
    for (const auto& job : jobs_taken) {
        job();
    }
    jobs_taken.clear();
}

void Client::Impl::run() {
    while (true) {
        {
            const std::lock_guard lock(mutex);
            if (stopping) {
                return;
            }
            taken.swap(handed_in);
            jobs_taken.swap(jobs);
        }
        for (const auto& job : jobs_taken) {
            job();
        }
        jobs_taken.clear();
        for (auto& call : taken) {
            submit(std::move(call));
        }
        taken.clear();
        renew();
        const Instant turned = core->turn();
        const Instant next = std::min(turned, kept.next_due());
        drop();
        network.wait(next);
    }
}

std::size_t Client::Impl::poll(std::int64_t timeout_ms) {
    if (!core) {
        return 0;
    }
    drop();
    const std::uint64_t answered = answered_count;
    const Instant until = clock.now() + client::from_ms(timeout_ms);
    renew();
    const Instant turned = core->turn();
    const Instant next = std::min(turned, kept.next_due());
    // What this turn answered may be what the caller waits for.
    if (answered_count == answered) {
        network.wait(std::min(next, until));
        core->turn();
    }
    return core->pending();
}

void Client::Impl::drop() {
    for (const std::uint64_t id : watches_over) {
        watches.erase(id);
    }
    watches_over.clear();
    std::erase_if(residents, [](const auto& resident) { return resident->over(); });
}

void Client::Impl::on_session_lost(const client::PublicSession& session) {
    // Who is told may bring others.
    for (std::size_t i = 0; i < residents.size(); i++) {
        const auto resident = residents[i];
        resident->on_session_lost(session);
    }
}

// ---------------------------------------------------------------------------------------------- watches

std::unique_ptr<client::PublicWatch> Client::Impl::make_watch(std::string_view key, const WatchOptions& options,
                                                              WatchCallback callback) {
    return std::make_unique<client::PublicWatch>(*core, answered_count, watches_over, next_watch_id++, key, options,
                                                 std::move(callback));
}

void Client::Impl::start_watch(std::unique_ptr<client::PublicWatch> watch) {
    // A job is copied: what it owns stands in a list.
    {
        const std::lock_guard lock(mutex);
        watches_handed_in.push_back(std::move(watch));
    }
    run_there([this] { take_watches(); });
}

void Client::Impl::take_watches() {
    std::vector<std::unique_ptr<client::PublicWatch>> handed;
    {
        const std::lock_guard lock(mutex);
        handed.swap(watches_handed_in);
    }
    for (auto& one : handed) {
        client::PublicWatch& watch = *one;
        watches.emplace(watch.id(), std::move(one));
        watch.watch().start();
    }
}

client::PublicWatch* Client::Impl::find_watch(std::uint64_t id) {
    const auto at = watches.find(id);
    return at != watches.end() ? at->second.get() : nullptr;
}

void Client::Impl::cancel_watch(std::uint64_t id) {
    run_there([this, id] {
        if (client::PublicWatch* watch = find_watch(id)) {
            watch->close();
            watches_over.push_back(id);
        }
    });
}

void Client::Impl::request_progress(std::uint64_t id) {
    run_there([this, id] {
        if (client::PublicWatch* watch = find_watch(id)) {
            watch->watch().ask_mark();
        }
    });
}

}  // namespace ringfort
