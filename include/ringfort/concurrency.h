// Locks and elections, with etcd's words and meanings (its package "concurrency").
//
//     auto session = ringfort::Session::open(client, {.ttl = 10});
//     ringfort::Lock lock(*session, "locks/report");
//     auto held = lock.lock();                                          // waits for its turn
//     if (!held) { ... }
//     ringfort::Txn txn;                                                // happens only while it is held
//     txn.compares.push_back(held->still_held());
//     txn.success.push_back(ringfort::OpPut{.key = "report", .value = "mine"});
//     auto done = client.txn(txn);
//     lock.unlock();
//
//     ringfort::Election election(*session, "leaders/report");
//     auto elected = election.campaign("10.0.0.1:80");                  // waits until it leads
//     ringfort::Observer observer(client, "leaders/report");
//     while (auto leader = observer.next()) { use(leader->kv.value); }
//
// How: whoever wants NAME puts the key NAME/LEASE (in hexadecimal), on the session's lease. Of these keys the one with the
// least create revision has its turn; everybody else watches the one before his own. Keys below NAME/ that begin
// beyond the digits' range, from '0' up to 'f', are nobody's place: NAME/left-LEASE is a mark of one who left while it was
// in doubt whether he stood there, and refuses what of his may yet arrive.
//
// Guaranteed, by the cluster:
// - One at a time: of all keys below NAME/ one is the first. It goes when its holder unlocks, or when its lease ends, never
//   before: then it is the next one's turn.
// - In order: turns come in the order of the create revisions; whoever gives up stands in nobody's way. Tokens therefore
//   grow from holder to holder.
// - A transaction that compares still_held() happens only while its lock is held.
// - A holder's end is met: without a sign of life its lease ends after its time, and the next one's turn comes.
// - Answers that are lost, connections and nodes that go, and compaction change none of this, and are nothing to care for.
//
// Not guaranteed:
// - A lock is advisory: it holds back nobody who does not ask for it.
// - Whoever believes that he holds a lock may be wrong: a process that is paused, or cut off, goes on where it was when its
//   session has long ended and the lock is another's. Session::lost() says so as soon as this process can know, and from
//   then on none of its locks is held; but between a look at it and what follows any time may pass. Therefore the fencing
//   token: what is guarded in the cluster compares still_held(); something outside of it is to remember the highest token
//   it has seen and refuse lower ones.
// - Time: a turn comes after those before it, however long these take.
// - Somebody who writes or deletes keys below NAME/ by other means ends or hinders turns.
// - A name's keys must lie in one domain, the session's.
// - Names inside one another are in each other's way: no name may be another's beginning up to a "/" (a lock "jobs" waits
//   for the holder of a lock "jobs/backup"), and locks, elections and queues share no name.
//
// Threads: as the client. Of each object one call at a time, except for unlock() and resign(), which end a lock() or
// campaign() that waits. With Threading::polled sessions are kept alive only while calls or poll() run. Sessions, locks and
// elections end before their client.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "ringfort/client.h"

namespace ringfort {

namespace client {
class PublicContender;
class PublicObserver;
struct PublicSession;
}  // namespace client

// ---------------------------------------------------------------------------------------------- sessions

struct SessionOptions {
    std::int64_t ttl{60};              // seconds that it lives without a sign of life
    std::uint64_t domain{0};           // where its lease lives; 0: the only one (several: domain_required)
    std::int64_t timeout_ms{0};        // of its grant and each renewal; 0: the client's own, and a third of `ttl`
    // Called once if it is lost, on the client's thread, and not after close() or ~Session: who
    // closes waits for one that runs, and must hold no lock that it takes, nor one that callbacks of the session's locks and
    // elections take. It must not wait for that thread.
    std::function<void()> lost{};
};

// A lease that is kept alive, and what hangs on it.
class Session {
  public:
    static Outcome<Session> open(Client& client, const SessionOptions& options = {});
    Session(Session&&) noexcept;
    Session& operator=(Session&&) noexcept;
    // Closes it, and waits for no answer.
    ~Session();

    std::int64_t lease() const;
    // Whether it is over: closed, or its lease is gone, or may be gone since nobody could be told in time that it lives.
    // It looks at the clock, also when no call or poll() has run. Time in which the machine sleeps is not counted.
    bool lost() const;
    // Waits until it is lost, at most so long; below 0 for ever. Whether it is.
    bool wait_lost(std::int64_t timeout_ms = -1);
    // Its lease is revoked, and all its keys go at one revision. If this fails they go after the lease's time.
    Outcome<LeaseRevokeReply> close();
    // It is not kept alive any more: its keys go after the lease's time, unless somebody else renews it.
    void orphan();

  private:
    friend class Lock;
    friend class Election;
    explicit Session(std::shared_ptr<client::PublicSession> state);
    std::shared_ptr<client::PublicSession> state_;
};

// A turn.
struct Held {
    Header header{};                   // of the answer that showed that it is its turn
    std::string key{};
    std::int64_t token{0};             // the fencing token: the key's create revision, greater than all holders' before
    // Holds in a transaction as long as the turn lasts.
    Compare still_held() const {
        return {CompareTarget::create, CompareResult::equal, key, {}, token, {}};
    }
};

// ---------------------------------------------------------------------------------------------- locks

// Errors besides those of every call: session_lost; locked (try_lock, or another lock of this session has or wants that
// name); not_held; timed_out, and cancelled if unlock() ended the waiting: of both it is certain that the lock is not held.
class Lock {
  public:
    using Callback = std::function<void(Outcome<Held>)>;

    Lock(Session& session, std::string_view name);
    Lock(Lock&&) noexcept;
    Lock& operator=(Lock&&) noexcept;
    // Unlocks, and does not wait.
    ~Lock();

    // Waits for its turn, at most so long; below 0 as long as it takes. Whoever gives up, or is lost, leaves the line.
    Outcome<Held> lock(std::int64_t timeout_ms = -1);
    // Locks if nobody has or wants the lock; stands in no line.
    Outcome<Held> try_lock(std::int64_t timeout_ms = -1);
    // The answer runs as those of the client's asynchronous calls do.
    void lock_async(Callback held);
    // Gives up the lock, or waiting for it. Answered when the key is gone; with an error it goes all the same, as soon as
    // somebody can be told, at the latest with its session. timeout 0: the client's.
    Outcome<Header> unlock(std::int64_t timeout_ms = 0);
    // The key it has while it stands in line.
    const std::string& key() const;

  private:
    std::shared_ptr<client::PublicContender> state_;
};

// ---------------------------------------------------------------------------------------------- elections

struct Leader {
    Header header{};                   // of when it was so
    KeyValue kv{};                     // value: what it proclaims; create_revision: its fencing token
};

// Errors as of a lock; and not_elected of what only a leader can do.
class Election {
  public:
    using Callback = std::function<void(Outcome<Held>)>;

    Election(Session& session, std::string_view name);
    Election(Election&&) noexcept;
    Election& operator=(Election&&) noexcept;
    // Resigns, and does not wait.
    ~Election();

    // Waits until it leads, with this value; as Lock::lock().
    Outcome<Held> campaign(std::string_view value, std::int64_t timeout_ms = -1);
    void campaign_async(std::string_view value, Callback elected);
    // Another value, without another election. After timed_out it may be proclaimed yet, until the next one is.
    Outcome<Header> proclaim(std::string_view value, std::int64_t timeout_ms = 0);
    // Gives up the leadership, or the campaign; as Lock::unlock().
    Outcome<Header> resign(std::int64_t timeout_ms = 0);
    const std::string& key() const;

    // Who leads. Nobody: no_elected.
    static Outcome<Leader> leader(Client& client, std::string_view name, const CallOptions& options = {});

  private:
    std::shared_ptr<client::PublicContender> state_;
};

// Who leads, and what it proclaims: as it is, and then every change in its order, each once. Left out is only what was
// compacted before it could be read. That nobody leads is not told. One thread at a time; ends before its client.
class Observer {
  public:
    Observer(Client& client, std::string_view name);
    Observer(Observer&&) noexcept;
    Observer& operator=(Observer&&) noexcept;
    ~Observer();

    // The next one. Waits at most so long (below 0 for ever): then the error is timed_out, and it goes on; others are its
    // end.
    Outcome<Leader> next(std::int64_t timeout_ms = -1);

  private:
    std::shared_ptr<client::PublicObserver> state_;
};

}  // namespace ringfort
