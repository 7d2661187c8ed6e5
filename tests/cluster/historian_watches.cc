#include "historian_watches.h"

#include <algorithm>
#include <utility>

#include "sim/watch_told.h"
#include "sim/workload.h"

namespace ringfort::sim {

namespace {

constexpr Duration draw_interval = 400ms;
constexpr Duration held_max = 1s;
constexpr Duration ask_interval = 300ms;

Duration below(Duration bound, Prng& random) {
    return Duration(static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(bound.count()))));
}

}  // namespace

HistorianWatches::HistorianWatches(client::Core& core, env::Clock& clock, const WorkloadOptions& workload,
                                   const HistorianWatchesOptions& options)
    : core_(core),
      clock_(clock),
      workload_(workload),
      options_(options),
      random_(options.seed),
      revisions_(options.domains, 0) {
    for (std::uint32_t domain = 0; domain < options.domains; domain++) {
        begin_standing(domain);
    }
}

// The first two together see every revision there will be, whatever becomes of the clients that wrote it.
void HistorianWatches::begin_standing(std::uint32_t domain) {
    RecordedWatch wanted;
    wanted.domain = domain;
    const std::string prefix = domain_prefix(domain);
    wanted.key = domain == 0 ? std::string() : prefix;
    wanted.range_end = options_.domains == 1 ? std::string(1, '\0') : prefix + "\xff";
    wanted.start_revision = options_.client <= 2 ? 1 : 0;
    wanted.prev_kv = options_.client != 2;
    switch (options_.client) {
        case 1: break;
        case 2: wanted.no_delete = true; break;
        case 3:
            wanted.key = prefix;
            wanted.range_end = prefix + "~";
            break;
        case 4:
            wanted.key = prefix + "00";
            wanted.range_end.clear();
            break;
        case 5:
            wanted.key = prefix + "~";
            wanted.range_end = prefix + "\xff";
            wanted.no_put = true;
            break;
        default: return;
    }
    standing_.push_back(begin(std::move(wanted), false));
}

std::unique_ptr<HistorianWatches::One> HistorianWatches::begin(RecordedWatch wanted, bool slow) {
    wanted.number = records_.size();
    wanted.client = options_.client;
    records_.push_back(std::move(wanted));
    auto one = std::make_unique<One>();
    one->owner = this;
    one->record = &records_.back();
    one->slow = slow;
    one->watch = std::make_unique<client::Watch>(core_, make_watch_request(records_.back()), std::nullopt,
                                                 &HistorianWatches::on_news, one.get());
    one->watch->start();
    return one;
}

void HistorianWatches::on_news(void* context, const client::WatchNews& news) {
    One& one = *static_cast<One*>(context);
    HistorianWatches& self = *one.owner;
    const Instant now = self.clock_.now();
    one.record->told.push_back(told_of(news, now));
    if (news.bytes > 0 && one.slow) {
        self.held_.push_back({now + below(held_max, self.random_), news.token, news.bytes});
    } else if (news.bytes > 0) {
        one.watch->done(news.token, news.bytes);
    }
}

void HistorianWatches::read_held(Instant now) {
    for (; !held_.empty() && held_.front().until <= now; held_.pop_front()) {
        core_.grant(held_.front().token, static_cast<std::uint32_t>(held_.front().bytes));
    }
}

void HistorianWatches::draw() {
    if (!standing_.empty() && random_.one_in(4)) {
        standing_[random_.below(standing_.size())]->watch->ask_mark();
    }
    if (by_lot_ == nullptr) {
        RecordedWatch wanted = draw_watch(random_, workload_, options_.domains, revisions_);
        by_lot_ = begin(std::move(wanted), random_.one_in(4));
    } else if (by_lot_->watch->ended() || random_.one_in(12)) {
        by_lot_.reset();
    } else if (random_.one_in(8)) {
        by_lot_->watch->ask_mark();
    }
}

Instant HistorianWatches::turn() {
    const Instant now = clock_.now();
    read_held(now);
    if (now >= next_) {
        draw();
        next_ = now + draw_interval / 2 + below(draw_interval, random_);
    }
    return held_.empty() ? next_ : std::min(next_, held_.front().until);
}

void HistorianWatches::stop() {
    read_held(never);
    if (by_lot_ != nullptr) {
        by_lot_->slow = false;
    }
    next_ = never;
}

void HistorianWatches::learn(std::uint32_t domain, api::Revision revision) {
    revisions_[domain] = std::max(revisions_[domain], revision);
}

bool HistorianWatches::told_through(std::span<const api::Revision> newest) {
    const Instant now = clock_.now();
    const bool ask = now - asked_at_ >= ask_interval;
    bool all = true;
    const auto look = [&](One& one) {
        const api::Revision through = newest[one.record->domain];
        if (one.watch->ended()) {
            return;
        }
        if (one.watch->created() && one.watch->next() > through) {
            one.record->due = through;
            return;
        }
        all = false;
        if (ask) {
            one.watch->ask_mark();
        }
    };
    for (const auto& one : standing_) {
        look(*one);
    }
    if (by_lot_ != nullptr) {
        look(*by_lot_);
    }
    asked_at_ = ask && !all ? now : asked_at_;
    return all;
}

std::string HistorianWatches::describe_untold() const {
    const auto untold = [](const One* one) { return one != nullptr && !one->watch->ended() && one->record->due == 0; };
    for (const auto& one : standing_) {
        if (untold(one.get())) {
            return describe(*one->record) + "\n  the next it wants is " + std::to_string(one->watch->next());
        }
    }
    return untold(by_lot_.get()) ? describe(*by_lot_->record) + "\n  the next it wants is " +
                                       std::to_string(by_lot_->watch->next())
                                 : std::string();
}

}  // namespace ringfort::sim
