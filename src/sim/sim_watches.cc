#include "sim/sim_watches.h"

#include <algorithm>

#include "base/assertion.h"
#include "sim/narrate.h"
#include "sim/watch_told.h"

namespace ringfort::sim {

namespace {

constexpr Duration tick_mean = 400ms;
constexpr Duration held_max = 2s;
constexpr Duration ask_interval = 300ms;

}  // namespace

SimWatches::SimWatches(EventQueue& queue, client::Core& core, const WorkloadOptions& workload,
                       const SimWatchesOptions& options, WatchRecords& records)
    : queue_(queue),
      core_(core),
      workload_(workload),
      options_(options),
      records_(records),
      random_(options.seed),
      revisions_(options.domains + 1, 0) {}   // the last: of the locks

SimWatches::~SimWatches() = default;

void SimWatches::start() {
    load_++;
    if (workload_.watches > 0) {
        schedule_tick();
    }
}

void SimWatches::learn(std::uint32_t domain, api::Revision revision) {
    revisions_[domain] = std::max(revisions_[domain], revision);
}

void SimWatches::schedule_tick() {
    const auto mean = static_cast<std::uint64_t>(tick_mean.count());
    queue_.schedule_in(Duration(static_cast<std::int64_t>(random_.between(1, 2 * mean))), &SimWatches::on_tick, this, load_);
}

void SimWatches::on_tick(void* context, std::uint64_t load, std::uint64_t) {
    auto& self = *static_cast<SimWatches*>(context);
    if (self.load_ != load) {
        return;
    }
    std::erase_if(self.watches_, [](const auto& one) { return one->watch->ended(); });
    if (self.watches_.size() < self.workload_.watches) {
        self.make_one();
    } else if (const std::uint64_t lot = self.random_.below(12); lot == 0) {
        const auto at = static_cast<std::ptrdiff_t>(self.random_.below(self.watches_.size()));
        self.watches_.erase(self.watches_.begin() + at);
        self.wake();
    } else if (lot == 1) {
        self.watches_[self.random_.below(self.watches_.size())]->watch->ask_mark();
        self.wake();
    }
    self.schedule_tick();
}

void SimWatches::make_one() {
    RecordedWatch wanted = draw_watch(random_, workload_, options_.domains, revisions_);
    begin(std::move(wanted), random_.one_in(4));
}

RecordedWatch& SimWatches::begin(RecordedWatch wanted, bool slow) {
    wanted.number = records_.size();
    wanted.client = options_.client;
    records_.push_back(std::move(wanted));
    RecordedWatch& record = records_.back();
    watches_.push_back(std::make_unique<One>());
    One& one = *watches_.back();
    one.owner = this;
    one.record = &record;
    one.slow = slow;
    one.watch = std::make_unique<client::Watch>(core_, make_watch_request(record), std::nullopt, &SimWatches::on_news, &one);
    one.watch->start();
    wake();
    return record;
}

void SimWatches::on_news(void* context, const client::WatchNews& news) {
    auto& one = *static_cast<One*>(context);
    one.owner->take(one, news);
}

void SimWatches::take(One& one, const client::WatchNews& news) {
    queue_.note((one.record->number << 8) ^ static_cast<std::uint64_t>(news.revision) ^ (news.events.size() << 40));
    one.record->told.push_back(told_of(news, queue_.now()));
    if (options_.traced_as != nullptr && news.kind != client::WatchNews::Kind::mark) {
        RecordedWatch last = *one.record;
        last.told.erase(last.told.begin(), last.told.end() - 1);
        narrate(queue_.now(), options_.traced_as, describe(last));
    }
    if (news.bytes == 0) {
        return;
    }
    if (!one.slow) {
        one.watch->done(news.token, news.bytes);
        return;
    }
    held_.push_back({news.token, news.bytes});
    queue_.schedule_in(Duration(static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(held_max.count())))),
                       &SimWatches::on_held, this, 0);
}

// Whichever it was, the oldest is dealt with.
void SimWatches::on_held(void* context, std::uint64_t, std::uint64_t) {
    static_cast<SimWatches*>(context)->read_held();
}

void SimWatches::read_held() {
    if (!held_.empty()) {
        core_.grant(held_.front().token, static_cast<std::uint32_t>(held_.front().bytes));
        held_.pop_front();
        wake();
    }
}

std::uint64_t SimWatches::progress() const {
    std::uint64_t sum = 0;
    for (const auto& one : watches_) {
        sum += static_cast<std::uint64_t>(one->watch->next());
    }
    return sum;
}

std::string SimWatches::describe_untold() const {
    for (const auto& one : watches_) {
        if (!one->watch->ended() && one->record->due == 0) {
            return describe(*one->record) + "\n  the next it wants is " + std::to_string(one->watch->next());
        }
    }
    return {};
}

bool SimWatches::told_through(const std::vector<api::Revision>& revisions) {
    bool all = true;
    while (!held_.empty()) {
        read_held();
    }
    const bool ask = queue_.now() - asked_at_ >= ask_interval;
    for (const auto& one : watches_) {
        one->slow = false;
        if (one->watch->ended()) {
            continue;
        }
        const api::Revision through = revisions[one->record->domain];
        if (one->watch->created() && one->watch->next() > through) {
            one->record->due = through;
            continue;
        }
        all = false;
        if (ask) {
            one->watch->ask_mark();
        }
    }
    if (!all && ask) {
        asked_at_ = queue_.now();
        wake();
    }
    return all;
}

}  // namespace ringfort::sim
