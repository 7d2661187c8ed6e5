// What clients wrote to one domain and what watches told of it, as one story.
//
// What watches were told says which write stands where nobody knows. If that fits no order, a watch was told something
// wrong; whether the writes themselves fit one is looked at without it then.
#pragma once

#include <span>
#include <string>

#include "sim/checkers/serializability.h"
#include "sim/watch_record.h"

namespace ringfort::sim {

struct DomainStory {
    std::span<const RecordedOperation* const> operations;   // all of them, values of puts distinct
    std::span<const RecordedWatch* const> watches;
    const std::span<const LeaseEnd>* lease_ends{nullptr};   // of every domain; null: nobody looked
    bool compacts_by_itself{false};
};

struct DomainReport {
    std::string violation;      // empty: none
    bool inconclusive{false};   // a search for the order of the writes gave up
    SerializabilityReport order;   // of the writes: figures of the last search
};

DomainReport check_domain(const DomainStory& story, std::uint64_t steps_max = search_steps_max);

}  // namespace ringfort::sim
