// The public client's inside: the core on sockets, and, unless polled, the thread that runs it. Everything of the core's is
// touched by the running thread alone: others hand in calls and jobs.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "client/core.h"
#include "client/public_call.h"
#include "client/public_client_leases.h"
#include "client/public_client_watch.h"
#include "client/socket_network.h"
#include "ringfort/client.h"

namespace ringfort {

namespace client {

struct PublicSession;

// What runs on the core besides calls and watches, for as long as it is needed or the client is there. Used by the running
// thread alone.
class Resident {
  public:
    Resident() = default;
    virtual ~Resident() = default;
    Resident(const Resident&) = delete;
    Resident& operator=(const Resident&) = delete;
    // The core goes: who waits is told.
    virtual void close() = 0;
    virtual void on_session_lost(const PublicSession&) {}
    // Nobody needs it.
    virtual bool over() const = 0;
};

}  // namespace client

struct Client::Impl {
    explicit Impl(const ClientOptions& options);
    ~Impl();
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    static Error cancelled();
    bool is_closing();
    // Requires: there is an invalid one.
    Error not_an_endpoint() const;

    void start(std::unique_ptr<client::Call> call);
    // Runs it on the client's thread, now or soon; at the latest when the client is closed. An invalid one has no thread,
    // and nothing that threads share: it runs here.
    void run_there(std::function<void()> job);
    std::unique_ptr<client::PublicWatch> make_watch(std::string_view key, const WatchOptions& options,
                                                    WatchCallback callback);
    // With a callback it may be over, and gone, when this returns.
    void start_watch(std::unique_ptr<client::PublicWatch> watch);
    void take_watches();
    client::PublicWatch* find_watch(std::uint64_t id);
    // A callback of its own may run: it goes when that has returned.
    void cancel_watch(std::uint64_t id);
    void request_progress(std::uint64_t id);
    // On the client's thread.
    void add_resident(std::shared_ptr<client::Resident> resident) { residents.push_back(std::move(resident)); }
    void on_session_lost(const client::PublicSession& session);

    void submit(std::unique_ptr<client::Call> owned, client::Core::Place place = client::Core::Place::ordinary);
    std::size_t poll(std::int64_t timeout_ms);
    static void on_response(void* context, std::uint64_t token, const api::Response& response);
    void unlink(client::Call& call);
    void run();
    void run_jobs();
    // Watches and residents that are over.
    void drop();

    void revoke(std::int64_t id, const LeaseOptions& options, Callback<LeaseRevokeReply> done);
    void keep_alive(const LeaseGrantReply& lease, const LeaseOptions& options, std::function<void()> lost,
                    client::KeptLeases::Lives lives);
    // Renews what is due.
    void renew();
    void list_leases(const LeaseOptions& options, std::shared_ptr<LeaseListReply> so_far, Callback<LeaseListReply> done);
    void list_lease_keys(std::int64_t id, const LeaseOptions& options, std::shared_ptr<LeaseTimeToLiveReply> so_far,
                         Callback<LeaseTimeToLiveReply> done);
    bool on_own_thread() const {
        return threading == Threading::polled || std::this_thread::get_id() == thread.get_id();
    }

    const std::optional<std::string> invalid;
    const Threading threading;
    const std::int64_t request_timeout_ms;            // of calls that name none
    client::SystemClock clock;
    client::SocketNetwork network;
    std::optional<client::Core> core;
    client::KeptLeases kept;
    client::Call* first{nullptr};                     // calls in flight; the running thread's
    std::uint64_t answered_count{0};                  // calls, replies of watches, news of residents; likewise
    std::vector<std::unique_ptr<client::Call>> taken;

    std::map<std::uint64_t, std::unique_ptr<client::PublicWatch>> watches;   // the running thread's
    std::vector<std::uint64_t> watches_over;                                 // they go when no callback runs
    std::vector<std::shared_ptr<client::Resident>> residents;                // the running thread's
    std::vector<std::function<void()>> jobs_taken;
    std::atomic<std::uint64_t> next_watch_id{0};

    std::mutex mutex;                                 // guards what is below, the thread apart
    std::vector<std::unique_ptr<client::Call>> handed_in;   // not yet taken by the thread
    std::vector<std::unique_ptr<client::PublicWatch>> watches_handed_in;
    std::vector<std::function<void()>> jobs;
    bool stopping{false};
    std::thread thread;
};

namespace client {

// Where a waiting thread finds its answer.
template <class T>
struct Waiter {
    std::mutex mutex;
    std::condition_variable answered;
    std::optional<Outcome<T>> outcome;

    void answer(Outcome<T> result) {
        const std::lock_guard lock(mutex);
        if (!outcome) {
            outcome.emplace(std::move(result));
        }
        answered.notify_all();
    }
};

// Until it is answered, at most so long; below 0 as long as it takes. Whether it is.
template <class T>
bool wait_for(Client::Impl& impl, Waiter<T>& waiter, std::int64_t timeout_ms) {
    if (impl.threading == Threading::polled) {
        const Instant until = timeout_ms < 0 ? never : impl.clock.now() + from_ms(timeout_ms);
        while (!waiter.outcome && impl.clock.now() < until) {
            const std::int64_t left_ms = until == never ? 1000 : (until - impl.clock.now()) / 1ms + 1;
            impl.poll(std::min<std::int64_t>(left_ms, 1000));
        }
        return waiter.outcome.has_value();
    }
    std::unique_lock lock(waiter.mutex);
    const auto is_answered = [&waiter] { return waiter.outcome.has_value(); };
    if (timeout_ms < 0) {
        waiter.answered.wait(lock, is_answered);
        return true;
    }
    return waiter.answered.wait_for(lock, from_ms(timeout_ms), is_answered);
}

// The next of an inbox, waited for as above. `done(token, bytes)` runs on the client's thread once it was taken.
template <class T, class Done>
Outcome<T> next_of(Client::Impl& impl, Inbox<T>& inbox, std::int64_t timeout_ms, Done done) {
    const Instant until = timeout_ms < 0 ? never : impl.clock.now() + from_ms(timeout_ms);
    for (;;) {
        if (auto taken = inbox.take()) {
            if (taken->bytes > 0) {
                impl.run_there([done, token = taken->token, bytes = taken->bytes] { done(token, bytes); });
            }
            return std::move(taken->what);
        }
        const Duration left = until - impl.clock.now();
        if (until != never && left <= Duration(0)) {
            return Error{ErrorCode::timed_out, ErrorClass::definite, "etcdserver: request timed out", "nothing came"};
        }
        const std::int64_t left_ms = until == never ? -1 : std::max<std::int64_t>(left / 1ms, 1);
        if (impl.threading == Threading::polled) {
            impl.poll(left_ms < 0 ? 1000 : std::min<std::int64_t>(left_ms, 1000));
        } else {
            inbox.wait(left_ms);
        }
    }
}

}  // namespace client

}  // namespace ringfort
