#include "sim/checkers/domain.h"

#include <algorithm>
#include <utility>

#include "sim/checkers/kv_model.h"
#include "sim/checkers/watch.h"

namespace ringfort::sim {

namespace {

std::string check_watches(const DomainStory& story, const KvModel& model) {
    WatchTruth truth{&model, story.compacts_by_itself ? model.revision() : 0};
    for (const auto* operation : story.operations) {
        if (operation->may_compact()) {
            truth.compacted_max = std::max(truth.compacted_max, operation->success[0].revision);
        }
    }
    for (const RecordedWatch* watch : story.watches) {
        if (const std::string broken = check_watch(*watch, truth); !broken.empty()) {
            return "a watch is not " + broken;
        }
    }
    return {};
}

}  // namespace

DomainReport check_domain(const DomainStory& story, std::uint64_t steps_max) {
    const WatchWitness witness(story.watches);
    KvModel model;
    SearchAids aids{.ends = story.lease_ends, .witness = &witness, .model = &model};
    auto report = check_serializability(story.operations, aids, steps_max);
    std::string told_wrong;
    if (!report.violation.empty()) {
        told_wrong = std::exchange(report.violation, {});
        aids.witness = nullptr;
        report = check_serializability(story.operations, aids, steps_max);
    }
    if (report.violation.empty() && !report.inconclusive) {
        report.violation = check_watches(story, model);
    }
    DomainReport out{report.violation.empty() ? std::move(told_wrong) : report.violation, report.inconclusive, {}};
    out.order = std::move(report);
    return out;
}

}  // namespace ringfort::sim
