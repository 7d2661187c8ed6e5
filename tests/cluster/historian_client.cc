#include "historian_client.h"

#include <algorithm>

namespace ringfort::sim {

namespace {

constexpr Duration lease_question_interval = 20ms;
constexpr Duration look_interval = 20ms;

client::CoreOptions core_options(const HistorianClientOptions& options) {
    client::CoreOptions out;
    out.endpoints = options.endpoints;
    out.first_endpoint = options.number % options.endpoints.size();
    out.follow_leader = options.number % 3 == 0;
    out.name = "historian " + std::to_string(options.number);
    return out;
}

}  // namespace

// That a lease is gone is an answer like any other.
void Counts::note(const RecordedOperation& operation) {
    const bool told = operation.outcome == Outcome::ok || operation.error == api::Errc::lease_not_found;
    (told ? answered : operation.outcome == Outcome::failed ? failed : unknown)++;
    if (told) {
        const std::int64_t gap = operation.completed.ns - last_answer_ns.exchange(operation.completed.ns);
        std::int64_t longest = longest_gap_ns.load();
        while (gap > longest && !longest_gap_ns.compare_exchange_weak(longest, gap)) {
        }
    }
}

void Counts::print(std::FILE* out) const {
    std::fprintf(out, "operations: %llu, answered: %llu, failed: %llu, unknown: %llu, longest gap: %lld ms\n",
                 static_cast<unsigned long long>(asked.load()), static_cast<unsigned long long>(answered.load()),
                 static_cast<unsigned long long>(failed.load()), static_cast<unsigned long long>(unknown.load()),
                 static_cast<long long>(longest_gap_ns.load() / 1'000'000));
    std::fflush(out);
}

HistorianClient::HistorianClient(const WorkloadOptions& workload, const HistorianClientOptions& options,
                                 HistorianShared& shared)
    : workload_options_(workload),
      options_(options),
      shared_(shared),
      workload_(workload, options.domains, options.number, options.seed + options.number),
      random_(options.seed ^ options.number),
      core_(network_, clock_, options.seed + options.number, core_options(options)),
      watches_(core_, clock_, workload, {options.number, options.domains, options.seed + 100 + options.number}) {}

void HistorianClient::run() {
    while (phase_ != Phase::over) {
        const Instant watches_want = watches_.turn();
        step(clock_.now());
        const Instant deadline = core_.turn();
        network_.wait(phase_ == Phase::over ? Instant{0} : std::min({deadline, next_, watches_want}));
    }
}

void HistorianClient::enter(Phase phase, Instant now) {
    phase_ = phase;
    next_ = now;
    patient_until_ = now + patience;
}

void HistorianClient::step(Instant now) {
    if (phase_ == Phase::load && shared_.stopping.load()) {
        watches_.stop();
        enter(Phase::leases, now);
    }
    if (now < next_) {
        return;
    }
    switch (phase_) {
        case Phase::load: {
            if (pending_ < workload_options_.in_flight_max) {
                ask(workload_.next());
            }
            const auto mean = static_cast<std::uint64_t>(workload_options_.think.count());
            next_ = now + Duration(static_cast<std::int64_t>(random_.between(1, 2 * mean)));
            return;
        }
        case Phase::leases:   // each request has a deadline
            if (pending_ > 0) {
                break;
            }
            if (!leases_.empty() && now < patient_until_) {
                ask_about_a_lease();
                next_ = now + lease_question_interval;
                return;
            }
            missed_ = leases_.empty() ? std::string() : "lease " + std::to_string(leases_.begin()->second) + " does not end";
            shared_.at_rest++;
            enter(Phase::others, now);
            return;
        case Phase::others:
            if (shared_.at_rest.load() == options_.clients) {
                enter(Phase::watches, now);
                return;
            }
            break;
        case Phase::watches: {
            std::vector<api::Revision> newest;
            for (std::uint32_t domain = 0; domain < options_.domains; domain++) {
                newest.push_back(shared_.newest[domain].load());
            }
            const bool told = watches_.told_through(newest);
            if (told || now >= patient_until_) {
                missed_ += told ? std::string() : "a watch was not told everything: " + watches_.describe_untold();
                phase_ = Phase::over;
                return;
            }
            break;
        }
        case Phase::over: return;
    }
    next_ = now + look_interval;
}

void HistorianClient::ask(RecordedOperation operation) {
    operation.invoked = clock_.now();
    RecordedOperation& recorded = history_.add(std::move(operation));
    calls_.push_back(std::make_unique<Call>(Call{this, recorded.number}));
    arena_.reset();
    api::Request request = make_request(recorded, arena_);
    request.timeout = workload_options_.request_timeout;
    pending_++;
    shared_.counts.asked++;
    core_.submit(request, &HistorianClient::on_response, calls_.back().get());
    shorten(recorded);
}

// One after the other, over and over.
void HistorianClient::ask_about_a_lease() {
    const auto next = leases_.upper_bound(asked_about_);
    asked_about_ = next == leases_.end() ? *leases_.begin() : *next;
    RecordedOperation operation;
    operation.client = options_.number;
    operation.domain = asked_about_.first;
    operation.success.push_back({StepKind::time_to_live, {}, {}, {}, false, 0, 0});
    operation.success[0].lease = asked_about_.second;
    ask(std::move(operation));
}

void HistorianClient::on_response(void* context, std::uint64_t, const api::Response& response) {
    const Call& call = *static_cast<Call*>(context);
    HistorianClient& self = *call.client;
    RecordedOperation& operation = self.history_[call.number];
    if (record_response(operation, response, self.clock_.now())) {
        self.pending_--;
        self.shared_.counts.note(operation);
        self.learn(operation);
    }
}

void HistorianClient::learn(const RecordedOperation& operation) {
    workload_.learn(operation);
    learn_of_lease(operation);
    if (operation.outcome != Outcome::ok) {
        return;
    }
    watches_.learn(operation.domain, operation.header.revision);
    std::atomic<api::Revision>& newest = shared_.newest[operation.domain];
    api::Revision known = newest.load();
    while (known < operation.header.revision && !newest.compare_exchange_weak(known, operation.header.revision)) {
    }
}

void HistorianClient::learn_of_lease(const RecordedOperation& operation) {
    const api::LeaseId id = operation.about_lease();
    if (id == 0) {
        return;
    }
    const bool ok = operation.outcome == Outcome::ok;
    const StepKind kind = operation.success[0].kind;
    if (kind == StepKind::grant && operation.outcome != Outcome::failed) {
        leases_.emplace(operation.domain, id);
    }
    const bool gone = ok && (kind == StepKind::revoke || (kind == StepKind::keep_alive && operation.results[0].ttl <= 0) ||
                             (kind == StepKind::time_to_live && operation.results[0].ttl < 0));
    if (gone || operation.error == api::Errc::lease_not_found) {
        leases_.erase({operation.domain, id});
    }
}

}  // namespace ringfort::sim
