// Reads in one piece that cannot be answered yet. Those of single keys and of leases wait for the place their answers go
// to: a link or a connection that does not take what waits for it. Those of leases also wait for the end of a command that
// is being applied. They are answered in order, from the state of that moment. Nothing is pinned.
// A deadline is looked at when its turn comes: who is forwarded here is told by his own node. A cancel is not heard.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <variant>

#include "api/types.h"
#include "base/work_budget.h"
#include "shard/context.h"
#include "shard/origin.h"

namespace ringfort::shard {

class Replica;

class HeldReads {
  public:
    // Of a single key, or about leases.
    using Question = std::variant<api::RangeRequest, api::LeaseTimeToLiveRequest, api::LeaseListRequest>;

    explicit HeldReads(Context& context) : context_(context) {}

    // Copies what the question points to. false: too many wait, or too large ones; nothing was kept.
    bool add(Replica& replica, const Origin& origin, const Question& question, Instant deadline);
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
        Question question;   // but for the key
        Instant deadline{};
    };
    // Kind and place of an origin, and whether they are about leases: what waits for a command holds up no key.
    using Place = std::array<std::uint64_t, 3>;
    static Place place_of(OriginKind kind, std::uint64_t place, bool about_leases);

    Held take_front(std::deque<Held>& queue);
    bool may_be_answered(const Held& held) const;
    void answer(Held& held, WorkBudget& budget);

    Context& context_;
    std::map<Place, std::deque<Held>> waiting_;   // empty ones go with the next turn
    Place next_{};                                // whose turn it is
    std::size_t count_{0};
    std::size_t held_bytes_{0};
};

}  // namespace ringfort::shard
