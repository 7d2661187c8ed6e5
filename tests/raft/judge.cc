#include "judge.h"

#include <algorithm>

#include "base/assertion.h"
#include "base/checksum.h"
#include "checker.h"
#include "raft/quorum.h"

namespace ringfort::raft {

namespace {

std::string name_of(NodeId node) { return "node " + std::to_string(node.value); }

bool log_holds(const LogView& log, const Committed& entry) {
    if (entry.id.index <= log.base.index) {
        return true;   // the checkpoint's hash is compared
    }
    const LogItem* item = log.at(entry.id.index);
    return item != nullptr && item->id == entry.id && item->identity == entry.identity;
}

std::string log_matching(const Facts& a, const Facts& b) {
    bool equal_from_here = false;
    for (LogIndex index = std::min(a.log.last().index, b.log.last().index); bool(index); index = index.prev()) {
        const LogItem* one = a.log.at(index);
        const LogItem* other = b.log.at(index);
        if (one == nullptr || other == nullptr) {
            return "";
        }
        const bool same_id = one->id == other->id;
        if ((same_id && one->identity != other->identity) || (equal_from_here && !same_id)) {
            return "log matching: " + name_of(a.id) + " and " + name_of(b.id) + " differ at or before " +
                   to_text(one->id);
        }
        equal_from_here = equal_from_here || same_id;
    }
    return "";
}

std::uint64_t chain_of(std::uint64_t before, EntryId id, std::uint64_t payload_checksum) {
    const std::uint64_t parts[] = {before, id.term.value, id.index.value, payload_checksum};
    return checksum(std::as_bytes(std::span(parts)));
}

}  // namespace

const Committed* History::at(LogIndex index) const {
    if (index <= LogIndex(1) || index > committed_last()) {
        return nullptr;
    }
    return &committed[index.value - 2];
}

Judge::Judge(const Scope& scope, ReplicaStates& replicas) : scope_(scope), replicas_(replicas) {}

Number Judge::intern(const History& history) {
    std::string key;
    for (const Committed& entry : history.committed) {
        key.append(reinterpret_cast<const char*>(&entry), sizeof(entry));
    }
    key.push_back('|');
    key.append(reinterpret_cast<const char*>(history.leader_of.data()), sizeof(history.leader_of));
    key.append(reinterpret_cast<const char*>(history.votes.data()), sizeof(history.votes));
    const ReadUnderWay& read = history.read;
    for (const std::uint64_t part : {std::uint64_t{read.node}, std::uint64_t{read.by_follower}, read.term.value,
                                     read.index.value, read.required.value, std::uint64_t{read.confirmed}}) {
        key.push_back(static_cast<char>(part));
    }
    const auto [known, is_new] = by_key_.try_emplace(std::move(key), static_cast<Number>(histories_.size()));
    if (is_new) {
        histories_.push_back(std::make_unique<History>(history));
    }
    return known->second;
}

// What is applied at the start is the first checkpoint, or was committed by the leader of its term.
Number Judge::first(const ClusterState& start) {
    History out;
    const Number farthest = *std::ranges::max_element(
        start.replica, {}, [this](Number replica) { return replicas_.facts(replica).applied; });
    const Facts& facts = replicas_.facts(farthest);
    const TestNode& node = replicas_.node(farthest);
    std::uint64_t chain = 0;
    for (LogIndex index = LogIndex(2); index <= facts.applied; index = index.next()) {
        const StoredEntry& entry = *node.memory().find(index);
        chain = chain_of(chain, entry.id, entry.checksum);
        out.committed.push_back({.id = entry.id, .identity = facts.log.at(index)->identity, .chain = chain,
                                 .by = entry.id.term});
    }
    for (std::size_t i = 0; i < replica_count; i++) {
        const HardState& disk = replicas_.facts(start.replica[i]).disk_state;
        out.votes[i][disk.term.value] = static_cast<std::uint8_t>(disk.vote.value);
        if (replicas_.facts(start.replica[i]).role == Role::leader) {
            out.leader_of[disk.term.value] = static_cast<std::uint8_t>(i + 1);
        }
    }
    return intern(out);
}

std::string Judge::after_step(const ClusterState& from, ClusterState& to, std::size_t node, const Outcome& outcome) {
    if (!outcome.broken.empty() && !scope_.outcomes_only) {
        return name_of(NodeId(node + 1)) + ": " + outcome.broken;
    }
    const Facts& before = replicas_.facts(from.replica[node]);
    const Facts& after = replicas_.facts(to.replica[node]);
    const bool led = before.role == Role::leader && before.term == after.term;
    const bool begins_to_lead = after.role == Role::leader && !led;
    const bool may_vote = after.disk_state != before.disk_state || !outcome.sent.empty();
    const bool knows_more = after.commit != before.commit || after.log.base.index != before.log.base.index;
    if (!begins_to_lead && !may_vote && !knows_more && before.in_doubt == after.in_doubt) {
        return "";
    }
    History history = *histories_[from.history];
    std::string wrong = note_votes(history, after, outcome);
    if (wrong.empty() && begins_to_lead) {
        wrong = note_leader(history, to, after);
    }
    if (wrong.empty() && knows_more) {
        wrong = note_commit(history, to, before, after);
    }
    if (wrong.empty()) {
        wrong = check_doubt(history, before, after);
    }
    to.history = intern(history);
    return wrong;
}

std::string Judge::note_votes(History& history, const Facts& after, const Outcome& outcome) const {
    const std::size_t node = after.id.value - 1;
    const auto note = [&](Term term, NodeId candidate) -> std::string {
        ASSERT(term.value < terms_max);
        std::uint8_t& vote = history.votes[node][term.value];
        if (vote != 0 && vote != candidate.value) {
            return "a vote a term: " + name_of(after.id) + " voted for " + std::to_string(vote) + " and for " +
                   std::to_string(candidate.value) + " in term " + std::to_string(term.value);
        }
        vote = static_cast<std::uint8_t>(candidate.value);
        return "";
    };
    if (bool(after.disk_state.vote)) {
        if (const std::string wrong = note(after.disk_state.term, after.disk_state.vote); !wrong.empty()) {
            return wrong;
        }
    }
    for (const Number sent : outcome.sent) {
        const Parcel& parcel = replicas_.parcel(sent);
        const Message& message = parcel.owned.message;
        if (!parcel.stream && message.type == MessageType::vote_response && !message.reject) {
            if (const std::string wrong = note(message.term, message.to); !wrong.empty()) {
                return wrong;
            }
        }
    }
    return "";
}

bool Judge::voted(const ClusterState& state, const Facts& candidate, NodeId voter) const {
    if (voter == candidate.id) {
        return candidate.disk_state.term == candidate.term && candidate.disk_state.vote == voter &&
               !candidate.disk_state.in_doubt;
    }
    const auto& inbox = replicas_.inbox(state.inbox[candidate.id.value - 1]);
    return std::any_of(inbox.begin(), inbox.end(), [&](Number number) {
        const Parcel& parcel = replicas_.parcel(number);
        const Message& message = parcel.owned.message;
        return !parcel.stream && message.type == MessageType::vote_response && !message.reject && message.counts &&
               message.from == voter && message.term == candidate.term;
    });
}

std::string Judge::note_leader(History& history, const ClusterState& to, const Facts& after) const {
    const std::string term = std::to_string(after.term.value);
    std::uint8_t& leader = history.leader_of[after.term.value];
    if (leader != 0 && leader != after.id.value) {
        return "election safety: node " + std::to_string(leader) + " and " + name_of(after.id) + " lead term " + term;
    }
    leader = static_cast<std::uint8_t>(after.id.value);
    const bool elected = is_quorum(after.configuration, [&](NodeId voter) { return voted(to, after, voter); });
    if (!elected && !scope_.outcomes_only) {
        return "election safety: " + name_of(after.id) + " leads term " + term + " without a quorum of durable votes";
    }
    return "";
}

// Durable there while it counted: it is on the disk, or was when the answer left.
bool Judge::acknowledged(const ClusterState& state, const Facts& leader, NodeId voter, EntryId id) const {
    const Facts& facts = replicas_.facts(state.replica[voter.value - 1]);
    const LogItem* item = facts.disk.at(id.index);
    if (!facts.disk_state.in_doubt && (facts.disk.base.index >= id.index || (item != nullptr && item->id == id))) {
        return true;
    }
    const auto& inbox = replicas_.inbox(state.inbox[leader.id.value - 1]);
    return std::any_of(inbox.begin(), inbox.end(), [&](Number number) {
        const Parcel& parcel = replicas_.parcel(number);
        const Message& message = parcel.owned.message;
        const bool answers = message.type == MessageType::append_response ||
                             message.type == MessageType::snapshot_response;
        return !parcel.stream && answers && !message.reject && message.counts && message.from == voter &&
               message.term == leader.term && message.match >= id.index;
    });
}

std::string Judge::note_commit(History& history, const ClusterState& to, const Facts& before,
                               const Facts& after) const {
    const LogIndex known = history.committed_last();
    for (LogIndex index = after.log.base.index.next(); index <= std::min(known, after.commit); index = index.next()) {
        const Committed* entry = history.at(index);
        if (entry != nullptr && !log_holds(after.log, *entry)) {
            return "state machine safety: " + name_of(after.id) + " takes " + to_text(after.log.at(index)->id) +
                   " for committed, where " + to_text(entry->id) + " was";
        }
    }
    if (after.commit <= known) {
        return "";
    }
    const bool led = before.role == Role::leader && before.term == after.term;   // it may have stepped down at once
    if (after.role != Role::leader && !led) {
        return "state machine safety: " + name_of(after.id) + " takes " + std::to_string(after.commit.value) +
               " for committed, which no leader has committed";
    }
    const EntryId last = after.log.at(after.commit)->id;
    const bool durable = is_quorum(after.configuration,
                                   [&](NodeId voter) { return acknowledged(to, after, voter, last); });
    if (!durable && !scope_.outcomes_only) {
        return "durable commit: " + name_of(after.id) + " commits " + to_text(last) + " without a quorum that counts";
    }
    const TestNode& node = replicas_.node(to.replica[after.id.value - 1]);
    for (LogIndex index = known.next(); index <= after.commit; index = index.next()) {
        const std::uint64_t chain = history.committed.empty() ? 0 : history.committed.back().chain;
        const StoredEntry& entry = *node.memory().find(index);
        history.committed.push_back({.id = entry.id, .identity = after.log.at(index)->identity,
                                     .chain = chain_of(chain, entry.id, entry.checksum), .by = after.term});
    }
    return "";
}

std::string Judge::check_doubt(const History& history, const Facts& before, const Facts& after) const {
    if (!before.in_doubt || after.in_doubt || before.incarnation != after.incarnation) {
        return "";
    }
    const std::vector<std::byte> payload = encode(Fence{.member = after.id, .incarnation = after.incarnation});
    const std::uint64_t parts[] = {checksum(payload), static_cast<std::uint64_t>(EntryKind::fence)};
    const std::uint64_t identity = checksum(std::as_bytes(std::span(parts)));
    const auto fenced = std::find_if(history.committed.begin(), history.committed.end(),
                                     [&](const Committed& entry) { return entry.identity == identity; });
    if (fenced == history.committed.end()) {
        return "doubt: " + name_of(after.id) + " counts again before its fence is committed";
    }
    if (!log_holds(after.disk, *fenced)) {
        return "doubt: " + name_of(after.id) + " counts again before its fence is durable there";
    }
    return "";
}

bool Judge::begin_read(ClusterState& state, std::size_t node, bool by_follower) {
    History history = *histories_[state.history];
    const Facts& facts = replicas_.facts(state.replica[node]);
    if (history.read.node != 0 || (by_follower ? facts.role == Role::leader || facts.in_doubt : !facts.read_index)) {
        return false;
    }
    history.read = {.node = static_cast<std::uint8_t>(node + 1), .by_follower = by_follower, .term = facts.term,
                    .index = facts.read_index.value_or(LogIndex{}), .required = history.committed_last(),
                    .confirmed = 0};
    state.history = intern(history);
    return true;
}

bool Judge::confirm_read(ClusterState& state, std::size_t node) {
    History history = *histories_[state.history];
    const Facts& facts = replicas_.facts(state.replica[node]);
    const auto bit = static_cast<std::uint8_t>(1U << node);
    if (history.read.node == 0 || history.read.by_follower || history.read.node == node + 1 ||
        (history.read.confirmed & bit) != 0 || facts.term > history.read.term || facts.in_doubt) {
        return false;
    }
    history.read.confirmed = static_cast<std::uint8_t>(history.read.confirmed | bit);
    state.history = intern(history);
    return true;
}

std::string Judge::end_read(ClusterState& state) {
    const ReadUnderWay read = histories_[state.history]->read;
    if (read.node == 0) {
        return "";
    }
    LogIndex index = read.index;
    bool answered = scope_.wrong == Wrong::reads_unconfirmed && !read.by_follower;
    bool over = false;
    if (read.by_follower) {
        const std::array<NodeId, 1> asker = {NodeId(read.node)};
        for (const Number replica : state.replica) {
            const Facts& facts = replicas_.facts(replica);
            if (facts.role == Role::leader && facts.term == read.term && facts.read_index && !answered) {
                answered = replicas_.node(replica).core().is_quorum(asker);
                index = *facts.read_index;
            }
        }
    } else {
        const Facts& facts = replicas_.facts(state.replica[read.node - 1U]);
        std::vector<NodeId> confirmed;
        for (std::uint64_t i = 0; i < replica_count; i++) {
            if (((read.confirmed >> i) & 1) != 0) {
                confirmed.push_back(NodeId(i + 1));
            }
        }
        over = facts.role != Role::leader || facts.term != read.term;
        answered = answered || (!over && replicas_.node(state.replica[read.node - 1U]).core().is_quorum(confirmed));
    }
    if (!answered && !over) {
        return "";
    }
    History history = *histories_[state.history];
    history.read = ReadUnderWay{};
    state.history = intern(history);
    if (answered && index < read.required) {
        return "reads: node " + std::to_string(read.node) + " reads at " + std::to_string(index.value) + ", but " +
               std::to_string(read.required.value) + " was committed when it was asked";
    }
    return "";
}

std::string Judge::check(const ClusterState& state) const {
    const History& history = *histories_[state.history];
    std::array<const Facts*, replica_count> facts{};
    for (std::size_t i = 0; i < replica_count; i++) {
        facts[i] = &replicas_.facts(state.replica[i]);
    }
    for (std::size_t i = 0; i < replica_count; i++) {
        const Facts& one = *facts[i];
        if (std::string wrong = log_matching(one, *facts[(i + 1) % replica_count]); !wrong.empty()) {
            return wrong;
        }
        const Committed* applied = history.at(one.applied);
        if (one.applied > history.committed_last() || one.state_hash != (applied == nullptr ? 0 : applied->chain)) {
            return "state machine safety: " + name_of(one.id) + " has applied something else up to " +
                   std::to_string(one.applied.value);
        }
        if (one.role != Role::leader) {
            continue;
        }
        for (const Committed& entry : history.committed) {
            if (entry.by < one.term && !log_holds(one.log, entry)) {
                return "leader completeness: " + name_of(one.id) + " leads term " + std::to_string(one.term.value) +
                       " without " + to_text(entry.id);
            }
        }
    }
    if (history.committed.empty() || scope_.of(Kind::change) > 0) {
        return "";
    }
    const Committed& last = history.committed.back();
    const auto held = std::count_if(facts.begin(), facts.end(), [&](const Facts* one) {
        return log_holds(one->disk, last) || one->disk_state.in_doubt;
    });
    if (static_cast<std::size_t>(held) < majority_of(replica_count)) {
        return "durable commit: " + to_text(last.id) + " is on no quorum any more";
    }
    return "";
}

}  // namespace ringfort::raft
