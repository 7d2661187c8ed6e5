#include "sim/checkers/log_judge.h"

#include <algorithm>
#include <utility>

#include "base/assertion.h"
#include "log/format.h"
#include "sim/checkers/media_scan.h"

namespace ringfort::sim {

void LogJudge::watch(std::size_t node, NodeId id, DiskMedia& media) {
    nodes_[node].judge = this;
    nodes_[node].number = node;
    nodes_[node].id = id;
    nodes_[node].media = &media;
    media.watch(nodes_[node]);
}

void LogJudge::Node::on_write(std::uint64_t offset, Bytes content) {
    if (moved || content.size() < log::header_bytes || load<std::uint64_t>(content.data()) != log::batch_magic) {
        return;   // a checkpoint, or zeros
    }
    const auto header = load<log::BatchHeader>(content.data());
    if (header.bytes != content.size() || header.offset != offset) {
        return;
    }
    if (header.shard >= logs.size()) {
        logs.resize(header.shard + 1);
    }
    auto& log = logs[header.shard];
    if (!log) {
        log = std::make_unique<MediaLog>(*media, number, id, header.shard, judge->entries_, judge->promises_);
    }
    if (rollbacks != media->rollbacks()) {
        rollbacks = media->rollbacks();
        judge->promises_.forget(number);
    }
    std::string found = log->on_write(header, content);
    if (judge->found_.empty()) {
        judge->found_ = std::move(found);
    }
}

void LogJudge::on_move(std::size_t node) {
    nodes_[node].moved = true;
    nodes_[node].logs.clear();
    entries_.on_move(node);
    promises_.on_move(node);
    const auto moved = static_cast<std::size_t>(std::ranges::count(nodes_, true, &Node::moved));
    off_ = moved >= nodes_.size() / 2 + 1;
}

std::string LogJudge::poll(Node& node) {
    const std::uint64_t ended = node.media->counters().writes + node.media->counters().syncs;
    if (ended == node.looked_at) {
        return {};
    }
    node.looked_at = ended;
    for (auto& log : node.logs) {
        if (log && log->waits()) {
            std::string found = log->poll();
            if (!found.empty()) {
                return found;
            }
        }
    }
    return {};
}

std::optional<Term> LogJudge::term_at(const Node& node, RangeId range, LogIndex index) const {
    for (const auto& log : node.logs) {
        const MediaLog::Replica* replica = log ? log->find(range) : nullptr;
        if (replica != nullptr && index <= replica->last().index) {
            const auto term = replica->term_at(index);
            // A checkpoint stands for it, or what it is was not seen.
            return term ? term : entries_.committed_term(range, index);
        }
    }
    return std::nullopt;
}

std::string LogJudge::on_leader(Node& node, NodeId id, const shard::ReplicaView& view) const {
    std::string found = promises_.on_leader(view.range, view.term, id);
    if (!found.empty() || node.moved) {
        return found;
    }
    return entries_.on_leader(view.range, view.term, term_at(node, view.range, entries_.committed(view.range)));
}

std::string LogJudge::observe(std::size_t number, NodeId id, std::span<const shard::ReplicaView> views) {
    if (off_) {
        return {};
    }
    Node& node = nodes_[number];
    std::string found = found_.empty() ? poll(node) : std::exchange(found_, {});
    for (std::size_t i = 0; i < views.size() && found.empty(); i++) {
        const shard::ReplicaView& view = views[i];
        Seen& seen = node.seen[view.range];
        if (view.role == raft::Role::leader && (seen.role != view.role || seen.term != view.term)) {
            found = on_leader(node, id, view);
        }
        if (found.empty() && view.commit > seen.commit && view.commit_term) {
            const LogIndex before = entries_.committed(view.range);
            found = entries_.on_commit(view.range, {view.commit_term, view.commit});
            const bool news = entries_.committed(view.range) > before;
            if (found.empty() && news) {
                // Who heard of it from a leader and then stood for election, in one turn, heard of it in its former term.
                const bool heard = view.role != raft::Role::leader && seen.term > Term{};
                found = promises_.on_commit(view.range, heard ? std::min(view.term, seen.term) : view.term);
            }
        }
        seen = {view.term, view.role, view.commit};
    }
    return found;
}

std::string LogJudge::check_final(std::size_t node, const shard::ReplicaView& view) const {
    const LogIndex committed = entries_.committed(view.range);
    if (off_ || view.applied >= committed) {
        return {};
    }
    return "range " + std::to_string(view.range.value) + " on node " + std::to_string(node + 1) + " has applied " +
           std::to_string(view.applied.value) + ", and " + std::to_string(committed.value) + " was committed";
}

std::string LogJudge::check_disk(std::size_t number) const {
    const Node& node = nodes_[number];
    for (std::uint32_t shard = 0; shard < node.logs.size() && node.media->sound(); shard++) {
        const MediaLog* log = node.logs[shard].get();
        std::string wrong = log != nullptr && !log->waits() ? check_media(*node.media, shard, *log) : std::string{};
        if (!wrong.empty()) {
            return "node " + std::to_string(number + 1) + ": " + wrong;
        }
    }
    return {};
}

}  // namespace ringfort::sim
