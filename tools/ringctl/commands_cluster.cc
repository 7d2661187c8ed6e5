// What concerns the cluster: its endpoints' status and health, its members, who leads.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <set>
#include <thread>

#include <fmt/format.h>

#include "commands.h"
#include "number_option.h"
#include "text.h"
#include "tolerance.h"

namespace ringctl {

using ringfort::MemberListReply;
using ringfort::StatusReply;
using ringfort::tools::add_number;

namespace {

// Each of `count` asked by a thread of its own: one that is silent for its whole timeout keeps nobody waiting.
void ask_all(std::size_t count, const std::function<void(std::size_t)>& ask) {
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < count; i++) {
        threads.emplace_back(ask, i);
    }
    for (std::thread& one : threads) {
        one.join();
    }
}

// Asks those voters for their status that have not been asked yet, and tells on standard error how many failures the
// cluster survives. Not on standard output: that stays what scripts written for etcdctl expect.
void tell_tolerance(const Session& session, const MemberListReply& members, std::vector<MemberHealth> health) {
    if (session.form() != Form::simple && session.form() != Form::table) {
        return;
    }
    const std::size_t asked = health.size();
    for (const ringfort::Member& member : members.members) {
        const auto known = [&member](const MemberHealth& one) { return one.id == member.id; };
        if (!member.is_learner && std::ranges::none_of(health, known)) {
            health.push_back({.id = member.id, .status = {}});
        }
    }
    ask_all(health.size() - asked, [&](std::size_t i) {
        MemberHealth& one = health[asked + i];
        const auto member = std::ranges::find(members.members, one.id, &ringfort::Member::id);
        if (member->client_urls.empty()) {
            return;
        }
        const std::int64_t timeout_ms = std::min<std::int64_t>(1000, session.command_timeout_ms());
        auto status = session.client_of(member->client_urls).status({.timeout_ms = timeout_ms});
        if (status && status->header.member_id == one.id) {
            one.status = std::move(*status);
        }
    });
    std::fputs(describe(measure(members.members, health)).c_str(), stderr);
}

bool is_learner(const MemberListReply& members, std::uint64_t id) {
    return std::ranges::any_of(members.members,
                               [id](const ringfort::Member& member) { return member.id == id && member.is_learner; });
}

std::vector<std::string> chosen_endpoints(Session& session, bool whole_cluster) {
    return whole_cluster ? session.cluster_endpoints() : session.endpoints();
}

// As any node knows them; empty if nobody answers.
MemberListReply known_members(Session& session) {
    const std::int64_t timeout_ms = std::min<std::int64_t>(1000, session.command_timeout_ms());
    auto members = session.client().member_list(false, {.timeout_ms = timeout_ms});
    return members ? std::move(*members) : MemberListReply();
}

void run_status(Session& session, bool whole_cluster) {
    const std::vector<std::string> endpoints = chosen_endpoints(session, whole_cluster);
    std::vector<std::optional<ringfort::Outcome<StatusReply>>> answers(endpoints.size());
    ask_all(endpoints.size(), [&](std::size_t i) { answers[i] = session.client_of({endpoints[i]}).status(); });

    std::vector<EndpointStatus> found;
    std::vector<MemberHealth> health;
    for (std::size_t i = 0; i < endpoints.size(); i++) {
        if (!*answers[i]) {
            std::fprintf(stderr, "Failed to get the status of endpoint %s (%s)\n", endpoints[i].c_str(),
                         answers[i]->error().text().c_str());
            continue;
        }
        health.push_back({.id = (*answers[i])->header.member_id, .status = **answers[i]});
        found.push_back({.endpoint = endpoints[i], .status = **answers[i]});
    }
    const MemberListReply members = found.empty() ? MemberListReply() : known_members(session);
    for (EndpointStatus& one : found) {
        one.is_learner = is_learner(members, one.status.header.member_id);
    }
    print(session.printer()->status(found));
    if (!members.members.empty()) {
        tell_tolerance(session, members, std::move(health));
    }
    if (found.size() < endpoints.size()) {
        std::exit(static_cast<int>(Exit::error));
    }
}

struct HashFlags {
    std::int64_t revision{0};
    std::uint64_t domain{0};
};

// Each hashes what it has itself: without a revision they may be at different ones, which the answers show.
void run_hashkv(Session& session, bool whole_cluster, const HashFlags& flags) {
    const std::vector<std::string> endpoints = chosen_endpoints(session, whole_cluster);
    std::vector<std::optional<ringfort::Outcome<ringfort::HashKvReply>>> answers(endpoints.size());
    ask_all(endpoints.size(),
            [&](std::size_t i) {
                answers[i] = session.client_of({endpoints[i]}).hash_kv(flags.revision, {.domain = flags.domain});
            });

    std::vector<EndpointHash> found;
    for (std::size_t i = 0; i < endpoints.size(); i++) {
        if (*answers[i]) {
            found.push_back({.endpoint = endpoints[i], .hash = **answers[i]});
        } else {
            std::fprintf(stderr, "Failed to get the hash of endpoint %s (%s)\n", endpoints[i].c_str(),
                         answers[i]->error().text().c_str());
        }
    }
    print(session.printer()->hashes(found));
    if (found.size() < endpoints.size()) {
        std::exit(static_cast<int>(Exit::error));
    }
}

// As etcdctl: where one is raised nobody is healthy.
void note_alarms(const ringfort::Outcome<ringfort::AlarmReply>& found, EndpointHealth& health) {
    if (found && !found->alarms.empty()) {
        health.healthy = false;
        health.error = "Active Alarm(s): ";
        for (const ringfort::Alarm& alarm : found->alarms) {
            health.error += std::string(alarm_name(alarm.type)) + " ";
        }
    }
}

EndpointHealth ask_health(const Session& session, const std::string& endpoint) {
    ringfort::Client client = session.client_of({endpoint});
    const auto begin = std::chrono::steady_clock::now();
    // Linearizable: it takes a leader and a majority to answer, and this node's part in it.
    const auto reply = client.get("health");
    const auto took = std::chrono::steady_clock::now() - begin;
    EndpointHealth health{.endpoint = endpoint,
                          .healthy = reply.ok(),
                          .took_ns = std::chrono::nanoseconds(took).count(),
                          .error = reply ? "" : reply.error().text()};
    if (reply) {
        note_alarms(client.alarm_list({.domain = reply->header.domain}), health);
    }
    return health;
}

void run_alarms(Session& session, bool disarm, const ringfort::AlarmOptions& options) {
    ringfort::Client& client = session.client();
    print(session.printer()->alarms(disarm ? must(client.alarm_disarm({}, options), Effect::write)
                                           : must(client.alarm_list(options))));
}

void run_health(Session& session, bool whole_cluster) {
    const std::vector<std::string> endpoints = chosen_endpoints(session, whole_cluster);
    std::vector<EndpointHealth> found(endpoints.size());
    ask_all(endpoints.size(), [&](std::size_t i) { found[i] = ask_health(session, endpoints[i]); });
    if (session.form() == Form::simple) {
        // As etcdctl: who is unhealthy goes to standard error.
        for (const EndpointHealth& one : found) {
            const std::string line = session.printer()->health({one});
            if (one.healthy) {
                print(line);
            } else {
                std::fputs(line.c_str(), stderr);
            }
        }
    } else {
        print(session.printer()->health(found));
    }
    const MemberListReply members = known_members(session);
    if (!members.members.empty()) {
        tell_tolerance(session, members, {});
    }
    if (!std::ranges::all_of(found, &EndpointHealth::healthy)) {
        fail(Exit::error, "unhealthy cluster");
    }
}

void run_member_list(Session& session, const std::string& consistency) {
    if (consistency != "l" && consistency != "s") {
        fail(Exit::bad_feature, "unknown consistency flag \"" + consistency + "\"");
    }
    const MemberListReply members = must(session.client().member_list(consistency == "l"));
    print(session.printer()->members(members));
    tell_tolerance(session, members, {});
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
        ringfort::Client client = session.client_of({endpoint});
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
        must(client.move_leader(target), Effect::write);
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
    endpoint->require_subcommand(0, 1);
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
    auto hash = std::make_shared<HashFlags>();
    CLI::App* hashkv = add("hashkv", "Prints the hash of each endpoint's keys and values",
                           [whole_cluster, hash](Session& session) { run_hashkv(session, *whole_cluster, *hash); });
    add_number(*hashkv, "--rev", hash->revision, "up to this revision (0: the newest of each endpoint)");
    add_number(*hashkv, "--domain", hash->domain, "whose keys, where the cluster has several domains");
    hashkv->footer("Members with the same data have the same hash at the same revision.\n"
                   "Example:\n  ringctl endpoint hashkv --cluster --rev 1000 -w table");
}

void add_alarm_commands(CLI::App& app, Commands& commands) {
    CLI::App* alarm = app.add_subcommand("alarm", "Alarm related commands");
    alarm->require_subcommand(0, 1);
    alarm->fallthrough();
    auto options = std::make_shared<ringfort::AlarmOptions>();
    const auto add = [&](const char* name, const char* description, bool disarm) {
        CLI::App* command = alarm->add_subcommand(name, description);
        command->fallthrough();
        add_number(*command, "--domain", options->domain, "whose alarms, where the cluster has several domains");
        commands.push_back({command, [options, disarm](Session& session) { run_alarms(session, disarm, *options); }});
        return command;
    };
    add("list", "Lists all alarms", false)
        ->footer("NOSPACE: the memory limit was met, and what adds data is refused. It ends by itself once a sixteenth of\n"
                 "the limit is free again (delete, then compact).\nExample:\n  ringctl alarm list");
    add("disarm", "Disarms all alarms", true)->footer("Example:\n  ringctl alarm disarm");
}

void add_member_commands(CLI::App& app, Commands& commands) {
    CLI::App* member = app.add_subcommand("member", "Membership related commands");
    member->require_subcommand(0, 1);
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
