// Faults of FaultScheduler that harm data.
#include <vector>

#include "base/assertion.h"
#include "sim/faults.h"

namespace ringfort::sim {

namespace {

constexpr std::size_t recent_writes = 32;

}  // namespace

void FaultScheduler::note_recent_writes() {
    const RunOptions& options = cluster_.options();
    if (options.enabled(FaultKind::lost_write) || options.enabled(FaultKind::misdirected_write)) {
        for (std::size_t i = 0; i < cluster_.node_count(); i++) {
            cluster_.node(i).media().note_recent_writes(recent_writes);
        }
    }
}

std::size_t FaultScheduler::pick_for_harm(FaultKind kind) {
    if (kind == FaultKind::lying_flush || kind == FaultKind::old_copy) {
        return damage_.budget().goes_back();
    }
    std::vector<std::size_t> nodes;
    for (std::size_t i = 0; i < cluster_.node_count(); i++) {
        const bool all_of_it = kind == FaultKind::read_error || kind == FaultKind::misdirected_read;
        if (kind == FaultKind::wipe ? damage_.budget().may_wipe(i) : !all_of_it || damage_.budget().may_lose_all(i)) {
            nodes.push_back(i);
        }
    }
    return nodes.empty() ? cluster_.node_count() : nodes[random_.below(nodes.size())];
}

// Rot is met by a running process, or by the next start; the rest needs a dead one.
void FaultScheduler::break_data(FaultKind kind) {
    if (kind == FaultKind::read_error && random_.one_in(3)) {
        break_lists(random_.below(cluster_.node_count()));
        return;
    }
    const std::size_t index = pick_for_harm(kind);
    if (index == cluster_.node_count() || !damage_.budget().any()) {
        return;
    }
    const bool rot = kind == FaultKind::bit_flip || kind == FaultKind::bad_sector;
    if (kind == FaultKind::read_error || kind == FaultKind::misdirected_read) {
        // What a start reads from another place passes for what was never written: none is met, as none is begun with.
        const bool met = kind == FaultKind::read_error || cluster_.node(index).ready();
        if (met && (rollback_.made_good() || damage_.budget().beyond())) {
            break_reads(kind, index);
        }
    } else if (kind == FaultKind::lying_flush || kind == FaultKind::old_copy) {
        if (rollback_.begin(kind, index)) {
            later(length(), Repair::roll_back, index, static_cast<std::uint64_t>(kind));
        }
    } else if (kind == FaultKind::lost_write || kind == FaultKind::misdirected_write) {
        harm(kind, index);
    } else if (rot && random_.one_in(2)) {
        if (harm(kind, index)) {
            later(length(), Repair::reopen, index);
        }
    } else {
        later(Duration(1), Repair::harm, index, static_cast<std::uint64_t>(kind));
    }
}

void FaultScheduler::break_reads(FaultKind kind, std::size_t index) {
    trace(kind, index);
    auto& profile = cluster_.node(index).media().profile();
    (kind == FaultKind::read_error ? profile.read_error_per_million : profile.misdirected_read_per_million) =
        random_.one_in(2) ? 1'000'000u : 100'000u;
    if (kind == FaultKind::read_error) {
        damage_.note_read_errors(index);
        cluster_.expect_halt(index, env::Halt::refused);
        reads_failed_[index] = true;
    }
    later(length(), Repair::clear_read_errors, index);
}

// For a moment, or for longer than a start bears it. Nothing is hidden by it: a start without what is there would be silent
// harm, and may be met on any node.
void FaultScheduler::break_lists(std::size_t index) {
    trace(FaultKind::read_error, index);
    cluster_.node(index).media().profile().list_error_per_million = random_.one_in(2) ? 1'000'000u : 700'000u;
    cluster_.expect_halt(index, env::Halt::refused);
    reads_failed_[index] = true;
    later(length(), Repair::clear_read_errors, index);
}

void FaultScheduler::clear_read_faults(std::size_t index) {
    auto& profile = cluster_.node(index).media().profile();
    profile.read_error_per_million = 0;
    profile.list_error_per_million = 0;
    profile.misdirected_read_per_million = 0;
}

bool FaultScheduler::harm(FaultKind kind, std::size_t index) {
    if (!rollback_.made_good() && !damage_.budget().beyond()) {
        return false;
    }
    bool done = true;
    if (kind == FaultKind::bit_flip) {
        done = damage_.flip_bits(index);
    } else if (kind == FaultKind::bad_sector) {
        done = damage_.spoil_sectors(index);
    } else if (kind == FaultKind::lost_write) {
        done = damage_.lose_write(index);
    } else if (kind == FaultKind::misdirected_write) {
        done = damage_.misdirect_write(index);
    } else if (kind == FaultKind::lost_file) {
        done = damage_.lose_file(index);
    } else {
        ASSERT(kind == FaultKind::wipe);
        damage_.wipe(index);
    }
    if (done) {
        trace(kind, index);
        expect_harm(index);
    }
    return done;
}

void FaultScheduler::harm_dead(FaultKind kind, std::size_t index) {
    // A dead process's last writes may still be landing.
    SimNode& node = cluster_.node(index);
    node.kill();
    if (!node.media().quiet()) {
        later(1ms, Repair::harm, index, static_cast<std::uint64_t>(kind));
        return;
    }
    harm(kind, index);
    later(length(), Repair::start, index);
}

void FaultScheduler::roll_back(FaultKind kind) {
    if (rollback_.end_life()) {
        later(1ms, Repair::go_back, rollback_.node(), static_cast<std::uint64_t>(kind));
    }
}

void FaultScheduler::go_back(FaultKind kind) {
    if (!rollback_.under_way()) {
        return;
    }
    const std::size_t index = rollback_.node();
    const auto step = rollback_.go_back();
    if (step == SilentRollback::Step::wait) {
        later(5ms, Repair::go_back, index, static_cast<std::uint64_t>(kind));
        return;
    }
    if (step == SilentRollback::Step::done) {
        trace(kind, index);
        damage_.note_rollback(index, kind);
    }
    later(length(), Repair::start, index);
}

// What may end the process from here on.
void FaultScheduler::expect_harm(std::size_t index) {
    if (damage_.may_refuse(index)) {
        cluster_.expect_halt(index, env::Halt::refused);
    }
    if (damage_.budget().beyond()) {
        cluster_.expect_halt(index, env::Halt::refused);
        cluster_.expect_halt(index, env::Halt::corrupt);
    }
}

}  // namespace ringfort::sim
