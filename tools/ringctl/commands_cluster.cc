// What concerns the cluster: its endpoints' status and health, its members, who leads.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <memory>
#include <set>

#include <fmt/format.h>

#include "commands.h"
#include "text.h"
#include "tolerance.h"

namespace ringctl {

using ringfort::MemberListReply;
using ringfort::StatusReply;

void tell_tolerance(const Session& session, const MemberListReply& members, const std::vector<std::uint64_t>& answered,
                    bool asked_all) {
    if (session.form() != Form::simple && session.form() != Form::table) {
        return;
    }
    Tolerance tolerance;
    for (const ringfort::Member& member : members.members) {
        if (!member.is_learner) {
            tolerance.voters++;
            tolerance.up += static_cast<std::size_t>(std::ranges::count(answered, member.id) > 0 ? 1 : 0);
        }
    }
    // Not on standard output: that stays what scripts written for etcdctl expect.
    std::fputs(describe(tolerance, asked_all).c_str(), stderr);
}

namespace {

// Whether these endpoints are enough to know of every voter: no more of them than there are endpoints, and each voter
// that did not answer has an address among them.
bool covers(const std::vector<std::string>& endpoints, const MemberListReply& members,
            const std::vector<std::uint64_t>& answered) {
    std::set<std::string> asked;
    for (const std::string& endpoint : endpoints) {
        asked.insert(ringfort::normalize_endpoint(endpoint).value_or(endpoint));
    }
    return std::ranges::all_of(members.members, [&](const ringfort::Member& member) {
        return member.is_learner || std::ranges::count(answered, member.id) > 0 ||
               std::ranges::any_of(member.client_urls, [&asked](const std::string& url) {
                   return asked.contains(ringfort::normalize_endpoint(url).value_or(url));
               });
    });
}

bool is_learner(const MemberListReply& members, std::uint64_t id) {
    return std::ranges::any_of(members.members,
                               [id](const ringfort::Member& member) { return member.id == id && member.is_learner; });
}

std::vector<std::string> chosen_endpoints(Session& session, bool whole_cluster) {
    return whole_cluster ? session.cluster_endpoints() : session.endpoints();
}

void run_status(Session& session, bool whole_cluster) {
    std::vector<EndpointStatus> found;
    std::vector<std::uint64_t> answered;
    bool failed = false;
    MemberListReply members;
    const std::vector<std::string> endpoints = chosen_endpoints(session, whole_cluster);
    for (const std::string& endpoint : endpoints) {
        ringfort::Client client = session.client_of(endpoint);
        auto status = client.status();
        if (!status) {
            std::fprintf(stderr, "Failed to get the status of endpoint %s (%s)\n", endpoint.c_str(),
                         status.error().text().c_str());
            failed = true;
            continue;
        }
        if (members.members.empty()) {
            if (auto list = client.member_list(false)) {
                members = std::move(*list);
            }
        }
        answered.push_back(status->header.member_id);
        found.push_back({endpoint, std::move(*status), is_learner(members, answered.back())});
    }
    print(session.printer()->status(found));
    if (!members.members.empty()) {
        tell_tolerance(session, members, answered, covers(endpoints, members, answered));
    }
    if (failed) {
        std::exit(static_cast<int>(Exit::error));
    }
}

void run_health(Session& session, bool whole_cluster) {
    std::vector<EndpointHealth> found;
    std::vector<std::uint64_t> answered;
    bool all_healthy = true;
    MemberListReply members;
    const std::vector<std::string> endpoints = chosen_endpoints(session, whole_cluster);
    for (const std::string& endpoint : endpoints) {
        ringfort::Client client = session.client_of(endpoint);
        const auto begin = std::chrono::steady_clock::now();
        // Linearizable: it takes a leader and a majority to answer, and this node's part in it.
        const auto reply = client.get("health");
        const auto took = std::chrono::steady_clock::now() - begin;
        found.push_back({.endpoint = endpoint,
                         .healthy = reply.ok(),
                         .took_ns = std::chrono::nanoseconds(took).count(),
                         .error = reply ? "" : reply.error().text()});
        all_healthy = all_healthy && reply.ok();
        // The header of a forwarded read names who evaluated it: which node answers its status says.
        const auto status = reply ? client.status() : ringfort::Outcome<StatusReply>(reply.error());
        if (status) {
            answered.push_back(status->header.member_id);
        }
        if (status && members.members.empty()) {
            if (auto list = client.member_list(false)) {
                members = std::move(*list);
            }
        }
    }
    if (session.form() == Form::simple) {
        // As etcdctl: who is unhealthy goes to standard error.
        for (const EndpointHealth& one : found) {
            std::fputs(session.printer()->health({one}).c_str(), one.healthy ? stdout : stderr);
        }
        std::fflush(stdout);
    } else {
        print(session.printer()->health(found));
    }
    if (!members.members.empty()) {
        tell_tolerance(session, members, answered, covers(endpoints, members, answered));
    }
    if (!all_healthy) {
        fail(Exit::error, "unhealthy cluster");
    }
}

void run_member_list(Session& session, const std::string& consistency) {
    if (consistency != "l" && consistency != "s") {
        fail(Exit::bad_arguments, "unknown consistency flag \"" + consistency + "\"");
    }
    const MemberListReply members = must(session.client().member_list(consistency == "l"));
    print(session.printer()->members(members));
    tell_tolerance(session, members, {}, false);
}

std::uint64_t parse_member_id(const std::string& text) {
    std::uint64_t id = 0;
    const std::string_view digits = std::string_view(text).substr(text.starts_with("0x") ? 2 : 0);
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), id, 16);
    if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size() || id == 0) {
        fail(Exit::bad_arguments, "bad member ID (" + text + "), expecting ID in Hex");
    }
    return id;
}

// The node that leads moves its ranges; every other node would refuse. So each is asked what it leads.
void run_move_leader(Session& session, const std::string& target_text) {
    const std::uint64_t target = parse_member_id(target_text);
    std::size_t moved = 0;
    std::set<std::uint64_t> asked;
    std::vector<std::string> endpoints = session.endpoints();
    if (auto members = session.client().member_list(false)) {
        for (const ringfort::Member& member : members->members) {
            endpoints.insert(endpoints.end(), member.client_urls.begin(), member.client_urls.end());
        }
    }
    for (const std::string& endpoint : endpoints) {
        ringfort::Client client = session.client_of(endpoint);
        const auto status = client.status({.timeout_ms = std::min<std::int64_t>(2000, session.command_timeout_ms())});
        if (!status || !asked.insert(status->header.member_id).second || status->header.member_id == target) {
            continue;
        }
        const std::uint64_t self = status->header.member_id;
        const bool leads =
            std::ranges::any_of(status->ranges, [self](const ringfort::RangeStatus& range) { return range.leader == self; });
        if (!leads) {
            continue;
        }
        must(client.move_leader(target));
        print(fmt::format("Leadership transferred from {} to {}\n", hex_number(self), hex_number(target)));
        moved++;
    }
    if (moved == 0 && asked.contains(target)) {
        print(fmt::format("{} leads everything already\n", hex_number(target)));
    } else if (moved == 0) {
        fail(Exit::bad_arguments, "no leader endpoint given at " + fmt::format("{}", fmt::join(endpoints, ",")));
    }
}

}  // namespace

void add_endpoint_commands(CLI::App& app, Commands& commands) {
    CLI::App* endpoint = app.add_subcommand("endpoint", "Endpoint related commands");
    endpoint->require_subcommand(1);
    endpoint->fallthrough();
    auto whole_cluster = std::make_shared<bool>(false);
    const auto add = [&](const char* name, const char* description, Action action) {
        CLI::App* command = endpoint->add_subcommand(name, description);
        command->fallthrough();
        command->add_flag("--cluster", *whole_cluster, "use all members of the cluster, not the given endpoints");
        commands.push_back({command, std::move(action)});
        return command;
    };
    add("status", "Prints the status of the endpoints", [whole_cluster](Session& session) {
        run_status(session, *whole_cluster);
    })->footer("Example:\n  ringctl endpoint status --cluster -w table");
    add("health", "Checks whether the endpoints answer linearizable reads", [whole_cluster](Session& session) {
        run_health(session, *whole_cluster);
    })->footer("Example:\n  ringctl endpoint health --cluster");
    add("hashkv", "Not served by this version", [](Session&) {
        fail(Exit::bad_feature, "endpoint hashkv is not served by this version; \"endpoint status -w json\" shows each "
                                "range's state hash at its applied index");
    });
}

void add_member_commands(CLI::App& app, Commands& commands) {
    CLI::App* member = app.add_subcommand("member", "Membership related commands");
    member->require_subcommand(1);
    member->fallthrough();
    CLI::App* list = member->add_subcommand("list", "Lists all members in the cluster");
    list->fallthrough();
    auto consistency = std::make_shared<std::string>("l");
    list->add_option("--consistency", *consistency, "linearizable (l) or serializable (s)");
    list->footer("Example:\n  ringctl member list -w table");
    commands.push_back({list, [consistency](Session& session) { run_member_list(session, *consistency); }});
    for (const char* name : {"add", "remove", "update", "promote"}) {
        CLI::App* command = member->add_subcommand(name, "Not served by this version");
        command->allow_extras();
        commands.push_back({command, [](Session&) {
                                fail(Exit::bad_feature, "membership cannot be changed in this version");
                            }});
    }

    auto target = std::make_shared<std::string>();
    CLI::App* move = app.add_subcommand("move-leader", "Transfers leadership to another member");
    move->fallthrough();
    move->add_option("target", *target, "the member's ID in hexadecimal, as member list prints it")
        ->required()
        ->type_name("");
    move->footer("Example:\n  ringctl move-leader 8211f1d0f64f3269");
    commands.push_back({move, [target](Session& session) { run_move_leader(session, *target); }});
}

}  // namespace ringctl
