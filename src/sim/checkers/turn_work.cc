#include "sim/checkers/turn_work.h"

#include "base/bounds.h"

namespace ringfort::sim {

namespace {

// Of a step, besides a request's bytes: what apply tells of the memory it made, the piece of a checkpoint.
constexpr std::int64_t step_keys_max = WorkBudget().keys;
constexpr std::size_t step_more_bytes = 128 * kib;

// A watch is told of a change with the pair before it.
std::size_t requests_of_step(shard::TurnPart part) {
    return part == shard::TurnPart::watches_told || part == shard::TurnPart::watches_behind ? 2 : 1;
}

}  // namespace

std::string check_turn_work(const shard::TurnWork& work, std::size_t request_bytes) {
    const std::int64_t keys_max = WorkBudget().keys + step_keys_max;
    for (std::size_t i = 0; i < shard::turn_parts; i++) {
        const shard::TurnWork::Taken& taken = work.parts[i];
        const std::size_t step_bytes = requests_of_step(shard::TurnPart(i)) * request_bytes + step_more_bytes;
        const std::int64_t bytes_max = WorkBudget().bytes + static_cast<std::int64_t>(step_bytes);
        if (taken.keys > keys_max || taken.bytes > bytes_max) {
            return "a turn went over its work budget: " + std::string(to_string(shard::TurnPart(i))) + " took " +
                   std::to_string(taken.keys) + " keys and " + std::to_string(taken.bytes) + " bytes";
        }
    }
    return {};
}

}  // namespace ringfort::sim
