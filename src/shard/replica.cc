#include "shard/replica.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/checksum.h"
#include "base/mark.h"
#include "base/mutant.h"
#include "kv/page_counts.h"
#include "shard/checkpoints.h"
#include "shard/peer_links.h"
#include "shard/replicas.h"
#include "shard/router.h"

namespace ringfort::shard {

namespace {

// A read of old entries, for a follower that is behind or for apply after a restart.
constexpr std::size_t old_read_bytes = 1 * mib;
constexpr std::size_t apply_reads_max = 4;   // for apply, at once
constexpr Duration outpaced_needed = 50ms;
constexpr std::size_t nudges_until_stuck = 3;
constexpr std::size_t nudges_until_forsaken = 10;

raft::InitialState initial_state(const ReplicaStart& start) {
    raft::InitialState state;
    state.hard_state = start.hard_state;
    if (start.checkpoint) {
        state.snapshot = start.checkpoint->applied;
        state.snapshot_configuration = start.checkpoint->configuration;
    }
    state.entries = start.entries;
    state.damaged = start.damaged;
    return state;
}

}  // namespace

bool Replica::OldRead::holds(LogIndex index) const {
    return !read.in_flight && !read.entries.empty() && index >= read.entries.front().id.index &&
           index <= read.entries.back().id.index;
}

std::size_t Replica::OldRead::find(LogIndex first, std::span<raft::Entry> out) const {
    if (!holds(first)) {
        return 0;
    }
    const auto rest = std::span(read.entries).subspan(distance(read.entries.front().id.index, first));
    const auto found = rest.first(std::min(rest.size(), out.size()));
    std::ranges::copy(found, out.begin());
    return found.size();
}

std::unique_ptr<kv::Store> new_store(Context& context, RangeId range) {
    return std::make_unique<kv::Store>(kv::StoreOptions{range, context.prng.next(), context.world.populate});
}

Replica::Replica(Context& context, ReplicaStart&& start)
    : context_(context),
      range_(start.range),
      domain_(start.domain),
      store_(std::move(start.store)),
      directory_(std::move(start.directory)),
      pending_(context.config.bounds.pending_writes),
      leaderless_since_(context.now) {
    ASSERT((store_ != nullptr) != (directory_ != nullptr));
    raft::Options options;
    options.range = range_;
    options.self = context.config.self;
    raft_ = std::make_unique<raft::Raft>(options, initial_state(start));
    if (start.checkpoint) {
        checkpoint_ = *start.checkpoint;
        applied_configuration_ = checkpoint_.configuration;
        // A fresh state machine stands for the initial state (1, 1).
        if (applied() < checkpoint_.applied.index) {
            ASSERT(checkpoint_.file.empty());
            store_ ? store_->skip(checkpoint_.applied.index) : directory_->skip(checkpoint_.applied.index);
        }
    }
    last_at_start_ = raft_->last().index;
    commit_moved_ = true;
    last_role_ = raft_->role();
    // Whatever it says must wait for the records of its making (or of its new incarnation).
    persisted_in_ = context.log->last_batch();
}

// Ends with its shard alone: reads in flight are the world's to end first, and a killed process answers none.
Replica::~Replica() = default;

LogIndex Replica::applied() const {
    return store_ ? store_->applied() : directory_->applied();
}

// What a leader voids of the log at the start is not waited for.
void Replica::note_caught_up() {
    caught_up_ |= raft_->leader() && applied() >= catches_up_at();
}

std::uint64_t Replica::state_hash() const {
    return store_ ? store_->hash() : directory_->hash();
}

api::ResponseHeader Replica::header() const {
    api::ResponseHeader header;
    header.cluster_id = context_.config.cluster_id;
    header.member_id = context_.config.self;
    header.revision = store_ ? store_->revision() : 0;
    header.raft_term = raft_->term();
    header.domain = domain_;
    return header;
}

// ------------------------------------------------------------------------------------------------ events

void Replica::step(const raft::Event& event) {
    raft_->step(event, effects_);
    carry_out(effects_);
}

void Replica::on_durable(raft::EntryId last, Term term, std::span<const LogIndex> repaired) {
    step(raft::Durable{last, term});
    for (const LogIndex index : repaired) {
        step(raft::EntryRepaired{index});
    }
}

void Replica::transfer_leadership(NodeId to) {
    if (raft_->accepts_proposals()) {
        transfer_until_ = context_.now + context_.config.election_timeout;
        step(raft::TransferLeadership{to});
    }
}

void Replica::transfer_to_next() {
    if (!raft_->accepts_proposals()) {
        return;   // the last one has its time yet
    }
    const raft::Configuration& members = raft_->configuration();
    NodeId first{}, next{};
    for (const raft::PeerStatus& peer : raft_->peers()) {
        if (peer.alive && peer.counts && members.is_voter(peer.node)) {
            first = !first || peer.node < first ? peer.node : first;
            next = peer.node > last_successor_ && (!next || peer.node < next) ? peer.node : next;
        }
    }
    last_successor_ = next ? next : first;
    if (last_successor_) {
        transfer_leadership(last_successor_);
    }
}

void Replica::transfer_if_outpaced() {
    if (!raft_->accepts_proposals() || !raft_->successor_is_ahead()) {
        outpaced_since_ = never;
        return;
    }
    outpaced_since_ = std::min(outpaced_since_, context_.now);
    if (context_.now - outpaced_since_ < outpaced_needed) {
        context_.want_timers(outpaced_since_ + outpaced_needed);
        return;
    }
    outpaced_since_ = never;
    MARK("handed over to a node with a faster disk");
    context_.log_line(env::LogLevel::warning,
                      "range " + std::to_string(range_.value) + " is handed over to a node whose disk is faster");
    transfer_leadership(NodeId());
}

void Replica::schedule_election(Duration at_most) {
    const auto span = static_cast<std::uint64_t>(std::max<std::int64_t>(at_most.count(), 1));
    election_at_ = context_.now + Duration(static_cast<std::int64_t>(context_.prng.below(span)));
    context_.want_timers(election_at_);
}

void Replica::on_timer(Instant now) {
    if (now >= transfer_until_) {
        transfer_until_ = never;
        step(raft::TransferTimedOut{});
    }
    if (now < election_at_) {
        return;
    }
    election_at_ = never;
    if (raft_->is_leader()) {
        return;
    }
    const bool should_not_lead = out_of_service_ || context_.links->others_should_lead();
    if (context_.stopping || (should_not_lead && !left_to_others_)) {
        // Whoever should not lead now looks again later. With a slow disk or out of service once only: the others may be
        // unable to win, as their logs are shorter.
        MARK("election left to others");
        left_to_others_ = true;
        schedule_election(context_.config.election_timeout);
        return;
    }
    if (raft_->in_doubt()) {
        // It stands for nothing; what it says instead carries its incarnation to a leader that has not heard of it.
        step(raft::ElectionDue{});
        schedule_election(context_.config.election_timeout);
        return;
    }
    election_attempts_++;
    step(raft::ElectionDue{});
    if (!raft_->leader() && election_at_ == never) {
        schedule_election(context_.config.election_timeout / 2);   // nobody may have heard the request
    }
}

void Replica::nudge() {
    if (raft_->is_damaged()) {
        step(raft::FetchOverdue{});
    }
    report_damage();
    report_doubt();
    nudge_stuck_peers();
}

// What nobody gives back keeps the range from going on here, and perhaps everywhere: once, it is said.
void Replica::report_damage() {
    const LogIndex next = applied().next();
    const bool stuck = raft_->is_damaged() && raft_->damaged().front() == next;
    if (!stuck || std::exchange(stuck_at_, next) != next) {
        stuck_at_ = stuck ? next : LogIndex{};
        stuck_nudges_ = 0;
    } else if (++stuck_nudges_ == nudges_until_stuck) {
        context_.log_line(env::LogLevel::error, "range " + std::to_string(range_.value) + ": log entry " +
                                                    std::to_string(next.value) +
                                                    " is damaged, and no other replica has given it back: the range "
                                                    "does not go on here until one does");
    }
}

// As long as nobody leads, nobody fences it either. A majority in doubt elects nobody.
void Replica::report_doubt() {
    doubtful_nudges_ = raft_->in_doubt() && !raft_->leader() ? doubtful_nudges_ + 1 : 0;
    if (doubtful_nudges_ == nudges_until_forsaken) {
        context_.log_line(env::LogLevel::error, "range " + std::to_string(range_.value) +
                                                    ": this replica lost what it had promised, and for long there is no "
                                                    "leader that takes it back: if a majority of the members lost it, the "
                                                    "range does not go on");
    }
}

// A follower whose answer was lost would be waited for in vain. Who lies behind and has not moved since the last look is
// asked anew.
void Replica::nudge_stuck_peers() {
    if (!raft_->is_leader()) {
        last_match_.clear();
        return;
    }
    const auto peers = raft_->peers();
    for (const raft::PeerStatus& peer : peers) {
        const auto before = std::find_if(last_match_.begin(), last_match_.end(),
                                         [&](const auto& m) { return m.first == peer.node; });
        if (peer.alive && !peer.snapshot && peer.match < raft_->last().index && before != last_match_.end() &&
            before->second == peer.match) {
            MARK("stuck follower is asked anew");
            step(raft::PeerBack{peer.node});
        }
    }
    last_match_.clear();
    for (const raft::PeerStatus& peer : peers) {
        last_match_.emplace_back(peer.node, peer.match);
    }
}

void Replica::list_pools(PoolList& out) const {
    const ShardBounds& bounds = context_.config.bounds;
    out.push_back({"proposals", pending_.count(), std::bit_ceil(bounds.pending_writes)});
    out.push_back({"physical compactions", pending_physical_ + reclaiming_.size(), bounds.physical_compactions});
    out.push_back({"bytes that proposals may add", pending_bytes_});
    out.push_back({"reads of old entries for peers", reads_.size()});
    out.push_back({"reads of old entries for apply", apply_reads_.size(), apply_reads_max});
    if (store_ != nullptr) {
        out.push_back({"bytes of counts for next pages", store_->page_count_bytes(), kv::PageCounts::bytes_max(), true});
    }
}

kv::CommandHeader Replica::command_header() const {
    kv::CommandHeader out;
    out.range = range_;
    if (const auto* record = context_.directory != nullptr ? context_.directory->find(range_) : nullptr) {
        out.generation = record->generation;
    }
    out.proposed_at = context_.world.clock.wall();
    return out;
}

api::Errc Replica::propose(const Origin& origin, const kv::CommandHeader& header, const kv::CommandBody& body,
                           Instant deadline, std::uint64_t added_bytes) {
    if (!raft_->accepts_proposals() || out_of_service_) {
        return api::Errc::no_leader;
    }
    const std::size_t bytes = kv::command_bytes(body);
    const auto* compaction = std::get_if<api::CompactRequest>(&body);
    const api::Revision reclaim =
        compaction != nullptr && compaction->physical ? std::max<api::Revision>(compaction->revision, 0) : 0;
    if (pending_.full() || !context_.log->can_append(bytes) ||
        (reclaim > 0 && pending_physical_ + reclaiming_.size() >= context_.config.bounds.physical_compactions)) {
        MARK("write refused: too many wait or the log is full");
        return api::Errc::too_many_requests;
    }
    const raft::EntryId id{raft_->term(), raft_->last().index.next()};
    const MutableBytes room = context_.log->append_entry(range_, id, raft::EntryKind::command, bytes);
    kv::encode_command(room, header, body);
    const std::uint64_t sum = checksum(room);
    context_.log->seal_entry(sum);
    const auto given = raft_->propose({raft::EntryKind::command, static_cast<std::uint32_t>(bytes), sum}, effects_);
    ASSERT(given && *given == id);
    persisted_in_ = context_.log->open_batch();
    pending_.push({id, origin, deadline, added_bytes, reclaim});
    pending_live_++;
    pending_physical_ += reclaim > 0 ? 1 : 0;
    pending_bytes_ += added_bytes;
    note_command(id.index, bytes);
    context_.replicas->note_persisted(*this);
    carry_out(effects_);
    return api::Errc::ok;
}

void Replica::note_command(LogIndex index, std::uint64_t bytes) {
    if (applied() >= generation_begin_) {
        command_bytes_max_before_ = command_bytes_max_;
        command_bytes_max_ = 0;
        generation_begin_ = index;
    }
    command_bytes_max_ = std::max(command_bytes_max_, bytes);
}

PendingWrite Replica::pop_pending() {
    const PendingWrite write = pending_.pop();
    ASSERT(pending_bytes_ >= write.added_bytes);
    pending_bytes_ -= write.added_bytes;
    pending_physical_ -= write.reclaim > 0 ? 1 : 0;
    return write;
}

bool Replica::propose_raw(Bytes command) {
    if (!raft_->accepts_proposals() || !context_.log->can_append(command.size())) {
        return false;
    }
    const raft::EntryId id{raft_->term(), raft_->last().index.next()};
    const MutableBytes room = context_.log->append_entry(range_, id, raft::EntryKind::command, command.size());
    std::copy(command.begin(), command.end(), room.begin());
    const std::uint64_t sum = checksum(room);
    context_.log->seal_entry(sum);
    const auto given =
        raft_->propose({raft::EntryKind::command, static_cast<std::uint32_t>(command.size()), sum}, effects_);
    ASSERT(given && *given == id);
    persisted_in_ = context_.log->open_batch();
    context_.replicas->note_persisted(*this);
    carry_out(effects_);
    return true;
}

void Replica::flush() {
    raft_->flush(effects_);
    if (!effects_.empty()) {
        carry_out(effects_);
    }
}

bool Replica::expire(Instant now, std::size_t& answers_left) {
    // Proposed while it led, and longer than an election takes it hears of no leader: the outcome may come late or never,
    // and whoever waits for it here could go on at another node.
    const bool leaderless = leaderless_for(now) >= context_.config.election_timeout;
    for (std::size_t i = 0; i < pending_.count(); i++) {
        PendingWrite& write = pending_[i];
        if (write.origin.kind == OriginKind::none || (write.deadline > now && !leaderless)) {
            continue;
        }
        if (answers_left == 0) {
            return false;
        }
        answers_left--;
        const api::Errc unknown = write.deadline > now ? api::Errc::leader_changed : api::Errc::timed_out;
        if (unknown == api::Errc::leader_changed) {
            MARK("write's outcome is not learned here: no leader for long");
        } else {
            MARK("write timed out before its outcome");
        }
        const api::Errc code = MUTANT(expired_write_failed) ? api::Errc::no_leader : unknown;
        context_.router->answer_error(write.origin, code, "", header());
        write.origin.kind = OriginKind::none;
        pending_live_--;
    }
    std::erase_if(reclaiming_, [&](const PendingWrite& write) {
        const bool late = write.deadline <= now;
        if (late) {
            context_.router->answer_error(write.origin, api::Errc::timed_out, "compacted; the space is not free yet",
                                          header());
        }
        return late;
    });
    return true;
}

void Replica::fail_pending(api::Errc code) {
    for (const PendingWrite& write : reclaiming_) {
        context_.router->answer_error(write.origin, code, "", header());
    }
    reclaiming_.clear();
    while (!pending_.empty()) {
        const PendingWrite write = pop_pending();
        if (write.origin.kind != OriginKind::none) {
            context_.router->answer_error(write.origin, code, "", header());
        }
    }
    pending_live_ = 0;
}

// ------------------------------------------------------------------------------------------------ effects

void Replica::persist(raft::Effects& effects) {
    raft::Persist& what = effects.persist;
    LogStore& log = *context_.log;
    bool any = false;
    if (what.hard_state_changed) {
        log.append_hard_state(range_, raft_->hard_state());
        any = true;
    }
    if (what.truncate_from) {
        log.append_truncate(range_, what.truncate_from);
        any = true;
    }
    for (const raft::Entry& entry : what.entries) {
        const MutableBytes room = log.append_entry(range_, entry.id, entry.kind, entry.payload.size());
        std::copy(entry.payload.begin(), entry.payload.end(), room.begin());
        log.seal_entry(entry.checksum);
        any = true;
    }
    if (any) {
        persisted_in_ = log.open_batch();
        context_.replicas->note_persisted(*this);
    }
    for (const raft::Entry& entry : effects.repaired) {
        log.append_repaired(range_, entry);
        persisted_in_ = log.open_batch();
        context_.replicas->note_repaired(*this, entry.id.index);
    }
}

void Replica::carry_out(raft::Effects& effects) {
    persist(effects);
    for (const raft::Message& message : effects.send_now) {
        send(message);
    }
    for (const raft::Message& message : effects.send_when_durable) {
        if (persisted_in_ <= context_.log->durable()) {
            send(message);
        } else {
            context_.replicas->send_when_durable(persisted_in_, *this, message);
        }
    }
    for (const raft::NeedEntries& need : effects.need_entries) {
        start_read(need.to, need.first, need.last, need.bytes_max);
    }
    for (const NodeId node : effects.need_snapshot) {
        context_.checkpoints->send_snapshot(*this, node);
    }
    commit_moved_ |= effects.committed;
    const bool role_changed = effects.role_changed;
    const bool want_timer = effects.want_election_timer;
    if (effects.doubt_began) {
        context_.log_line(env::LogLevel::error,
                          "range " + std::to_string(range_.value) + ": a peer remembers entries, or a start after lost "
                          "data, that this data directory has forgotten: it is an older copy, or its disk lost what it had "
                          "flushed; the replica counts for nothing until it has caught up");
    }
    if (effects.incarnations_spent && !std::exchange(spent_told_, true)) {
        context_.log_line(env::LogLevel::error,
                          "range " + std::to_string(range_.value) + ": its peers remember an incarnation of this replica "
                          "that has no next: it counts in no quorum, and never will");
    }
    effects.clear();
    if (role_changed) {
        on_role_change();
    }
    if (want_timer) {   // also with a new leader: its node may count as lost
        schedule_election(context_.replicas->election_delay(*this, election_attempts_));
    }
    context_.replicas->mark_active(*this);
}

void Replica::send(const raft::Message& message) {
    if (message.type == raft::MessageType::fetch_response && message.entry_count > 0 && message.entries.empty()) {
        send_fetch_response(message);
        return;
    }
    context_.links->send_raft(*this, message);
}

void Replica::on_role_change() {
    leaderless_since_ = raft_->leader() ? never : std::min(leaderless_since_, context_.now);
    if (raft_->leader()) {
        election_at_ = never;
        election_attempts_ = 0;
        left_to_others_ = false;
    }
    if (!raft_->is_leader()) {
        transfer_until_ = never;
    }
    if (last_role_ == raft_->role() && last_leader_ == raft_->leader()) {
        return;
    }
    last_role_ = raft_->role();
    last_leader_ = raft_->leader();
    context_.replicas->on_leader_known(*this);
}

bool Replica::attach_entries(raft::Message& message, std::vector<raft::Entry>& scratch) const {
    scratch.clear();
    for (std::uint32_t i = 1; i <= message.entry_count; i++) {
        const auto entry = context_.log->find(range_, message.prev.index.plus(i));
        if (!entry) {
            return false;
        }
        scratch.push_back(*entry);
    }
    message.entries = scratch;
    return true;
}

void Replica::after_close_batch() {
    const LogIndex first = context_.log->first_in_memory(range_);
    if (first.value > 1) {
        raft_->evicted(std::min(first.prev(), raft_->last().index));
    }
}

// ------------------------------------------------------------------------------------------------ old entries

void Replica::start_read(NodeId to, LogIndex first, LogIndex last, std::size_t bytes_max) {
    auto read = std::make_unique<OldRead>();
    read->replica = this;
    read->to = to;
    read->read.context = read.get();
    read->read.callback = &Replica::on_entries_read;
    reads_.push_back(std::move(read));
    context_.log->read(range_, first, last, std::min(bytes_max, old_read_bytes), reads_.back()->read);
}

// Some reads ahead: the disk does not wait for apply, nor apply for the disk.
void Replica::read_on(LogIndex first) {
    const LogIndex last = raft_->appliable();
    if (!apply_reads_.empty()) {
        const LogIndex next = apply_reads_.back()->last.next();
        if (next < first || first < apply_reads_.front()->begin) {
            MARK("reads for apply are covered by a snapshot");
            return;   // a snapshot has covered them, or the one before ended early: these end first
        }
        first = next;
    }
    while (apply_reads_.size() < apply_reads_max && first <= last && !context_.log->find(range_, first)) {
        auto read = std::make_unique<OldRead>();
        read->replica = this;
        read->begin = first;
        read->last = context_.log->reach(range_, first, last, old_read_bytes, LogStore::Measure::payloads);
        read->read.context = read.get();
        read->read.callback = &Replica::on_entries_read;
        apply_reads_.push_back(std::move(read));
        OldRead& started = *apply_reads_.back();
        context_.log->read(range_, first, started.last, limits::batch_bytes_max + old_read_bytes, started.read);
        first = started.last.next();
    }
}

void Replica::on_entries_read(EntryRead& read) {
    auto* old = static_cast<OldRead*>(read.context);
    Replica& self = *old->replica;
    if (old->response) {
        self.on_fetched(*old);
        return;
    }
    if (!old->to) {
        self.commit_moved_ = true;
        self.context_.replicas->mark_active(self);
        return;
    }
    if (read.damaged) {
        MARK("old entry for a follower is damaged");
        // What this replica has applied it cannot fetch again; a checkpoint spares whoever asks the damaged place.
        self.context_.checkpoints->want(self.range_);
    }
    // The append leaves during the step: payloads live in the read until then.
    self.raft_->step(raft::EntriesRead{old->to, read.entries}, self.effects_);
    self.carry_out(self.effects_);
    std::erase_if(self.reads_, [old](const auto& r) { return r.get() == old; });
}

// ------------------------------------------------------------------------------------------------ fetched entries

// A peer has damaged entries that this log holds: they are read one by one, from memory or disk.
void Replica::send_fetch_response(const raft::Message& message) {
    auto fetch = std::make_unique<OldRead>();
    fetch->replica = this;
    fetch->to = message.to;
    fetch->response = message;
    fetch->items.assign(message.fetch.begin(), message.fetch.end());
    fetch->read.context = fetch.get();
    fetch->read.callback = &Replica::on_entries_read;
    reads_.push_back(std::move(fetch));
    advance_fetch(*reads_.back());
}

void Replica::advance_fetch(OldRead& fetch) {
    std::size_t bytes = 0;
    for (const auto& payload : fetch.payloads) {
        bytes += payload.size();
    }
    while (fetch.next_item < fetch.items.size() &&
           fetch.items[fetch.next_item].result != raft::FetchResult::have) {
        fetch.next_item++;
    }
    if (fetch.next_item < fetch.items.size() && bytes < old_read_bytes) {
        const LogIndex index = fetch.items[fetch.next_item].id.index;
        context_.log->read(range_, index, index, old_read_bytes, fetch.read);
        return;
    }
    fetch.items.resize(fetch.next_item);   // what did not fit is asked for again
    raft::Message message = *fetch.response;
    message.fetch = fetch.items;
    message.entries = fetch.entries;
    message.entry_count = static_cast<std::uint32_t>(fetch.entries.size());
    context_.links->send_raft(*this, message);
    std::erase_if(reads_, [&fetch](const auto& r) { return r.get() == &fetch; });
}

void Replica::on_fetched(OldRead& fetch) {
    raft::FetchItem& item = fetch.items[fetch.next_item];
    if (!fetch.read.entries.empty() && fetch.read.entries.front().id == item.id) {
        const raft::Entry& entry = fetch.read.entries.front();
        fetch.payloads.emplace_back(entry.payload.begin(), entry.payload.end());
        fetch.entries.push_back(entry);
        fetch.entries.back().payload = fetch.payloads.back();
    } else {
        MARK("fetched entry is damaged here too");
        item.result = raft::FetchResult::damaged;
    }
    fetch.next_item++;
    advance_fetch(fetch);
}

// ------------------------------------------------------------------------------------------------ checkpoints

void Replica::on_checkpoint_durable(const CheckpointRecord& record) {
    checkpoint_ = record;
    raft_->compact(record.applied.index, record.configuration);
}

void Replica::note_hash_at(LogIndex index) {
    noted_at_ = index;
    noted_hash_ = applied() == index ? std::optional(state_hash()) : std::nullopt;
}

void Replica::leave_service() {
    out_of_service_ = true;
    fail_pending(api::Errc::leader_changed);
    transfer_leadership(NodeId{});
}

// What this node proposed below the snapshot has an outcome, but not one that can be told any more.
void Replica::end_covered(raft::EntryId snapshot) {
    while (!pending_.empty() && (pending_.front().id < snapshot || pending_.front().id.index <= snapshot.index)) {
        MARK("snapshot covers a pending write");
        const PendingWrite write = pop_pending();
        if (write.origin.kind != OriginKind::none) {
            const api::Errc code = MUTANT(write_in_snapshot_failed) ? api::Errc::no_leader : api::Errc::leader_changed;
            context_.router->answer_error(write.origin, code, "", header());
            pending_live_--;
        }
    }
}

void Replica::exchange_store(std::unique_ptr<kv::Store> store) {
    context_.checkpoints->discard(std::exchange(store_, std::move(store)));
    noted_at_ = {};   // of the former state
    noted_hash_.reset();
}

// Of a replica out of service, whose log is right: the state alone is replaced, as if its own checkpoint had been written.
bool Replica::rebuild(const CheckpointRecord& record, std::unique_ptr<kv::Store> store, NodeId from, Term term) {
    const LogIndex index = record.applied.index;
    if (raft_->term_at(index) != record.applied.term || raft_->configuration_at(index) != record.configuration) {
        context_.log_line(env::LogLevel::error, "range " + std::to_string(range_.value) + ": the snapshot of node " +
                                                    std::to_string(from.value) + " is not of this log: it is not taken");
        context_.checkpoints->discard(std::move(store));
        return false;
    }
    context_.log->append_checkpoint(range_, record);
    persisted_in_ = context_.log->open_batch();
    raft_->compact(record.applied.index, record.configuration);
    exchange_store(std::move(store));
    ASSERT(applied() == record.applied.index);
    applying_ = {};
    ahead_ = {};
    checkpoint_ = record;
    applied_configuration_ = record.configuration;
    end_covered(record.applied);
    return_to_service();
    confirm_snapshot(record.applied, from, term);
    return true;
}

void Replica::return_to_service() {
    if (!out_of_service_) {
        return;
    }
    MARK("a replica is rebuilt");
    out_of_service_ = false;
    commit_moved_ = true;
    context_.log_line(env::LogLevel::info, "range " + std::to_string(range_.value) +
                                               ": the state is rebuilt, and in service from entry " +
                                               std::to_string(applied().value) + " on");
    context_.replicas->note_persisted(*this);
    context_.replicas->mark_active(*this);
}

bool Replica::install(const CheckpointRecord& record, std::unique_ptr<kv::Store> store,
                      std::unique_ptr<kv::Directory> directory, NodeId from, Term term) {
    if (out_of_service_ && record.applied.index >= applied() && record.applied.index <= raft_->appliable()) {
        return rebuild(record, std::move(store), from, term);
    }
    if (record.applied.index <= applied()) {
        MARK("snapshot is older than what was applied");
        context_.checkpoints->discard(std::move(store));
        return false;
    }
    raft_->step(raft::SnapshotInstalled{record.applied, record.configuration, from, term}, effects_);
    const raft::SnapshotFit fit = effects_.snapshot_fit;
    switch (fit) {
        case raft::SnapshotFit::none:
            MARK("snapshot does not fit any more");
            context_.checkpoints->discard(std::move(store));
            carry_out(effects_);
            return false;
        case raft::SnapshotFit::log_kept: context_.log->append_checkpoint(range_, record); break;
        case raft::SnapshotFit::log_void: context_.log->append_snapshot_installed(range_, record); break;
    }
    persisted_in_ = context_.log->open_batch();
    if (store_) {
        ASSERT(store);
        exchange_store(std::move(store));
    } else {
        ASSERT(directory);
        *directory_ = *directory;
    }
    ASSERT(applied() == record.applied.index);
    applying_ = {};
    checkpoint_ = record;
    applied_configuration_ = record.configuration;
    commit_moved_ = true;
    end_covered(record.applied);
    context_.replicas->note_persisted(*this);
    return_to_service();
    carry_out(effects_);
    if (directory_) {
        context_.replicas->on_directory_applied(*this);
    }
    return true;
}

void Replica::confirm_snapshot(raft::EntryId snapshot, NodeId from, Term term) {
    ASSERT(snapshot.index <= applied());
    step(raft::SnapshotInstalled{snapshot, {}, from, term});
}

void Replica::check_invariants() const {
    raft_->check_invariants();
    if (store_) {
        store_->check_invariants();
    }
    ASSERT(pending_.empty() || pending_[0].id.index > applied());
    for (std::size_t i = 1; i < pending_.count(); i++) {
        ASSERT(pending_[i - 1].id < pending_[i].id);
    }
}

}  // namespace ringfort::shard
