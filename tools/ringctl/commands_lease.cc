// Leases: grant, revoke, timetolive, list, keep-alive.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <memory>
#include <thread>

#include "commands.h"
#include "number_option.h"

namespace ringctl {

namespace {

struct LeaseFlags {
    std::string id;
    std::string ttl;
    std::uint64_t domain{0};
    bool keys{false};
    bool once{false};

    ringfort::LeaseOptions options() const { return {.domain = domain}; }
};

template <class T>
T must_number(const std::string& text, int base, const std::string& why) {
    T number = 0;
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, number, base);
    if (parsed.ec != std::errc() || parsed.ptr != end) {
        fail(Exit::bad_arguments, why);
    }
    return number;
}

std::int64_t lease_id(const LeaseFlags& flags) {
    return must_number<std::int64_t>(flags.id, 16, "bad lease ID arg (" + flags.id + "), expecting ID in Hex");
}

void run_grant(Session& session, const LeaseFlags& flags) {
    must_print_keys(session);
    const auto ttl = must_number<std::int64_t>(flags.ttl, 10, "bad TTL (" + flags.ttl + "), expecting a number of seconds");
    const std::int64_t id = flags.id.empty() ? 0 : lease_id(flags);
    print(session.printer()->lease_grant(must(session.client().lease_grant(ttl, id, flags.options()), Effect::write)));
}

void run_revoke(Session& session, const LeaseFlags& flags) {
    must_print_keys(session);
    const std::int64_t id = lease_id(flags);
    print(session.printer()->lease_revoke(id, must(session.client().lease_revoke(id, flags.options()), Effect::write)));
}

void run_time_to_live(Session& session, const LeaseFlags& flags) {
    must_print_keys(session);
    const auto reply = must(session.client().lease_time_to_live(lease_id(flags), flags.keys, flags.options()));
    print(session.printer()->lease_time_to_live(reply, flags.keys));
}

void run_list(Session& session, const LeaseFlags& flags) {
    must_print_keys(session);
    print(session.printer()->lease_list(must(session.client().lease_list(flags.options()))));
}

// Until the lease is gone or nobody could be told in time.
void run_keep_alive(Session& session, const LeaseFlags& flags) {
    must_print_keys(session);
    using Clock = std::chrono::steady_clock;
    const std::int64_t id = lease_id(flags);
    Clock::time_point lives_until = Clock::time_point::max();
    for (;;) {
        const Clock::time_point asked = Clock::now();
        auto renewed = session.client().lease_keep_alive({id}, flags.options());
        if (!renewed && (flags.once || lives_until == Clock::time_point::max() || Clock::now() >= lives_until)) {
            fail(renewed.error(), Effect::read);
        }
        std::chrono::milliseconds pause(500);
        if (renewed) {
            const std::int64_t ttl = renewed->ttls.front();
            if (ttl == 0 && flags.once) {
                fail(Exit::error, "etcdserver: requested lease not found");
            }
            if (ttl == 0) {
                if (session.form() == Form::simple) {
                    print("lease " + lease_name(id) + " expired or revoked.\n");
                }
                return;
            }
            print(session.printer()->lease_keep_alive(id, ttl, *renewed));
            lives_until = asked + std::chrono::seconds(std::min<std::int64_t>(ttl, 1'000'000'000));
            pause = std::chrono::milliseconds(std::min<std::int64_t>(ttl, 1'000'000'000) * 1000 / 3);
        }
        if (flags.once) {
            return;
        }
        std::this_thread::sleep_until(std::min(asked + pause, lives_until));
    }
}

CLI::App* add(CLI::App& lease, Commands& commands, const char* name, const char* what,
              const std::shared_ptr<LeaseFlags>& flags, void (*run)(Session&, const LeaseFlags&)) {
    CLI::App* command = lease.add_subcommand(name, what);
    ringfort::tools::add_number(*command, "--domain", flags->domain,
                                "where it lives, where the cluster has several domains");
    commands.push_back({command, [flags, run](Session& session) { run(session, *flags); }});
    return command;
}

}  // namespace

void add_lease_commands(CLI::App& app, Commands& commands) {
    CLI::App* lease = app.add_subcommand("lease", "Lease related commands");
    lease->footer("Examples:\n  ringctl lease grant 60\n  ringctl put --lease 1a2b3c here i-am\n"
                  "  ringctl lease keep-alive 1a2b3c\n  ringctl lease timetolive 1a2b3c --keys\n"
                  "  ringctl lease revoke 1a2b3c");
    auto flags = std::make_shared<LeaseFlags>();
    CLI::App* grant = add(*lease, commands, "grant", "Creates leases", flags, &run_grant);
    grant->add_option("ttl", flags->ttl, "seconds without a keep-alive after which it ends")->required()->type_name("");
    grant->add_option("--id", flags->id, "lease id (hexadecimal); without it the cluster chooses");
    const auto add_id = [](CLI::App* command, const std::shared_ptr<LeaseFlags>& of) {
        command->add_option("leaseID", of->id, "lease id (hexadecimal)")->required()->type_name("");
    };
    flags = std::make_shared<LeaseFlags>();
    add_id(add(*lease, commands, "revoke", "Revokes leases", flags, &run_revoke), flags);
    flags = std::make_shared<LeaseFlags>();
    CLI::App* time_to_live = add(*lease, commands, "timetolive", "Get lease information", flags, &run_time_to_live);
    add_id(time_to_live, flags);
    time_to_live->add_flag("--keys", flags->keys, "Get keys attached to this lease");
    flags = std::make_shared<LeaseFlags>();
    add(*lease, commands, "list", "List all active leases", flags, &run_list);
    flags = std::make_shared<LeaseFlags>();
    CLI::App* keep_alive = add(*lease, commands, "keep-alive", "Keeps leases alive (renew)", flags, &run_keep_alive);
    add_id(keep_alive, flags);
    keep_alive->add_flag("--once", flags->once, "Resets the keep-alive time to its original value and exits immediately");
    lease->require_subcommand(0, 1);
    for (CLI::App* command : lease->get_subcommands({})) {
        command->fallthrough();
    }
}

}  // namespace ringctl
