// What commands about alarms carry, and the alarms of a range.
//
// An alarm is replicated state, though what it stands for is one member's: so it outlives that member's leadership, is the
// same wherever it is asked for, and can be taken back by hand. (A flag of whoever leads would cost no entry, but begin anew
// with each change of leaders, so that writes refused by one are taken by the next; and nobody could take it back.)
#pragma once

#include <cstddef>
#include <vector>

#include "api/types.h"

namespace ringfort::kv {

// At a time; one of each type and member is more than there are.
inline constexpr std::size_t alarms_max = 64;

struct AlarmRaise {
    api::Alarm alarm;        // of a member and a type, both not 0
};

// As api::AlarmRequest has it.
struct AlarmClear {
    api::Alarm alarm;
    bool covers(const api::Alarm& other) const {
        return (!alarm.member || alarm.member == other.member) &&
               (alarm.type == api::AlarmType::none || alarm.type == other.type);
    }
};

// In order, without repeats.
using Alarms = std::vector<api::Alarm>;

}  // namespace ringfort::kv
