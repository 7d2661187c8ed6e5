// Many watches, held cheaply, and what they are told: client/watch.h keeps one watch with all comforts; here a watch takes
// 24 bytes beside its request in the core, so that one process holds a million.
//
// Each goes on behind the last revision it was told whole when its connection or node is lost: every event is counted once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/core.h"
#include "load.h"
#include "timeline.h"

namespace ringload {

class WatchLoad final : public WriteObserver {
  public:
    // Requires of the core: room for options.watch_count() requests. Watch i is on key i modulo options.keys.
    WatchLoad(const Options& options, ringfort::client::Core& core, ringfort::env::Clock& clock);
    WatchLoad(const WatchLoad&) = delete;
    WatchLoad& operator=(const WatchLoad&) = delete;

    // Asks for watches that are due, as many as may be under way. Called after a turn of the core.
    void step();
    // The measurement counts from here.
    void begin();
    void end();

    std::size_t count() const { return watches_.size(); }
    std::size_t open_count() const { return open_; }
    // Nothing under way: each was created, or has ended.
    bool settled() const { return open_ + ended_ == watches_.size(); }
    // How often one went on after a loss, and how many ended for good.
    std::uint64_t resumed_count() const { return resumed_; }
    std::uint64_t ended_count() const { return ended_; }
    // The last reason for either, in words.
    const std::string& last_end() const { return last_end_; }
    // Events since the first write; and how many there must be at least: an acknowledged write's is told to every watch
    // of its key.
    std::uint64_t received_count() const { return received_; }
    std::uint64_t expected_count() const { return expected_; }
    // Events measured, each with its time since its write was acknowledged; 0 if it came before that.
    const Timeline& events() const { return events_; }
    Timeline& events() { return events_; }
    // Of the same events: since the write was due.
    const Histogram& since_due() const { return since_due_; }
    // When something was told, or became due to be told, last.
    Instant last_event_at() const { return last_event_at_; }

    void on_write_started(std::uint64_t sequence, Instant intended) override;
    void on_write_acknowledged(std::uint64_t sequence, std::uint64_t key, Instant now) override;

  private:
    struct Watching {
        WatchLoad* load;
        ringfort::api::Revision next;      // the first revision it was not told whole; 0: what comes after its creation
        bool open;                         // created; else being asked for, waiting for that, or ended
    };
    struct WriteTimes {
        std::uint64_t sequence{UINT64_MAX};
        Instant due{};
        Instant acknowledged{ringfort::never};
    };
    // A watch that lags behind by more writes finds no times, and its events count without.
    static constexpr std::size_t writes_kept = std::size_t{1} << 20;

    static void on_response(void* context, std::uint64_t token, const ringfort::api::Response& response);
    void on_frame(Watching& watching, std::uint64_t token, const ringfort::api::Response& response);
    void on_event(const ringfort::api::Event& event, Instant now);
    void on_end(Watching& watching, const ringfort::api::Response& response);
    void ask(std::size_t index);
    WriteTimes& times_of(std::uint64_t sequence) { return writes_[sequence % writes_kept]; }

    const Options& options_;
    ringfort::client::Core& core_;
    ringfort::env::Clock& clock_;
    KeyFormat format_;
    std::string key_;
    ringfort::api::Request request_;
    std::vector<Watching> watches_;
    std::size_t next_{0};                  // the first never asked for
    std::vector<std::uint32_t> again_;     // to be asked for again
    std::size_t under_way_{0};
    std::size_t open_{0};
    std::uint64_t resumed_{0};
    std::uint64_t ended_{0};
    std::string last_end_;
    std::vector<WriteTimes> writes_;       // by sequence, modulo
    const Instant spread_until_;           // so long all connections are waited for before the first is asked for
    std::uint64_t received_{0};
    std::uint64_t expected_{0};
    Timeline events_;
    Histogram since_due_;
    Instant last_event_at_{};
};

}  // namespace ringload
