#include "sim/simulate_run.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <new>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assertion.h"
#include "base/mark.h"

namespace ringfort::sim {

namespace {

// A run that takes longer is one that does not end.
constexpr rlim_t cpu_seconds_max = 900;

RunRecord* going_on = nullptr;   // for the signal handler

template <std::size_t n>
void put_text(std::array<char, n>& to, std::string_view text) {
    const std::size_t bytes = std::min(text.size(), n - 1);
    std::memcpy(to.data(), text.data(), bytes);
    to[bytes] = '\0';
}

void take_marks(RunRecord& record) {
    const auto marks = all_marks();
    ASSERT(marks.size() <= record.marks.size());
    for (std::size_t i = 0; i < marks.size(); i++) {
        record.marks[i] = marks[i].reached;
    }
}

void say(std::string_view text) { static_cast<void>(!write(STDERR_FILENO, text.data(), text.size())); }

void on_crash(int signal) {
    if (going_on != nullptr) {
        take_marks(*going_on);
        say("\ncrashed; replay: ");
        say(going_on->replay_text());
        say("\n");
    }
    if (signal == SIGSEGV || signal == SIGBUS) {
        std::signal(signal, SIG_DFL);
        return;   // faults again, with the default action
    }
    _exit(exit_code(RunEnd::crash));
}

// How long a run takes is told to people and decides nothing.
std::int64_t real_time_ns() {
    using clock = std::chrono::steady_clock;
    return std::chrono::nanoseconds(clock::now().time_since_epoch()).count();
}

std::int64_t user_time_ns() {
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec * 1'000'000'000 + used.ru_utime.tv_usec * 1000;
}

void print_result(const RunRecord& record) {
    const Figures& figures = record.figures;
    if (record.end != RunEnd::good) {
        std::string name(to_string(record.end));
        std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::toupper(c); });
        std::printf("%s: %s\n", name.c_str(), record.problem.data());
    }
    std::printf("%s\n", describe(figures).c_str());
    std::printf("events' hash: %016llx\n", static_cast<unsigned long long>(figures.hash));
    std::printf("replay: %s\n", record.replay.data());
    std::printf("simulated: %.1f seconds in %.2f seconds, violations: %d\n",
                static_cast<double>(figures.simulated.count()) / 1e9, static_cast<double>(record.took_ns) / 1e9,
                record.end == RunEnd::good ? 0 : 1);
    std::fflush(stdout);
}

}  // namespace

std::string_view to_string(RunEnd end) {
    switch (end) {
        case RunEnd::none: return "none";
        case RunEnd::good: return "good";
        case RunEnd::liveness: return "liveness";
        case RunEnd::safety: return "safety";
        case RunEnd::not_deterministic: return "not deterministic";
        case RunEnd::crash: return "crash";
    }
    UNREACHABLE();
}

int exit_code(RunEnd end) {
    switch (end) {
        case RunEnd::none:
        case RunEnd::good: return 0;
        case RunEnd::liveness: return 3;
        case RunEnd::safety: return 4;
        case RunEnd::not_deterministic: return 5;
        case RunEnd::crash: return 6;
    }
    UNREACHABLE();
}

void run_here(const RunRequest& request, bool twice, RunRecord& record) {
    put_text(record.replay, replay_line(request));
    going_on = &record;
    for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGXCPU}) {
        std::signal(signal, on_crash);
    }
    const RunOptions options = draw_options(request);
    std::printf("%s\n", describe(options).c_str());
    std::fflush(stdout);
    const std::int64_t began = real_time_ns();
    const std::int64_t used = user_time_ns();
    const Verdict verdict = simulate(options);
    record.took_ns = real_time_ns() - began;
    record.cpu_ns = user_time_ns() - used;
    record.figures = verdict;
    put_text(record.problem, verdict.text);
    record.end = verdict.kind == VerdictKind::ok         ? RunEnd::good
                 : verdict.kind == VerdictKind::liveness ? RunEnd::liveness
                                                         : RunEnd::safety;
    if (twice && simulate(options).hash != verdict.hash) {
        record.end = RunEnd::not_deterministic;
        put_text(record.problem, "two runs of this seed differ");
    }
    take_marks(record);
    print_result(record);
    going_on = nullptr;
}

ChildRun::ChildRun() {
    void* shared = mmap(nullptr, sizeof(RunRecord), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT(shared != MAP_FAILED);
    record_ = new (shared) RunRecord;
    output_ = memfd_create("output", MFD_CLOEXEC);
    ASSERT(output_ >= 0);
}

ChildRun::~ChildRun() {
    abandon();
    close(output_);
    munmap(record_, sizeof(RunRecord));
}

void ChildRun::start(const RunRequest& request, bool twice) {
    ASSERT(!running());
    request_ = request;
    *record_ = RunRecord{};
    put_text(record_->replay, replay_line(request));
    ASSERT(ftruncate(output_, 0) == 0 && lseek(output_, 0, SEEK_SET) == 0);
    std::fflush(nullptr);
    process_ = fork();
    ASSERT(process_ >= 0);
    if (process_ == 0) {
        run_and_exit(twice);
    }
}

void ChildRun::run_and_exit(bool twice) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);   // nobody would read its result
    dup2(output_, STDOUT_FILENO);
    dup2(output_, STDERR_FILENO);
    const rlimit cpu{cpu_seconds_max, cpu_seconds_max + 10};
    setrlimit(RLIMIT_CPU, &cpu);
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    run_here(request_, twice, *record_);
    std::fflush(nullptr);
    _exit(exit_code(record_->end));
}

bool ChildRun::poll() {
    int status = 0;
    if (running() && waitpid(process_, &status, WNOHANG) == process_) {
        note_end(status);
    }
    return !running();
}

void ChildRun::wait() {
    int status = 0;
    if (running() && waitpid(process_, &status, 0) == process_) {
        note_end(status);
    }
}

void ChildRun::abandon() {
    if (running()) {
        kill(process_, SIGKILL);
        wait();
    }
}

void ChildRun::note_end(int status) {
    process_ = 0;
    if (record_->end != RunEnd::none) {
        return;
    }
    // It died. The line that says why is what tells one crash from another.
    record_->end = RunEnd::crash;
    const std::string said = output();
    std::string why = WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU ? "does not end" : "ended without a word";
    for (const std::string_view sign : {"assertion failed", "runtime error", "ERROR: AddressSanitizer"}) {
        const std::size_t at = said.find(sign);
        if (at != std::string::npos) {
            why = said.substr(at, said.find('\n', at) - at);
            break;
        }
    }
    put_text(record_->problem, why);
}

std::string ChildRun::output() const {
    std::string out(static_cast<std::size_t>(std::max<off_t>(lseek(output_, 0, SEEK_END), 0)), '\0');
    std::size_t have = 0;
    while (have < out.size()) {
        const ssize_t got = pread(output_, out.data() + have, out.size() - have, static_cast<off_t>(have));
        if (got <= 0) {
            break;
        }
        have += static_cast<std::size_t>(got);
    }
    out.resize(have);
    return out;
}

}  // namespace ringfort::sim
