// How `ringfort` ends: each reason for ending has a code of its own. tools/ringfort.service and tests rely on them.
#pragma once

#include "env/world.h"
#include "uring/start_fault.h"

namespace ringfort::server {

enum class ExitCode : int {
    ok = 0,                       // orderly stop
    failure = 1,                  // anything without a code of its own
    bad_options = 2,              // flags, environment or config file
    stop_timed_out = 3,           // the orderly stop did not end in time; nothing acknowledged is lost

    // the data directory refuses this start
    directory_unusable = 10,      // cannot be made, read or written
    directory_in_use = 11,
    unsupported_filesystem = 12,
    other_cluster = 13,
    other_node = 14,
    newer_format = 15,
    identity_damaged = 16,
    no_former_start = 18,         // --initial-cluster-state existing without data

    // the machine refuses this start
    no_uring = 20,
    no_locked_memory = 21,
    address_unavailable = 22,
    no_disk_space = 23,

    // the node ended itself: do not restart it without looking
    log_failed = 30,              // a write or flush of the log failed
    corrupt = 31,                 // a range is damaged beyond repair
    refused = 32,                 // the data directory or the cluster does not fit

    interrupted = 130,            // a second signal ended an orderly stop
};

constexpr ExitCode exit_code(uring::StartFaultKind kind) {
    using Kind = uring::StartFaultKind;
    switch (kind) {
        case Kind::no_uring: return ExitCode::no_uring;
        case Kind::no_locked_memory: return ExitCode::no_locked_memory;
        case Kind::address_unavailable: return ExitCode::address_unavailable;
        case Kind::directory_unusable: return ExitCode::directory_unusable;
        case Kind::no_disk_space: return ExitCode::no_disk_space;
        case Kind::unsupported_filesystem: return ExitCode::unsupported_filesystem;
        case Kind::directory_in_use: return ExitCode::directory_in_use;
        case Kind::other_cluster: return ExitCode::other_cluster;
        case Kind::other_node: return ExitCode::other_node;
        case Kind::newer_format: return ExitCode::newer_format;
        case Kind::identity_damaged: return ExitCode::identity_damaged;
        case Kind::no_former_start: return ExitCode::no_former_start;
    }
    return ExitCode::failure;
}

constexpr ExitCode exit_code(env::Halt how) {
    switch (how) {
        case env::Halt::stopped: return ExitCode::ok;
        case env::Halt::log_failed: return ExitCode::log_failed;
        case env::Halt::corrupt: return ExitCode::corrupt;
        case env::Halt::refused: return ExitCode::refused;
        case env::Halt::no_disk_space: return ExitCode::no_disk_space;
    }
    return ExitCode::failure;
}

}  // namespace ringfort::server
