// A test node as a string of bytes: equal strings, equal futures. What only a role uses is written in that role only, and
// what follows from something else is left out: the memory (disk and batches), runs and configurations (the log).
#include <type_traits>

#include "base/assertion.h"
#include "inside.h"
#include "test_node.h"

namespace ringfort::raft {

namespace {

constexpr std::uint64_t incarnations_shown = 3;

template <class T>
void put(std::string& out, const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    if constexpr (requires { value.value; }) {
        ASSERT(value.value < 65536);
        out.push_back(static_cast<char>(value.value));
        out.push_back(static_cast<char>(value.value >> 8));
    } else {
        static_assert(sizeof(T) == 1 || std::is_same_v<T, std::uint64_t>);
        out.append(reinterpret_cast<const char*>(&value), sizeof(T));
    }
}

void put(std::string& out, EntryId id) {
    put(out, id.term);
    put(out, id.index);
}

void put(std::string& out, const std::vector<NodeId>& nodes) {
    put(out, static_cast<std::uint8_t>(nodes.size()));
    for (const NodeId node : nodes) {
        put(out, node);
    }
}

void put(std::string& out, const Configuration& configuration) {
    put(out, configuration.voters);
    put(out, configuration.outgoing);
    put(out, configuration.learners);
    put(out, configuration.learners_next);
}

void put(std::string& out, const HardState& state) {
    put(out, state.term);
    put(out, state.vote);
    put(out, state.commit);
    put(out, state.incarnation);
    put(out, state.in_doubt);
}

void put(std::string& out, const StoredEntry& entry) {
    put(out, entry.id);
    put(out, entry.kind);
    put(out, entry.checksum);
    put(out, entry.damaged);
}

void put(std::string& out, const Checkpoint& checkpoint) {
    put(out, checkpoint.applied);
    put(out, checkpoint.configuration);
    put(out, checkpoint.state_hash);
}

void put(std::string& out, const Store& store) {
    put(out, store.hard_state);
    put(out, store.checkpoint);
    put(out, static_cast<std::uint8_t>(store.log.size()));
    for (const StoredEntry& entry : store.log) {
        put(out, entry);
    }
    put(out, store.lost_from);
}

void put_peer(std::string& out, const Core& core, const Progress& peer) {
    put(out, peer.node);
    put(out, peer.member);
    put(out, peer.alive);
    put(out, peer.incarnation);
    put(out, peer.standing);
    if (core.role == Role::pre_candidate || core.role == Role::candidate) {
        put(out, peer.vote == Vote::granted);   // a vote refused is worth as little as none
    }
    if (core.role == Role::leader) {
        ASSERT(!peer.in_flight.full(core.options.window_bytes_max));   // so what else it holds decides nothing
        put(out, peer.state);
        put(out, peer.match);
        put(out, peer.next);
        put(out, peer.commit_sent);
        put(out, peer.probe_sent);
        put(out, peer.reading);
    }
}

void put_damage(std::string& out, const Core& core) {
    put(out, core.search.question);
    if (core.damage.empty()) {
        return;
    }
    for (const DamagedEntry& entry : core.damage) {
        put(out, true);
        put(out, entry.id);
        put(out, entry.checksum.value_or(0));
        put(out, entry.kind);
        put(out, entry.known);
        put(out, entry.found);
        put(out, entry.never);
    }
    put(out, false);
    put(out, core.search.outstanding);
    put(out, core.search.passing);
    put(out, core.search.asked_through);
    put(out, core.search.asked);
    put(out, core.search.overdue);
    put(out, core.search.compacted);
}

void put_core(std::string& out, const Core& core) {
    put(out, core.hard_state);
    put(out, core.role);
    put(out, core.leader);
    put(out, core.durable);
    put(out, core.durable_term);
    put(out, core.appends_due);
    put(out, core.log.snapshot());
    put(out, core.log.last());
    put(out, core.log.first_in_memory());
    put(out, core.configurations.index());
    put(out, core.configurations.current());
    if (core.role == Role::leader) {
        put(out, core.term_start);
        put(out, core.transferee);
        put(out, core.handed_over);
    }
    put(out, core.answer.due);
    put(out, core.answer.prev);
    put(out, core.answer.match);
    for (const NodeId node : core.configurations.current().voters) {
        for (std::uint64_t i = 0; i < incarnations_shown; i++) {
            put(out, core.fences.find(node, Incarnation(i), LogIndex{}));
        }
    }
    for (const Progress& peer : core.peers) {
        put_peer(out, core, peer);
    }
    put(out, NodeId{});
    put_damage(out, core);
}

}  // namespace

void append_key(const OwnedMessage& owned, std::string& out) {
    const Message& message = owned.message;
    put(out, message.type);
    put(out, message.from);
    put(out, message.to);
    put(out, message.incarnation);
    put(out, message.term);
    put(out, message.prev);
    put(out, message.commit);
    put(out, message.reject);
    put(out, message.counts);
    put(out, message.match);
    put(out, message.hint);
    put(out, message.known);
    put(out, message.transfer);
    put(out, static_cast<std::uint8_t>(owned.entries.size()));
    for (const StoredEntry& entry : owned.entries) {
        put(out, entry);
    }
    put(out, static_cast<std::uint8_t>(owned.fetch.size()));
    for (const FetchItem& item : owned.fetch) {
        put(out, item.id);
        put(out, item.checksum);
        put(out, item.result);
    }
}

void append_key(const SnapshotStream& stream, std::string& out) {
    put(out, stream.from);
    put(out, stream.to);
    put(out, stream.term);
    put(out, stream.checkpoint);
}

void TestNode::append_key(std::string& out) const {
    ASSERT(running() && effects_.empty() && outbox.empty() && streams.empty() && reads.empty());
    put(out, id());
    put(out, disk_);
    put_core(out, Inside::of(*core_));
    put(out, state_);
    put(out, static_cast<std::uint8_t>(batches_.size()));
    const auto put_batch = [&](const Batch& batch) {
        put(out, static_cast<std::uint8_t>(batch.operations.size()));
        for (const Operation& operation : batch.operations) {
            put(out, operation.truncate_from);
            put(out, operation.append ? operation.append->id : EntryId{});
            put(out, operation.append ? operation.append->checksum : 0);
            put(out, operation.repair ? operation.repair->id : EntryId{});
            put(out, operation.hard_state.value_or(HardState{}));
            put(out, operation.snapshot ? operation.snapshot->applied : EntryId{});
            put(out, operation.log_void);
        }
        put(out, static_cast<std::uint8_t>(batch.messages.size()));
        for (const OwnedMessage& message : batch.messages) {
            raft::append_key(message, out);
        }
        put(out, batch.notice.last);
        put(out, batch.notice.term);
    };
    for (const Batch& batch : batches_) {
        put_batch(batch);
    }
    put_batch(open_);
}

}  // namespace ringfort::raft
