#include "sim/simulate_campaign.h"

#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <unistd.h>
#include <vector>

#include "sim/simulate_marks.h"
#include "sim/simulate_run.h"

namespace ringfort::sim {

namespace {

using Json = nlohmann::ordered_json;

struct Failure {
    RunEnd end;
    std::uint64_t seed;
    std::string problem;
    std::string replay;
};

double seconds(std::int64_t ns) { return static_cast<double>(ns) / 1e9; }

class Campaign {
  public:
    explicit Campaign(const CampaignOptions& options) : options_(options), next_(options.request.seed) {
        for (unsigned i = 0; i < options.jobs; i++) {
            children_.push_back(std::make_unique<ChildRun>());
        }
    }

    int run() {
        std::fprintf(out_, "seeds from %llu on, %s, %u at a time\n", static_cast<unsigned long long>(next_),
                     end_text().c_str(), options_.jobs);
        bool busy = true;
        while (busy) {
            busy = false;
            for (auto& child : children_) {
                serve(*child);
                busy = busy || child->running();
            }
            show_progress();
            usleep(busy ? 5000 : 0);
        }
        return finish();
    }

  private:
    std::string end_text() const {
        std::string out = options_.seeds ? std::to_string(*options_.seeds) + " of them" : "as many as there is time for";
        if (options_.minutes) {
            char text[32];
            std::snprintf(text, sizeof text, "%g", *options_.minutes);
            out += ", for " + std::string(text) + " minutes";
        }
        return out;
    }

    double elapsed() const {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
    }

    void serve(ChildRun& child) {
        if (child.running() && child.poll()) {
            add(child);
        }
        const bool seeds_left = !options_.seeds || started_ < *options_.seeds;
        const bool time_left = !options_.minutes || elapsed() < *options_.minutes * 60;
        if (!child.running() && seeds_left && time_left) {
            RunRequest request = options_.request;
            request.seed = next_++;
            started_++;
            child.start(request, options_.twice_one_in != 0 && started_ % options_.twice_one_in == 0);
        }
    }

    void add(const ChildRun& child) {
        const RunRecord& record = child.record();
        const Figures& figures = record.figures;
        runs_++;
        char hash[17];
        std::snprintf(hash, sizeof hash, "%016llx", static_cast<unsigned long long>(figures.hash));
        hashes_[std::to_string(child.request().seed)] = hash;
        simulated_ns_ += figures.simulated.count();
        cpu_ns_ += record.cpu_ns;
        operations_ += figures.operations;
        acknowledged_ += figures.acknowledged;
        failed_ += figures.failed;
        unknown_ += figures.unknown;
        inconclusive_ += figures.inconclusive ? 1u : 0u;
        for (std::size_t kind = 0; kind < fault_kinds; kind++) {
            faults_[kind] += figures.faults[kind];
        }
        marks_.add(record);
        if (record.end != RunEnd::good) {
            failures_.push_back({record.end, child.request().seed, std::string(record.problem_text()),
                                 std::string(record.replay_text())});
            clear_progress();
            std::fprintf(out_, "---- seed %llu\n%s\n", static_cast<unsigned long long>(child.request().seed),
                         child.output().c_str());
        }
    }

    void show_progress() {
        const bool terminal = isatty(STDERR_FILENO) == 1;
        const double now = elapsed();
        if (now < shown_at_ + (terminal ? 0.5 : 30)) {
            return;
        }
        shown_at_ = now;
        std::fprintf(stderr, "%s%llu seeds, %.0f simulated seconds in %.0f, %zu failed%s", terminal ? "\r\033[K" : "",
                     static_cast<unsigned long long>(runs_), seconds(simulated_ns_), now, failures_.size(),
                     terminal ? "" : "\n");
        std::fflush(stderr);
        shown_ = terminal;
    }

    void clear_progress() {
        if (shown_) {
            std::fprintf(stderr, "\r\033[K");
            shown_ = false;
        }
    }

    int finish() {
        clear_progress();
        if (!marks_.merge_with_file(options_.marks_file)) {
            std::fprintf(stderr, "cannot keep marks in %s\n", options_.marks_file.c_str());
        }
        options_.json ? print_json() : print_text();
        int worst = 0;
        for (const Failure& failure : failures_) {
            worst = std::max(worst, exit_code(failure.end));
        }
        return worst;
    }

    void print_text() const {
        if (options_.show_marks) {
            std::printf("%s", marks_.report().c_str());
        }
        std::printf("seeds: %llu, failed: %zu\n", static_cast<unsigned long long>(runs_), failures_.size());
        std::printf("operations: %llu (ok %llu, failed %llu, unknown %llu), histories searched in part: %llu\n",
                    static_cast<unsigned long long>(operations_), static_cast<unsigned long long>(acknowledged_),
                    static_cast<unsigned long long>(failed_), static_cast<unsigned long long>(unknown_),
                    static_cast<unsigned long long>(inconclusive_));
        std::printf("faults injected: %llu:",
                    static_cast<unsigned long long>(std::accumulate(faults_.begin(), faults_.end(), std::uint64_t{0})));
        for (std::size_t kind = 0; kind < fault_kinds; kind++) {
            if (faults_[kind] > 0) {
                const auto name = to_string(static_cast<FaultKind>(kind));
                std::printf(" %.*s %llu", static_cast<int>(name.size()), name.data(),
                            static_cast<unsigned long long>(faults_[kind]));
            }
        }
        std::printf("\nmarks reached: %zu / %zu%s\n", marks_.reached(), marks_.total(),
                    options_.marks_file.empty() ? "" : " by all runs so far");
        std::printf("simulated seconds per second of user time: %.0f\n",
                    cpu_ns_ > 0 ? seconds(simulated_ns_) / seconds(cpu_ns_) : 0.0);
        for (const Failure& failure : failures_) {
            std::printf("%s: %s\n  replay: %s\n", std::string(to_string(failure.end)).c_str(),
                        failure.problem.substr(0, failure.problem.find('\n')).c_str(), failure.replay.c_str());
        }
        std::printf("simulated: %.1f seconds in %.2f seconds, violations: %zu\n", seconds(simulated_ns_), elapsed(),
                    failures_.size());
    }

    void print_json() const {
        Json out;
        out["first_seed"] = options_.request.seed;
        out["seeds"] = runs_;
        out["simulated_seconds"] = seconds(simulated_ns_);
        out["real_seconds"] = elapsed();
        out["user_seconds"] = seconds(cpu_ns_);
        out["operations"] = {{"all", operations_}, {"ok", acknowledged_}, {"failed", failed_}, {"unknown", unknown_}};
        out["searched_in_part"] = inconclusive_;
        out["faults"] = Json::object();
        for (std::size_t kind = 0; kind < fault_kinds; kind++) {
            out["faults"][std::string(to_string(static_cast<FaultKind>(kind)))] = faults_[kind];
        }
        out["marks"] = {{"reached", marks_.reached()}, {"total", marks_.total()}, {"never", marks_.never_reached()}};
        out["hashes"] = hashes_;
        out["failures"] = Json::array();
        for (const Failure& failure : failures_) {
            out["failures"].push_back({{"kind", to_string(failure.end)},
                                       {"seed", failure.seed},
                                       {"problem", failure.problem},
                                       {"replay", failure.replay}});
        }
        out["violations"] = failures_.size();
        std::printf("%s\n", out.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
    }

    const CampaignOptions& options_;
    std::FILE* out_{options_.json ? stderr : stdout};   // for people
    std::chrono::steady_clock::time_point began_{std::chrono::steady_clock::now()};
    double shown_at_{0};
    bool shown_{false};               // a line that will be written over
    std::uint64_t next_;
    std::uint64_t started_{0};
    std::vector<std::unique_ptr<ChildRun>> children_;
    std::uint64_t runs_{0};
    std::int64_t simulated_ns_{0};
    std::int64_t cpu_ns_{0};
    std::uint64_t operations_{0}, acknowledged_{0}, failed_{0}, unknown_{0};
    std::uint64_t inconclusive_{0};   // runs
    std::array<std::uint64_t, fault_kinds> faults_{};
    Json hashes_ = Json::object();    // of all events, by seed
    MarkCounts marks_;
    std::vector<Failure> failures_;
};

}  // namespace

int run_campaign(const CampaignOptions& options) { return Campaign(options).run(); }

}  // namespace ringfort::sim
