#include "shard/log_index.h"

#include <algorithm>

#include "base/assertion.h"
#include "base/mutant.h"

namespace ringfort::shard {

raft::EntryId LogReplica::last() const {
    if (!runs.empty()) {
        return {Term(runs.back().term), LogIndex(runs.back().last())};
    }
    return checkpoint ? checkpoint->applied : raft::EntryId{};
}

log::RecordHeader LogReplica::head(log::RecordType type, std::uint64_t sequence) const {
    log::RecordHeader out;
    out.type = type;
    out.range = range.value;
    out.incarnation = hard_state.incarnation.value;
    out.sequence = sequence;
    return out;
}

log::HardStateBody to_body(const raft::HardState& hard_state) {
    return {hard_state.term.value, hard_state.vote.value, hard_state.commit.value,
            hard_state.in_doubt ? log::doubt_until_fence : 0};
}

raft::HardState from_body(const log::HardStateBody& body, std::uint64_t incarnation) {
    return {Term(body.term), NodeId(body.vote), LogIndex(body.commit), Incarnation(incarnation),
            (body.in_doubt & log::doubt_until_fence) != 0};
}

log::CheckpointBody to_body(const CheckpointRecord& checkpoint) {
    log::CheckpointBody out;
    out.applied_term = checkpoint.applied.term.value;
    out.applied_index = checkpoint.applied.index.value;
    out.state_hash = checkpoint.state_hash;
    out.bytes = checkpoint.bytes;
    out.file_checksum = checkpoint.file_checksum;
    out.voters = checkpoint.configuration.voters;
    out.outgoing = checkpoint.configuration.outgoing;
    out.learners = checkpoint.configuration.learners;
    out.learners_next = checkpoint.configuration.learners_next;
    out.file = checkpoint.file;
    return out;
}

CheckpointRecord from_body(const log::OwnedCheckpoint& checkpoint) {
    CheckpointRecord out;
    out.applied = {Term(checkpoint.body.applied_term), LogIndex(checkpoint.body.applied_index)};
    out.state_hash = checkpoint.body.state_hash;
    out.bytes = checkpoint.body.bytes;
    out.file_checksum = checkpoint.body.file_checksum;
    out.configuration.voters = checkpoint.voters;
    out.configuration.outgoing = checkpoint.outgoing;
    out.configuration.learners = checkpoint.learners;
    out.configuration.learners_next = checkpoint.learners_next;
    out.file = checkpoint.file;
    return out;
}

LogReplica* ReplicaTable::find(RangeId range) {
    if (last_found_ != nullptr && last_found_->range == range) {
        return last_found_;
    }
    const auto at = std::lower_bound(replicas_.begin(), replicas_.end(), range,
                                     [](const auto& replica, RangeId id) { return replica->range < id; });
    if (at == replicas_.end() || (*at)->range != range) {
        return nullptr;
    }
    last_found_ = at->get();
    return last_found_;
}

LogReplica& ReplicaTable::add(RangeId range) {
    ASSERT(find(range) == nullptr);
    ASSERT(replicas_.size() < log::replicas_max);
    const auto at = std::lower_bound(replicas_.begin(), replicas_.end(), range,
                                     [](const auto& replica, RangeId id) { return replica->range < id; });
    LogReplica& out = **replicas_.insert(at, std::make_unique<LogReplica>());
    out.range = range;
    return out;
}

void ReplicaTable::remove(RangeId range) {
    last_found_ = nullptr;
    std::erase_if(replicas_, [&](const auto& replica) { return replica->range == range; });
}

void ReplicaTable::write_states(log::DirectoryWriter& directory) const {
    for (const auto& replica : replicas_) {
        log::HardStateBody body = to_body(replica->hard_state);
        body.vote = MUTANT(vote_lost_with_segment) ? 0 : body.vote;
        body.in_doubt |= replica->promises_in_doubt ? log::doubt_found : 0;
        const raft::EntryId last = replica->last();
        std::optional<log::CheckpointBody> checkpoint;
        if (replica->checkpoint) {
            checkpoint = to_body(*replica->checkpoint);
        }
        directory.state(replica->head(log::RecordType::state, replica->last_sequence), body, last.term.value,
                        last.index.value, checkpoint ? &*checkpoint : nullptr);
    }
}

}  // namespace ringfort::shard
