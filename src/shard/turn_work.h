// What the parts of a shard's turn took of their budgets (base/work_budget.h), for judges and tests.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/assertion.h"
#include "base/work_budget.h"

namespace ringfort::shard {

// Each has a budget a turn. Stale reads of single keys are no part: as many are answered as arrive.
enum class TurnPart : std::uint8_t {
    apply, read_rounds, follower_reads, opened_replies, long_replies, held_reads, checkpoints, compaction,
    keep_alives, expiry, watches, watches_told, watches_behind, hash_walks,
};
inline constexpr std::size_t turn_parts = 14;

constexpr std::string_view to_string(TurnPart part) {
    switch (part) {
        case TurnPart::apply: return "apply";
        case TurnPart::read_rounds: return "read rounds";
        case TurnPart::follower_reads: return "reads at a follower";
        case TurnPart::opened_replies: return "replies begun";
        case TurnPart::long_replies: return "long replies";
        case TurnPart::held_reads: return "reads held back";
        case TurnPart::checkpoints: return "checkpoints";
        case TurnPart::compaction: return "compaction";
        case TurnPart::keep_alives: return "answers to keep-alives";
        case TurnPart::expiry: return "expiry of leases";
        case TurnPart::watches: return "watches begun again, marked or ended";
        case TurnPart::watches_told: return "watches told of the present";
        case TurnPart::watches_behind: return "watches told of the past";
        case TurnPart::hash_walks: return "hashes of key spaces";
    }
    UNREACHABLE();
}

struct TurnWork {
    struct Taken {
        std::int64_t keys{0};
        std::int64_t bytes{0};
    };
    std::array<Taken, turn_parts> parts{};

    // `left` is what is left of a whole budget.
    void note(TurnPart part, const WorkBudget& left) {
        Taken& taken = parts[static_cast<std::size_t>(part)];
        taken.keys += WorkBudget().keys - left.keys;
        taken.bytes += WorkBudget().bytes - left.bytes;
    }
};

// The budget of a part of the turn; notes what was taken when it goes.
class PartBudget : public WorkBudget {
  public:
    PartBudget(TurnWork& work, TurnPart part) : work_(work), part_(part) {}
    ~PartBudget() { work_.note(part_, *this); }
    PartBudget(const PartBudget&) = delete;
    PartBudget& operator=(const PartBudget&) = delete;

  private:
    TurnWork& work_;
    const TurnPart part_;
};

}  // namespace ringfort::shard
