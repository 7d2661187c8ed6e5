// Hashes of key spaces that clients ask for: a walk over a replica's own state, whoever leads.
//
// One walk at a time, so that one revision at most is pinned, for as long as its walk takes; the others wait for it with
// nothing pinned. Each ends at its deadline, finished, begun or neither.
//
// An answer may close its connection, and then the connection's other walks go: a walk is taken out before it is answered.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include "kv/store.h"
#include "shard/context.h"
#include "shard/origin.h"
#include "shard/pool_view.h"

namespace ringfort::shard {

class Replica;

class HashWalks {
  public:
    explicit HashWalks(Context& context) : context_(context) {}

    // Too many wait: it is refused.
    void add(Replica& replica, const Origin& origin, const api::HashKvRequest& request, Instant deadline);
    void on_cancel(const Origin& origin);
    void on_origin_gone(OriginKind kind, std::uint64_t place);
    // The replica's store is about to be replaced: nothing may read it any more.
    void on_store_replaced(const Replica& replica);

    // true: there is more to do at once.
    bool run();
    std::size_t count() const { return walks_.size(); }
    void list_pools(PoolList& out) const;
    void fail_all(api::Errc code);

  private:
    struct Walk {
        Origin origin{};
        Replica* replica{nullptr};
        api::Revision revision{0};
        Instant deadline{};
    };
    using Place = std::deque<Walk>::iterator;
    Walk take(Place place);
    void refuse(const Walk& walk, api::Errc code);
    void end_late();

    Context& context_;
    std::deque<Walk> walks_;
    std::unique_ptr<kv::StateHash> hash_;   // of the first, once it has begun
};

}  // namespace ringfort::shard
