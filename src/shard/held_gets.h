// Reads of single keys whose answers would pile up where they go to: a link or a connection that does not take what waits
// for it. They wait here, and are answered in order when it does, from the state of that moment. Nothing is pinned.
// A deadline is looked at when its turn comes: who is forwarded here is told by his own node. A cancel is not heard.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <string>

#include "api/types.h"
#include "base/work_budget.h"
#include "shard/context.h"
#include "shard/origin.h"

namespace ringfort::shard {

class Replica;
struct PendingRead;

class HeldGets {
  public:
    explicit HeldGets(Context& context) : context_(context) {}

    // Copies what it needs. false: too many wait, or too large ones; nothing was kept. Requires: is_point_get().
    bool add(Replica& replica, const PendingRead& read);
    // Answers those that may be answered, some of them. true: there is more to do at once.
    bool run(WorkBudget& budget);
    void on_origin_gone(OriginKind kind, std::uint64_t place);
    std::size_t count() const { return count_; }
    std::size_t held_bytes() const { return held_bytes_; }
    void fail_all(api::Errc code);

  private:
    struct Held {
        Origin origin{};
        Replica* replica{nullptr};
        std::string key;
        api::RangeRequest request;   // but for the key
        Instant deadline{};
    };
    using Place = std::array<std::uint64_t, 2>;   // kind and place of an origin

    Held take_front(std::deque<Held>& queue);

    Context& context_;
    std::map<Place, std::deque<Held>> waiting_;   // empty ones go with the next turn
    Place next_{};                                // whose turn it is
    std::size_t count_{0};
    std::size_t held_bytes_{0};
};

}  // namespace ringfort::shard
