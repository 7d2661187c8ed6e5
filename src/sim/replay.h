// The line that replays a run exactly, and what makes two failures the same one.
#pragma once

#include <string>
#include <string_view>

#include "sim/run_options.h"

namespace ringfort::sim {

// `tools/simulate --seed 7 --seconds 30 ...`: everything of the request that is not the default.
std::string replay_line(const RunRequest& request);

// What a violation's text says of the kind of failure: its first line without numbers, which change from run to run.
std::string failure_signature(std::string_view text);

}  // namespace ringfort::sim
