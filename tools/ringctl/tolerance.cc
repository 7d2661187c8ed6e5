#include "tolerance.h"

#include <algorithm>

#include <fmt/format.h>

namespace ringctl {

namespace {

bool knows_leaders(const ringfort::StatusReply& status) {
    return !status.ranges.empty() && std::ranges::all_of(status.ranges, [](const ringfort::RangeStatus& range) {
        return range.leader != 0;
    });
}

bool in_doubt(const ringfort::StatusReply& status) {
    return std::ranges::any_of(status.ranges, &ringfort::RangeStatus::in_doubt);
}

std::string failures(std::size_t count) {
    return count == 0 ? "no failure" : count == 1 ? "1 failure" : fmt::format("{} failures", count);
}

}  // namespace

Tolerance measure(const std::vector<ringfort::Member>& members, const std::vector<MemberHealth>& health) {
    Tolerance tolerance;
    std::size_t answered = 0;
    std::size_t knowing = 0;
    for (const ringfort::Member& member : members) {
        if (member.is_learner) {
            continue;
        }
        tolerance.voters++;
        const auto found = std::ranges::find_if(
            health, [&member](const MemberHealth& one) { return one.id == member.id && one.status.has_value(); });
        if (found == health.end()) {
            continue;
        }
        if (in_doubt(*found->status)) {
            tolerance.in_doubt++;
        } else {
            answered++;
            knowing += knows_leaders(*found->status) ? 1U : 0U;
        }
    }
    // One that answers but knows no leader while others do is cut off from them.
    tolerance.leaders_known = knowing > 0;
    tolerance.up = knowing > 0 ? knowing : answered;
    return tolerance;
}

std::string describe(const Tolerance& tolerance) {
    std::string text = fmt::format("cluster: {} voter{}, {} up", tolerance.voters, tolerance.voters == 1 ? "" : "s",
                                   tolerance.up);
    text += tolerance.in_doubt > 0 ? fmt::format(", {} in doubt (data lost, not fenced yet): ", tolerance.in_doubt) : ": ";
    if (!tolerance.has_majority()) {
        text += fmt::format("no majority ({} needed), it cannot serve", tolerance.quorum());
    } else {
        text += fmt::format("survives {} now, {} after the next loss", failures(tolerance.survives_now()),
                            failures(tolerance.survives_after_next_loss()));
        text += tolerance.leaders_known ? "" : "; at this moment not every range has a leader";
    }
    text += "\n";
    if (tolerance.voters > 0 && tolerance.voters % 2 == 0) {
        text += fmt::format("warning: {} voters survive no more failures than {}: use an odd number\n", tolerance.voters,
                            tolerance.voters - 1);
    }
    return text;
}

}  // namespace ringctl
