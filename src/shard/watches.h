// The watches of a shard's ranges: made, granted credit, marked, cancelled, and their frames on the way to connections.
// What they are told and when is watch_feed.h's.
//
// A watch is served from this node's applied state, leader or not, and is never sent to another node. Its connection may
// be on another shard of the node: that one hands over what the client asks, and takes frames by mail, as many bytes as the
// connection has room for.
//
// Bounds: watches of a connection, and of the shard, and the memory of their keys; bytes that wait for a connection (above
// it a watch is told nothing and reads from history later); a client's credit for each watch; requests mailed to other
// shards and not answered, which count among the forwarded ones. Created, closing, mark and cancel frames are small and
// answer something the client did, or come once: they pass these bounds.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "base/work_budget.h"
#include "env/mailbox.h"
#include "kv/slab.h"
#include "shard/context.h"
#include "shard/origin.h"
#include "shard/pool_view.h"
#include "shard/watch_feed.h"
#include "shard/watch_table.h"
#include "shard/watcher.h"
#include "wire/client_codec.h"

namespace ringfort::shard {

class Replica;
class Session;

class Watches {
  public:
    explicit Watches(Context& context);
    ~Watches();

    // ---- what clients of this shard ask. The router found the range's shard.
    void open(const Origin& origin, const api::WatchRequest& request, Replica& replica, std::int64_t credit);
    // The request cannot match anything, or nothing that is left: told so, and no watch. false: it can.
    bool refuse(const Origin& origin, const api::WatchRequest& request);
    void open_elsewhere(const Origin& origin, ShardId shard, Bytes body, std::int64_t credit);
    // false: the connection has no such watch.
    bool on_credit(const Origin& origin, const wire::CreditGrant& credit);
    bool on_cancel(const Origin& origin);
    void on_session_gone(Session& session);
    // The session's connection took something.
    void on_room(Session& session);
    void on_mail(ShardId from, env::Mail& mail);

    // ---- news
    void on_store_replaced(const Replica& replica);
    // The node stops: every watch ends, some a turn.
    void stop() { stopping_ = true; }

    // Tells what there is to tell, some of it. true: there is more to do at once.
    bool run();
    void on_timers(Instant now);
    Instant next_deadline() const {
        return progress_count_ + require_leader_count_ > 0 ? context_.now + look_interval : never;
    }
    // Those of this shard's ranges.
    std::size_t count() const { return watchers_.used() - elsewhere_count_; }
    // Memory of their keys.
    std::size_t key_bytes() const { return key_bytes_; }
    void list_pools(PoolList& out) const;

    // ---- for feeds
    Watchers& watchers() { return watchers_; }
    bool takes_frames(std::uint32_t watcher) const;
    // It left its pass because it takes no frames: comes back when it does.
    void set_aside(std::uint32_t watcher);
    // Appends the frame of a watch response at that revision, for nobody in particular.
    void encode(const Replica& replica, api::Revision revision, const api::WatchResponse& response, wire::OutBuffer& out);
    void send_copy(std::uint32_t watcher, wire::OutBuffer& frame, bool goes_on);
    void send_mark(std::uint32_t watcher, const Replica& replica, api::Revision revision);
    void cancel_compacted(std::uint32_t watcher, const Replica& replica, api::Revision from);

  private:
    static constexpr Duration look_interval = 50ms;

    using SinkKey = std::array<std::uint64_t, 2>;   // shard, session

    std::uint32_t find(const SinkKey& sink, std::uint64_t request_id) const;
    std::uint32_t sink_for(const SinkKey& key);
    void drop_sink_if_unused(std::uint32_t sink);
    std::uint16_t feed_for(Replica& replica);
    void drop_unused_feeds();
    void make(const SinkKey& sink, const Origin& origin, const api::WatchRequest& request, Replica& replica,
              std::int64_t credit);
    api::ErrorInfo admit(const SinkKey& sink, const Origin& origin, const api::WatchRequest& request,
                         const Replica& replica) const;
    api::ErrorInfo admit_number(const SinkKey& sink, std::uint64_t request_id) const;
    std::uint32_t enlist(std::uint32_t sink, std::uint64_t request_id);
    void delist(std::uint32_t watcher);
    void keep_keys(Watcher& watcher, const api::WatchRequest& request);

    wire::OutBuffer* out_of(WatchSink& sink);
    bool has_room(const WatchSink& sink) const;
    void note_sent(std::uint32_t sink);
    void send_first(const SinkKey& sink, const Origin& origin, const api::Response& response);
    // Out of everything; nobody is told.
    void drop(std::uint32_t watcher);
    void end(std::uint32_t watcher, const Replica& replica, const api::WatchResponse& last);
    void end_with_error(std::uint32_t watcher, api::Errc code);
    void grant(std::uint32_t watcher, const wire::CreditGrant& credit);
    void fetch_parked(WorkBudget& budget);
    void sweep_marks(WorkBudget& budget);
    void look_at(std::uint32_t watcher, WorkBudget& budget);
    void sweep_leaderless(WorkBudget& budget);
    void sweep_stopping(WorkBudget& budget);
    void lose_sink(std::uint32_t sink);
    void sweep_gone(WorkBudget& budget);
    void mail_frames();
    void on_mailed_open(ShardId from, env::Mail& mail);
    void note_ended(Session& session, Bytes frames);
    void on_mailed_frames(ShardId from, env::Mail& mail);

    Context& context_;
    Watchers watchers_;
    WatchTable table_;
    kv::Slab texts_;
    SlotPool<WatchSink> sinks_;
    std::map<SinkKey, std::uint32_t> sink_by_key_;
    std::vector<std::unique_ptr<WatchFeed>> feeds_;     // by number; null: none of that
    std::vector<std::size_t> feed_watchers_;            // of each feed, in whatever state
    bool feeds_unused_{false};                          // some of them
    std::size_t runs_{0};                               // which feed is the first in the next one
    std::deque<std::uint32_t> rooms_;                  // sinks whose parked watches are being fetched
    std::vector<std::uint32_t> dirty_;                  // sinks with frames to be mailed
    std::vector<std::uint32_t> gone_;                   // sinks of closed connections
    std::size_t key_bytes_{0};
    std::size_t elsewhere_count_{0};
    std::size_t require_leader_count_{0};
    std::size_t progress_count_{0};
    bool stopping_{false};
    std::uint32_t stop_at_{0};                          // watcher to be looked at next
    std::uint32_t leaderless_at_{0};
    std::uint32_t look_at_{0};                          // likewise, for marks
    Instant looked_at_{};
    std::int64_t looks_due_us_{0};                      // how long each watch, summed, has not been looked at
    std::int64_t looks_left_{0};                        // that are due
    wire::OutBuffer scratch_;
};

}  // namespace ringfort::shard
