// Breaks things at random and repairs them: which, how often and for how long the run's options say.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/prng.h"
#include "sim/cluster.h"
#include "sim/damage.h"
#include "sim/silent_rollback.h"

namespace ringfort::sim {

class FaultScheduler {
  public:
    FaultScheduler(Cluster& cluster, std::uint64_t seed);

    // Begins to inject. Requires: the options enable at least one kind; else nothing ever happens.
    void start();
    // Ends all faults: everybody runs, everything is connected, disks and clocks are well.
    void heal();
    // Ends what is wrong with these nodes, between them and between them and everybody who is no node. The others stay as
    // broken as they are, and no repair is due to them any more; or they lose their power. Who cannot talk to each of
    // these nodes unhindered is cut off from all of them: it could lead with those it reaches, and keep the others waiting.
    void heal_some(const std::vector<bool>& healed, bool power_off_others);
    // By lot, as many nodes as make a majority; all of them if damage leaves too few that are known to be sound.
    std::vector<bool> pick_majority();
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
        // Steps of faults that take several.
        roll, storm, steal, call_off, lose,
        // A node that goes back to what it was: its process ends, then it waits for the others.
        roll_back, go_back,
    };

    void schedule_next();
    void inject(FaultKind kind);
    void break_process(FaultKind kind, std::size_t index);
    void break_processes(FaultKind kind, std::size_t index);
    void crash_somewhere(std::size_t index);
    void roll(std::size_t index);
    void storm(std::size_t index, std::uint64_t left);
    void steal(std::size_t index, std::uint64_t left);
    void lose(std::size_t index);
    void break_network(FaultKind kind, std::size_t index);
    void break_path(FaultKind kind, HostId from, HostId to);
    void break_disk(FaultKind kind, std::size_t index);
    // Harm to data, in data_faults.cc.
    void note_recent_writes();
    void break_data(FaultKind kind);
    void break_reads(FaultKind kind, std::size_t index);
    void break_lists(std::size_t index);
    std::size_t pick_for_harm(FaultKind kind);
    bool harm(FaultKind kind, std::size_t index);
    void harm_dead(FaultKind kind, std::size_t index);
    void roll_back(FaultKind kind);
    void go_back(FaultKind kind);
    void expect_harm(std::size_t index);
    void clear_read_faults(std::size_t index);
    void fill_disk(std::size_t index);
    void isolate(std::size_t index);
    void split();
    void bridge();
    void block_groups(const std::vector<int>& group);
    void block(HostId from, HostId to, Duration how_long);
    void repair(Repair what, std::uint64_t x, std::uint64_t y);
    void later(Duration delay, Repair what, std::uint64_t x, std::uint64_t y = 0);
    void start_node(std::size_t index);
    void heal_node(std::size_t index);
    void cut_off_if_hindered(std::size_t index, const std::vector<bool>& healed);
    std::size_t pick_node();
    Duration up_to(Duration bound);
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
    SilentRollback rollback_;
    std::vector<bool> reads_failed_;   // by node, since it was last started
    bool active_{false};
    std::uint64_t epoch_{0};          // repairs of a former one are void
    std::array<std::uint64_t, fault_kinds> injected_{};
    std::size_t nodes_with_errors_{0};
    std::vector<bool> move_refused_;   // by node: it keeps its number of shards from then on
    std::size_t still_to_roll_{0};    // of the rolling restart that is going on
};

}  // namespace ringfort::sim
