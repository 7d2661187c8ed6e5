// The disk of a node as the next start would read it: every file of the log is scanned, judged and replayed by src/log,
// and must give what the judges' own replay gives (media_log.h); every checkpoint that the log names is read to its end.
// For sound disks: there everything is intact, to the last batch.
#pragma once

#include <cstdint>
#include <string>

#include "sim/checkers/media_log.h"
#include "sim/disk_media.h"

namespace ringfort::sim {

// Returns what is wrong, empty if nothing is. Requires: media.sound(), !log.waits().
std::string check_media(DiskMedia& media, std::uint32_t shard, const MediaLog& log);

}  // namespace ringfort::sim
