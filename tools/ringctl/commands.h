// The commands of ringctl. Each adds its subcommand with its flags, and what to run when it was named.
#pragma once

#include <functional>

#include <CLI/CLI.hpp>

#include "session.h"

namespace ringctl {

// Run after the command line was read whole: global flags may stand behind the command.
using Action = std::function<void(Session&)>;
struct Command {
    CLI::App* app{nullptr};
    Action action;
};
using Commands = std::vector<Command>;

void add_key_commands(CLI::App& app, Commands& commands);        // put, get, del, compaction
void add_txn_command(CLI::App& app, Commands& commands);
void add_endpoint_commands(CLI::App& app, Commands& commands);
void add_alarm_commands(CLI::App& app, Commands& commands);      // alarm list, alarm disarm
void add_member_commands(CLI::App& app, Commands& commands);     // member list, move-leader
void add_lease_commands(CLI::App& app, Commands& commands);      // lease grant, revoke, timetolive, list, keep-alive
void add_watch_command(CLI::App& app, Commands& commands);
void add_lock_commands(CLI::App& app, Commands& commands);       // lock, elect
void add_check_commands(CLI::App& app, Commands& commands);      // check perf, check datascale
void add_mirror_command(CLI::App& app, Commands& commands);      // make-mirror
void add_log_commands(CLI::App& app, Commands& commands);        // log dump

}  // namespace ringctl
