// Locks and elections: lock, elect.
#include <cerrno>
#include <csignal>
#include <memory>
#include <mutex>
#include <optional>

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands.h"
#include "number_option.h"
#include "program.h"
#include "ringfort/concurrency.h"

namespace ringctl {

namespace {

using ringfort::Held;
using ringfort::Outcome;

struct LockFlags {
    std::vector<std::string> arguments;
    std::int64_t ttl{10};
    std::uint64_t domain{0};
    bool listen{false};
};

// What the main thread waits for: signals, a child's end, and what the client's thread has to tell.
class Events {
  public:
    // Before any thread is made: they take over which signals are blocked.
    Events() {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGCHLD);
        std::signal(SIGCHLD, SIG_DFL);   // where it is ignored nobody learns how a child ended
        for (const int signal : {SIGINT, SIGTERM, SIGQUIT, SIGHUP}) {
            struct sigaction before {};
            if (sigaction(signal, nullptr, &before) == 0 && before.sa_handler != SIG_IGN) {   // as `nohup` and `&` ask for
                sigaddset(&set, signal);
            }
        }
        sigprocmask(SIG_BLOCK, &set, nullptr);
        signals_ = signalfd(-1, &set, SFD_CLOEXEC);
        if (signals_ < 0 || pipe2(bell_, O_CLOEXEC) != 0) {
            fail(Exit::error, "no descriptors are left");
        }
    }
    // On any thread.
    void ring() {
        const char one = 1;
        [[maybe_unused]] const ssize_t written = write(bell_[1], &one, 1);
    }
    struct Signal {
        int number{0};             // 0: it was rung
        bool of_terminal{false};   // its whole process group has it
    };
    Signal wait() { return wait_for(-1); }
    // What has come already, if anything.
    Signal poll() { return wait_for(0); }

  private:
    Signal wait_for(int milliseconds) {
        pollfd both[] = {{signals_, POLLIN, 0}, {bell_[0], POLLIN, 0}};
        int ready = -1;
        while ((ready = ::poll(both, 2, milliseconds)) < 0 && errno == EINTR) {
        }
        if (ready == 0) {
            return {};
        }
        if ((both[1].revents & POLLIN) != 0) {
            char one = 0;
            [[maybe_unused]] const ssize_t taken = read(bell_[0], &one, 1);
            return {};
        }
        signalfd_siginfo signal{};
        if (read(signals_, &signal, sizeof(signal)) != sizeof(signal)) {
            return {};
        }
        const auto number = static_cast<int>(signal.ssi_signo);
        // A hang-up is told to a session's leader alone.
        const bool alone = number == SIGHUP && getsid(0) == getpid();
        return {number, signal.ssi_code == SI_KERNEL && !alone};
    }

    int signals_{-1};
    int bell_[2]{-1, -1};
};

bool asks_to_end(const Events::Signal& signal) { return signal.number != 0 && signal.number != SIGCHLD; }

// A session, and a turn in it that is waited for and kept. Whoever is asked to end gives both back first.
template <class Recipe>
class Turn {
  public:
    Turn(Session& session, const LockFlags& flags)
        : client_(session.watching_client()), session_(open(flags)), recipe_(session_, flags.arguments.front()) {}

    // Until it is its turn. `enter` starts to wait and is given where to tell.
    template <class Enter>
    Held wait_for_it(Enter enter) {
        enter(recipe_, [this](Outcome<Held> outcome) {
            const std::lock_guard lock(mutex_);
            outcome_.emplace(std::move(outcome));
            events_.ring();
        });
        for (;;) {
            if (asks_to_end(events_.wait())) {
                give_back();
                fail(Exit::error, "context canceled");
            }
            const std::lock_guard lock(mutex_);
            if (outcome_) {
                return must(std::move(*outcome_));
            }
        }
    }
    // Prints its key and value, and keeps the turn until somebody wants it to end, or the session is lost.
    void keep(const Session& session, const Held& held, const char* lost) {
        auto shown = client_.get(held.key);
        if (!shown || shown->kvs.empty()) {
            give_back();
            must(std::move(shown));
            fail(Exit::error, lost);
        }
        if (!try_print(session.printer()->get(*shown))) {
            const int why = errno;
            give_back();
            fail_to_print(why);
        }
        while (!asks_to_end(events_.wait())) {
            if (session_.lost()) {
                fail(Exit::error, lost);
            }
        }
    }
    // Before a way out that fails: nobody shall wait for the session's time.
    void give_back() { static_cast<void>(session_.close()); }
    Recipe& recipe() { return recipe_; }
    ringfort::Session& session() { return session_; }
    Events& events() { return events_; }

  private:
    ringfort::Session open(const LockFlags& flags) {
        return must(ringfort::Session::open(
            client_, {.ttl = flags.ttl, .domain = flags.domain, .lost = [this] { events_.ring(); }}));
    }

    Events events_;
    ringfort::Client client_;
    ringfort::Session session_;
    Recipe recipe_;
    std::mutex mutex_;                       // guards the rest
    std::optional<Outcome<Held>> outcome_;
};

// Runs until the program ends; signals go to it, if they are not there already. Returns its exit code, as shells count.
int run_locked(Turn<ringfort::Lock>& turn, const std::vector<std::string>& program, const Held& held) {
    if (turn.session().lost()) {
        fail(Exit::error, "session expired");
    }
    const pid_t child = start_program(program, environment_with({"ETCD_LOCK_KEY=" + held.key,
                                                                 "ETCD_LOCK_REV=" + std::to_string(held.header.revision)}));
    if (child < 0) {
        turn.give_back();
        fail(Exit::error, program.front() + " cannot be run");
    }
    bool warned = false;
    bool begins = true;   // what the terminal sent before there was a child did not reach it; later it comes twice, at worst
    for (Events::Signal signal = turn.events().poll();; signal = turn.events().wait()) {
        if (asks_to_end(signal) && (begins || !signal.of_terminal)) {
            kill(child, signal.number);
        }
        begins = false;
        if (signal.number == 0 && turn.session().lost() && !warned) {
            warned = true;
            std::fprintf(stderr, "Error: session expired: the lock is lost, %s is asked to end\n", program.front().c_str());
            kill(child, SIGTERM);
        }
        int status = 0;
        const pid_t ended = waitpid(child, &status, WNOHANG);
        if (ended < 0) {
            turn.give_back();
            fail(Exit::error, "how " + program.front() + " ended is not known");
        }
        if (ended == child) {
            const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            return warned && code == 0 ? static_cast<int>(Exit::error) : code;
        }
    }
}

void run_lock(Session& session, const LockFlags& flags) {
    if (flags.arguments.size() != 1) {
        fail(Exit::bad_arguments, "lock takes one lock name argument and an optional command to execute");
    }
    must_print_keys(session);
    const std::vector<std::string>& program = session.globals().program;
    Turn<ringfort::Lock> turn(session, flags);
    const Held held = turn.wait_for_it([](ringfort::Lock& lock, ringfort::Lock::Callback told) {
        lock.lock_async(std::move(told));
    });
    int code = 0;
    if (program.empty()) {
        turn.keep(session, held, "session expired");
    } else {
        code = run_locked(turn, program, held);
    }
    // What hangs on the session goes at once; and if nobody can be told, after its time.
    const auto closed = turn.session().close();
    if (code != 0) {
        fail(static_cast<Exit>(code), "exit status " + std::to_string(code));
    }
    must(closed, Effect::write);
}

void listen(Session& session, const std::string& name) {
    const auto end = [](int) { _exit(0); };
    std::signal(SIGINT, end);
    std::signal(SIGTERM, end);
    ringfort::Client client = session.watching_client();
    ringfort::Observer observer(client, name);
    const auto printer = session.printer();
    while (auto leader = observer.next()) {
        ringfort::GetReply reply;
        reply.header = leader->header;
        reply.count = 1;
        reply.kvs.push_back(std::move(leader->kv));
        print(printer->get(reply));
    }
    fail(Exit::error, "elect: observer lost");
}

void run_elect(Session& session, const LockFlags& flags) {
    if (flags.arguments.empty() || flags.arguments.size() > 2) {
        fail(Exit::bad_arguments, "elect takes one election name argument and an optional proposal argument");
    }
    if (flags.listen != (flags.arguments.size() == 1)) {
        fail(Exit::bad_arguments, flags.listen ? "proposal given but -l is set" : "no proposal argument but -l not set");
    }
    must_print_keys(session);
    if (flags.listen) {
        listen(session, flags.arguments.front());
        return;
    }
    Turn<ringfort::Election> turn(session, flags);
    const Held held = turn.wait_for_it([&flags](ringfort::Election& election, ringfort::Election::Callback told) {
        election.campaign_async(flags.arguments.back(), std::move(told));
    });
    turn.keep(session, held, "elect: session expired");
    must(turn.session().close(), Effect::write);
}

void add_session_flags(CLI::App& command, LockFlags& flags, const char* ttl) {
    ringfort::tools::add_number(command, "--ttl", flags.ttl, ttl, 1);
    ringfort::tools::add_number(command, "--domain", flags.domain,
                                "where the name lives, where the cluster has several domains");
}

}  // namespace

void add_lock_commands(CLI::App& app, Commands& commands) {
    auto flags = std::make_shared<LockFlags>();
    CLI::App* lock = app.add_subcommand("lock", "Acquires a named lock");
    lock->add_option("lockname", flags->arguments, "lockname [exec-command arg1 arg2 ...]")->type_name("");
    add_session_flags(*lock, *flags, "timeout for session: seconds after which the lock of one who died is free");
    lock->footer("Waits for its turn, in the order of asking. Then it prints the lock's key and keeps the lock until it is\n"
                 "interrupted (SIGINT, SIGTERM, SIGHUP, SIGQUIT); or runs a command, and unlocks when that ends: its\n"
                 "exit code is the command's. The command finds ETCD_LOCK_KEY in its environment, a key that is there as\n"
                 "long as the lock is held, so that what it writes may compare its create revision; and ETCD_LOCK_REV,\n"
                 "the store's revision when its turn came. Signals go to the command; if the session is lost, it is\n"
                 "asked to end (SIGTERM).\n\n"
                 "Examples:\n  ringctl lock backups\n  ringctl lock backups --ttl 5 ./backup --full\n"
                 "  ringctl lock backups -- sh -c 'echo $ETCD_LOCK_KEY'");
    commands.push_back({lock, [flags](Session& session) { run_lock(session, *flags); }});
    flags = std::make_shared<LockFlags>();
    flags->ttl = 60;
    CLI::App* elect = app.add_subcommand("elect", "Observes and participates in leader election");
    elect->add_option("election-name", flags->arguments, "election-name [proposal]")->type_name("");
    elect->add_flag("-l,--listen", flags->listen, "observation mode");
    add_session_flags(*elect, *flags, "seconds after which a leader that died is one no more");
    elect->footer("With a proposal: waits until it leads, prints key and proposal, and leads until it is interrupted.\n"
                  "With -l: prints the leader's key and proposal, and every change of either from then on.\n\n"
                  "Examples:\n  ringctl elect workers 10.0.0.1:80\n  ringctl elect -l workers");
    commands.push_back({elect, [flags](Session& session) { run_elect(session, *flags); }});
}

}  // namespace ringctl
