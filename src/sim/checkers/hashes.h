// Hashes of a domain's keys and values, by whichever member and at whatever time: equal where the revision hashed and the
// compacted one are, and no revision but the one asked for.
#pragma once

#include <span>
#include <string>

#include "sim/history.h"

namespace ringfort::sim {

// Whether it asks for one: it is judged here, and by nobody else.
bool asks_for_hash(const RecordedOperation& operation);
// Or takes back alarms, which no history tells of: replicas with different ones differ in their hash of state.
bool is_maintenance(const RecordedOperation& operation);

// `operations`: of one domain; others than these are passed over. Returns what is wrong, empty if nothing is.
std::string check_hashes(std::span<const RecordedOperation* const> operations);

}  // namespace ringfort::sim
