// What compaction may and may not do to one domain's reads at past revisions.
//
// A read is refused as compacted only if somebody asked for such a compaction, or the cluster compacts by itself; once a
// compaction is acknowledged, no linearizable read below it is answered; and no linearizable read of a revision that was
// already told to somebody is refused as one of the future.
#pragma once

#include <span>
#include <string>

#include "sim/history.h"

namespace ringfort::sim {

// `operations`: of one domain, all of them. `unasked_below`: revisions below it may be compacted though nobody asked.
// Returns what is wrong, empty if nothing is.
std::string check_compaction(std::span<const RecordedOperation* const> operations, api::Revision unasked_below = 0);

}  // namespace ringfort::sim
