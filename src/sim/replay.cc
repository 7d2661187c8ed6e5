#include "sim/replay.h"

#include <cctype>

namespace ringfort::sim {

std::string replay_line(const RunRequest& request) {
    std::string out = "tools/simulate --seed " + std::to_string(request.seed);
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(request.duration).count();
    out += " --seconds " + std::to_string(seconds);
    out += request.nodes ? " --nodes " + std::to_string(*request.nodes) : "";
    out += request.shards ? " --shards " + std::to_string(*request.shards) : "";
    out += request.domains ? " --domains " + std::to_string(*request.domains) : "";
    out += request.light ? " --light" : "";
    out += request.faults ? "" : " --no-faults";
    for (unsigned kind = 0; kind < fault_kinds; kind++) {
        if ((request.without_mask >> kind & 1u) != 0) {
            out += " --without " + std::string(to_string(static_cast<FaultKind>(kind)));
        }
    }
    out += request.skipped_faults.empty() ? "" : " --skip-faults " + request.skipped_faults.text();
    out += request.mutant.empty() ? "" : " --mutant " + request.mutant;
    for (const auto& setting : request.settings) {
        out += " --set " + setting;
    }
    return out;
}

std::string failure_signature(std::string_view text) {
    std::string out;
    for (const char letter : text.substr(0, text.find('\n'))) {
        if (std::isdigit(static_cast<unsigned char>(letter)) == 0) {
            out += letter;
        }
    }
    return out;
}

}  // namespace ringfort::sim
