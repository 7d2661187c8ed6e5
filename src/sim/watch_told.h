// What a watch of the client asks and is told, as the judges take it.
#pragma once

#include <cstdint>
#include <vector>

#include "api/types.h"
#include "base/prng.h"
#include "client/watch.h"
#include "sim/run_options.h"
#include "sim/watch_record.h"

namespace ringfort::sim {

// A watch by lot: of one key, some or all of a domain, from here on or from a revision in the past or soon to come, with
// all there is to ask for. `newest`: the highest revision of each domain that a client was told.
RecordedWatch draw_watch(Prng& random, const WorkloadOptions& workload, std::uint32_t domains,
                         const std::vector<api::Revision>& newest);
// As the client takes it; views into the record.
api::WatchRequest make_watch_request(const RecordedWatch& record);
WatchTold told_of(const client::WatchNews& news, Instant now);

}  // namespace ringfort::sim
