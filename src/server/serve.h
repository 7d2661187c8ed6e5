// Puts a node together from its options: data directory, sockets, shards.
#pragma once

#include "server/exit_codes.h"
#include "server/options.h"
#include "uring/log_writer.h"

namespace ringfort::server {

// Runs the node to its end.
ExitCode serve(const Options& options, uring::LogWriter& log);

}  // namespace ringfort::server
