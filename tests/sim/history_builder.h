// Hand-made histories for the tests of the checkers.
#pragma once

#include <string>
#include <vector>

#include "sim/checkers/serializability.h"

namespace ringfort::sim {

class HistoryBuilder {
  public:
    static StepRequest put(std::string key, std::string value, bool prev = false) {
        return {StepKind::put, std::move(key), {}, std::move(value), prev, 0, 0};
    }
    static StepRequest get(std::string key, std::string end = {}) {
        return {StepKind::range, std::move(key), std::move(end), {}, false, 0, 0};
    }
    static StepRequest remove(std::string key, std::string end = {}) {
        return {StepKind::remove, std::move(key), std::move(end), {}, false, 0, 0};
    }
    static RecordedKv kv(std::string key, std::string value, api::Revision create, api::Revision mod, std::int64_t version) {
        return {std::move(key), std::move(value), create, mod, version};
    }

    // [from, to]: when it was invoked and answered.
    RecordedOperation& ok(std::int64_t from, std::int64_t to, api::Revision revision, StepRequest step,
                          StepResult result = {}) {
        RecordedOperation& out = start(from, std::move(step));
        out.completed = Instant{to};
        out.outcome = Outcome::ok;
        out.header.revision = revision;
        out.results = {std::move(result)};
        return out;
    }
    RecordedOperation& unknown(std::int64_t from, StepRequest step) {
        RecordedOperation& out = start(from, std::move(step));
        out.outcome = Outcome::unknown;
        out.error = api::Errc::timed_out;
        return out;
    }
    RecordedOperation& failed(std::int64_t from, std::int64_t to, StepRequest step) {
        RecordedOperation& out = start(from, std::move(step));
        out.completed = Instant{to};
        out.outcome = Outcome::failed;
        out.error = api::Errc::no_leader;
        return out;
    }
    std::vector<const RecordedOperation*> all() const {
        std::vector<const RecordedOperation*> out;
        for (const auto& operation : history_.operations()) {
            out.push_back(&operation);
        }
        return out;
    }
    SerializabilityReport check(std::uint64_t steps_max = 5'000'000) const {
        return check_serializability(all(), steps_max);
    }

  private:
    RecordedOperation& start(std::int64_t from, StepRequest step) {
        RecordedOperation out;
        out.invoked = Instant{from};
        out.success.push_back(std::move(step));
        return history_.add(std::move(out));
    }
    History history_;
};

}  // namespace ringfort::sim
