// How much a resumable step may do before it gives the turn back. Counted, not timed, so that it is deterministic:
// the constants are chosen so that a full budget takes well under 1 ms.
#pragma once

#include <cstdint>

namespace ringfort {

struct WorkBudget {
    std::int64_t keys{2000};
    std::int64_t bytes{512 * 1024};

    bool spent() const { return keys <= 0 || bytes <= 0; }
    void take(std::int64_t key_count, std::int64_t byte_count) {
        keys -= key_count;
        bytes -= byte_count;
    }
};

}  // namespace ringfort
