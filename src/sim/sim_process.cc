#include "sim/sim_process.h"

#include "sim/narrate.h"

namespace ringfort::sim {

void SimLogSink::write(env::LogLevel level, std::string_view line) {
    if (lines_.size() == lines_max) {
        lines_.pop_front();
    }
    lines_.push_back({level, std::string(line)});
    if (trace_) {
        narrate(queue_.now(), name_, line);
    }
}

}  // namespace ringfort::sim
