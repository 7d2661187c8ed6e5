#include "sim/sim_client.h"

#include <algorithm>

#include "base/assertion.h"
#include "sim/narrate.h"

namespace ringfort::sim {

namespace {
constexpr Duration client_wake_latency = 5us;
}  // namespace

SimClient::SimClient(EventQueue& queue, SimNetwork& network, HostId host, const WorkloadOptions& workload,
                     const SimClientOptions& options, History& history, WatchRecords& watch_records,
                     LockRecords& lock_records)
    : queue_(queue),
      workload_options_(workload),
      history_(history),
      name_(options.core.name),
      trace_(options.trace),
      workload_(workload, options.domains, options.number, options.seed),
      random_(options.seed + 1),
      clock_(queue, {}),
      port_(network, host, Waker{&SimClient::on_wake, this, 0}),
      core_(port_, clock_, options.seed + 2, options.core),
      watches_(queue, core_, workload,
               {options.number, options.domains, options.seed + 3, [](void* self) { on_wake(self, 0); }, this,
                options.trace ? name_.c_str() : nullptr},
               watch_records),
      locks_(queue, core_, *this,
             {workload.locks, options.number, options.domains, options.seed + 4, options.number == 1}, lock_records) {}

SimClient::~SimClient() { port_.detach(Death::noticed); }

void SimClient::start(bool bursts) {
    load_++;
    schedule_turn(queue_.now());
    think_again();
    watches_.start();
    locks_.start();
    if (bursts) {
        schedule_burst();
    }
}

void SimClient::stop() {
    load_++;
    watches_.stop();
    locks_.stop();
}

void SimClient::think_again() {
    const auto mean = static_cast<std::uint64_t>(workload_options_.think.count());
    queue_.schedule_in(Duration(static_cast<std::int64_t>(random_.between(1, 2 * mean))), &SimClient::on_think, this, load_);
}

void SimClient::on_think(void* context, std::uint64_t load, std::uint64_t) {
    auto& self = *static_cast<SimClient*>(context);
    const std::uint64_t most = self.workload_options_.operations_max;
    if (self.load_ != load || (most > 0 && self.asked_ == most)) {
        return;
    }
    if (self.pending_ < self.workload_options_.in_flight_max) {
        self.asked_++;
        self.ask(self.workload_.next());
    }
    self.think_again();
}

void SimClient::schedule_burst() {
    if (workload_options_.burst_requests > 0) {
        const auto mean = static_cast<std::uint64_t>(workload_options_.burst_interval.count());
        queue_.schedule_in(Duration(static_cast<std::int64_t>(random_.between(1, 2 * mean))), &SimClient::on_burst, this,
                           load_);
    }
}

void SimClient::on_burst(void* context, std::uint64_t load, std::uint64_t) {
    auto& self = *static_cast<SimClient*>(context);
    if (self.load_ == load) {
        self.burst(self.workload_options_.burst_requests);
        self.schedule_burst();
    }
}

void SimClient::burst(std::size_t requests) {
    for (std::size_t i = 0; i < requests; i++) {
        ask(workload_.next());
    }
}

std::uint64_t SimClient::ask(RecordedOperation operation, Duration timeout) {
    operation.invoked = queue_.now();
    RecordedOperation& recorded = history_.add(std::move(operation));
    if (free_.empty()) {
        calls_.push_back(std::make_unique<Call>());
        free_.push_back(calls_.back().get());
    }
    Call* call = free_.back();
    free_.pop_back();
    call->client = this;
    call->number = recorded.number;
    call->use++;
    pending_++;
    arena_.reset();
    api::Request request = make_request(recorded, arena_);
    request.timeout = recorded.timeout.count() > 0 ? recorded.timeout : std::max(timeout, workload_options_.request_timeout);
    call->token = core_.submit(request, &SimClient::on_response, call);
    shorten(recorded);   // the core has its own copy
    if (random_.one_in(workload_options_.cancel_one_in)) {
        queue_.schedule_in(Duration(static_cast<std::int64_t>(random_.between(1, 5'000'000))), &SimClient::on_give_up, call,
                           call->use);
    }
    on_wake(this, 0);
    return recorded.number;
}

void SimClient::on_response(void* context, std::uint64_t, const api::Response& response) {
    Call* call = static_cast<Call*>(context);
    SimClient& self = *call->client;
    RecordedOperation& operation = self.history_[call->number];
    if (record_response(operation, response, self.queue_.now())) {
        self.queue_.note((operation.number << 8) ^ static_cast<std::uint64_t>(operation.header.revision));
        self.workload_.learn(operation);
        if (operation.outcome == Outcome::ok) {
            self.watches_.learn(operation.domain, operation.header.revision);
        }
        self.tell(operation);
        self.end(*call);
        self.locks_.learn(operation);
    }
}

void SimClient::end(Call& call) {
    call.use++;
    free_.push_back(&call);
    ASSERT(pending_ > 0);
    pending_--;
}

void SimClient::on_give_up(void* context, std::uint64_t use, std::uint64_t) {
    Call& call = *static_cast<Call*>(context);
    SimClient& self = *call.client;
    if (call.use != use) {
        return;   // answered before
    }
    self.core_.cancel(call.token);
    RecordedOperation& operation = self.history_[call.number];
    operation.completed = self.queue_.now();
    operation.error = api::Errc::cancelled;
    operation.outcome = operation.may_modify() || operation.about_lease() != 0 ? Outcome::unknown : Outcome::failed;
    self.tell(operation);
    self.end(call);
    self.locks_.learn(operation);
    on_wake(&self, 0);
}

// An answer, or that nobody waits for it any more.
void SimClient::tell(const RecordedOperation& operation) const {
    if (trace_) {
        narrate(queue_.now(), name_, describe(operation));
    }
}

void SimClient::on_wake(void* context, std::uint64_t) {
    auto& self = *static_cast<SimClient*>(context);
    if (self.in_turn_) {
        self.woken_ = true;
    } else {
        self.schedule_turn(self.queue_.now() + client_wake_latency);
    }
}

void SimClient::schedule_turn(Instant at) {
    if (scheduled_ > at) {
        scheduled_ = at;
        queue_.schedule(at, &SimClient::on_turn, this, ++token_);
    }
}

void SimClient::on_turn(void* context, std::uint64_t token, std::uint64_t) {
    auto& self = *static_cast<SimClient*>(context);
    if (token != self.token_) {
        return;
    }
    self.scheduled_ = never;
    self.in_turn_ = true;
    self.woken_ = false;
    const Instant next = self.core_.turn();
    self.in_turn_ = false;
    const Instant soonest = self.queue_.now() + client_wake_latency;
    if (self.woken_) {
        self.schedule_turn(soonest);
    } else if (next != never) {
        self.schedule_turn(std::max(soonest, self.clock_.true_time(std::max(next, self.clock_.now()))));
    }
}

}  // namespace ringfort::sim
