// The Ringfort client library.
//
// Link with libringfort and pthread. C++17 or newer (the examples name fields, which is C++20), no exceptions needed; the
// header needs no other library, and the library no io_uring.
//
//     #include <ringfort/client.h>
//
//     ringfort::Client client({.endpoints = {"10.0.0.1:2379", "10.0.0.2:2379", "10.0.0.3:2379"}});
//     auto put = client.put("hello", "world");
//     if (!put) {
//         fprintf(stderr, "%s\n", put.error().text().c_str());
//     }
//     auto got = client.get("hello");                                   // linearizable
//     auto all = client.get("app/", ringfort::prefix("app/"));          // every key that starts with app/
//     auto old = client.get("hello", {.revision = put->header.revision});
//
// Compare and set:
//
//     ringfort::Txn txn;
//     txn.compares.push_back({.target = ringfort::CompareTarget::mod, .key = "k", .number = 7});
//     txn.success.push_back(ringfort::OpPut{.key = "k", .value = "new"});
//     txn.failure.push_back(ringfort::OpGet{.key = "k"});
//     auto done = client.txn(txn);      // done->succeeded, done->replies
//
// A range too large for memory, part by part:
//
//     auto end = client.stream("app/", ringfort::prefix("app/"), [](std::vector<ringfort::KeyValue> part) {
//         return write_out(part);                                       // false: enough
//     });
//
// A key that is there as long as this process is:
//
//     auto lease = client.lease_grant(10);                              // seconds
//     client.keep_alive(*lease, {}, [] { stop_working(); });
//     client.put("workers/me", "here", {.lease = lease->id});
//
// Watch:
//
//     auto watcher = client.watch("app/", ringfort::watch_prefix("app/"));
//     while (auto reply = watcher.next()) {                             // waits
//         for (const ringfort::Event& event : reply->events) { ... }    // all of one revision
//         if (reply->canceled) { break; }                               // reply->compact_revision: history was compacted
//     }
//
// A watch goes on by itself over lost connections and nodes, and leaves a node that is cut off from the others: behind
// the last revision it told, so that no event is missed or told twice. Where no endpoint has a leader it waits. It ends when
// it is cancelled, when what it needs next was compacted (read the keys anew, and watch from the
// revision of that answer, plus one), or with an error that would meet every try. A reader that is slow makes the
// servers wait, not this process grow: at most about 1 MiB of each watch is held here, and a revision always whole.
//
// Locks and elections: ringfort/concurrency.h. Transactions as a function, queues and barriers: ringfort/recipes.h.
//
// Asynchronous: every call has an _async form whose callback runs once, on the client's thread (or on the one that
// destroys the client). It must not block, and may start other asynchronous calls. Keys and values are copied before
// the call returns.
//
//     client.put_async("k", "v", {}, [](ringfort::Outcome<ringfort::PutReply> put) { ... });
//
// What the client does by itself
// - It connects to the endpoints in order, reconnects with growing pauses, and spreads requests over its connections.
//   Any node takes any request. `follow_leader` saves the hop to the leader.
// - A node that owes an answer and says nothing for 1.4 seconds is left for another one; one that only serves watches, and
//   owes nothing but what they may have to tell, after 2.8 seconds.
// - Reads are tried again on another endpoint until their timeout (a stream only until its first part). A write is tried
//   again only if it never left, or was refused without having been proposed. Otherwise you get the error, and
//   `error_class` says what is known: definite (did not happen), indefinite (may have happened: read before you write
//   again), redirect (did not happen).
// - timed_out and connection_lost of a write are indefinite; no_leader is definite, and its `detail` says why nobody
//   could be reached.
//
// Limits are the cluster's: 1.5 MiB for a request and 128 operations for a transaction unless it was told otherwise
// (request_too_large, too_many_ops). Replies have none.
//
// Threads: with the default, `background`, the client has a thread of its own and every method may be called from every
// thread (synchronous ones not from a callback). With `polled` it has none: all calls from one thread; synchronous
// calls run the network while they wait; asynchronous ones move only in poll(). Lowest latency, and no locks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ringfort/error.h"
#include "ringfort/types.h"

namespace ringfort {

enum class Threading : std::uint8_t { background, polled };

// Numbers out of bounds are brought into them.
struct ClientOptions {
    // "host:port", "[v6]:port", or either behind "http://". At least one, at most 64.
    std::vector<std::string> endpoints{"127.0.0.1:2379"};
    std::int64_t dial_timeout_ms{2000};     // for one connect and hello; at most a day; 0: the default
    std::int64_t request_timeout_ms{5000};  // of calls that name none; at most a day; 0: the default
    std::size_t connections{1};             // 1 to 1024, spread over the endpoints
    // 1 to 2^20; further requests get too_many_requests. A watch is one as long as it is there; what keep_alive() asks is
    // none.
    std::size_t in_flight_max{4096};
    std::uint64_t cluster_id{0};            // 0: any; otherwise others are refused
    std::string name{"libringfort"};        // for the server's log, at most 256 bytes
    // Connections move to the node that leads. For clients that reach every node's advertised address; one that cannot
    // be reached is left to the servers, which forward.
    bool follow_leader{false};
    Threading threading{Threading::background};
    std::int64_t poll_us{0};                // before it sleeps, the network is polled for so long; at most a second
};

// Options of a get for every key that starts with `text` (which is also the key to give).
inline GetOptions prefix(std::string_view text) {
    GetOptions options;
    options.range_end = prefix_end(text);
    return options;
}

// Options of a watch of every key that starts with `text` (which is also the key to give).
inline WatchOptions watch_prefix(std::string_view text) {
    WatchOptions options;
    options.range_end = prefix_end(text);
    return options;
}

class Client;

// A watch, read one reply at a time, by one thread at a time. Ends with its destructor, which comes before its client's.
class Watcher {
  public:
    Watcher(Watcher&& other) noexcept;
    Watcher& operator=(Watcher&& other) noexcept;
    ~Watcher();

    // The next reply. Waits at most `timeout_ms`, and a day (below 0: for as long as it takes): then the error is timed_out,
    // and the watch goes on. Behind the last reply (canceled) and after cancel(): the error `cancelled`.
    Outcome<WatchReply> next(std::int64_t timeout_ms = -1);
    // A reply without events, soon: everything up to its revision has been told.
    void request_progress();
    void cancel();
    std::uint64_t id() const { return id_; }

  private:
    friend class Client;
    Watcher(Client& client, std::uint64_t id);
    void* state_{nullptr};   // null: cancelled
    void* owner_{nullptr};
    std::uint64_t id_{0};
};

class Client {
  public:
    template <class T>
    using Callback = std::function<void(Outcome<T>)>;
    // A part of a long reply, in key order; false: enough.
    using PieceCallback = std::function<bool(std::vector<KeyValue>)>;

    // Endpoints that are no addresses: invalid_endpoint() says which; every call then fails with unsupported_request.
    explicit Client(const ClientOptions& options = {});
    // Requests still in flight are answered `cancelled` (their outcome is unknown).
    ~Client();
    Client(Client&&) noexcept;
    Client& operator=(Client&&) noexcept;

    // ---- synchronous
    Outcome<PutReply> put(std::string_view key, std::string_view value, const PutOptions& options = {});
    Outcome<GetReply> get(std::string_view key, const GetOptions& options = {});
    // A range of any size in constant memory: `piece` sees it part by part. The reply has header and count, no kvs. Its
    // timeout begins anew with each part.
    Outcome<GetReply> stream(std::string_view key, const GetOptions& options, const PieceCallback& piece);
    Outcome<DeleteReply> del(std::string_view key, const DeleteOptions& options = {});
    Outcome<TxnReply> txn(const Txn& txn, const CallOptions& options = {});
    // Forgets what was overwritten or deleted before `revision`.
    Outcome<CompactReply> compact(std::int64_t revision, const CompactOptions& options = {});
    // Of the node that answers: for a certain one, make a client with its endpoint alone.
    Outcome<StatusReply> status(const CallOptions& options = {});
    // Of all keys and values at a revision (0: the current one) that the node that answers has, as it has them: likewise.
    Outcome<HashKvReply> hash_kv(std::int64_t revision = 0, const HashOptions& options = {});
    Outcome<AlarmReply> alarm_list(const AlarmOptions& options = {});
    // Takes back that alarm, without a member those of all, without a type those of any. Answered with those taken back.
    Outcome<AlarmReply> alarm_disarm(const Alarm& alarm = {}, const AlarmOptions& options = {});
    Outcome<MemberListReply> member_list(bool linearizable = true, const CallOptions& options = {});
    // Hands what the answering node leads to that member; a client with the leader's endpoint alone is the one to ask.
    Outcome<MoveLeaderReply> move_leader(std::uint64_t target_member, const CallOptions& options = {});

    // ---- leases: time that is kept alive, and keys that go with it. In seconds, counted by the cluster from when it was
    // asked: one who counts from before the call never believes in a lease that is over.
    // id 0: the cluster chooses.
    Outcome<LeaseGrantReply> lease_grant(std::int64_t ttl, std::int64_t id = 0, const LeaseOptions& options = {});
    // Its keys go with it, at one revision.
    Outcome<LeaseRevokeReply> lease_revoke(std::int64_t id, const LeaseOptions& options = {});
    // Each to its whole time; at most 1024 (request_too_large). Tried again like a read: renewing twice is renewing.
    Outcome<LeaseKeepAliveReply> lease_keep_alive(const std::vector<std::int64_t>& ids, const LeaseOptions& options = {});
    // With many keys or leases they are asked for in parts: each part is of one moment.
    Outcome<LeaseTimeToLiveReply> lease_time_to_live(std::int64_t id, bool keys = false, const LeaseOptions& options = {});
    Outcome<LeaseListReply> lease_list(const LeaseOptions& options = {});

    // ---- watches
    // Key empty: the smallest key, etcd's "\0".
    Watcher watch(std::string_view key, const WatchOptions& options = {});
    // Each reply goes to `on_reply`, on the client's thread; the last, `canceled` or an error, is the end. Until it returns
    // nothing more of this watch is taken from the network. Returns the watch's id.
    using WatchCallback = std::function<void(Outcome<WatchReply>)>;
    std::uint64_t watch_async(std::string_view key, const WatchOptions& options, WatchCallback on_reply);
    // Of a watch of watch_async(). No more replies once this has taken effect on the client's thread.
    void cancel_watch(std::uint64_t id);
    void request_progress(std::uint64_t id);

    // ---- asynchronous
    void put_async(std::string_view key, std::string_view value, const PutOptions& options, Callback<PutReply> done);
    void get_async(std::string_view key, const GetOptions& options, Callback<GetReply> done);
    void stream_async(std::string_view key, const GetOptions& options, PieceCallback piece, Callback<GetReply> done);
    void del_async(std::string_view key, const DeleteOptions& options, Callback<DeleteReply> done);
    void txn_async(const Txn& txn, const CallOptions& options, Callback<TxnReply> done);
    void compact_async(std::int64_t revision, const CompactOptions& options, Callback<CompactReply> done);
    void status_async(const CallOptions& options, Callback<StatusReply> done);
    void hash_kv_async(std::int64_t revision, const HashOptions& options, Callback<HashKvReply> done);
    void alarm_list_async(const AlarmOptions& options, Callback<AlarmReply> done);
    void alarm_disarm_async(const Alarm& alarm, const AlarmOptions& options, Callback<AlarmReply> done);
    void member_list_async(bool linearizable, const CallOptions& options, Callback<MemberListReply> done);
    void move_leader_async(std::uint64_t target_member, const CallOptions& options, Callback<MoveLeaderReply> done);
    void lease_grant_async(std::int64_t ttl, std::int64_t id, const LeaseOptions& options, Callback<LeaseGrantReply> done);
    void lease_revoke_async(std::int64_t id, const LeaseOptions& options, Callback<LeaseRevokeReply> done);
    void lease_keep_alive_async(const std::vector<std::int64_t>& ids, const LeaseOptions& options,
                                Callback<LeaseKeepAliveReply> done);
    void lease_time_to_live_async(std::int64_t id, bool keys, const LeaseOptions& options,
                                  Callback<LeaseTimeToLiveReply> done);
    void lease_list_async(const LeaseOptions& options, Callback<LeaseListReply> done);

    // ---- keeping leases alive
    // Renews the lease at a third of its time, until stop_keeping_alive() or the client's end. `lost` runs once, if the
    // lease is gone, or if nobody could be told in time, so that it may be: then what it stands for must end. Of one that
    // was not granted by this client `asked_ns` may be 0: it counts from this call.
    // `lost` runs on the client's thread, and no other thread gets into these two calls meanwhile: it must not wait for one.
    // It may make asynchronous calls, and these two.
    void keep_alive(const LeaseGrantReply& lease, const LeaseOptions& options, std::function<void()> lost);
    // After it returned `lost` does not begin any more. domain: as it was given to keep_alive().
    void stop_keeping_alive(std::int64_t id, std::uint64_t domain = 0);

    // Threading::polled: runs what is due and waits up to `timeout_ms` for more. Returns the requests in flight,
    // watches apart.
    std::size_t poll(std::int64_t timeout_ms);
    // The first endpoint that is no address, or the first too many, or nothing.
    std::optional<std::string> invalid_endpoint() const;

    struct Impl;

  private:
    friend class Election;
    friend class Observer;
    friend class Session;
    friend class Watcher;
    std::unique_ptr<Impl> impl_;
};

// "host:port" of an endpoint as people write it (scheme and trailing slash removed); nothing if it is none. https is
// refused: there is no TLS yet.
std::optional<std::string> normalize_endpoint(std::string_view endpoint);

// The library's version.
std::string_view version();

}  // namespace ringfort
