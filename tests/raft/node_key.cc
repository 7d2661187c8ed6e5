// A test node as a string of bytes: equal strings, equal futures. What only a role uses is written in that role only, and
// what follows from something else is left out: the memory (disk and batches), runs and configurations (the log). Structs
// are taken apart into all of their fields: with another one they do not compile until its place here is found.
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
    const auto [term, index] = id;
    put(out, term);
    put(out, index);
}

void put(std::string& out, const std::vector<NodeId>& nodes) {
    put(out, static_cast<std::uint8_t>(nodes.size()));
    for (const NodeId node : nodes) {
        put(out, node);
    }
}

void put(std::string& out, const Configuration& configuration) {
    const auto& [voters, outgoing, learners, learners_next] = configuration;
    put(out, voters);
    put(out, outgoing);
    put(out, learners);
    put(out, learners_next);
}

void put(std::string& out, const HardState& state) {
    const auto& [term, vote, commit, incarnation, in_doubt] = state;
    put(out, term);
    put(out, vote);
    put(out, commit);
    put(out, incarnation);
    put(out, in_doubt);
}

void put(std::string& out, const StoredEntry& entry) {
    const auto& [id, kind, checksum, payload, damaged] = entry;   // the checksum stands for the payload
    put(out, id);
    put(out, kind);
    put(out, checksum);
    put(out, damaged);
}

void put(std::string& out, const Checkpoint& checkpoint) {
    const auto& [applied, configuration, state_hash] = checkpoint;
    put(out, applied);
    put(out, configuration);
    put(out, state_hash);
}

void put(std::string& out, const Store& store) {
    const auto& [hard_state, checkpoint, log, lost_from] = store;
    put(out, hard_state);
    put(out, checkpoint);
    put(out, static_cast<std::uint8_t>(log.size()));
    for (const StoredEntry& entry : log) {
        put(out, entry);
    }
    put(out, lost_from);
}

void put_peer(std::string& out, const Core& core, const Progress& peer) {
    const auto& [node, member, alive, incarnation, standing, vote, state, match, next, commit_sent, probe_sent, reading,
                 in_flight] = peer;
    put(out, node);
    put(out, member);
    put(out, alive);
    put(out, incarnation);
    put(out, standing);
    if (core.role == Role::pre_candidate || core.role == Role::candidate) {
        put(out, vote == Vote::granted);   // a vote refused is worth as little as none
    }
    if (core.role == Role::leader) {
        ASSERT(!in_flight.full(core.options.window_bytes_max));   // so what else it holds decides nothing
        put(out, state);
        put(out, match);
        put(out, next);
        put(out, commit_sent);
        put(out, probe_sent);
        put(out, reading);
    }
}

void put(std::string& out, const DamagedEntry& entry) {
    // What was found follows from the id: one entry has it.
    const auto& [id, checksum, kind, known, found, configuration, fence, never] = entry;
    put(out, id);
    put(out, checksum.value_or(0));
    put(out, kind);
    put(out, known);
    put(out, found);
    put(out, never);
}

void put_damage(std::string& out, const DamagedSet& damage, const Search& search) {
    const auto& [outstanding, passing, asked_through, asked, question, overdue, compacted] = search;
    put(out, question);
    if (damage.empty()) {
        return;
    }
    for (const DamagedEntry& entry : damage) {
        put(out, true);
        put(out, entry);
    }
    put(out, false);
    put(out, outstanding);
    put(out, passing);
    put(out, asked_through);
    put(out, asked);
    put(out, overdue);
    put(out, compacted);
}

void put_core(std::string& out, const Core& core) {
    // The timer decides nothing: the explorer lets anybody stand at any time.
    const auto& [options, log, configurations, fences, peers, damage, search, hard_state, role, leader, durable,
                 durable_term, timer_due, term_start, appends_due, transferee, handed_over, answer] = core;
    put(out, hard_state);
    put(out, role);
    put(out, leader);
    put(out, durable);
    put(out, durable_term);
    put(out, appends_due);
    put(out, log.snapshot());
    put(out, log.last());
    put(out, log.first_in_memory());
    put(out, configurations.index());
    put(out, configurations.current());
    if (role == Role::leader) {
        put(out, term_start);
        put(out, transferee);
        put(out, handed_over);
    }
    const auto& [due, prev, match] = answer;
    put(out, due);
    put(out, prev);
    put(out, match);
    for (const NodeId node : configurations.current().voters) {
        for (std::uint64_t i = 0; i < incarnations_shown; i++) {
            put(out, fences.find(node, Incarnation(i), LogIndex{}));
        }
    }
    for (const Progress& peer : peers) {
        put_peer(out, core, peer);
    }
    put(out, NodeId{});
    put_damage(out, damage, search);
}

}  // namespace

void append_key(const OwnedMessage& owned, std::string& out) {
    const auto& [message, entries, fetch] = owned;
    // There is one range; what the views see is owned, and counted there.
    const auto& [type, range, from, to, incarnation, term, prev, commit, entry_count, entries_seen, reject, counts, match,
                 hint, known, transfer, fetch_seen] = message;
    put(out, type);
    put(out, from);
    put(out, to);
    put(out, incarnation);
    put(out, term);
    put(out, prev);
    put(out, commit);
    put(out, reject);
    put(out, counts);
    put(out, match);
    put(out, hint);
    put(out, known);
    put(out, transfer);
    put(out, static_cast<std::uint8_t>(entries.size()));
    for (const StoredEntry& entry : entries) {
        put(out, entry);
    }
    put(out, static_cast<std::uint8_t>(fetch.size()));
    for (const FetchItem& item : fetch) {
        const auto& [id, checksum, result] = item;
        put(out, id);
        put(out, checksum);
        put(out, result);
    }
}

void append_key(const SnapshotStream& stream, std::string& out) {
    const auto& [from, to, term, checkpoint] = stream;
    put(out, from);
    put(out, to);
    put(out, term);
    put(out, checkpoint);
}

void TestNode::append_key(std::string& out) const {
    ASSERT(running() && effects_.empty() && outbox.empty() && streams.empty() && reads.empty());
    put(out, id());
    put(out, disk_);
    put_core(out, Inside::of(*core_));
    put(out, state_);
    put(out, static_cast<std::uint8_t>(batches_.size()));
    const auto put_batch = [&](const Batch& batch) {
        const auto& [operations, messages, notice] = batch;
        put(out, static_cast<std::uint8_t>(operations.size()));
        for (const Operation& operation : operations) {
            const auto& [truncate_from, append, repair, hard_state, snapshot, log_void] = operation;
            put(out, truncate_from);
            put(out, append ? append->id : EntryId{});
            put(out, append ? append->checksum : 0);
            put(out, repair ? repair->id : EntryId{});
            put(out, hard_state.has_value());
            put(out, hard_state.value_or(HardState{}));
            put(out, snapshot ? snapshot->applied : EntryId{});
            put(out, log_void);
        }
        put(out, static_cast<std::uint8_t>(messages.size()));
        for (const OwnedMessage& message : messages) {
            raft::append_key(message, out);
        }
        const auto& [last, term] = notice;
        put(out, last);
        put(out, term);
    };
    for (const Batch& batch : batches_) {
        put_batch(batch);
    }
    put_batch(open_);
}

}  // namespace ringfort::raft
