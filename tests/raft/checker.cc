#include "checker.h"

#include <algorithm>

#include "raft/quorum.h"

namespace ringfort::raft {

std::string to_text(EntryId id) {
    return std::to_string(id.term.value) + "." + std::to_string(id.index.value);
}

void Checker::breach(NodeId node, const std::string& what) {
    breaches.push_back("node " + std::to_string(node.value) + ": " + what);
}

// Log matching (Raft 5.3): if two logs hold an entry of the same id, they are equal up to it.
void Checker::on_stored(NodeId node, const StoredEntry& entry, EntryId prev) {
    const auto [known, is_new] =
        created_.try_emplace(entry.id, Created{.checksum = entry.checksum, .kind = entry.kind, .prev = prev});
    const Created& first = known->second;
    if (!is_new && (first.checksum != entry.checksum || first.kind != entry.kind || first.prev != prev)) {
        breach(node, "log matching: another entry " + to_text(entry.id) + " after " + to_text(prev));
    }
}

void Checker::on_durable(NodeId node, const Store& disk) {
    if (disk.hard_state.in_doubt) {
        return;
    }
    const std::uint64_t bit = std::uint64_t{1} << node.value;
    for (std::size_t i = disk.log.size(); i > 0; i--) {
        std::uint64_t& nodes_with_it = durable_on_[disk.log[i - 1].id];
        if ((nodes_with_it & bit) != 0) {
            break;  // and so all before it
        }
        nodes_with_it |= bit;
    }
}

std::string broken_promise(const TestNode& node, const Message& message) {
    const HardState& durable = node.disk().hard_state;
    const bool acknowledges = message.type == MessageType::append_response && !message.reject;
    const bool promises = message.type == MessageType::vote || message.type == MessageType::vote_response ||
                          message.type == MessageType::append_response;
    // Where the hard state is lost, the log's last entry says the term.
    if (promises && message.term > std::max(durable.term, node.disk().last().term)) {
        return "speaks in term " + std::to_string(message.term.value) + ", which is not durable";
    }
    const bool votes = message.type == MessageType::vote_response && !message.reject;
    if (votes && message.term == durable.term && message.to != durable.vote) {
        return "its vote for " + std::to_string(message.to.value) + " is not durable";
    }
    if (votes && durable.in_doubt) {
        return "votes while in doubt";
    }
    if (acknowledges && message.match > node.disk().last().index) {
        return "acknowledges " + std::to_string(message.match.value) + ", which is not durable";
    }
    if (acknowledges && message.counts && durable.in_doubt) {
        return "says that it counts while in doubt";
    }
    return "";
}

void Checker::on_sent(const TestNode& node, const Message& message) {
    if (const std::string broken = broken_promise(node, message); !broken.empty()) {
        breach(node.id(), broken);
    }
}

void Checker::note_commit(NodeId node, LogIndex index, EntryId id) {
    const auto [known, is_new] = committed_.try_emplace(index, id);
    if (!is_new && known->second != id) {
        breach(node, "state machine safety: " + to_text(id) + " committed where " + to_text(known->second) + " was");
    }
}

void Checker::on_applied(NodeId node, const StoredEntry& entry) {
    note_commit(node, entry.id.index, entry.id);
}

void Checker::on_commit(NodeId node) {
    const Raft& core = nodes.at(node)->core();
    if (!core.is_leader()) {
        return;
    }
    const LogIndex before = committed_last();
    if (core.commit() > before) {
        const EntryId id{.term = *core.term_at(core.commit()), .index = core.commit()};
        const std::uint64_t mask = durable_on_[id];
        if (!is_quorum(core.configuration(), [&](NodeId voter) { return ((mask >> voter.value) & 1) != 0; })) {
            breach(node, "committed " + to_text(id) + " without a quorum having it durable");
        }
    }
    for (LogIndex index = std::max(before, core.snapshot().index).next(); index <= core.commit(); index = index.next()) {
        note_commit(node, index, {.term = *core.term_at(index), .index = index});
    }
}

// Election safety (Raft 5.2) and leader completeness (Raft 5.4).
void Checker::on_role(NodeId node) {
    const Raft& core = nodes.at(node)->core();
    if (!core.is_leader()) {
        return;
    }
    const auto [known, is_new] = leaders_.try_emplace(core.term(), node);
    if (!is_new && known->second != node) {
        breach(node, "election safety: two leaders in term " + std::to_string(core.term().value));
    }
    if (!is_new) {
        return;
    }
    for (auto at = committed_.upper_bound(core.snapshot().index); at != committed_.end(); ++at) {
        if (core.term_at(at->first) != at->second.term) {
            breach(node, "leader completeness: leads term " + std::to_string(core.term().value) + " without " +
                             to_text(at->second));
            return;
        }
    }
}

}  // namespace ringfort::raft
