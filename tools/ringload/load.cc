#include "load.h"

#include <algorithm>
#include <cmath>

#include "base/assertion.h"
#include "ringfort/types.h"

namespace ringload {

using ringfort::api::Errc;
using ringfort::api::ErrorInfo;
using ringfort::api::Response;
namespace api = ringfort::api;

namespace {
// A request that fails sooner than this would only be repeated in a tight loop: its slot rests.
constexpr Duration failed_at_once = std::chrono::milliseconds(1);
constexpr Duration rest_time = std::chrono::milliseconds(5);
// Granted for this run; they end by themselves soon after it.
constexpr std::int64_t lease_ttl_s = 60;

Duration from_seconds(double seconds) {
    return Duration(static_cast<std::int64_t>(seconds * 1e9));
}

bool is_write(Operation operation) {
    return operation == Operation::put || operation == Operation::txn || operation == Operation::txn_put;
}

// A keep-alive that finds no lease is answered, and has failed all the same.
Errc outcome_code(const Response& response) {
    if (const auto* error = std::get_if<ErrorInfo>(&response.body)) {
        return error->code;
    }
    const auto* renewed = std::get_if<api::LeaseKeepAliveResponse>(&std::get<api::Result>(response.body));
    return renewed != nullptr && std::ranges::count(renewed->ttls, 0) > 0 ? Errc::lease_not_found : Errc::ok;
}
}  // namespace

std::string words_of(Errc code, std::string_view detail) {
    const std::string text(api::known_error(static_cast<std::uint16_t>(code)) ? api::error_text(code) : "");
    return detail.empty() ? text : text + " (" + std::string(detail) + ")";
}

Load::Load(const Options& options, ringfort::client::Core& core, ringfort::env::Clock& clock, HistoryWriter& history)
    : options_(options),
      core_(core),
      clock_(clock),
      history_(history),
      chooser_(options.keys, options.distribution, options.zipf_exponent, options.seed),
      format_(options.prefix, options.key_bytes, options.keys),
      prng_(options.seed + 1),
      slots_(options.slots()),
      key_(options.key_bytes, ' '),
      value_(options.value_bytes, '.') {
    for (std::uint32_t i = 0; i < slots_.size(); i++) {
        slots_[i].load = this;
        idle_.push_back(static_cast<std::uint32_t>(slots_.size() - 1 - i));
    }
    resting_.reserve(slots_.size());
    ringfort::Prng filler(options.seed + 2);
    for (char& one : value_) {
        one = static_cast<char>('a' + filler.below(26));
    }
    // An empty key names no range: with an empty prefix reads begin with the smallest key.
    range_begin_ = options.prefix.empty() ? std::string(1, '\0') : options.prefix;
    range_end_ = options.end_key.empty() ? ringfort::prefix_end(options.prefix) : options.end_key;
    request_.timeout = std::chrono::milliseconds(options.timeout_ms);
    request_.redirect = options.to_leader;
    // Sequences of different runs differ, so that a value tells which run wrote it.
    sequence_ = static_cast<std::uint64_t>(clock.wall().ns / 1'000'000'000) << 28;
}

void Load::begin() {
    begin_ = clock_.now();
    measure_from_ = begin_ + from_seconds(options_.warmup_seconds);
    end_at_ = options_.seconds > 0 ? measure_from_ + from_seconds(options_.seconds) : ringfort::never;
    timeline_.begin(begin_);
    measuring_ = options_.warmup_seconds <= 0;
    if (!options_.open_loop()) {
        while (!idle_.empty() && may_start()) {
            const std::uint32_t index = idle_.back();
            idle_.pop_back();
            start(slots_[index], begin_);
        }
    }
}

bool Load::may_start() const {
    // The warm-up takes as many as it takes.
    return !stopped_ && (options_.requests == 0 || !measuring_ || started_ < options_.requests);
}

void Load::maybe_finish_warmup(Instant now) {
    if (!measuring_ && now >= measure_from_) {
        measuring_ = true;
        timeline_.begin(now);
        read_latencies_.clear();
        write_latencies_.clear();
        started_ = 0;
    }
}

void Load::turn(ringfort::client::SocketNetwork& network, Instant until) {
    const Instant next = core_.turn();
    const std::uint64_t started = started_;
    const Instant step_next = step();
    // What was started here is sent by the core's next turn.
    if (started_ == started && !finished()) {
        network.wait(std::min({next, step_next, until}));
    }
}

Instant Load::step() {
    const Instant now = clock_.now();
    maybe_finish_warmup(now);
    if (!stopped_ && (now >= end_at_ || (options_.requests > 0 && measuring_ && started_ >= options_.requests))) {
        // A run of a second at 1000 a second is 1000 requests: the one due at its very end is the next run's.
        note_backlog(std::min(now, end_at_ - Duration(1)));
        stop();
    }
    if (stopped_) {
        return ringfort::never;
    }
    Instant next = std::min(end_at_, measuring_ ? ringfort::never : measure_from_);
    std::size_t rested = 0;
    while (rested < resting_.size() && resting_[rested].until <= now) {
        if (may_start()) {
            start(slots_[resting_[rested].slot], now);
        } else {
            idle_.push_back(resting_[rested].slot);
        }
        rested++;
    }
    resting_.erase(resting_.begin(), resting_.begin() + static_cast<std::ptrdiff_t>(rested));
    if (!resting_.empty()) {
        next = std::min(next, resting_.front().until);
    }
    return options_.open_loop() ? std::min(next, start_due(now)) : next;
}

// The i-th request is due at begin + i / rate, whatever became of the others. One that finds no free slot starts
// late, and its latency counts from when it was due.
Instant Load::start_due(Instant now) {
    const double per_ns = options_.rate / 1e9;
    const std::uint64_t due_count = due_by(now);
    const auto due_at = [&](std::uint64_t number) {
        return begin_ + Duration(static_cast<std::int64_t>(std::ceil(static_cast<double>(number) / per_ns)));
    };
    while (scheduled_ < due_count && !idle_.empty() && may_start()) {
        const std::uint32_t index = idle_.back();
        idle_.pop_back();
        start(slots_[index], due_at(scheduled_));
        scheduled_++;
    }
    note_backlog(now);
    return backlog_ > 0 ? ringfort::never : due_at(scheduled_);
}

std::uint64_t Load::due_by(Instant now) const {
    return static_cast<std::uint64_t>(static_cast<double>((now - begin_).count()) * options_.rate / 1e9) + 1;
}

// A run by count is whole when its last request has started: what would be due after it is not waited for.
void Load::note_backlog(Instant now) {
    backlog_ = options_.open_loop() && may_start() ? due_by(now) - scheduled_ : 0;
}

Operation Load::choose_operation() {
    if (options_.keeps_leases()) {
        return Operation::lease_keep_alive;
    }
    if (options_.op == "lease-grant") {
        return Operation::lease_grant;
    }
    if (options_.op == "mixed") {
        return reads_next() ? Operation::get : Operation::put;
    }
    if (options_.op == "txn-mixed") {
        return reads_next() ? Operation::txn_range : Operation::txn_put;
    }
    if (options_.op == "txn") {
        return Operation::txn;
    }
    return options_.op == "put" ? Operation::put : options_.op == "get" ? Operation::get : Operation::sget;
}

bool Load::reads_next() {
    constexpr std::uint64_t parts = 1'000'000;
    const double share =
        options_.op == "mixed" ? options_.read_percent / 100.0 : options_.rw_ratio / (1 + options_.rw_ratio);
    return static_cast<double>(prng_.below(parts)) < share * parts;
}

void Load::start(Slot& slot, Instant intended) {
    slot.intended = intended;
    slot.operation = choose_operation();
    slot.key = chooser_.next();
    slot.sequence = sequence_++;
    build(slot, format_.write(slot.key, key_.data()));
    started_++;
    under_way_++;
    if (observer_ != nullptr && is_write(slot.operation)) {
        observer_->on_write_started(slot.sequence, intended);
    }
    core_.submit(request_, &Load::on_response, &slot);
}

void Load::build(const Slot& slot, std::string_view key) {
    if (is_write(slot.operation)) {
        write_sequence(slot.sequence, value_.data(), value_.size());
    }
    switch (slot.operation) {
        case Operation::put: {
            api::PutRequest put;
            put.key = key;
            put.value = value_;
            put.lease = options_.put_lease;
            request_.op = put;
            break;
        }
        case Operation::get:
        case Operation::sget: {
            api::RangeRequest range;
            range.key = key;
            range.serializable = slot.operation == Operation::sget;
            request_.op = range;
            break;
        }
        case Operation::txn:
        case Operation::txn_put: build_txn(slot.operation, key); break;
        case Operation::txn_range: build_txn_range(); break;
        case Operation::lease_grant:
            request_.op = api::LeaseGrantRequest{.ttl = lease_ttl_s, .id = options_.lease_of(slot.key)};
            break;
        case Operation::lease_keep_alive:
            lease_ = options_.lease_of(slot.key);
            request_.op = api::LeaseKeepAliveRequest{.ids = {&lease_, 1}};
            break;
    }
}

// Compares, writes and reads one key, and the compare always holds; a txn_put writes alone.
void Load::build_txn(Operation operation, std::string_view key) {
    const bool put_only = operation == Operation::txn_put;
    compare_.result = api::CompareResult::greater;
    compare_.target = api::CompareTarget::version;
    compare_.key = key;
    compare_.number = -1;
    api::PutRequest put;
    put.key = key;
    put.value = value_;
    put.lease = options_.put_lease;
    success_[0].op = put;
    api::RangeRequest range;
    range.key = key;
    success_[1].op = range;
    api::TxnRequest txn;
    txn.compare = {&compare_, put_only ? 0U : 1U};
    txn.success = {success_, put_only ? 1U : 2U};
    request_.op = txn;
}

void Load::build_txn_range() {
    api::RangeRequest range;
    range.key = range_begin_;
    range.range_end = range_end_;
    range.limit = options_.range_limit;
    success_[0].op = range;
    api::TxnRequest txn;
    txn.success = {success_, 1};
    request_.op = txn;
}

void Load::on_response(void* context, std::uint64_t, const Response& response) {
    Slot& slot = *static_cast<Slot*>(context);
    if (!response.more_frames) {
        slot.load->answered(slot, response);
    }
}

void Load::answered(Slot& slot, const Response& response) {
    const Instant now = clock_.now();
    const Errc code = outcome_code(response);
    under_way_--;
    answered_++;
    const bool write = is_write(slot.operation);
    if (write) {
        record_write(slot, code, response.header);
    }
    const Duration latency = now - slot.intended;
    if (code == Errc::ok) {
        timeline_.acknowledged(now, latency.count());
        if (options_.mixes()) {
            (write ? write_latencies_ : read_latencies_).record(latency.count());
        }
        if (observer_ != nullptr && write) {
            observer_->on_write_acknowledged(slot.sequence, slot.key, now);
        }
    } else {
        timeline_.failed(now, code);
        if (first_failure_.empty()) {
            const auto* error = std::get_if<ErrorInfo>(&response.body);
            first_failure_ = words_of(code, error != nullptr ? error->detail : std::string_view{});
        }
    }
    const auto index = static_cast<std::uint32_t>(&slot - slots_.data());
    if (options_.open_loop() || !may_start()) {
        idle_.push_back(index);
    } else if (code != Errc::ok && latency < failed_at_once) {
        resting_.push_back({index, now + rest_time});
    } else {
        start(slot, now);
    }
}

void Load::record_write(const Slot& slot, Errc code, const api::ResponseHeader& header) {
    if (history_.is_open()) {
        history_.record({.key = slot.key,
                         .sequence = slot.sequence,
                         .outcome = outcome_of(code),
                         .revision = code == Errc::ok ? header.revision : 0,
                         .domain = header.domain.value});
    }
}

void Load::stop() {
    if (stopped_) {
        return;
    }
    stopped_ = true;
    for (const Resting& resting : resting_) {
        idle_.push_back(resting.slot);
    }
    resting_.clear();
}

void Load::end() {
    timeline_.end(clock_.now());
}

}  // namespace ringload
