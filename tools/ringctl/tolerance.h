// How many failures a cluster survives, in words: what an operator asks before touching a machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ringfort/types.h"

namespace ringctl {

// What a member said of itself when it was asked just now; nothing: it did not answer.
struct MemberHealth {
    std::uint64_t id{0};
    std::optional<ringfort::StatusReply> status;
};

struct Tolerance {
    std::size_t voters{0};
    std::size_t up{0};              // voters in no doubt that answer and, if any of them knows the leaders, know them too
    std::size_t in_doubt{0};        // voters that answer and count in no quorum of some range until they are fenced
    bool leaders_known{true};       // of all ranges, by one of them

    std::size_t quorum() const { return voters / 2 + 1; }
    bool has_majority() const { return voters > 0 && up >= quorum(); }
    // More voters may be lost at one time and the cluster still serves.
    std::size_t survives_now() const { return has_majority() ? up - quorum() : 0; }
    std::size_t survives_after_next_loss() const { return survives_now() > 0 ? survives_now() - 1 : 0; }
};

// Members that are no voters count for nothing. A voter nobody asked counts as one that did not answer.
Tolerance measure(const std::vector<ringfort::Member>& members, const std::vector<MemberHealth>& health);

// One or two lines: "cluster: 3 voters, 3 up: survives 1 failure now, no failure after the next loss".
std::string describe(const Tolerance& tolerance);

}  // namespace ringctl
