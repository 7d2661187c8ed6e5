// The options of a run by name, as `--set name=value` and the replay line spell them: what a seed draws can be
// overridden one by one. Durations carry a unit (ns, us, ms, s); everything else is a whole number.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/run_options.h"

namespace ringfort::sim {

// false: no option has this name, or the value does not fit it.
[[nodiscard]] bool apply_setting(RunOptions& options, std::string_view name, std::string_view value);
// `name=value`.
[[nodiscard]] bool apply_setting(RunOptions& options, std::string_view setting);
// Every option that differs from `base`, as `name=value`.
std::vector<std::string> settings_that_differ(const RunOptions& options, const RunOptions& base);
// Of every option.
std::vector<std::string_view> setting_names();

}  // namespace ringfort::sim
