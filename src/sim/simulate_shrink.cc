#include "sim/simulate_shrink.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "base/assertion.h"
#include "sim/settings.h"
#include "sim/simulate_run.h"

namespace ringfort::sim {

namespace {

// What makes a run smaller or calmer, in the order of how much it removes; the first value that still fails stays.
struct Reduction {
    std::string_view name;
    std::array<std::string_view, 3> values;   // unused ones are empty
};
constexpr Reduction reductions[] = {
    {"clients", {"1", "2", "3"}},
    {"nodes", {"1", "3"}},
    {"shards", {"1"}},
    {"domains", {"1"}},
    {"in-flight", {"1", "2"}},
    {"keys", {"1", "2", "4"}},
    {"value", {"16", "64", "4000"}},
    {"shard-changes", {"0"}},
    {"burst", {"0"}},
    {"bulk", {"0"}},
    {"nodes-lost", {"0"}},
    {"net-loss", {"0"}},
    {"net-reset", {"0"}},
    {"net-tail", {"0"}},
    {"net-split", {"0"}},
    {"net-misaligned", {"0"}},
    {"net-ghosts", {"0"}},
    {"net-jitter", {"0us"}},
    {"disk-tail", {"0"}},
    {"disk-drain", {"0"}},
    {"drift", {"0"}},
    {"cancel", {"0"}},
    {"hurry", {"0"}},
    {"hashes", {"0"}},
    {"disarms", {"0"}},
    {"compactions", {"0"}},
    {"transactions", {"0"}},
    {"range-removes", {"0"}},
    {"removes", {"0"}},
    {"ranges", {"0"}},
    {"past-gets", {"0"}},
    {"stale-gets", {"0"}},
    {"gets", {"0"}},
    {"operations", {"1", "3", "10"}},
};

void set(RunRequest& request, std::string_view name, std::string_view value) {
    const std::string prefix = std::string(name) + "=";
    std::erase_if(request.settings, [&](const std::string& setting) { return setting.starts_with(prefix); });
    request.settings.push_back(prefix + std::string(value));
}

class Shrink {
  public:
    explicit Shrink(const ShrinkOptions& options)
        : best_(options.request), end_(std::chrono::steady_clock::now() + options.at_most) {
        best_.trace = false;
    }

    int run() {
        child_.start(best_, false);
        child_.wait();
        first_ = child_.record();
        last_ = first_;
        if (first_.end == RunEnd::good) {
            std::printf("this run does not fail: %s\n", first_.replay.data());
            return 0;
        }
        wanted_ = first_.signature();
        std::printf("shrinks what fails by %s\n", wanted_.c_str());
        for (bool smaller = true; smaller && time_left();) {
            smaller = shorten();
            smaller = leave_kinds_out() || smaller;
            smaller = reduce() || smaller;
            smaller = leave_faults_out() || smaller;
        }
        std::printf("%llu runs; %.1f simulated seconds with %s\n%s\n", static_cast<unsigned long long>(runs_),
                    static_cast<double>(last_.figures.simulated.count()) / 1e9, describe(last_.figures).c_str(),
                    std::string(last_.problem_text()).c_str());
        std::printf("replay: %s --trace\n", replay_line(best_).c_str());
        return exit_code(last_.end);
    }

  private:
    bool time_left() const { return std::chrono::steady_clock::now() < end_; }

    // Keeps the change if the run still fails alike. Who loses more nodes than a minority fails for that alone.
    bool attempt(const RunRequest& smaller, const std::string& what) {
        const RunOptions options = draw_options(smaller);
        if (!time_left() || options.nodes_lost > (options.nodes - 1) / 2) {
            return false;
        }
        runs_++;
        child_.start(smaller, false);
        child_.wait();
        const bool same = child_.record().end != RunEnd::good && child_.record().signature() == wanted_;
        if (same) {
            best_ = smaller;
            last_ = child_.record();
            std::printf("  %s\n", what.c_str());
            std::fflush(stdout);
        }
        return same;
    }

    // The phase with faults need not outlast the failure, nor what leads to it.
    bool shorten() {
        bool any = false;
        const auto duration = [&] { return draw_options(best_).duration; };
        const auto try_ms = [&](std::int64_t ms) {
            RunRequest smaller = best_;
            const std::string value = std::to_string(ms) + "ms";
            set(smaller, "duration", value);
            return attempt(smaller, "for " + value);
        };
        const std::int64_t end_ms = last_.figures.simulated.count() / 1'000'000 + 1;
        if (end_ms < duration().count() / 1'000'000) {
            any = try_ms(end_ms);
        }
        while (duration() > 20ms && try_ms(duration().count() / 2'000'000)) {
            any = true;
        }
        while (duration() > 20ms && try_ms(duration().count() * 3 / 4'000'000)) {
            any = true;
        }
        return any;
    }

    bool leave_kinds_out() {
        bool any = false;
        for (unsigned kind = 0; kind < fault_kinds; kind++) {
            RunRequest smaller = best_;
            smaller.without_mask |= std::uint64_t{1} << kind;
            const bool there = draw_options(best_).enabled(static_cast<FaultKind>(kind)) &&
                               smaller.without_mask != best_.without_mask;
            any = (there && attempt(smaller, "without " + std::string(to_string(static_cast<FaultKind>(kind))))) || any;
        }
        return any;
    }

    bool reduce() {
        bool any = false;
        for (const Reduction& reduction : reductions) {
            for (const std::string_view value : reduction.values) {
                if (value.empty()) {
                    break;
                }
                RunRequest smaller = best_;
                set(smaller, reduction.name, value);
                ASSERT(check_settings(smaller).empty());
                if (lower(smaller) && attempt(smaller, std::string(reduction.name) + "=" + std::string(value))) {
                    any = true;
                    break;
                }
            }
        }
        return any;
    }

    // Whether the one option that differs became smaller; 0 of the operations of a client means no bound.
    bool lower(const RunRequest& smaller) const {
        const RunOptions now = draw_options(best_);
        const RunOptions then = draw_options(smaller);
        const auto before = settings_that_differ(now, then);
        const auto after = settings_that_differ(then, now);
        if (before.size() != 1) {
            return false;
        }
        const auto number = [](const std::string& setting) {
            return std::strtoull(setting.c_str() + setting.find('=') + 1, nullptr, 10);
        };
        return number(after[0]) < number(before[0]) || before[0] == "operations=0" ||
               before[0].ends_with("s");   // durations are only ever tried as nothing
    }

    // Chunks of the faults that are left, half as large each time, down to single ones.
    bool leave_faults_out() {
        bool any = false;
        std::vector<std::uint64_t> left;
        for (std::uint64_t number = 1; number <= last_.figures.faults_drawn; number++) {
            if (!best_.skipped_faults.contains(number)) {
                left.push_back(number);
            }
        }
        for (std::size_t chunk = left.size(); chunk > 0; chunk /= 2) {
            for (std::size_t at = 0; at < left.size();) {
                const std::size_t end = std::min(at + chunk, left.size());
                RunRequest smaller = best_;
                for (std::size_t i = at; i < end; i++) {
                    smaller.skipped_faults.add(left[i], left[i]);
                }
                if (attempt(smaller, "without the faults " + std::to_string(left[at]) + " to " +
                                         std::to_string(left[end - 1]))) {
                    left.erase(left.begin() + static_cast<std::ptrdiff_t>(at),
                               left.begin() + static_cast<std::ptrdiff_t>(end));
                    any = true;
                } else {
                    at = end;
                }
            }
        }
        return any;
    }

    RunRequest best_;
    std::chrono::steady_clock::time_point end_;
    ChildRun child_;
    RunRecord first_;
    RunRecord last_;          // of best_
    std::string wanted_;
    std::uint64_t runs_{0};
};

}  // namespace

int run_shrink(const ShrinkOptions& options) { return Shrink(options).run(); }

}  // namespace ringfort::sim
