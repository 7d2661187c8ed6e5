// What of the directory a node derives from its own start: the bootstrap it would propose.
#pragma once

#include "kv/directory.h"
#include "shard/node_config.h"

namespace ringfort::shard {

kv::DirectoryState initial_directory(const NodeConfig& config);

}  // namespace ringfort::shard
