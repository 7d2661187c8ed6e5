// The locks and elections of one simulated client: a session at a time, and in it places in lines that are entered, held,
// used and left by lot, given up, lost with the session, and forgotten by a process that dies. All of it is recorded.
//
// They lie in a domain of their own, behind those of the workload: what contenders write is in no history of requests.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/prng.h"
#include "client/contender.h"
#include "client/leader_watch.h"
#include "client/public_client_leases.h"
#include "sim/event_queue.h"
#include "sim/lock_record.h"

namespace ringfort::sim {

class LockLines;
class SimClient;

struct SimLocksOptions {
    bool enabled{false};
    std::uint32_t client{0};
    std::uint32_t domain{0};
    std::uint64_t seed{0};
    bool keeps_account{false};   // of the whole domain; one client does
};

class SimLocks {
  public:
    SimLocks(EventQueue& queue, client::Core& core, SimClient& client, const SimLocksOptions& options,
             LockRecords& records);
    ~SimLocks();
    SimLocks(const SimLocks&) = delete;
    SimLocks& operator=(const SimLocks&) = delete;

    void start();
    // Nothing more is wanted: who holds leaves, who waits goes on until his turn, and then the session is closed.
    void stop() { working_ = false; }
    bool idle() const { return session_ == Session::none; }
    // What its client was told, or that nobody waits for it any more.
    void learn(const RecordedOperation& operation);
    // Whether its observer was told of the last leader of this account; what it keeps of one is as far.
    bool told(const LockLines& lines, api::Revision newest);
    std::string describe() const;

  private:
    enum class Session : std::uint8_t { none, opening, open };
    struct Place {
        SimLocks* owner{nullptr};
        std::string name;
        bool election{false};
        std::unique_ptr<client::Contender> contender;
        LockClaim* claim{nullptr};       // while it believes to have the turn
        std::string value;               // proclaimed last
        bool proclaiming{false};
        LockAbsence* absence{nullptr};   // while it is out of the line, and was in it
        Instant rests_until{0};          // out of it
        Instant leaving_since{0};
        GuardedAction former;            // of the last turn it had
    };
    static void on_tick(void* context, std::uint64_t, std::uint64_t);
    static void on_kept(void* context, std::uint64_t token, std::uint64_t);
    static void on_account_again(void* context, std::uint64_t, std::uint64_t);
    static void on_news(void* context, const client::ContenderNews& news);
    static void on_leader(void* context, const client::LeaderNews& news);
    static void on_account(void* context, const client::WatchNews& news);
    void schedule_tick();
    void act();
    void act(Place& place);
    void enter(Place& place);
    void leave(Place& place);
    void end_claim(Place& place) const;
    void end_absence(Place& place) const;
    void write_guarded(const Place& place, const GuardedAction& guard);
    void open_session();
    void on_opened(const RecordedOperation& operation);
    void end_session();
    void close_session();
    void run_kept();
    void watch_account();
    std::uint64_t ask(StepRequest step, Duration timeout);
    std::string fresh_value();

    EventQueue& queue_;
    client::Core& core_;
    SimClient& client_;
    const SimLocksOptions options_;
    LockRecords& records_;
    Prng random_;
    bool started_{false};
    bool working_{false};
    std::uint64_t values_{0};

    Session session_{Session::none};
    std::uint64_t grant_{0};                                    // the operation that opens it
    api::LeaseId lease_{0};
    client::KeptLeases kept_;
    std::map<std::uint64_t, std::int64_t> renewals_;            // operation: lease
    std::uint64_t kept_token_{0};
    std::vector<std::unique_ptr<Place>> places_;

    std::unique_ptr<client::LeaderWatch> observer_;
    LeaderTale* tale_{nullptr};
    std::unique_ptr<client::Watch> account_;
    api::Revision account_next_{1};
};

}  // namespace ringfort::sim
