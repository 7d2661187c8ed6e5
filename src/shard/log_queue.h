// Writes from other nodes and shards for which the log has no room now: in order, taken up again when it has.
//
// Who sent them feels it: of what another node sent the link's credit is not given back before it leaves here, and what
// another shard sent stays counted there. So their clients wait, as this shard's own do, and are not refused.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "shard/context.h"
#include "shard/origin.h"
#include "shard/pool_view.h"

namespace ringfort::shard {

struct QueuedWrite {
    Origin origin{};
    Instant deadline{};
    bool redirect{false};
    bool forwarded{false};            // came from another node: not sent on
    std::uint64_t withheld_bytes{0};  // of the link's credit
    std::vector<std::byte> body;
};

class LogQueue {
  public:
    explicit LogQueue(Context& context) : context_(context) {}

    // false: too much waits; nothing was kept.
    bool add(QueuedWrite&& write);
    bool empty() const { return writes_.empty(); }
    std::size_t count() const { return writes_.size(); }
    std::size_t held_bytes() const { return held_bytes_; }
    void list_pools(PoolList& out) const;
    // As far as there is room.
    void run();
    // The link's credit begins anew, and nobody waits for these.
    void on_link_lost(std::uint64_t place);
    void fail_all(api::Errc code);

  private:
    QueuedWrite take_front();

    Context& context_;
    std::deque<QueuedWrite> writes_;
    std::size_t held_bytes_{0};
};

}  // namespace ringfort::shard
