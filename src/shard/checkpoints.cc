#include "shard/checkpoints.h"

#include <algorithm>

#include "shard/checkpoint_jobs.h"

namespace ringfort::shard {

namespace {

// A disk without room does not get any by being asked all the time.
constexpr Duration write_pause_min = 1s;
constexpr Duration write_pause_max = 60s;
constexpr Duration send_pause_min = 100ms;
constexpr Duration send_pause_max = 5s;
// Each has a store in the making, and at full speed some MiB of chunks read ahead.
constexpr std::size_t loads_at_once = 16;
constexpr std::int64_t write_keys_per_turn = 400;
constexpr std::int64_t write_bytes_per_turn = 128 * static_cast<std::int64_t>(kib);

}  // namespace

void Checkpoints::Pause::lengthen(Instant now, Duration shortest, Duration longest) {
    length = std::clamp(length * 2, shortest, longest);
    until = now + length;
}

Checkpoints::Checkpoints(Context& context)
    : context_(context),
      directory_("shard-" + std::to_string(context.config.shard.value)),
      // Files of earlier starts may still be there: names must not meet.
      file_number_(context.prng.next() >> 24) {}

Checkpoints::~Checkpoints() = default;

void Checkpoints::load(RangeId range, const CheckpointRecord& record,
                       std::function<void(LoadedState)> done) {
    load(range, record, LoadSpeed::full, std::move(done));
}

void Checkpoints::load(RangeId range, const CheckpointRecord& record, LoadSpeed speed,
                       std::function<void(LoadedState)> done) {
    loads_.push_back(std::make_unique<LoadJob>(*this, range, record, speed, std::move(done)));
}

std::uint64_t Checkpoints::percent_loaded() const {
    std::uint64_t all = 0;
    std::uint64_t loaded = 0;
    for (const auto& job : loads_) {
        all += job->bytes();
        loaded += job->bytes_fed();
    }
    return all == 0 ? 100 : loaded * 100 / all;
}

void Checkpoints::want(RangeId range) {
    add_want(range, true);
}

void Checkpoints::on_damage(RangeId range, LogIndex through, const std::string& what) {
    context_.log_line(env::LogLevel::error, "range " + std::to_string(range.value) + ": " + what +
                                                "; a new checkpoint is written from the state in memory");
    if (!write_ || write_->range() != range || !write_->renew(through)) {
        add_want(range, true).renews = true;
    }
}

bool Checkpoints::renews(RangeId range) const {
    return (write_ && write_->range() == range && write_->renews()) ||
           std::ranges::any_of(wanted_, [&](const Want& want) { return want.range == range && want.renews; });
}

void Checkpoints::on_log_wants(RangeId range) {
    if (!write_ || write_->range() != range) {
        add_want(range, false);
    }
}

Checkpoints::Want& Checkpoints::add_want(RangeId range, bool hurries) {
    const auto found = std::ranges::find(wanted_, range, &Want::range);
    if (found == wanted_.end()) {
        return wanted_.emplace_back(Want{range, hurries, false});
    }
    found->hurries |= hurries;
    return *found;
}

void Checkpoints::maybe_start_write() {
    if (write_ || context_.halted || context_.now < write_pause_.until) {
        return;
    }
    std::uint64_t all_live = 0;
    for (const auto& replica : context_.replicas->all()) {
        const std::uint64_t live = replica->store() != nullptr ? replica->store()->live_bytes() : 0;
        all_live += live;
        const std::uint64_t bound = std::max(context_.config.checkpoint_log_bytes, live);
        const std::uint64_t much = 2 * live + context_.config.checkpoint_slack_bytes;
        const bool holds_much_dead = replica->store() != nullptr && replica->checkpoint().bytes > much;
        const std::uint64_t since = context_.log->bytes_since_checkpoint(replica->range());
        const bool quiet_and_dead = context_.log->quiet() && since > much;
        if (holds_much_dead || quiet_and_dead || since > bound) {
            add_want(replica->range(), false);
        }
    }
    context_.log->set_log_goal(std::max(context_.config.log_bytes_goal, all_live));
    for (auto wanted = wanted_.begin(); wanted != wanted_.end() && !write_;) {
        Replica* replica = context_.replicas->find(wanted->range);
        if (replica != nullptr && replica->store() != nullptr && replica->store()->applying()) {
            ++wanted;   // between two commands
            continue;
        }
        const Want want = *wanted;
        wanted = wanted_.erase(wanted);
        if (replica == nullptr || replica->out_of_service()) {
            continue;
        }
        const LogIndex last = replica->checkpoint().applied.index;
        if (replica->applied() > last || (want.renews && replica->applied() == last)) {
            write_ = std::make_unique<WriteJob>(*this, *replica, want);
        }
    }
}

void Checkpoints::on_write_failed(RangeId range, bool renews) {
    write_pause_.lengthen(context_.now, write_pause_min, write_pause_max);
    add_want(range, false).renews |= renews;
}

void Checkpoints::on_sent(RangeId range, NodeId to, bool ok) {
    const auto found = std::find_if(send_pauses_.begin(), send_pauses_.end(), [&](const SendPause& item) {
        return item.range == range && item.to == to;
    });
    if (ok && found != send_pauses_.end()) {
        send_pauses_.erase(found);
    } else if (!ok) {
        SendPause& item = found != send_pauses_.end() ? *found : send_pauses_.emplace_back(SendPause{range, to, {}});
        item.pause.lengthen(context_.now, send_pause_min, send_pause_max);
    }
}

void Checkpoints::send_snapshot(Replica& replica, NodeId to) {
    if (replica.out_of_service()) {
        return;   // who leads next is asked again
    }
    for (const auto& job : sends_) {
        if (job->range() == replica.range() && job->to() == to && !job->done()) {
            return;
        }
    }
    const auto paused = std::find_if(send_pauses_.begin(), send_pauses_.end(), [&](const SendPause& item) {
        return item.range == replica.range() && item.to == to;
    });
    sends_.push_back(std::make_unique<SendJob>(*this, replica, to,
                                               paused != send_pauses_.end() ? paused->pause.until : context_.now));
}

void Checkpoints::on_slice(Link& link, const wire::SnapshotSlice& slice) {
    // Whoever takes a slice gives its credit back later; of one that is dropped it goes back at once.
    Replica* replica = context_.replicas->find(slice.range);
    if (replica == nullptr) {
        return;
    }
    for (const auto& job : receives_) {
        if (job->range() != slice.range || job->done()) {
            continue;
        }
        if (job->continues(slice, link.node())) {
            job->take(link, slice);
            return;
        }
        if (slice.offset == 0 && !job->takes_up(slice, link.node())) {
            job->abort();   // the sender began anew; its next try finds the place free
        }
        return;
    }
    const bool begins = slice.offset == 0 && slice.term >= replica->raft().term();
    const bool rebuilds = replica->out_of_service() && slice.snapshot.index == replica->applied();
    if (begins && (slice.snapshot.index > replica->applied() || rebuilds)) {
        receives_.push_back(std::make_unique<ReceiveJob>(*this, *replica, slice, link.node()));
        receives_.back()->take(link, slice);
        return;
    }
    auto verdict = wire::SnapshotVerdict::refused;
    if (begins) {
        // Its installation was acknowledged once and the answer lost. The leader would offer it for ever.
        replica->confirm_snapshot(slice.snapshot, link.node(), slice.term);
        verdict = wire::SnapshotVerdict::installed;
    }
    link.send(wire::SnapshotAnswer{slice.range, slice.term, slice.snapshot, 0, verdict}, wire::LinkClass::control);
}

void Checkpoints::on_snapshot_answer(Link& link, const wire::SnapshotAnswer& answer) {
    for (const auto& job : sends_) {
        if (job->range() == answer.range && job->to() == link.node()) {
            job->on_answer(answer);
        }
    }
}

void Checkpoints::on_link_lost(const Link& link) {
    for (const auto& job : sends_) {
        if (job->goes_over(link)) {
            job->abort();
        }
    }
}

void Checkpoints::on_durable(BatchSequence through) {
    if (write_) {
        write_->on_durable(through);
    }
    for (std::size_t i = 0; i < receives_.size(); i++) {
        receives_[i]->on_durable(through);
    }
}

void Checkpoints::on_store_replaced(const Replica& replica) {
    if (write_ && write_->range() == replica.range()) {
        write_->abandon();
    }
}

void Checkpoints::discard(std::unique_ptr<kv::Store> store) {
    if (store) {
        discarded_.push_back(std::move(store));
    }
}

bool Checkpoints::run_discards(WorkBudget& budget) {
    while (!discarded_.empty() && discarded_.back()->dismantle(budget)) {
        discarded_.pop_back();
    }
    return !discarded_.empty();
}

// What goes by the same pace takes turns: whoever is asked first after a piece went gets the next one.
bool Checkpoints::run() {
    maybe_start_write();
    const BackgroundPace& pace = context_.log->pace();
    send_pace_.observe(context_.now, context_.log->flush_facts());
    PartBudget budget(context_.work, TurnPart::checkpoints);
    bool more = false;
    if (pace.pieces() % 2 == 0) {
        more |= run_write(budget);
        more |= run_loads(budget);
        run_transfers();
    } else {
        run_transfers();
        more |= run_loads(budget);
        more |= run_write(budget);
    }
    more |= run_discards(budget);
    std::erase_if(loads_, [](const auto& job) { return job->done() && !job->waiting(); });
    std::erase_if(sends_, [](const auto& job) { return job->done() && !job->waiting(); });
    std::erase_if(receives_, [](const auto& job) { return job->done() && !job->waiting(); });
    std::erase_if(removals_, [](const auto& removal) { return !removal->operation.op.in_flight; });
    release_set_aside();
    if (garbage_wanted_ && !busy() && removals_.empty()) {
        look_for_garbage();
    }
    return more;
}

bool Checkpoints::run_write(WorkBudget& budget) {
    if (!write_) {
        return false;
    }
    // Clients wait behind what it does in a turn: a fraction of a turn's work, unless the log outgrows it.
    const WorkBudget before = write_->behind() ? budget
                                               : WorkBudget{std::min(budget.keys, write_keys_per_turn),
                                                            std::min(budget.bytes, write_bytes_per_turn)};
    WorkBudget left = before;
    while (write_->step(left)) {
    }
    budget.take(before.keys - left.keys, before.bytes - left.bytes);
    const bool more = write_->wants_turn();
    if (write_->done() && !write_->waiting()) {
        write_.reset();
    }
    return more;
}

bool Checkpoints::run_loads(WorkBudget& budget) {
    bool more = false;
    std::size_t running = 0;
    for (std::size_t i = 0; i < loads_.size() && running < loads_at_once; i++) {
        // A load's end may begin another one: the vector may grow, jobs do not move.
        LoadJob& job = *loads_[i];
        while (job.step(budget)) {
        }
        more |= job.wants_turn();
        running += job.done() ? 0u : 1u;
    }
    return more;
}

void Checkpoints::run_transfers() {
    const std::uint64_t sent = send_pace_.pieces();
    for (std::size_t i = 0; i < sends_.size(); i++) {
        SendJob& job = *sends_[(sent + i) % sends_.size()];
        while (job.step()) {
        }
    }
    const std::uint64_t received = context_.log->pace().pieces() / 2;   // of the others every other turn is theirs
    for (std::size_t i = 0; i < receives_.size(); i++) {
        ReceiveJob& job = *receives_[(received + i) % receives_.size()];
        while (job.step()) {
        }
        job.maybe_tell_progress();
    }
}

Instant Checkpoints::next_deadline() const {
    const auto paced = [](const auto& job) { return job->paced(); };
    Instant next = write_ ? write_->next_at() : never;
    if (std::ranges::any_of(loads_, paced) || std::ranges::any_of(receives_, paced)) {
        next = std::min(next, context_.log->pace().next_at(context_.now));
    }
    for (const auto& job : loads_) {
        next = std::min(next, job->next_try_at());
    }
    if (std::ranges::any_of(sends_, paced)) {
        next = std::min(next, send_pace_.next_at(context_.now));
    }
    return next;
}

std::uint64_t Checkpoints::log_written() const {
    return context_.log->bytes_written();
}

// The disk holds at most four times the live data and a GiB. Of what that leaves beside the log as it is, the checkpoint
// there is and the new one, the log may use half until the new one is done; a segment in any case.
LogRace Checkpoints::race_of(std::uint64_t expected_bytes) const {
    const LogCounters& log = context_.log->counters(context_.now);
    std::uint64_t bound = 1 * gib;
    std::uint64_t used = log.file_bytes + expected_bytes;
    for (const auto& replica : context_.replicas->all()) {
        bound += replica->store() != nullptr ? 4 * replica->store()->live_bytes() : 0;
        used += replica->checkpoint().bytes;
    }
    const std::uint64_t room = bound - std::min(bound, used);
    return {expected_bytes, std::max<std::uint64_t>(room / 2, context_.config.segment_bytes), log.bytes_written};
}

bool Checkpoints::busy() const {
    return write_ != nullptr || !loads_.empty() || !sends_.empty() || !receives_.empty();
}

void Checkpoints::forget_file(const std::string& name) {
    for (const auto& job : sends_) {
        if (job->file_name() == name) {
            job->abort();   // it has the file open: the kernel keeps the bytes until it is closed
        }
    }
    removals_.push_back(std::make_unique<Removal>());
    context_.world.disk.remove(removals_.back()->operation.op, name);
}

void Checkpoints::set_aside(RangeId range, const std::string& name) {
    set_aside_.push_back(range);
    removals_.push_back(std::make_unique<Removal>());
    context_.world.disk.rename(removals_.back()->operation.op, name, unread_file_name(name));
}

// Their files are garbage once there is a checkpoint again.
void Checkpoints::release_set_aside() {
    const std::size_t released = std::erase_if(set_aside_, [&](RangeId range) { return has_checkpoint_file(range); });
    garbage_wanted_ |= released > 0;
}

bool Checkpoints::has_checkpoint_file(RangeId range) const {
    const Replica* replica = context_.replicas->find(range);
    return replica != nullptr && !replica->checkpoint().file.empty();
}

void Checkpoints::look_for_garbage() {
    garbage_wanted_ = false;
    removals_.push_back(std::make_unique<Removal>());
    JobOperation& operation = removals_.back()->operation;
    operation.op.context = this;
    operation.op.callback = [](env::DiskOperation& op) { static_cast<Checkpoints*>(op.context)->on_listed(op.files); };
    context_.world.disk.list(operation.op, directory_);
}

void Checkpoints::on_listed(const std::vector<env::FileInfo>& files) {
    // A job that began meanwhile may have made one of them.
    if (busy()) {
        garbage_wanted_ = true;
        return;
    }
    for (const env::FileInfo& file : files) {
        const std::string name = directory_ + "/" + file.name;
        const bool named = std::ranges::any_of(context_.replicas->all(), [&](const auto& replica) {
            return replica->checkpoint().file == name;
        });
        const std::optional<RangeId> unread = range_of_unread_file(file.name);
        if (unread && context_.replicas->find(*unread) != nullptr && !has_checkpoint_file(*unread)) {
            set_aside_.push_back(*unread);   // by an earlier start
        } else if (unread || (file.name.starts_with(checkpoint_prefix) && !named)) {
            forget_file(name);
        }
    }
}

}  // namespace ringfort::shard
