#include "sim/checkers/compaction.h"

#include <algorithm>
#include <vector>

namespace ringfort::sim {

namespace {

// The largest revision among operations, by the time from which on it counts.
class HighestBy {
  public:
    void add(Instant at, api::Revision revision) { points_.push_back({at, revision}); }
    void close() {
        std::sort(points_.begin(), points_.end());
        for (std::size_t i = 1; i < points_.size(); i++) {
            points_[i].revision = std::max(points_[i].revision, points_[i - 1].revision);
        }
    }
    // Of what counted before `at`; 0: nothing did.
    api::Revision before(Instant at) const {
        const auto next = std::lower_bound(points_.begin(), points_.end(), Point{at, 0});
        return next == points_.begin() ? 0 : std::prev(next)->revision;
    }

  private:
    struct Point {
        Instant at;
        api::Revision revision;
        auto operator<=>(const Point&) const = default;
    };
    std::vector<Point> points_;
};

}  // namespace

std::string check_compaction(std::span<const RecordedOperation* const> operations, api::Revision unasked_below) {
    HighestBy asked;         // compactions that may have happened, from their invocation on
    HighestBy acknowledged;  // compactions, from their answer on
    HighestBy told;          // revisions of answers
    for (const auto* operation : operations) {
        if (operation->may_compact()) {
            asked.add(operation->invoked, operation->success[0].revision);
            if (operation->outcome == Outcome::ok) {
                acknowledged.add(operation->completed, operation->success[0].revision);
            }
        }
        if (operation->outcome == Outcome::ok) {
            told.add(operation->completed, operation->header.revision);
        }
    }
    asked.close();
    acknowledged.close();
    told.close();
    for (const auto* operation : operations) {
        const bool read = !operation->transaction && operation->success[0].kind == StepKind::range;
        if (!read || operation->success[0].revision <= 0) {
            continue;
        }
        const api::Revision wanted = operation->success[0].revision;
        if (operation->outcome == Outcome::ok) {
            if (!operation->serializable && acknowledged.before(operation->invoked) > wanted) {
                return "a read is answered below an acknowledged compaction:\n  " + describe(*operation);
            }
        } else if (operation->error == api::Errc::compacted) {
            if (std::max(asked.before(operation->completed), unasked_below) <= wanted) {
                return "a read is refused as compacted, and nobody asked for that:\n  " + describe(*operation);
            }
        } else if (operation->error == api::Errc::future_revision) {
            if (!operation->serializable && told.before(operation->invoked) >= wanted) {
                return "a read of a revision told before is refused as of the future:\n  " + describe(*operation);
            }
        }
    }
    return {};
}

}  // namespace ringfort::sim
