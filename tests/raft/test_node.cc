#include "test_node.h"

#include <algorithm>

#include "base/assertion.h"
#include "base/checksum.h"
#include "inside.h"

namespace ringfort::raft {

StoredEntry StoredEntry::of(const Entry& entry) {
    return {.id = entry.id, .kind = entry.kind, .checksum = entry.checksum,
            .payload = std::vector<std::byte>(entry.payload.begin(), entry.payload.end()), .damaged = false};
}

Entry StoredEntry::view() const {
    return {.id = id, .kind = kind, .checksum = checksum, .payload = Bytes(payload)};
}

const StoredEntry* Store::find(LogIndex index) const {
    return const_cast<Store*>(this)->find(index);
}

StoredEntry* Store::find(LogIndex index) {
    if (index <= checkpoint.applied.index || index > last().index) {
        return nullptr;
    }
    return &log[distance(checkpoint.applied.index, index) - 1];
}

void Store::append(const StoredEntry& entry) {
    ASSERT(entry.id.index == last().index.next());
    log.push_back(entry);
}

void Store::truncate(LogIndex from) {
    ASSERT(from > checkpoint.applied.index);
    while (!log.empty() && log.back().id.index >= from) {
        log.pop_back();
    }
}

void Store::cut_front(const Checkpoint& to) {
    std::erase_if(log, [&](const StoredEntry& entry) { return entry.id.index <= to.applied.index; });
    checkpoint = to;
}

TestNode::TestNode(const Options& options, const Store& disk, NodeListener* listener)
    : options_(options), listener_(listener), disk_(disk) {}

TestNode::TestNode(const TestNode& other)
    : spoil(other.spoil),
      options_(other.options_),
      listener_(other.listener_),
      disk_(other.disk_),
      memory_(other.memory_),
      core_(other.running() ? Inside::copy(*other.core_) : nullptr),
      open_(other.open_),
      batches_(other.batches_),
      state_(other.state_) {
    ASSERT(other.outbox.empty() && other.streams.empty() && other.reads.empty());
    ASSERT(other.effects_.empty() && !other.arriving_);
}

void TestNode::start() {
    ASSERT(!running());
    if (disk_.lost_from) {
        disk_.truncate(std::max(disk_.lost_from, disk_.checkpoint.applied.index.next()));
        disk_.hard_state.incarnation = disk_.hard_state.incarnation.next();
        disk_.hard_state.in_doubt = true;
        disk_.lost_from = LogIndex{};
    }
    memory_ = disk_;
    state_ = disk_.checkpoint;
    std::vector<Entry> entries;
    std::vector<LogIndex> damaged;
    for (const StoredEntry& stored : disk_.log) {
        Entry entry = stored.view();
        if (stored.damaged) {
            damaged.push_back(entry.id.index);
            entry.payload = {};
        }
        entries.push_back(entry);
    }
    core_ = std::make_unique<Raft>(options_, InitialState{.hard_state = disk_.hard_state,
                                                          .snapshot = disk_.checkpoint.applied,
                                                          .snapshot_configuration = disk_.checkpoint.configuration,
                                                          .entries = entries,
                                                          .damaged = damaged});
    apply_committed();
    end_turn();
}

void TestNode::crash(std::size_t written_batches) {
    ASSERT(running());
    for (std::size_t i = 0; i < written_batches; i++) {
        for (const Operation& operation : batches_[i].operations) {
            perform(operation, disk_);
        }
    }
    if (listener_ != nullptr && written_batches > 0) {
        listener_->on_durable(id(), disk_);
    }
    core_.reset();
    effects_.clear();
    open_ = Batch{};
    batches_.clear();
    outbox.clear();
    streams.clear();
    reads.clear();
    timer = false;
    seen = Seen{};
}

void TestNode::step(const Event& event) {
    core_->step(event, effects_);
    drain();
    core_->check_invariants();
}

void TestNode::receive(const OwnedMessage& owned) {
    std::vector<Entry> entries;
    for (const StoredEntry& entry : owned.entries) {
        entries.push_back(entry.view());
    }
    Message message = owned.message;
    message.entries = entries;
    message.fetch = owned.fetch;
    step(MessageReceived{&message});
}

std::optional<EntryId> TestNode::propose(std::string_view payload) {
    const Bytes bytes = as_bytes(payload);
    const auto id = core_->propose({.kind = EntryKind::command,
                                    .payload_bytes = static_cast<std::uint32_t>(bytes.size()),
                                    .checksum = checksum(bytes)},
                                   effects_);
    if (id) {
        const Entry entry{.id = *id, .kind = EntryKind::command, .checksum = checksum(bytes), .payload = bytes};
        Operation operation;
        operation.append = StoredEntry::of(entry);
        write(operation);
    }
    drain();
    return id;
}

void TestNode::end_turn() {
    core_->flush(effects_);
    drain();
    core_->check_invariants();
    if (open_.operations.empty() && open_.messages.empty()) {
        return;
    }
    if (open_.operations.empty() && batches_.empty()) {
        outbox.insert(outbox.end(), open_.messages.begin(), open_.messages.end());
    } else {
        open_.notice = {.last = core_->last(), .term = core_->term()};
        batches_.push_back(std::move(open_));
    }
    open_ = Batch{};
}

void TestNode::complete_write() {
    ASSERT(disk_busy());
    Batch batch = std::move(batches_.front());
    batches_.pop_front();
    std::vector<LogIndex> repaired;
    for (const Operation& operation : batch.operations) {
        perform(operation, disk_);
        if (operation.repair) {
            repaired.push_back(operation.repair->id.index);
        }
    }
    if (listener_ != nullptr) {
        listener_->on_durable(id(), disk_);
    }
    outbox.insert(outbox.end(), batch.messages.begin(), batch.messages.end());
    for (const LogIndex index : repaired) {
        step(EntryRepaired{.index = index});
    }
    step(batch.notice);
}

void TestNode::settle_disk() {
    while (disk_busy()) {
        complete_write();
        end_turn();
    }
}

void TestNode::checkpoint(LogIndex through) {
    through = std::min(through, applied());
    if (through != applied() || through <= memory_.checkpoint.applied.index) {
        return;  // the state machine here is a hash: it can only be saved as it is
    }
    const Checkpoint made = state_;
    Operation operation;
    operation.snapshot = made;
    write(operation);
    core_->compact(through, made.configuration);
}

void TestNode::answer_read() {
    const NeedEntries need = reads.front();
    reads.erase(reads.begin());
    std::vector<Entry> entries;
    std::size_t bytes = 0;
    for (LogIndex index = need.first; index <= need.last; index = index.next()) {
        const StoredEntry* stored = memory_.find(index);
        if (stored == nullptr || stored->damaged || (!entries.empty() && bytes + stored->payload.size() > need.bytes_max)) {
            break;
        }
        bytes += stored->payload.size();
        entries.push_back(stored->view());
    }
    step(EntriesRead{.to = need.to, .entries = entries});
}

void TestNode::install(const SnapshotStream& stream) {
    arriving_ = stream.checkpoint;
    step(SnapshotInstalled{.snapshot = stream.checkpoint.applied, .configuration = stream.checkpoint.configuration,
                           .from = stream.from, .term = stream.term});
    arriving_.reset();
}

void TestNode::lose(LogIndex index, bool checksum_known) {
    StoredEntry* stored = disk_.find(index);
    StoredEntry* known = memory_.find(index);
    ASSERT(stored != nullptr && known != nullptr && stored->id == known->id && index > applied());
    stored->damaged = known->damaged = true;
    if (checksum_known) {
        step(EntryLost{known->id, known->checksum, known->kind});
        return;
    }
    disk_.lost_from = disk_.lost_from ? std::min(disk_.lost_from, index) : index;
    step(EntryLost{known->id, std::nullopt, {}});
}

void TestNode::drain() {
    Effects& out = effects_;
    if (spoil) {
        spoil(Inside::of(*core_), out);
    }
    if (out.snapshot_fit != SnapshotFit::none) {
        ASSERT(arriving_.has_value());
        Operation operation;
        operation.snapshot = *arriving_;
        operation.log_void = out.snapshot_fit == SnapshotFit::log_void;
        write(operation);
        state_ = *arriving_;
        seen.snapshot_fit = out.snapshot_fit;
    }
    take_persist();
    for (const Message& message : out.send_now) {
        keep(message, outbox);
    }
    for (const Message& message : out.send_when_durable) {
        keep(message, open_.messages);
    }
    reads.insert(reads.end(), out.need_entries.begin(), out.need_entries.end());
    for (const NodeId to : out.need_snapshot) {
        streams.push_back({.from = id(), .to = to, .term = core_->term(), .checkpoint = {}});
    }
    timer = timer || out.want_election_timer;
    seen.committed = seen.committed || out.committed;
    seen.role_changed = seen.role_changed || out.role_changed;
    seen.configuration_changed = seen.configuration_changed || out.configuration_changed;
    seen.doubt_ended = seen.doubt_ended || out.doubt_ended;
    const bool role_changed = out.role_changed;
    const bool committed = out.committed;
    out.clear();
    if (listener_ != nullptr && role_changed) {
        listener_->on_role(id());
    }
    if (committed) {
        if (listener_ != nullptr) {
            listener_->on_commit(id());
        }
        apply_committed();
    }
}

void TestNode::take_persist() {
    const Persist& persist = effects_.persist;
    if (bool(persist.truncate_from)) {
        Operation operation;
        operation.truncate_from = persist.truncate_from;
        write(operation);
        seen.truncated_from = persist.truncate_from;
    }
    for (const Entry& entry : persist.entries) {
        Operation operation;
        operation.append = StoredEntry::of(entry);
        write(operation);
    }
    if (persist.hard_state_changed) {
        Operation operation;
        operation.hard_state = core_->hard_state();
        write(operation);
    }
    for (const Entry& entry : effects_.repaired) {
        Operation operation;
        operation.repair = StoredEntry::of(entry);
        write(operation);
        seen.repaired.push_back(entry.id.index);
    }
}

void TestNode::write(const Operation& operation) {
    const EntryId prev = memory_.last();
    perform(operation, memory_);
    if (operation.append && listener_ != nullptr) {
        listener_->on_stored(id(), *operation.append, prev);
    }
    open_.operations.push_back(operation);
}

void TestNode::perform(const Operation& operation, Store& on) {
    if (bool(operation.truncate_from)) {
        on.truncate(operation.truncate_from);
    }
    if (operation.append) {
        on.append(*operation.append);
    }
    if (operation.repair) {
        StoredEntry* entry = on.find(operation.repair->id.index);
        if (entry != nullptr && entry->id == operation.repair->id) {
            *entry = *operation.repair;
        }
    }
    if (operation.hard_state) {
        on.hard_state = *operation.hard_state;
    }
    if (operation.snapshot) {
        if (operation.log_void) {
            on.log.clear();
        }
        on.cut_front(*operation.snapshot);
    }
}

void TestNode::keep(const Message& message, std::vector<OwnedMessage>& to) {
    OwnedMessage owned{.message = message, .entries = {}, .fetch = {message.fetch.begin(), message.fetch.end()}};
    for (const Entry& entry : message.entries) {
        owned.entries.push_back(StoredEntry::of(entry));
    }
    if (message.type == MessageType::append && message.entries.empty()) {
        for (std::uint32_t i = 0; i < message.entry_count; i++) {
            const StoredEntry* entry = memory_.find(message.prev.index.plus(i + 1));
            ASSERT(entry != nullptr && !entry->damaged);
            owned.entries.push_back(*entry);
        }
    }
    const bool answered = message.type == MessageType::fetch_response;
    for (const FetchItem& item : answered ? message.fetch : std::span<const FetchItem>{}) {
        if (item.result == FetchResult::have) {
            const StoredEntry* entry = memory_.find(item.id.index);
            ASSERT(entry != nullptr && entry->id == item.id && !entry->damaged);
            owned.entries.push_back(*entry);
        }
    }
    ASSERT(owned.entries.size() == message.entry_count);
    owned.message.entries = {};
    owned.message.fetch = {};
    to.push_back(std::move(owned));
}

void TestNode::apply_committed() {
    while (applied() < core_->appliable()) {
        const StoredEntry* entry = memory_.find(applied().next());
        ASSERT(entry != nullptr && !entry->damaged);
        ASSERT(entry->checksum == checksum(entry->payload));
        const std::uint64_t parts[] = {state_.state_hash, entry->id.term.value, entry->id.index.value, entry->checksum};
        state_.state_hash = checksum(std::as_bytes(std::span(parts)));
        state_.applied = entry->id;
        if (entry->kind == EntryKind::config) {
            ASSERT(decode(entry->payload, state_.configuration));
        }
        if (listener_ != nullptr) {
            listener_->on_applied(id(), *entry);
        }
    }
}

}  // namespace ringfort::raft
