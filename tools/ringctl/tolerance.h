// How many failures a cluster survives, in words: what an operator asks before touching a machine.
#pragma once

#include <cstddef>
#include <string>

namespace ringctl {

struct Tolerance {
    std::size_t voters{0};
    std::size_t up{0};          // voters that answer; as far as is known

    std::size_t quorum() const { return voters / 2 + 1; }
    bool serves() const { return up >= quorum(); }
    // More voters may be lost at one time and the cluster still serves.
    std::size_t survives_now() const { return serves() ? up - quorum() : 0; }
    std::size_t survives_after_next_loss() const { return survives_now() > 0 ? survives_now() - 1 : 0; }
};

// One or two lines: "cluster: 3 voters, 3 up: survives 1 failure now, none after the next loss".
// `asked_all`: otherwise `up` is not known and the configured size is spoken of.
std::string describe(const Tolerance& tolerance, bool asked_all);

}  // namespace ringctl
