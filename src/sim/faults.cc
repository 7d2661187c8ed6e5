#include "sim/faults.h"

#include <algorithm>

#include "base/assertion.h"
#include "sim/narrate.h"

namespace ringfort::sim {

FaultScheduler::FaultScheduler(Cluster& cluster, std::uint64_t seed)
    : cluster_(cluster), timetable_(seed), random_(timetable_.next()), damage_(cluster, random_), rollback_(cluster),
      reads_failed_(cluster.node_count()),
      move_refused_(cluster.node_count()) {}

void FaultScheduler::start() {
    const RunOptions& options = cluster_.options();
    active_ = options.fault_mask != 0 && options.fault_interval.count() > 0;
    if (active_) {
        note_recent_writes();
        schedule_next();
    }
    const std::size_t first = random_.below(cluster_.node_count());
    for (std::size_t i = 0; i < options.nodes_lost; i++) {
        later(up_to(options.duration), Repair::lose, (first + i) % cluster_.node_count());
    }
}

void FaultScheduler::schedule_next() {
    const auto mean = static_cast<std::uint64_t>(cluster_.options().fault_interval.count());
    cluster_.queue().schedule_in(Duration(static_cast<std::int64_t>(timetable_.between(1, 2 * mean))),
                                 &FaultScheduler::on_next, this, epoch_);
}

void FaultScheduler::on_next(void* context, std::uint64_t epoch, std::uint64_t) {
    auto& self = *static_cast<FaultScheduler*>(context);
    if (!self.active_ || epoch != self.epoch_) {
        return;
    }
    self.restart_halted();
    std::array<FaultKind, fault_kinds> enabled{};
    std::size_t count = 0;
    for (std::size_t kind = 0; kind < fault_kinds; kind++) {
        if (self.cluster_.options().enabled(static_cast<FaultKind>(kind))) {
            enabled[count++] = static_cast<FaultKind>(kind);
        }
    }
    const FaultKind kind = enabled[self.timetable_.below(count)];
    self.random_ = self.timetable_.fork();
    self.number_++;
    const RunOptions& options = self.cluster_.options();
    const bool left_out = (options.without_mask >> static_cast<unsigned>(kind) & 1u) != 0;
    if (!left_out && !options.skipped_faults.contains(self.number_)) {
        self.inject(kind);
    }
    self.schedule_next();
}

// The leader half of the time: that is where it hurts.
std::size_t FaultScheduler::pick_node() {
    return random_.one_in(2) ? cluster_.leader_node() : random_.below(cluster_.node_count());
}

std::size_t FaultScheduler::pick_other(std::size_t index) {
    const std::size_t count = cluster_.node_count();
    return count == 1 ? index : (index + random_.between(1, count - 1)) % count;
}

Duration FaultScheduler::up_to(Duration bound) {
    return Duration(static_cast<std::int64_t>(random_.between(1, static_cast<std::uint64_t>(bound.count()))));
}

Duration FaultScheduler::length() {
    // Short ones as often as long ones.
    const auto most = static_cast<std::uint64_t>(cluster_.options().repair_max.count()) >> random_.below(8);
    return Duration(static_cast<std::int64_t>(random_.between(1, most)));
}

void FaultScheduler::trace(FaultKind kind, std::size_t index) {
    injected_[static_cast<std::size_t>(kind)]++;
    if (cluster_.options().trace) {
        narrate(cluster_.queue().now(), "fault " + std::to_string(number_),
                std::string(to_string(kind)) + " at " + cluster_.node(index).name());
    }
}

void FaultScheduler::inject(FaultKind kind) {
    if (harms_data(kind)) {
        break_data(kind);
        return;
    }
    const std::size_t index = pick_node();
    trace(kind, index);
    switch (kind) {
        case FaultKind::kill:
        case FaultKind::power_cut:
        case FaultKind::stop:
        case FaultKind::pause: return break_process(kind, index);
        case FaultKind::kill_all:
        case FaultKind::power_cut_all:
        case FaultKind::kill_two:
        case FaultKind::crash_point:
        case FaultKind::rolling_restart:
        case FaultKind::restart_storm:
        case FaultKind::steal: return break_processes(kind, index);
        case FaultKind::isolate:
        case FaultKind::split:
        case FaultKind::one_way:
        case FaultKind::bridge:
        case FaultKind::flap:
        case FaultKind::reset:
        case FaultKind::delay:
        case FaultKind::half_open:
        case FaultKind::trickle: return break_network(kind, index);
        case FaultKind::slow_disk:
        case FaultKind::hung_disk:
        case FaultKind::disk_error:
        case FaultKind::full_disk: return break_disk(kind, index);
        case FaultKind::wipe:
        case FaultKind::bit_flip:
        case FaultKind::bad_sector:
        case FaultKind::read_error:
        case FaultKind::lost_file:
        case FaultKind::lost_write:
        case FaultKind::misdirected_write:
        case FaultKind::misdirected_read:
        case FaultKind::lying_flush:
        case FaultKind::old_copy: break;
        case FaultKind::stranger:
            cluster_.stranger().start(Duration(static_cast<std::int64_t>(random_.between(2'000'000, 200'000'000))));
            later(length(), Repair::quiet_stranger, 0);
            return;
        case FaultKind::clock_drift: {
            const auto most = static_cast<std::uint64_t>(std::max<std::int64_t>(cluster_.options().drift_ppm_max, 100));
            cluster_.node(index).clock().set_drift(static_cast<std::int64_t>(random_.below(2 * most + 1)) -
                                                   static_cast<std::int64_t>(most));
            return;
        }
        case FaultKind::wall_jump:
            cluster_.node(index).clock().jump_wall(
                Duration(static_cast<std::int64_t>(random_.below(7'200'000'000'000))) - 3600s);
            return;
    }
    UNREACHABLE();
}

void FaultScheduler::break_process(FaultKind kind, std::size_t index) {
    SimNode& node = cluster_.node(index);
    if (kind == FaultKind::power_cut) {
        if (node.powered()) {
            node.cut_power(cluster_.options().keep_per_million);
            later(length(), Repair::power_on, index);
        }
    } else if (!node.running()) {
        return;
    } else if (kind == FaultKind::kill) {
        node.kill();
        later(length(), Repair::start, index);
    } else if (kind == FaultKind::stop) {
        cluster_.expect_halt(index, env::Halt::stopped);
        node.stop();
    } else if (!node.paused()) {
        node.pause();
        later(length(), Repair::resume, index);
    }
}

// Several processes at once, or one several times.
void FaultScheduler::break_processes(FaultKind kind, std::size_t index) {
    if (kind == FaultKind::kill_all || kind == FaultKind::power_cut_all) {
        for (std::size_t i = 0; i < cluster_.node_count(); i++) {
            break_process(kind == FaultKind::kill_all ? FaultKind::kill : FaultKind::power_cut, i);
        }
    } else if (kind == FaultKind::kill_two) {
        break_process(FaultKind::kill, index);
        break_process(FaultKind::kill, pick_other(index));
    } else if (kind == FaultKind::crash_point) {
        crash_somewhere(index);
    } else if (kind == FaultKind::restart_storm) {
        storm(index, random_.between(2, 12));
    } else if (kind == FaultKind::steal) {
        steal(index, random_.between(10, 100));
    } else if (still_to_roll_ == 0) {
        ASSERT(kind == FaultKind::rolling_restart);
        still_to_roll_ = cluster_.node_count();
        roll(index);
    }
}

// Soon or late, also in the middle of a start.
void FaultScheduler::crash_somewhere(std::size_t index) {
    SimNode& node = cluster_.node(index);
    if (node.running() && !node.crash_pending()) {
        CrashPoint point;
        point.event = random_.one_in(3) ? CrashPoint::Event::network : CrashPoint::Event::disk;
        point.count = random_.between(1, std::uint64_t{1} << random_.between(1, 9));
        point.after_turn = random_.one_in(2);
        point.power_cut = random_.one_in(3);
        point.keep_per_million = cluster_.options().keep_per_million;
        node.crash_at(point);
        later(1s + length(), Repair::call_off, index);
    }
}

// The next one stops when all are there again.
void FaultScheduler::roll(std::size_t index) {
    SimNode& node = cluster_.node(index);
    if (!cluster_.all_ready() || node.paused()) {
        later(20ms, Repair::roll, index);
        return;
    }
    ASSERT(still_to_roll_ > 0);
    still_to_roll_--;
    if (node.running()) {
        cluster_.expect_halt(index, env::Halt::stopped);
        node.stop();
    }
    if (still_to_roll_ > 0) {
        later(1s, Repair::roll, (index + 1) % cluster_.node_count());
    }
}

void FaultScheduler::storm(std::size_t index, std::uint64_t left) {
    if (cluster_.node(index).running()) {
        break_process(FaultKind::kill, index);
    }
    later(up_to(50ms), Repair::start, index);
    if (left > 1) {
        later(50ms + up_to(400ms), Repair::storm, index, left - 1);
    }
}

void FaultScheduler::steal(std::size_t index, std::uint64_t left) {
    SimNode& node = cluster_.node(index);
    if (node.running() && !node.paused()) {
        node.pause();
        later(up_to(60ms), Repair::resume, index);
    }
    if (left > 1) {
        later(up_to(150ms), Repair::steal, index, left - 1);
    }
}

// A founding member that was never there cannot be lost: the cluster waits for it.
void FaultScheduler::lose(std::size_t index) {
    if (!cluster_.formed()) {
        later(1s, Repair::lose, index);
        return;
    }
    if (cluster_.node(index).powered()) {
        cluster_.node(index).cut_power(cluster_.options().keep_per_million);
    }
    cluster_.lose_for_ever(index);
}

void FaultScheduler::break_network(FaultKind kind, std::size_t index) {
    const HostId host = cluster_.node(index).host();
    const HostId other = cluster_.node(pick_other(index)).host();
    if (kind == FaultKind::isolate) {
        isolate(index);
    } else if (kind == FaultKind::split) {
        split();
    } else if (kind == FaultKind::one_way) {
        block(host, other, length());
    } else if (kind == FaultKind::bridge) {
        bridge();
    } else if (kind == FaultKind::flap) {
        for (std::uint64_t i = random_.between(2, 10); i > 0; i--) {
            later(length(), Repair::flap, host, other);
        }
    } else if (kind != FaultKind::reset) {
        // Between two nodes, or a node and a client; either way.
        const std::size_t hosts = random_.one_in(2) ? cluster_.network().host_count() : cluster_.node_count();
        const auto third = static_cast<HostId>(random_.below(hosts));
        random_.one_in(2) ? break_path(kind, host, third) : break_path(kind, third, host);
    } else if (random_.one_in(2)) {
        cluster_.network().reset_between(host, other);
    } else {
        cluster_.network().reset_any();
    }
}

void FaultScheduler::break_path(FaultKind kind, HostId from, HostId to) {
    SimNetwork& network = cluster_.network();
    if (kind == FaultKind::half_open) {
        network.break_half(from, to);
        return;
    }
    if (kind == FaultKind::delay) {
        network.set_extra_latency(from, to, length() / 8);
    } else {
        ASSERT(kind == FaultKind::trickle);
        // What waits in the socket buffers of a path shall not take minutes.
        network.set_rate(from, to, std::max<std::uint64_t>(16 * kib, network.profile().socket_buffer_bytes));
    }
    later(length(), Repair::quicken_path, from, to);
}

// From everybody, or from the other nodes only; both ways, or one.
void FaultScheduler::isolate(std::size_t index) {
    const HostId host = cluster_.node(index).host();
    const Duration how_long = length();
    const std::size_t hosts = random_.one_in(2) ? cluster_.network().host_count() : cluster_.node_count();
    const std::uint64_t shape = random_.below(4);   // 0: nothing leaves, 1: nothing arrives, else both
    for (HostId other = 0; other < hosts; other++) {
        if (other != host) {
            if (shape != 1) {
                block(host, other, how_long);
            }
            if (shape != 0) {
                block(other, host, how_long);
            }
        }
    }
}

void FaultScheduler::split() {
    std::vector<int> group(cluster_.network().host_count());
    for (int& own : group) {
        own = random_.one_in(2) ? 1 : -1;
    }
    block_groups(group);
}

// Clients reach everybody.
void FaultScheduler::bridge() {
    std::vector<int> group(cluster_.node_count());
    for (int& own : group) {
        own = random_.one_in(2) ? 1 : -1;
    }
    group[pick_node()] = 0;
    block_groups(group);
}

// Hosts of group 1 and those of group -1 cannot talk; all others can.
void FaultScheduler::block_groups(const std::vector<int>& group) {
    const Duration how_long = length();
    for (HostId from = 0; from < group.size(); from++) {
        for (HostId to = 0; to < group.size(); to++) {
            if (group[from] * group[to] < 0) {
                block(from, to, how_long);
            }
        }
    }
}

void FaultScheduler::block(HostId from, HostId to, Duration how_long) {
    if (from != to) {
        cluster_.network().block(from, to);
        later(how_long, Repair::unblock, from, to);
    }
}

void FaultScheduler::break_disk(FaultKind kind, std::size_t index) {
    SimNode& node = cluster_.node(index);
    if (kind == FaultKind::slow_disk) {
        node.media().set_slow_factor(static_cast<std::uint32_t>(random_.between(5, 200)));
        later(length(), Repair::quicken_disk, index);
    } else if (kind == FaultKind::hung_disk) {
        node.media().hang_until(cluster_.queue().now() + length());
    } else if (kind == FaultKind::full_disk) {
        fill_disk(index);
    } else if ((nodes_with_errors_ + 1) * 2 < cluster_.node_count() + 1) {
        // Failing disks stay a minority.
        nodes_with_errors_++;
        cluster_.expect_halt(index, env::Halt::log_failed);
        (random_.one_in(2) ? node.media().profile().write_error_per_million
                           : node.media().profile().sync_error_per_million) = random_.one_in(2) ? 1'000'000u : 50'000u;
        later(length(), Repair::clear_errors, index);
    }
}

// Little or nothing is left: what needs a new segment or file then is refused.
void FaultScheduler::fill_disk(std::size_t index) {
    DiskMedia& media = cluster_.node(index).media();
    media.profile().capacity_bytes = media.used_bytes() + random_.below(2 * cluster_.options().segment_bytes);
    cluster_.expect_halt(index, env::Halt::no_disk_space);
    later(length(), Repair::free_disk, index);
}

// ------------------------------------------------------------------------------------------- repair

void FaultScheduler::later(Duration delay, Repair what, std::uint64_t x, std::uint64_t y) {
    cluster_.queue().schedule_in(delay, &FaultScheduler::on_repair, this,
                                 static_cast<std::uint64_t>(what) << 32 | x << 16 | y, epoch_);
}

void FaultScheduler::on_repair(void* context, std::uint64_t action, std::uint64_t epoch) {
    auto& self = *static_cast<FaultScheduler*>(context);
    if (epoch == self.epoch_) {
        self.repair(static_cast<Repair>(action >> 32), action >> 16 & 0xffff, action & 0xffff);
    }
}

void FaultScheduler::repair(Repair what, std::uint64_t x, std::uint64_t y) {
    const auto from = static_cast<HostId>(x);
    const auto to = static_cast<HostId>(y);
    switch (what) {
        case Repair::start: return start_node(x);
        case Repair::power_on:
            if (!cluster_.node(x).powered() && !cluster_.lost(x)) {
                cluster_.node(x).power_on();
            }
            return start_node(x);
        case Repair::resume:
            if (cluster_.node(x).paused()) {
                cluster_.node(x).resume();
            }
            return;
        case Repair::unblock: return cluster_.network().unblock(from, to);
        case Repair::quicken_path:
            cluster_.network().set_extra_latency(from, to, Duration(0));
            return cluster_.network().set_rate(from, to, 0);
        case Repair::quicken_disk: return cluster_.node(x).media().set_slow_factor(1);
        case Repair::clear_errors: {
            auto& profile = cluster_.node(x).media().profile();
            profile.write_error_per_million = 0;
            profile.sync_error_per_million = 0;
            ASSERT(nodes_with_errors_ > 0);
            nodes_with_errors_--;
            return start_node(x);
        }
        case Repair::clear_read_errors: return clear_read_faults(x);
        case Repair::free_disk: cluster_.node(x).media().profile().capacity_bytes = DiskProfile{}.capacity_bytes; return;
        case Repair::quiet_stranger: return cluster_.stranger().stop();
        case Repair::reopen:
            if (cluster_.node(x).powered()) {
                cluster_.node(x).kill();
                later(length(), Repair::start, x);
            }
            return;
        case Repair::harm: return harm_dead(static_cast<FaultKind>(y), x);
        case Repair::roll_back: return roll_back(static_cast<FaultKind>(y));
        case Repair::go_back: return go_back(static_cast<FaultKind>(y));
        case Repair::roll: return roll(x);
        case Repair::storm: return storm(x, y);
        case Repair::steal: return steal(x, y);
        case Repair::lose: return lose(x);
        case Repair::call_off:
            cluster_.node(x).call_off_crash();
            return repair(Repair::power_on, x, 0);
        case Repair::flap:
            block(from, to, Duration(static_cast<std::int64_t>(random_.between(1, 200'000'000))));
            block(to, from, Duration(static_cast<std::int64_t>(random_.between(1, 200'000'000))));
            return;
    }
    UNREACHABLE();
}

void FaultScheduler::start_node(std::size_t index) {
    SimNode& node = cluster_.node(index);
    const DiskProfile& disk = node.media().profile();
    const bool disk_fails = disk.write_error_per_million > 0 || disk.sync_error_per_million > 0;
    if (node.powered() && !node.running() && !node.starting() && !disk_fails && !cluster_.lost(index)) {
        cluster_.expect_no_halt(index);
        if (cluster_.options().shard_changes && !move_refused_[index] && random_.one_in(3)) {
            node.set_shard_count(static_cast<std::uint32_t>(random_.between(1, 4)));
        }
        expect_harm(index);
        if (disk.capacity_bytes < DiskProfile{}.capacity_bytes) {
            cluster_.expect_halt(index, env::Halt::no_disk_space);
        }
        // A block that is read from another place must not pass for one that was never written.
        node.media().profile().misdirected_read_per_million = 0;
        reads_failed_[index] = disk.read_error_per_million > 0 || disk.list_error_per_million > 0;
        if (reads_failed_[index]) {
            cluster_.expect_halt(index, env::Halt::refused);
        }
        node.start();
    }
}

void FaultScheduler::restart_halted() {
    for (const auto& ended : cluster_.take_halted()) {
        // Who refuses what could not be read may read it the next time. An operator does what else a refusal says: goes
        // back to the old number of shards where a move is refused, removes a harmed directory. Any other would be refused
        // again.
        if (ended.how != env::Halt::refused || reads_failed_[ended.node]) {
            later(length(), Repair::start, ended.node);
        } else if (cluster_.node(ended.node).give_up_move()) {
            move_refused_[ended.node] = true;
            later(length(), Repair::start, ended.node);
        } else if (damage_.may_refuse(ended.node) && damage_.may_wipe(ended.node)) {
            later(length(), Repair::harm, ended.node, static_cast<std::uint64_t>(FaultKind::wipe));
        }
    }
}

void FaultScheduler::heal() {
    heal_some(std::vector<bool>(cluster_.node_count(), true), false);
}

void FaultScheduler::heal_some(const std::vector<bool>& healed, bool power_off_others) {
    active_ = false;
    epoch_++;
    nodes_with_errors_ = 0;
    still_to_roll_ = 0;
    rollback_.call_off();
    cluster_.stranger().stop();
    SimNetwork& network = cluster_.network();
    network.profile().loss_per_million = 0;
    network.profile().reset_per_million = 0;
    network.profile().ghosts_per_million = 0;
    // Nodes are the first hosts.
    const auto well = [&](HostId host) { return host >= healed.size() || healed[host]; };
    for (HostId from = 0; from < network.host_count(); from++) {
        for (HostId to = 0; to < network.host_count(); to++) {
            if (well(from) && well(to)) {
                network.unblock(from, to);
                network.set_extra_latency(from, to, Duration(0));
                network.set_rate(from, to, 0);
            }
        }
    }
    for (std::size_t i = 0; i < healed.size(); i++) {
        ASSERT(cluster_.node(i).host() == i);
        if (healed[i]) {
            heal_node(i);
            continue;
        }
        if (power_off_others && cluster_.node(i).powered()) {
            cluster_.node(i).cut_power(cluster_.options().keep_per_million);
        }
        cut_off_if_hindered(i, healed);
    }
}

void FaultScheduler::cut_off_if_hindered(std::size_t index, const std::vector<bool>& healed) {
    SimNetwork& network = cluster_.network();
    const auto self = static_cast<HostId>(index);
    bool hindered = false;
    for (HostId other = 0; other < healed.size(); other++) {
        hindered = hindered || (healed[other] && (network.hindered(self, other) || network.hindered(other, self)));
    }
    for (HostId other = 0; hindered && other < healed.size(); other++) {
        if (healed[other]) {
            network.block(self, other);
            network.block(other, self);
        }
    }
}

void FaultScheduler::heal_node(std::size_t index) {
    if (cluster_.lost(index)) {
        return;
    }
    SimNode& node = cluster_.node(index);
    node.call_off_crash();
    node.media().set_slow_factor(1);
    node.media().profile().write_error_per_million = 0;
    node.media().profile().sync_error_per_million = 0;
    clear_read_faults(index);
    node.media().profile().capacity_bytes = DiskProfile{}.capacity_bytes;
    node.clock().set_drift(0);
    if (!node.powered()) {
        node.power_on();
    }
    if (node.paused()) {
        node.resume();
    }
    start_node(index);
}

std::vector<bool> FaultScheduler::pick_majority() {
    std::vector<std::size_t> sound;
    for (std::size_t i = 0; i < cluster_.node_count(); i++) {
        if (!cluster_.lost(i) && damage_.sound(i)) {
            sound.push_back(i);
        }
    }
    const std::size_t majority = cluster_.node_count() / 2 + 1;
    std::vector<bool> out(cluster_.node_count(), sound.size() < majority);
    for (std::size_t i = 0; i < std::min(majority, sound.size()); i++) {
        std::swap(sound[i], sound[i + random_.below(sound.size() - i)]);
        out[sound[i]] = true;
    }
    return out;
}

}  // namespace ringfort::sim
