#include "watch_load.h"

#include <algorithm>

#include "base/assertion.h"
#include "client/retry_policy.h"

namespace ringload {

namespace api = ringfort::api;

namespace {
// Being created at a time: more would only wait, each for its deadline.
constexpr std::size_t under_way_per_connection = 32;
constexpr std::size_t under_way_max = 8192;

std::string reason_of(const api::Response& response) {
    if (const auto* error = std::get_if<api::ErrorInfo>(&response.body)) {
        return words_of(error->code, error->detail);
    }
    const auto& last = std::get<api::WatchResponse>(std::get<api::Result>(response.body));
    return last.compact_revision > 0 ? "what it needs next is compacted" : std::string(last.cancel_reason);
}
}  // namespace

WatchLoad::WatchLoad(const Options& options, ringfort::client::Core& core, ringfort::env::Clock& clock)
    : options_(options),
      core_(core),
      clock_(clock),
      format_(options.prefix, options.key_bytes, options.keys),
      key_(options.key_bytes, ' '),
      watches_(options.watch_count(), Watching{this, 0, false}),
      writes_(options.idle ? 0 : writes_kept),
      spread_until_(clock.now() + std::chrono::milliseconds(options.dial_timeout_ms)) {
    request_.timeout = std::chrono::milliseconds(options.timeout_ms);
    events_.begin(clock.now());
}

void WatchLoad::step() {
    // They are dealt out in turn to the connections there are: to all, if all are there in time.
    if (next_ == 0 && core_.ready_connections() < options_.connections && clock_.now() < spread_until_) {
        return;
    }
    const std::size_t most = std::min(options_.connections * under_way_per_connection, under_way_max);
    while (under_way_ < most && !again_.empty()) {
        const std::uint32_t index = again_.back();
        again_.pop_back();
        ask(index);
    }
    while (under_way_ < most && next_ < watches_.size()) {
        ask(next_++);
    }
}

void WatchLoad::ask(std::size_t index) {
    api::WatchRequest watch;
    watch.key = format_.write(index % options_.keys, key_.data());
    watch.start_revision = watches_[index].next;
    watch.prev_kv = options_.prev_kv;
    request_.op = watch;
    under_way_++;
    core_.submit(request_, &WatchLoad::on_response, &watches_[index]);
}

void WatchLoad::begin() {
    events_.begin(clock_.now());
    since_due_.clear();
}

void WatchLoad::end() {
    events_.end(clock_.now());
}

void WatchLoad::on_response(void* context, std::uint64_t token, const api::Response& response) {
    auto& watching = *static_cast<Watching*>(context);
    watching.load->on_frame(watching, token, response);
}

void WatchLoad::on_frame(Watching& watching, std::uint64_t token, const api::Response& response) {
    const auto* result = std::get_if<api::Result>(&response.body);
    const auto* watch = result != nullptr ? std::get_if<api::WatchResponse>(result) : nullptr;
    if (watch == nullptr || watch->canceled || !response.more_frames) {
        on_end(watching, response);
        return;
    }
    core_.grant(token, core_.frame_bytes());
    if (watch->created) {
        under_way_--;
        open_++;
        watching.open = true;
        watching.next = watching.next == 0 ? response.header.revision + 1 : watching.next;
        return;
    }
    if (!watch->events.empty()) {
        const Instant now = clock_.now();
        last_event_at_ = now;
        for (const api::Event& event : watch->events) {
            on_event(event, now);
        }
    }
    if (!watch->goes_on) {
        watching.next = response.header.revision + 1;
    }
}

void WatchLoad::on_event(const api::Event& event, Instant now) {
    received_++;
    const auto sequence = sequence_of(event.kv.value);
    const WriteTimes* times = sequence && !writes_.empty() ? &times_of(*sequence) : nullptr;
    if (times == nullptr || times->sequence != *sequence) {
        return;
    }
    events_.acknowledged(now, times->acknowledged < now ? (now - times->acknowledged).count() : 0);
    since_due_.record((now - times->due).count());
}

void WatchLoad::on_end(Watching& watching, const api::Response& response) {
    const auto* error = std::get_if<api::ErrorInfo>(&response.body);
    const auto index = static_cast<std::uint32_t>(&watching - watches_.data());
    (watching.open ? open_ : under_way_)--;
    watching.open = false;
    last_end_ = reason_of(response);
    if (error != nullptr && ringfort::client::may_pass(error->code)) {
        resumed_++;
        again_.push_back(index);
        return;
    }
    ended_++;
}

void WatchLoad::on_write_started(std::uint64_t sequence, Instant intended) {
    times_of(sequence) = {.sequence = sequence, .due = intended, .acknowledged = ringfort::never};
}

void WatchLoad::on_write_acknowledged(std::uint64_t sequence, std::uint64_t key, Instant now) {
    WriteTimes& times = times_of(sequence);
    if (times.sequence == sequence) {
        times.acknowledged = now;
    }
    last_event_at_ = std::max(last_event_at_, now);
    const std::uint64_t keys = options_.keys;
    expected_ += watches_.size() / keys + (key < watches_.size() % keys ? 1 : 0);
}

}  // namespace ringload
