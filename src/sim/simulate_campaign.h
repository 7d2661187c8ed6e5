// Many seeds, each in a process of its own, several at a time, until the seeds or the time are used up.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sim/replay.h"

namespace ringfort::sim {

struct CampaignOptions {
    RunRequest request;                       // of every run; its seed is the first
    std::optional<std::uint64_t> seeds;       // how many; none: until the time is over
    std::optional<double> minutes;            // no run begins later; none: until the seeds are used up
    unsigned jobs{1};
    std::uint32_t twice_one_in{16};           // runs that are repeated to see that they are the same; 0: none
    bool json{false};                         // the summary on stdout is one JSON object, all else on stderr
    bool show_marks{false};
    std::string marks_file;                   // empty: marks are not kept
};

// The command's exit code: the worst of all runs.
int run_campaign(const CampaignOptions& options);

}  // namespace ringfort::sim
