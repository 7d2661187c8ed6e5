// Breaks things at random and repairs them: which, how often and for how long the run's options say.
#pragma once

#include <array>
#include <cstdint>

#include "base/prng.h"
#include "sim/cluster.h"
#include "sim/damage.h"

namespace ringfort::sim {

class FaultScheduler {
  public:
    FaultScheduler(Cluster& cluster, std::uint64_t seed);

    // Begins to inject. Requires: the options enable at least one kind; else nothing ever happens.
    void start();
    // Ends all faults: everybody runs, everything is connected, disks and clocks are well.
    void heal();
    // A process that ended by itself is started again, as its supervisor or an operator would.
    void restart_halted();
    std::uint64_t injected(FaultKind kind) const { return injected_[static_cast<std::size_t>(kind)]; }
    const std::array<std::uint64_t, fault_kinds>& injected() const { return injected_; }
    std::uint64_t drawn() const { return number_; }

  private:
    // What is due later. Most of it repairs; `harm` and `reopen` are the second halves of faults that need a dead process.
    enum class Repair : std::uint8_t {
        start, power_on, resume, unblock, quicken_path, quicken_disk, clear_errors, flap, clear_read_errors, free_disk,
        quiet_stranger, harm, reopen,
    };

    void schedule_next();
    void inject(FaultKind kind);
    void break_process(FaultKind kind, std::size_t index);
    void break_network(FaultKind kind, std::size_t index);
    void break_disk(FaultKind kind, std::size_t index);
    void break_data(FaultKind kind);
    void harm(FaultKind kind, std::size_t index);
    void fill_disk(std::size_t index);
    void isolate(std::size_t index);
    void split();
    void block(HostId from, HostId to, Duration how_long);
    void repair(Repair what, std::uint64_t x, std::uint64_t y);
    void later(Duration delay, Repair what, std::uint64_t x, std::uint64_t y = 0);
    void start_node(std::size_t index);
    std::size_t pick_node();
    std::size_t pick_other(std::size_t index);
    Duration length();
    void trace(FaultKind kind, std::size_t index);
    static void on_next(void* context, std::uint64_t epoch, std::uint64_t);
    static void on_repair(void* context, std::uint64_t action, std::uint64_t epoch);

    Cluster& cluster_;
    Prng timetable_;                  // draws when which kind comes, and a seed for each fault
    Prng random_;                     // begins anew with each fault: those that are left out change no other
    std::uint64_t number_{0};         // of the last fault drawn
    Damage damage_;
    bool active_{false};
    std::uint64_t epoch_{0};          // repairs of a former one are void
    std::array<std::uint64_t, fault_kinds> injected_{};
    std::size_t nodes_with_errors_{0};
};

}  // namespace ringfort::sim
