#include "sim/checkers/hashes.h"

#include <map>
#include <utility>

namespace ringfort::sim {

bool asks_for_hash(const RecordedOperation& operation) {
    return operation.success.size() == 1 && operation.success[0].kind == StepKind::hash;
}

bool is_maintenance(const RecordedOperation& operation) {
    return asks_for_hash(operation) || (operation.success.size() == 1 && operation.success[0].kind == StepKind::disarm);
}

std::string check_hashes(std::span<const RecordedOperation* const> operations) {
    std::map<std::pair<api::Revision, api::Revision>, const RecordedOperation*> first;
    for (const auto* operation : operations) {
        if (!asks_for_hash(*operation) || operation->outcome != Outcome::ok) {
            continue;
        }
        const api::HashKvResponse& found = operation->results[0].hash;
        const api::Revision asked = operation->success[0].revision;
        const bool in_bounds = found.compact_revision <= found.hash_revision &&
                               found.hash_revision <= operation->header.revision;
        if (!in_bounds || (asked > 0 && found.hash_revision != asked)) {
            return "a hash is of another revision than was asked for:\n  " + describe(*operation);
        }
        const auto [other, added] = first.emplace(std::pair(found.compact_revision, found.hash_revision), operation);
        if (!added && other->second->results[0].hash != found) {
            return "two hashes of one revision differ:\n  " + describe(*other->second) + "\n  " + describe(*operation);
        }
    }
    return {};
}

}  // namespace ringfort::sim
