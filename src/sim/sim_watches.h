// The watches of one simulated client: made, left and made anew by lot, read fast or slowly, everything told recorded.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "base/prng.h"
#include "client/watch.h"
#include "sim/event_queue.h"
#include "sim/run_options.h"
#include "sim/watch_record.h"

namespace ringfort::sim {

struct SimWatchesOptions {
    std::uint32_t client{0};
    std::uint32_t domains{1};
    std::uint64_t seed{0};
    // The core has to run soon.
    void (*wake)(void* context){nullptr};
    void* wake_context{nullptr};
    const char* traced_as{nullptr};   // null: nothing is told
};

class SimWatches {
  public:
    SimWatches(EventQueue& queue, client::Core& core, const WorkloadOptions& workload, const SimWatchesOptions& options,
               WatchRecords& records);
    ~SimWatches();
    SimWatches(const SimWatches&) = delete;
    SimWatches& operator=(const SimWatches&) = delete;

    // Begins, or stops, to make and leave watches. Those that are there stay.
    void start();
    void stop() { load_++; }
    // The highest revision of each domain that a client was told: where watches may begin.
    void learn(std::uint32_t domain, api::Revision revision);
    // Begins this watch now.
    RecordedWatch& begin(RecordedWatch wanted, bool slow = false);
    // Whether every watch was told everything up to these revisions, by domain; those that were say so in their records.
    // Others are asked for a mark, and nobody is slow any more.
    bool told_through(const std::vector<api::Revision>& revisions);
    // Grows whenever one of them is told more.
    std::uint64_t progress() const;
    // One that was not; empty: none.
    std::string describe_untold() const;

  private:
    struct One {
        SimWatches* owner{nullptr};
        RecordedWatch* record{nullptr};
        std::unique_ptr<client::Watch> watch;
        bool slow{false};
    };
    struct Held {
        std::uint64_t token;
        std::uint64_t bytes;
    };
    static void on_tick(void* context, std::uint64_t load, std::uint64_t);
    static void on_held(void* context, std::uint64_t, std::uint64_t);
    static void on_news(void* context, const client::WatchNews& news);
    void schedule_tick();
    void make_one();
    void read_held();
    void take(One& one, const client::WatchNews& news);
    void wake() const { options_.wake(options_.wake_context); }

    EventQueue& queue_;
    client::Core& core_;
    const WorkloadOptions& workload_;
    const SimWatchesOptions options_;
    WatchRecords& records_;
    Prng random_;
    std::vector<std::unique_ptr<One>> watches_;
    std::vector<api::Revision> revisions_;   // by domain, told
    std::deque<Held> held_;                  // in the order of their events
    Instant asked_at_{};
    std::uint64_t load_{0};
};

}  // namespace ringfort::sim
