#include "sim/sim_process.h"

#include <cstdio>

namespace ringfort::sim {

void SimLogSink::write(env::LogLevel level, std::string_view line) {
    if (lines_.size() == lines_max) {
        lines_.pop_front();
    }
    lines_.push_back({level, std::string(line)});
    if (trace_) {
        const auto ns = queue_.now().ns;
        std::fprintf(stderr, "%8lld.%06lld %s: %.*s\n", static_cast<long long>(ns / 1'000'000'000),
                     static_cast<long long>(ns % 1'000'000'000 / 1000), name_.c_str(),
                     static_cast<int>(line.size()), line.data());
    }
}

}  // namespace ringfort::sim
