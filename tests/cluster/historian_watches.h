// The watches of one of the historian's clients: some that stand from beginning to end, and one at a time that is made and
// left by lot. Everything they are told is recorded; nodes that are lost meanwhile are the client library's business.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/prng.h"
#include "client/watch.h"
#include "env/clock.h"
#include "sim/run_options.h"
#include "sim/watch_record.h"

namespace ringfort::sim {

struct HistorianWatchesOptions {
    std::uint32_t client{0};    // from 1 on
    std::uint32_t domains{1};
    std::uint64_t seed{0};
};

class HistorianWatches {
  public:
    HistorianWatches(client::Core& core, env::Clock& clock, const WorkloadOptions& workload,
                     const HistorianWatchesOptions& options);

    // Makes, leaves and reads what its lot is now. Returns when it wants to again, at the latest.
    Instant turn();
    // Nothing is made or left any more, and everything is read at once.
    void stop();
    // The highest revision of a domain that the client was told.
    void learn(std::uint32_t domain, api::Revision revision);
    // Whether all were told everything up to these revisions, by domain: others are asked for a mark now and then.
    bool told_through(std::span<const api::Revision> newest);
    // One that was not; empty: none.
    std::string describe_untold() const;
    const WatchRecords& records() const { return records_; }

  private:
    struct One {
        HistorianWatches* owner{nullptr};
        RecordedWatch* record{nullptr};
        std::unique_ptr<client::Watch> watch;
        bool slow{false};
    };
    struct Held {
        Instant until;
        std::uint64_t token, bytes;
    };
    static void on_news(void* context, const client::WatchNews& news);
    void begin_standing(std::uint32_t domain);
    std::unique_ptr<One> begin(RecordedWatch wanted, bool slow);
    void read_held(Instant now);
    void draw();

    client::Core& core_;
    env::Clock& clock_;
    const WorkloadOptions& workload_;
    const HistorianWatchesOptions options_;
    Prng random_;
    WatchRecords records_;
    std::vector<std::unique_ptr<One>> standing_;
    std::unique_ptr<One> by_lot_;
    std::vector<api::Revision> revisions_;   // by domain, told
    std::deque<Held> held_;                  // of slow ones; the first is dealt with first
    Instant next_{0};
    Instant asked_at_{0};
};

}  // namespace ringfort::sim
