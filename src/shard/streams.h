// Range replies of any size in constant memory: pieces at one pinned revision, a few per turn, under the client's credit.
//
// Bounds: the work of a turn, for replies that begin and for those that go on; replies begun and not ended; the memory
// of sorted ones. A reply's deadline holds until its first piece leaves; from then on it ends when its reader takes
// nothing for a while. The time in which it is this side that works counts for nothing. While compaction waits for the
// revision it has pinned, it may go on for a time, and as long as not too much is written meanwhile: a reader that is slow
// and never stops does not fill the memory.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/work_budget.h"
#include "kv/store.h"
#include "shard/context.h"
#include "shard/held_reads.h"
#include "shard/origin.h"
#include "shard/pool_view.h"

namespace ringfort::shard {

class Replica;
struct PendingRead;

class Streams {
  public:
    explicit Streams(Context& context);
    ~Streams();

    // Answers the whole request if it fits one piece and this turn's work, else begins a stream. A single key waits for
    // the place its answer goes to. Copies what it needs.
    void open(Replica& replica, const PendingRead& read);
    // A read that cannot be answered yet (HeldReads). Too many: it is refused.
    void hold(Replica& replica, const Origin& origin, const HeldReads::Question& question, Instant deadline);
    void on_credit(const Origin& origin, std::uint64_t bytes);
    // false: there is none of that origin.
    bool on_cancel(const Origin& origin);
    void on_origin_gone(OriginKind kind, std::uint64_t place);
    // Ends every stream over the replica's store: it is about to be replaced.
    void on_store_replaced(Replica& replica);

    // Some pieces for each stream that may send. true: there is more to do at once.
    bool run();
    void on_timers(Instant now);
    Instant next_deadline() const;
    std::size_t count() const { return streams_.size() + unopened_.size() + held_reads_.count(); }
    std::size_t sort_bytes() const { return sort_bytes_; }
    void list_pools(PoolList& out) const;
    void fail_all(api::Errc code);

  private:
    struct Stream {
        Origin origin{};
        Replica* replica{nullptr};
        api::ResponseHeader header{};     // of the moment the read was pinned: its revision is true of every piece
        std::string key, range_end;       // what the request's views point to
        api::RangeRequest request;
        std::unique_ptr<kv::RangeRead> read;
        std::size_t sort_bytes{0};
        std::int64_t credit_bytes{0};
        Instant deadline{};               // of the first piece
        Instant blocked_since{never};     // the reader takes nothing
        Instant overtaken_since{never};   // compaction waits for it
        std::uint64_t pinned_bytes{0};    // of the store, when it was pinned
        bool began{false};                // its first piece has left
        bool done{false};
    };

    void start(Stream& stream);
    void start_unopened();
    bool blocked(const Stream& stream) const;
    // One piece. false: nothing to do now (no credit, reader behind, budget spent).
    bool send_piece(Stream& stream, WorkBudget& budget);
    void look_at(Stream& stream, Instant now);
    bool overstays(Stream& stream, Instant now) const;
    // Its memory and its pin go; the stream itself when nobody is looking at it.
    void set_done(Stream& stream);
    void end(Stream& stream, api::Errc code, std::string_view detail);
    void erase_done();
    template <class F>
    void for_each(F&& f);
    void enlist(Stream& stream);
    void delist(const Stream& stream);
    Stream* find(const Origin& origin) const;

    Context& context_;
    HeldReads held_reads_;
    std::deque<std::unique_ptr<Stream>> unopened_;   // for want of work in their turn; nothing is pinned yet
    std::vector<std::unique_ptr<Stream>> streams_;
    std::map<std::array<std::uint64_t, 3>, Stream*> by_origin_;   // of both
    std::size_t next_{0};                            // where the last turn's work ended
    std::size_t sort_bytes_{0};
    WorkBudget open_budget_;                         // of this turn
    bool any_done_{false};
};

}  // namespace ringfort::shard
