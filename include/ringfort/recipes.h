// Recipes over the client's calls: transactions as a function, queues and barriers; in etcd's words where it has them.
// Threads: as the client; synchronous.
//
//     auto done = ringfort::run_stm(client, [](ringfort::Stm& stm) {
//         const auto count = stm.get("count");
//         stm.put("count", std::to_string(count ? std::stoll(*count) + 1 : 1));
//         return true;
//     });
//
//     ringfort::Queue queue(client, "jobs");
//     queue.enqueue("job 1");
//     auto job = queue.dequeue();                       // waits for one; job->value
//
//     ringfort::Barrier barrier(client, "stop");
//     barrier.hold();
//     barrier.wait();                                   // in others, until somebody calls release()
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "ringfort/client.h"

namespace ringfort {

// ---------------------------------------------------------------------------------------------- transactions as functions

// What a transaction reads and writes.
class Stm {
  public:
    // The key's value: what was written here, or of the snapshot. Nothing: it is not there. If it cannot be read, that is so
    // of every key from then on, and nothing is written: failed() says so to whoever wants to stop early.
    std::optional<std::string> get(std::string_view key);
    void put(std::string_view key, std::string_view value, std::int64_t lease = 0);
    void del(std::string_view key);
    bool failed() const { return error_.has_value(); }

  private:
    struct Seen {
        std::int64_t mod_revision{0};   // 0: not there
        std::string value{};
    };
    struct Written {
        bool removed{false};
        std::string value{};
        std::int64_t lease{0};
    };
    explicit Stm(Client& client) : client_(&client) {}
    bool read(const std::string& key, Seen& seen);
    Txn commit() const;
    bool begin_after(const TxnReply& refused);
    friend Outcome<TxnReply> run_stm(Client& client, const std::function<bool(Stm&)>& apply, std::int64_t timeout_ms);

    Client* client_;
    std::int64_t revision_{0};                           // of the snapshot; 0: none yet
    std::map<std::string, Seen, std::less<>> reads_;
    std::map<std::string, Seen, std::less<>> fetched_;   // of the snapshot, not asked for yet
    std::map<std::string, Written, std::less<>> writes_;
    std::optional<Error> error_;
};

// Runs `apply` until what it wrote is committed with nothing it had read changed since. It may run several times, and is to
// do nothing else. False: it gives up, nothing is written, and the error is `cancelled`.
//
// Isolation: strictly serializable. All reads are of one revision, the newest when the attempt began, also those of an
// attempt that is not committed; a transaction without writes is of that revision. Keys that are written and not read may
// have changed meanwhile.
// Not guaranteed: that it is committed while others write what it reads faster than it runs; some transaction always is.
// A commit without an answer is not tried again, since it may have happened: the error is indefinite.
// All keys lie in one domain; at most as many are read, and as many written, as a transaction may have operations.
// timeout_ms: after which it is not tried again; below 0: as long as it takes.
Outcome<TxnReply> run_stm(Client& client, const std::function<bool(Stm&)>& apply, std::int64_t timeout_ms = -1);

// ---------------------------------------------------------------------------------------------- queues

// First in, first out, by the order in which the cluster took them, for any number of writers and readers.
// Guaranteed: what was enqueued once is dequeued by one reader at most, and before anything that was enqueued later.
// Not guaranteed: that it is worked on. It is gone when it is dequeued, also if the reader then ends, or has no answer
// (indefinite: it may have been taken). Of an enqueue() without an answer it is not known whether it happened, and it is
// not tried again. Taking one costs the cluster a look at all that is queued.
// All keys below NAME/ are its own: no name of another queue, a lock or an election may be NAME, or begin with NAME/.
class Queue {
  public:
    Queue(Client& client, std::string_view name) : client_(client), prefix_(std::string(name) + "/") {}

    Outcome<PutReply> enqueue(std::string_view value);
    // Waits until there is one, at most so long (timed_out); below 0 as long as it takes.
    Outcome<KeyValue> dequeue(std::int64_t timeout_ms = -1);

  private:
    Client& client_;
    const std::string prefix_;
};

// ---------------------------------------------------------------------------------------------- barriers

// Whoever waits goes on once nobody holds. It hangs on no session: it is held until somebody releases it.
class Barrier {
  public:
    Barrier(Client& client, std::string_view key) : client_(client), key_(key) {}

    // Nothing is changed if it is held.
    Outcome<Header> hold();
    Outcome<Header> release();
    // Until it is not held, at most so long (timed_out); below 0 as long as it takes. The header: of when it was not.
    Outcome<Header> wait(std::int64_t timeout_ms = -1);

  private:
    Client& client_;
    const std::string key_;
};

}  // namespace ringfort
