#include "shard/log_move.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assertion.h"
#include "log/records.h"
#include "shard/node_config.h"
#include "shard/peer_memory.h"

namespace ringfort::shard {
namespace {

constexpr std::size_t read_bytes = 1 * mib;
// Of a log that only gives away: nothing but its opening is written there.
constexpr std::size_t window_bytes_of_source = 8 * mib;
constexpr std::size_t segment_bytes_of_source = 8 * mib;
constexpr std::uint64_t no_log_goal = std::uint64_t{1} << 60;
constexpr Duration tell_interval = 2s;

std::string directory_of(std::uint32_t shard) { return "shard-" + std::to_string(shard); }

}  // namespace

struct ShardMove::Log final : LogListener {
    ShardMove& owner;
    const std::uint32_t shard;
    bool recovered{false};
    std::unique_ptr<LogStore> store;

    Log(ShardMove& move, std::uint32_t index) : owner(move), shard(index) {}
    void on_recovered(RecoveredLog& found) override {
        recovered = true;
        owner.on_recovered(*this, found);
    }
    void on_durable(BatchSequence) override {}
    void on_log_failed(std::string_view reason) override { owner.on_log_failed(*this, reason); }
    void on_checkpoint_wanted(RangeId) override {}
};

ShardMove::ShardMove(env::World& world, const ShardMoveOptions& options)
    : world_(world), options_(options), log_count_(std::max(options.from_count, options.to_count)),
      op_(&on_operation, this) {
    ASSERT(options.from_count > 0 && options.to_count > 0 && options.from_count != options.to_count);
    read_.callback = &on_entries;
    read_.context = this;
}

ShardMove::~ShardMove() = default;

void ShardMove::on_operation(env::DiskOperation& op) { static_cast<ShardMove*>(op.context)->op_done_ = true; }

void ShardMove::on_entries(EntryRead& read) {
    auto& self = *static_cast<ShardMove*>(read.context);
    self.read_done_ = self.news_ = true;
}

LogStore& ShardMove::log_of(std::uint32_t shard) { return *logs_[shard]->store; }

void ShardMove::start() {
    ASSERT(stage_ == Stage::idle);
    world_.log.write(env::LogLevel::info, "moving from " + std::to_string(options_.from_count) + " to " +
                                              std::to_string(options_.to_count) + " shards");
    tell_at_ = world_.clock.now() + tell_interval;
    stage_ = Stage::remembering;
    world_.disk.read_whole(op_, peer_memory_file);
}

Instant ShardMove::turn() {
    const Instant now = world_.clock.now();
    world_.disk.dispatch();
    news_ = false;
    const bool more = step();
    // After the step: what it waits for may be that what it appended becomes durable.
    for (const auto& log : logs_) {
        if (stage_ != Stage::ended) {
            log->store->close_batch(now);
        }
    }
    tell_progress(now);
    Instant deadline = more || news_ ? now : tell_at_;
    for (const auto& log : logs_) {
        deadline = std::min(deadline, log->store->next_deadline());
    }
    deadline = std::min({deadline, file_ ? file_->next_deadline() : never,
                         patience_.waiting() ? patience_.deadline() : never});
    return stage_ == Stage::ended ? never : deadline;
}

void ShardMove::stop() {
    if (stage_ != Stage::ended) {
        end(env::Halt::stopped, "stopped before the move to " + std::to_string(options_.to_count) +
                                    " shards was complete: the old layout stands");
    }
}

void ShardMove::end(env::Halt how, std::string sentence) {
    if (stage_ != Stage::ended) {
        stage_ = Stage::ended;
        if (how == env::Halt::stopped) {
            world_.log.write(env::LogLevel::info, sentence);
        }
        world_.process.halt(how, sentence);
    }
}

void ShardMove::tell_progress(Instant now) {
    if (now < tell_at_ || stage_ == Stage::ended) {
        return;
    }
    tell_at_ = now + tell_interval;
    world_.log.write(env::LogLevel::info, "moving to " + std::to_string(options_.to_count) + " shards: " +
                                              std::to_string(logs_.size()) + " of " + std::to_string(log_count_) +
                                              " logs open, " + std::to_string(moved_) + " of " +
                                              std::to_string(moving_.size()) + " replicas moved, " +
                                              std::to_string(bytes_moved_ / mib) + " MiB");
}

bool ShardMove::step() {
    switch (stage_) {
        case Stage::remembering:
            if (!std::exchange(op_done_, false)) {
                return false;
            }
            if (op_.error != env::DiskErrc::ok && op_.error != env::DiskErrc::not_found) {
                end(env::Halt::refused, "cannot read " + std::string(peer_memory_file) + ": " +
                                            std::string(env::to_string(op_.error)));
                return false;
            }
            in_use_ = op_.error == env::DiskErrc::ok;
            shard_ = options_.from_count;
            return list_next();
        case Stage::listing:
        case Stage::clearing: return clear_next();
        case Stage::opening: return open_next();
        case Stage::copying_file: return copy_file();
        case Stage::placing: return place();
        case Stage::reading: return read();
        case Stage::appending: return append();
        case Stage::sealing: return seal();
        case Stage::switching: return finish_switch();
        case Stage::idle:
        case Stage::ended: return false;
    }
    UNREACHABLE();
}

// ---- room for the new layout

// What a layout of more shards left behind, or a move that was cut off, must not be taken for a log of the new one.
bool ShardMove::list_next() {
    if (shard_ >= options_.to_count) {
        stage_ = Stage::opening;
        return true;
    }
    stage_ = Stage::listing;
    world_.disk.list(op_, directory_of(shard_));
    return false;
}

bool ShardMove::clear_next() {
    if (!std::exchange(op_done_, false)) {
        return false;
    }
    if (op_.error != env::DiskErrc::ok) {
        end(env::Halt::refused, "what is left in " + directory_of(shard_) + " cannot be removed: " +
                                    std::string(env::to_string(op_.error)));
        return false;
    }
    if (stage_ == Stage::listing) {
        for (const env::FileInfo& file : op_.files) {
            to_clear_.push_back(directory_of(shard_) + "/" + file.name);
        }
        stage_ = Stage::clearing;
    }
    if (to_clear_.empty()) {
        shard_++;
        return list_next();
    }
    const std::string name = std::move(to_clear_.back());
    to_clear_.pop_back();
    world_.disk.remove(op_, name);
    return false;
}

// ---- the logs

bool ShardMove::open_next() {
    if (!logs_.empty() && !logs_.back()->recovered) {
        return false;
    }
    if (logs_.size() == log_count_) {
        return begin_replica();
    }
    const auto shard = static_cast<std::uint32_t>(logs_.size());
    const bool is_old = shard < options_.from_count;
    LogOptions log_options;
    log_options.shard = ShardId(shard);
    log_options.shard_count = options_.from_count;
    log_options.instance = options_.instance;
    log_options.directory = directory_of(shard);
    log_options.segment_bytes = options_.segment_bytes;
    log_options.window_bytes = options_.window_bytes;
    log_options.segments_ready = 1;
    if (shard >= options_.to_count) {
        log_options.segment_bytes = std::min(log_options.segment_bytes, segment_bytes_of_source);
        log_options.window_bytes = std::min(log_options.window_bytes, window_bytes_of_source);
    }
    log_options.log_bytes_goal = no_log_goal;
    Log& log = *logs_.emplace_back(std::make_unique<Log>(*this, shard));
    log.store = std::make_unique<LogStore>(world_, log_options, log);
    log.store->start(in_use_ && is_old ? LogStart::existing : LogStart::any);
    return true;
}

void ShardMove::on_recovered(Log& log, const RecoveredLog& recovered) {
    news_ = true;
    for (const std::string& note : recovered.notes) {
        world_.log.write(env::LogLevel::warning, "log of shard " + std::to_string(log.shard) + ": " + note);
    }
    if (recovered.replicas_unknown) {
        end(env::Halt::refused, "the log of shard " + std::to_string(log.shard) + " lost records: start the node with " +
                                    std::to_string(options_.from_count) +
                                    " shards, so that its replicas are rebuilt from their peers, and change the number of "
                                    "shards after that");
        return;
    }
    for (const RecoveredReplica& replica : recovered.replicas) {
        const auto to = static_cast<std::uint32_t>(shard_of(replica.range, options_.to_count).value);
        if (to == log.shard) {
            continue;
        }
        Moving& moving = moving_.emplace_back();
        moving.range = replica.range;
        moving.from = log.shard;
        moving.to = to;
        moving.hard_state = replica.hard_state;
        moving.promises_in_doubt = replica.promises_in_doubt;
        moving.checkpoint = replica.checkpoint;
        moving.damaged = replica.damaged;
        if (!replica.entries.empty()) {
            moving.next = replica.entries.front().id.index;
            moving.end = replica.entries.back().id.index.next();
        }
    }
}

void ShardMove::on_log_failed(const Log& log, std::string_view reason) {
    end(log.store->failed_as(),
        "the move to " + std::to_string(options_.to_count) + " shards failed, and the old layout stands: shard " +
            std::to_string(log.shard) + ": " + std::string(reason));
}

// ---- one replica after the other

bool ShardMove::begin_replica() {
    if (moved_ == moving_.size()) {
        stage_ = Stage::sealing;
        return true;
    }
    const Moving& moving = moving_[moved_];
    if (moving.checkpoint && !moving.checkpoint->file.empty()) {
        const std::string& source = moving.checkpoint->file;
        const std::string target = directory_of(moving.to) + source.substr(std::min(source.find('/'), source.size()));
        file_ = std::make_unique<FileCopy>(world_.disk, source, target,
                                           round_up<std::uint64_t>(moving.checkpoint->bytes, limits::block_bytes));
        stage_ = Stage::copying_file;
        return false;
    }
    stage_ = Stage::placing;
    return true;
}

bool ShardMove::copy_file() {
    file_->step(world_.clock.now());
    if (!file_->done()) {
        return false;
    }
    Moving& moving = moving_[moved_];
    if (file_->error() != env::DiskErrc::ok) {
        end(file_->error() == env::DiskErrc::no_space ? env::Halt::no_disk_space : env::Halt::log_failed,
            "checkpoint " + moving.checkpoint->file + " cannot be copied: " +
                std::string(env::to_string(file_->error())));
        return false;
    }
    if (file_->unreadable_blocks() > 0 && too_few_to_rebuild(moving.checkpoint->configuration)) {
        refuse_unreadable("checkpoint " + moving.checkpoint->file);
        return false;
    }
    if (file_->source_missing() || file_->unreadable_blocks() > 0) {
        world_.log.write(env::LogLevel::error, "checkpoint " + moving.checkpoint->file +
                                                   (file_->source_missing() ? " is missing" : " has unreadable blocks") +
                                                   ": its replica will be rebuilt from its peers");
    }
    std::string& name = moving.checkpoint->file;
    name = directory_of(moving.to) + name.substr(std::min(name.find('/'), name.size()));
    bytes_moved_ += moving.checkpoint->bytes;
    file_.reset();
    stage_ = Stage::placing;
    return true;
}

// In the new layout it would be lost for good.
void ShardMove::refuse_unreadable(const std::string& what) {
    end(env::Halt::refused, "the disk cannot read " + what + ", and no other replicas can give it back: the old layout "
                            "stands; start again when the disk reads it");
}

// false, and waits: the batch under way must become durable first.
bool ShardMove::wait_for_room(LogStore& target) {
    if (!target.has_space()) {
        const env::DiskErrc error = target.space_error();
        const bool full = error == env::DiskErrc::no_space;
        end(full ? env::Halt::no_disk_space : env::Halt::log_failed,
            (full ? std::string("there is no disk space")
                  : "a segment of the log cannot be made (" + std::string(env::to_string(error)) + ")") +
                " to move to " + std::to_string(options_.to_count) + " shards: the old layout stands");
    }
    return false;
}

bool ShardMove::place() {
    const Moving& moving = moving_[moved_];
    LogStore& target = log_of(moving.to);
    if (!target.can_append(0, log::state_record_bytes_max / sizeof(log::EntryItem))) {   // as much as its record takes
        return wait_for_room(target);
    }
    target.append_moved(moving.range, moving.hard_state, moving.promises_in_doubt,
                        moving.checkpoint ? &*moving.checkpoint : nullptr);
    stage_ = Stage::reading;
    return true;
}

bool ShardMove::read() {
    const Moving& moving = moving_[moved_];
    if (moving.next == moving.end) {
        return end_replica();
    }
    if (patience_.waiting() && !patience_.over(world_.clock.now())) {
        return false;
    }
    read_done_ = false;
    next_entry_ = 0;
    stage_ = Stage::appending;
    log_of(moving.from).read(moving.range, moving.next, LogIndex(moving.end.value - 1), read_bytes, read_);
    return true;
}

bool ShardMove::append() {
    if (!read_done_) {
        return false;
    }
    Moving& moving = moving_[moved_];
    LogStore& target = log_of(moving.to);
    for (; next_entry_ < read_.entries.size(); next_entry_++) {
        const raft::Entry& entry = read_.entries[next_entry_];
        ASSERT(entry.id.index == moving.next);
        if (!target.can_append(entry.payload.size(), 1)) {
            return wait_for_room(target);
        }
        const MutableBytes memory =
            target.append_entry(moving.range, entry.id, entry.kind, entry.payload.size());
        std::ranges::copy(entry.payload, memory.begin());
        target.seal_entry(entry.checksum);
        moving.next = moving.next.next();
        bytes_moved_ += entry.payload.size();
    }
    if (read_.damaged) {
        return on_damaged(target);
    }
    patience_.tried(true);
    if (read_.entries.empty()) {
        end(env::Halt::refused, "the log of shard " + std::to_string(moving.from) + " does not give out its entries");
        return false;
    }
    stage_ = Stage::reading;
    return true;
}

// What recovery could read is asked for again before it is given up.
bool ShardMove::on_damaged(LogStore& target) {
    const Moving& moving = moving_[moved_];
    if (std::ranges::find(moving.damaged, moving.next) != moving.damaged.end()) {
        return append_damaged(target);
    }
    if (!patience_.spent()) {
        patience_.wait();
        stage_ = Stage::reading;
        return true;
    }
    patience_.tried(false);
    if (moving.checkpoint && too_few_to_rebuild(moving.checkpoint->configuration)) {
        refuse_unreadable("entry " + std::to_string(moving.next.value) + " of range " +
                          std::to_string(moving.range.value));
        return false;
    }
    return append_damaged(target);
}

// A payload that is lost: the replica will fetch it from a peer, by its checksum.
bool ShardMove::append_damaged(LogStore& target) {
    Moving& moving = moving_[moved_];
    if (!read_.damaged_entry) {
        end(env::Halt::refused, "the log of shard " + std::to_string(moving.from) +
                                    " could be read before and cannot be now: start again");
        return false;
    }
    ASSERT(read_.damaged_entry->id.index == moving.next);
    if (!target.can_append(read_.damaged_bytes, 1)) {
        return wait_for_room(target);
    }
    target.append_lost_entry(moving.range, *read_.damaged_entry, read_.damaged_bytes);
    moving.next = moving.next.next();
    stage_ = Stage::reading;
    return true;
}

bool ShardMove::end_replica() {
    moved_++;
    return begin_replica();
}

// ---- the switch

bool ShardMove::seal() {
    for (const auto& log : logs_) {
        if (!log->store->sealed()) {
            return false;
        }
    }
    stage_ = Stage::switching;
    op_done_ = false;
    world_.disk.replace_whole(op_, options_.switch_file, options_.switch_content);
    return false;
}

bool ShardMove::finish_switch() {
    if (!std::exchange(op_done_, false)) {
        return false;
    }
    if (op_.error != env::DiskErrc::ok) {
        end(env::Halt::log_failed, "cannot replace the file " + options_.switch_file + ": " +
                                    std::string(env::to_string(op_.error)));
        return false;
    }
    switched_ = true;
    end(env::Halt::stopped, "moved " + std::to_string(moved_) + " replicas, " + std::to_string(bytes_moved_ / mib) +
                                " MiB, to " + std::to_string(options_.to_count) + " shards");
    return false;
}

}  // namespace ringfort::shard
