#include "tolerance.h"

#include <fmt/format.h>

namespace ringctl {

namespace {
std::string failures(std::size_t count) {
    return count == 0 ? "no failure" : count == 1 ? "1 failure" : fmt::format("{} failures", count);
}
}  // namespace

std::string describe(const Tolerance& tolerance, bool asked_all) {
    std::string text = fmt::format("cluster: {} voter{}", tolerance.voters, tolerance.voters == 1 ? "" : "s");
    const Tolerance whole{tolerance.voters, tolerance.voters};
    const Tolerance& known = asked_all ? tolerance : whole;
    text += asked_all ? fmt::format(", {} up: ", tolerance.up) : ", if all are up: ";
    if (known.serves()) {
        text += fmt::format("survives {} now, {} after the next loss", failures(known.survives_now()),
                            failures(known.survives_after_next_loss()));
    } else {
        text += fmt::format("no majority ({} needed), it cannot serve", known.quorum());
    }
    text += "\n";
    if (tolerance.voters > 0 && tolerance.voters % 2 == 0) {
        text += fmt::format("warning: {} voters survive no more failures than {}: use an odd number\n", tolerance.voters,
                            tolerance.voters - 1);
    }
    return text;
}

}  // namespace ringctl
