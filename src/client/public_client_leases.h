// The leases that a client keeps alive: each is renewed at a third of its time, together with others that are due; it is
// lost when the cluster says so, or when nothing was heard for its whole time, counted from when it was last asked: the
// leader counts from when that reached it, which is no sooner.
//
// Whoever calls `run` asks the cluster; any thread may add and remove.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "base/instant.h"
#include "ringfort/error.h"
#include "ringfort/types.h"

namespace ringfort::client {

class KeptLeases {
  public:
    using Lost = std::function<void()>;
    // Until when it lives, as far as is known. False: it is lost already, and stays so. Asks nothing of what calls it.
    using Lives = std::function<bool(Instant until)>;
    // Of ids each domain has its own.
    struct Id {
        std::uint64_t domain{0};
        std::int64_t number{0};
        auto operator<=>(const Id&) const = default;
    };
    // `asked`: when it was granted or renewed last, or before.
    // `lives` is told at once, and whenever that changes.
    void add(Id id, std::int64_t ttl, std::int64_t timeout_ms, Instant asked, Lost lost, Lives lives = {});
    // After it returned `lost` does not begin any more.
    void remove(Id id);

    using Renew = std::function<void(std::vector<std::int64_t> ids, const LeaseOptions& options)>;
    // Asks for those that are due, and tells of those that are lost.
    void run(Instant now, const Renew& renew);
    // When it wants to run again. An answer may bring that forward.
    Instant next_due();
    // Requires: `run` asked for these ids with this domain.
    void on_answer(std::uint64_t domain, const std::vector<std::int64_t>& ids, Instant asked, Instant now,
                   const Outcome<LeaseKeepAliveReply>& reply);

  private:
    struct Kept {
        std::int64_t ttl{0};
        std::int64_t timeout_ms{0};
        Lost lost;
        Lives lives;             // may be empty
        Instant lives_until{};   // as far as is known here
        Instant due{};           // its place in due_
        bool asking{false};
    };
    void set_lives_until(Kept& kept, Instant until);
    void set_due(Id id, Kept& kept, Instant at);
    Duration whole(const Kept& kept) const;

    std::recursive_mutex mutex_;            // `lost` may add and remove
    std::map<Id, Kept> kept_;
    std::set<std::pair<Instant, Id>> due_;  // one of each
};

}  // namespace ringfort::client
