// Range replies of any size in constant memory: pieces at one pinned revision, a few per turn, under the client's credit.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kv/store.h"
#include "shard/context.h"
#include "shard/origin.h"

namespace ringfort::shard {

class Replica;

class Streams {
  public:
    explicit Streams(Context& context);
    ~Streams();

    // Answers the whole request if it fits one piece, else begins a stream.
    void open(Replica& replica, const Origin& origin, const api::RangeRequest& request);
    void on_credit(const Origin& origin, std::uint64_t bytes);
    void on_cancel(const Origin& origin);
    void on_origin_gone(OriginKind kind, std::uint64_t place);
    // Ends every stream over the replica's store: it is about to be replaced.
    void on_store_replaced(Replica& replica);

    // Some pieces for each stream that may send. true: there is more to do at once.
    bool run();
    void on_timers(Instant now);
    std::size_t count() const { return streams_.size(); }
    void fail_all(api::Errc code);

  private:
    struct Stream {
        Origin origin{};
        Replica* replica{nullptr};
        api::ResponseHeader header{};     // of the moment the read was pinned: its revision is true of every piece
        std::string key, range_end;       // what the request's views point to
        api::RangeRequest request;
        std::unique_ptr<kv::RangeRead> read;
        std::int64_t credit_bytes{0};
        Instant idle_since{};
        bool done{false};
    };
    // One piece. false: nothing to do now (no credit, reader behind, budget spent).
    bool send_piece(Stream& stream, WorkBudget& budget);
    Stream* find(const Origin& origin);

    Context& context_;
    std::vector<std::unique_ptr<Stream>> streams_;
    std::size_t next_{0};
};

}  // namespace ringfort::shard
