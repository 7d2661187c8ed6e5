// One run of the command: in this process, or in a child whose death is only another result. What it found lies in a
// record of fixed size, which a child fills in memory it shares with its parent, up to the moment it dies.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <sys/types.h>

#include "sim/replay.h"
#include "sim/simulation.h"

namespace ringfort::sim {

enum class RunEnd : std::uint8_t { none, good, liveness, safety, not_deterministic, crash };
std::string_view to_string(RunEnd end);
// Exit codes of the command: 0 nothing found, 2 wrong usage, 3 liveness, 4 safety, 5 two runs differ, 6 crash.
int exit_code(RunEnd end);

struct RunRecord {
    RunEnd end{RunEnd::none};          // none: it has not ended, or it died
    Figures figures;
    std::int64_t took_ns{0};           // real time
    std::int64_t cpu_ns{0};            // user time of the process
    std::array<char, 4000> problem{};  // text, cut at the end; empty if nothing is wrong
    std::array<char, 2000> replay{};
    static constexpr std::size_t marks_max = 500;
    std::array<std::uint32_t, marks_max> marks{};   // by the order of all_marks(): what this run added

    std::string_view problem_text() const { return problem.data(); }
    std::string_view replay_text() const { return replay.data(); }
    // What makes another failure the same as this one.
    std::string signature() const { return std::string(to_string(end)) + ": " + failure_signature(problem_text()); }
};

// Runs it in this process, twice if `twice`, and tells people about it on stdout. A signal that ends the process prints
// the replay line first.
void run_here(const RunRequest& request, bool twice, RunRecord& record);

// A run in a process of its own. Its output is kept until the next start.
class ChildRun {
  public:
    ChildRun();
    ~ChildRun();
    ChildRun(const ChildRun&) = delete;
    ChildRun& operator=(const ChildRun&) = delete;

    // Requires: it does not run.
    void start(const RunRequest& request, bool twice);
    bool running() const { return process_ != 0; }
    // Whether it has ended; the record is whole then.
    bool poll();
    void wait();
    // Its process is gone, its result nobody's.
    void abandon();
    const RunRequest& request() const { return request_; }
    const RunRecord& record() const { return *record_; }
    std::string output() const;

  private:
    void note_end(int status);
    [[noreturn]] void run_and_exit(bool twice);

    RunRequest request_;
    RunRecord* record_;     // shared with the child
    int output_;            // a file without a name
    pid_t process_{0};      // 0: none
};

}  // namespace ringfort::sim
