// simulate: whole clusters in virtual time, faults by the seed, judges over everything. Without arguments it runs seeds
// that nobody ran before, on all cores, for two minutes. Exit codes: simulate_run.h.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <malloc.h>
#include <string>
#include <sys/random.h>
#include <unistd.h>

#include "base/mutant.h"
#include "sim/mutants.h"
#include "sim/settings.h"
#include "sim/simulate_campaign.h"
#include "sim/simulate_marks.h"
#include "sim/simulate_run.h"
#include "sim/simulate_shrink.h"

namespace {

using namespace ringfort;
using namespace ringfort::sim;

constexpr int exit_usage = 2;
constexpr double minutes_default = 2;

struct CommandLine {
    CampaignOptions campaign;
    std::optional<std::uint64_t> seed;
    std::string seeds;                    // a count, or A-B
    std::uint64_t seconds{30};
    std::vector<std::string> without;
    std::string skip_faults;
    bool no_faults{false};
    bool twice{false};
    bool shrink{false};
    std::uint64_t shrink_minutes{10};
    bool list_mutants{false};
};

void add_run_options(CLI::App& app, CommandLine& line) {
    RunRequest& request = line.campaign.request;
    app.add_option("--seconds", line.seconds, "virtual seconds under faults")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_option("--nodes", request.nodes, "number of nodes (default: by the seed)")->check(CLI::Range(1, 7));
    app.add_option("--shards", request.shards, "shards per node (default: by the seed)")->check(CLI::Range(1, 8));
    app.add_option("--domains", request.domains, "domains (default: by the seed)")->check(CLI::Range(1, 16));
    app.add_option("--set", request.settings,
                   "an option of the run as name=value, instead of what the seed draws; may be repeated");
    app.add_flag("--no-faults", line.no_faults, "a healthy world");
    app.add_option("--without", line.without, "leave out the faults of this kind; may be repeated");
    app.add_option("--skip-faults", line.skip_faults, "leave out these faults, by number: 3,7-9");
    app.add_flag("--light", request.light, "10 clients with 100 operations a second in a healthy world");
    app.add_option("--mutant", request.mutant, "plant this bug (builds with -Dmutants=true)");
    app.add_flag("--mutants", line.list_mutants, "list the planted bugs: name, file, what is wrong, where it was seen");
    app.add_flag("--trace", request.trace, "what happens, to stderr");
    app.add_flag("--check-determinism", line.twice, "run every seed twice and compare all events");
}

void add_campaign_options(CLI::App& app, CommandLine& line) {
    CampaignOptions& campaign = line.campaign;
    app.add_option("--seed", line.seed, "run this seed; with --seeds or --minutes, the first one");
    app.add_option("--seeds", line.seeds, "how many seeds, or which: A-B");
    app.add_option("--minutes", campaign.minutes, "begin runs for so long (default: 2, if no seeds are named)")
        ->check(CLI::PositiveNumber);
    app.add_option("--jobs", campaign.jobs, "runs at a time, one a core unless told")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    app.add_flag("--json", campaign.json, "the summary as one JSON object");
    app.add_flag("--marks", campaign.show_marks, "list the rare branches of the code and how often they were reached");
    app.add_option("--marks-file", campaign.marks_file, "add to the counts of this file");
    app.add_flag("--shrink", line.shrink, "make the failing run of --seed smaller while it fails alike");
    app.add_option("--shrink-minutes", line.shrink_minutes, "at most")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
}

std::string paragraph(const std::string& title, const std::vector<std::string_view>& words) {
    constexpr std::size_t columns = 100;
    std::string out = title + "\n ";
    std::size_t used = 1;
    for (const std::string_view word : words) {
        if (used + 1 + word.size() > columns) {
            out += "\n ";
            used = 1;
        }
        out += " " + std::string(word);
        used += 1 + word.size();
    }
    return out + "\n";
}

std::string footer() {
    std::vector<std::string_view> kinds;
    for (std::size_t kind = 0; kind < fault_kinds; kind++) {
        kinds.push_back(to_string(static_cast<FaultKind>(kind)));
    }
    return paragraph("Options of a run, for --set; durations carry a unit (ns, us, ms, s):", setting_names()) +
           paragraph("Kinds of faults, for --without:", kinds) +
           "Exit codes:\n  0 nothing found, 2 wrong usage, 3 liveness, 4 safety, 5 two runs of a seed differ, 6 crash; "
           "the worst of all runs";
}

int complain(const std::string& what) {
    std::fprintf(stderr, "simulate: %s\n", what.c_str());
    return exit_usage;
}

void list_mutants() {
    for (const Mutant& mutant : mutants()) {
        std::printf("%s\t%s\t%s\t%s\n", mutant.name.data(), mutant.file.data(), mutant.bug.data(), mutant.source.data());
    }
}

// Empty: all is well.
std::string plant(const std::string& mutant) {
    if (!mutants_planted) {
        return "this build has no planted bugs: see tools/mutants";
    }
    return choose_mutant(mutant) == ChooseMutant::chosen ? std::string{} : "no mutant is called " + mutant;
}

std::uint64_t fresh_seed() {
    std::uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed) {
        std::abort();
    }
    return seed % 1'000'000'000'000;
}

// Empty: all is well.
std::string take_seeds(CommandLine& line) {
    const char* const end = line.seeds.data() + line.seeds.size();
    std::uint64_t first = 0;
    auto read = std::from_chars(line.seeds.data(), end, first);
    if (read.ec == std::errc{} && read.ptr == end && first > 0) {
        line.campaign.seeds = first;
        return {};
    }
    std::uint64_t last = 0;
    if (read.ec == std::errc{} && read.ptr != end && *read.ptr == '-') {
        read = std::from_chars(read.ptr + 1, end, last);
        if (read.ec == std::errc{} && read.ptr == end && first <= last && !line.seed) {
            line.seed = first;
            line.campaign.seeds = last - first + 1;
            return {};
        }
    }
    return "--seeds wants a count, or A-B without --seed";
}

std::string take_request(CommandLine& line) {
    RunRequest& request = line.campaign.request;
    request.duration = std::chrono::seconds(line.seconds);
    request.faults = !line.no_faults;
    for (const auto& name : line.without) {
        const auto kind = fault_kind(name);
        if (!kind) {
            return "no fault is called " + name;
        }
        request.without_mask |= std::uint64_t{1} << static_cast<unsigned>(*kind);
    }
    if (!line.skip_faults.empty() && !NumberSet::parse(line.skip_faults, request.skipped_faults)) {
        return "--skip-faults wants numbers and ranges of them, as in 3,7-9";
    }
    return check_settings(request);
}

int run_one(const CommandLine& line) {
    static RunRecord record;
    run_here(line.campaign.request, line.twice, record);
    MarkCounts marks;
    marks.add(record);
    if (!marks.merge_with_file(line.campaign.marks_file)) {
        return complain("cannot keep marks in " + line.campaign.marks_file);
    }
    if (line.campaign.show_marks) {
        std::printf("%smarks reached: %zu / %zu\n", marks.report().c_str(), marks.reached(), marks.total());
    }
    return exit_code(record.end);
}

}  // namespace

int main(int argc, char** argv) {
    // Large buffers come and go all the time: from the heap they cost nothing, from the kernel a page fault each page.
    // 32 MiB is the most that glibc takes; a sanitizer's heap takes none.
    static_cast<void>(mallopt(M_MMAP_THRESHOLD, 32 << 20));
    static_cast<void>(mallopt(M_TRIM_THRESHOLD, 1 << 30));
    CommandLine line;
    CampaignOptions& campaign = line.campaign;
    campaign.jobs = static_cast<unsigned>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
    CLI::App app{"Simulates whole clusters under faults and judges what clients saw."};
    add_campaign_options(app, line);
    add_run_options(app, line);
    app.footer(footer());
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : exit_usage;
    }

    if (line.list_mutants) {
        list_mutants();
        return 0;
    }
    std::string wrong = line.seeds.empty() ? std::string{} : take_seeds(line);
    wrong = wrong.empty() ? take_request(line) : wrong;
    if (wrong.empty() && !campaign.request.mutant.empty()) {
        wrong = plant(campaign.request.mutant);
    }
    if (!wrong.empty()) {
        return complain(wrong);
    }
    if (line.shrink && (!line.seed || campaign.seeds || campaign.minutes)) {
        return complain("--shrink wants the one --seed that fails");
    }
    if (line.shrink && (campaign.json || campaign.show_marks || line.twice)) {
        return complain("--shrink goes with none of --json, --marks, --check-determinism");
    }
    const bool one = line.seed && !campaign.seeds && !campaign.minutes;
    campaign.request.seed = line.seed ? *line.seed : fresh_seed();
    campaign.twice_one_in = line.twice ? 1 : campaign.twice_one_in;
    if (line.shrink) {
        return run_shrink({campaign.request, std::chrono::minutes(line.shrink_minutes)});
    }
    if (one && !campaign.json) {
        return run_one(line);
    }
    if (one) {
        campaign.seeds = 1;
    } else if (!campaign.seeds && !campaign.minutes) {
        campaign.minutes = minutes_default;
    }
    return run_campaign(campaign);
}
