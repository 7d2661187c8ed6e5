// The load itself: keeps requests under way, closed or open loop, and records what becomes of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/core.h"
#include "client/socket_network.h"
#include "history.h"
#include "keys.h"
#include "options.h"
#include "timeline.h"

namespace ringload {

// For people.
std::string words_of(ringfort::api::Errc code, std::string_view detail);

// Told of the writes of a load as they happen.
class WriteObserver {
  public:
    virtual ~WriteObserver() = default;
    virtual void on_write_started(std::uint64_t sequence, Instant intended) = 0;
    virtual void on_write_acknowledged(std::uint64_t sequence, std::uint64_t key, Instant now) = 0;
};

class Load {
  public:
    // Requires of the core: room for options.slots() requests. `history` may be closed; both outlive the load.
    Load(const Options& options, ringfort::client::Core& core, ringfort::env::Clock& clock, HistoryWriter& history);
    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;

    // Before begin(). It outlives the load.
    void observe(WriteObserver& observer) { observer_ = &observer; }
    // Starts the first requests; the run counts from here, after the warm-up.
    void begin();
    // A turn of the core and of the load, and the wait for the next, `until` at the latest.
    void turn(ringfort::client::SocketNetwork& network, Instant until = ringfort::never);
    // Starts what is due. Returns when it wants to run again at the latest. Called after a turn of the core.
    Instant step();
    // No new requests from here on.
    void stop();
    // Stopped, and every request is answered.
    bool finished() const { return stopped_ && under_way_ == 0; }
    bool stopped() const { return stopped_; }
    // Ends the measurement, whatever is still under way.
    void end();

    const Timeline& timeline() const { return timeline_; }
    Timeline& timeline() { return timeline_; }
    std::size_t under_way() const { return under_way_; }
    // Of an open loop: requests whose time has come and that could not start, because the bound was reached.
    std::uint64_t backlog() const { return backlog_; }
    std::uint64_t started_count() const { return started_; }
    // Since begin(), whatever the answer was.
    std::uint64_t answered_count() const { return answered_; }
    bool measuring() const { return measuring_; }
    // Of loads that mix them: of reads and of writes that were acknowledged.
    const Histogram& read_latencies() const { return read_latencies_; }
    const Histogram& write_latencies() const { return write_latencies_; }
    // The first failure of each run in words, for people.
    const std::string& first_failure() const { return first_failure_; }

  private:
    struct Slot {
        Load* load{nullptr};
        Instant intended{};
        std::uint64_t key{0};
        std::uint64_t sequence{0};
        Operation operation{Operation::put};
    };
    struct Resting {
        std::uint32_t slot;
        Instant until;
    };

    static void on_response(void* context, std::uint64_t token, const ringfort::api::Response& response);
    void answered(Slot& slot, const ringfort::api::Response& response);
    void record_write(const Slot& slot, ringfort::api::Errc code, const ringfort::api::ResponseHeader& header);
    void start(Slot& slot, Instant intended);
    Operation choose_operation();
    bool reads_next();
    void build(const Slot& slot, std::string_view key);
    void build_txn(Operation operation, std::string_view key);
    void build_txn_range();
    bool may_start() const;
    void maybe_finish_warmup(Instant now);
    Instant start_due(Instant now);
    // Open loop: how many requests have been due until then, from the first at begin() on.
    std::uint64_t due_by(Instant now) const;
    void note_backlog(Instant now);

    const Options& options_;
    ringfort::client::Core& core_;
    ringfort::env::Clock& clock_;
    HistoryWriter& history_;
    WriteObserver* observer_{nullptr};
    Timeline timeline_;
    Histogram read_latencies_;
    Histogram write_latencies_;
    KeyChooser chooser_;
    KeyFormat format_;
    ringfort::Prng prng_;
    std::vector<Slot> slots_;
    std::vector<std::uint32_t> idle_;      // open loop: slots without a request
    std::vector<Resting> resting_;         // closed loop: slots that failed at once, oldest first
    std::string key_;
    std::string value_;
    std::string range_begin_, range_end_;  // of txn-mixed's reads
    ringfort::api::Request request_;
    ringfort::api::Compare compare_;
    ringfort::api::RequestOp success_[2];
    ringfort::api::LeaseId lease_{0};

    Instant begin_{};
    Instant measure_from_{};
    Instant end_at_{};
    std::uint64_t sequence_{0};
    std::uint64_t started_{0};             // since begin(); of a run by count: since the warm-up
    std::uint64_t scheduled_{0};           // open loop: intended starts used up
    std::uint64_t backlog_{0};
    std::uint64_t answered_{0};
    std::size_t under_way_{0};
    bool stopped_{false};
    bool measuring_{false};
    std::string first_failure_;
};

}  // namespace ringload
