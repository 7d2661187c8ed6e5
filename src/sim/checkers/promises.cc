#include "sim/checkers/promises.h"

#include <algorithm>
#include <bit>

namespace ringfort::sim {

namespace {

std::string place(std::size_t node, RangeId range) {
    return "range " + std::to_string(range.value) + " on node " + std::to_string(node + 1) + ": ";
}

std::size_t count(std::uint32_t nodes) { return static_cast<std::size_t>(std::popcount(nodes)); }

}  // namespace

std::string PromiseBook::on_durable(std::size_t node, RangeId range, const raft::HardState& promises) {
    Promise& newest = newest_[{node, range}];
    if (promises.incarnation < newest.incarnation) {
        return place(node, range) + "an older incarnation is promised than before";
    }
    if (promises.incarnation == newest.incarnation) {
        if (promises.term < newest.term && promises.in_doubt) {
            return {};   // it found that it lost some, says so on its disk, and counts for nothing until the next one
        }
        if (promises.term < newest.term) {
            return place(node, range) + "the term on disk fell from " + std::to_string(newest.term.value) + " to " +
                   std::to_string(promises.term.value);
        }
        if (promises.term == newest.term && newest.vote && promises.vote != newest.vote) {
            return place(node, range) + "two votes in term " + std::to_string(promises.term.value);
        }
    }
    newest = {promises.incarnation, promises.term, promises.vote};
    auto& terms = terms_[range];
    terms.resize(std::max(terms.size(), node + 1));
    terms[node] = std::max(terms[node], promises.term);
    if (promises.vote && !promises.in_doubt) {
        auto& votes = votes_[{range, promises.term}];
        const bool known = std::ranges::any_of(
            votes, [&](const Vote& vote) { return vote.node == node && vote.candidate == promises.vote; });
        if (!known) {
            votes.push_back({node, promises.vote});
        }
    }
    return {};
}

void PromiseBook::forget(std::size_t node) {
    std::erase_if(newest_, [&](const auto& item) { return item.first.first == node; });
}

std::string PromiseBook::on_leader(RangeId range, Term term, NodeId leader) const {
    const auto found = votes_.find({range, term});
    std::uint32_t voters = moved_;
    for (const Vote& vote : found == votes_.end() ? std::vector<Vote>() : found->second) {
        voters |= vote.candidate == leader ? 1u << vote.node : 0u;
    }
    if (count(voters) >= quorum_) {
        return {};
    }
    return "range " + std::to_string(range.value) + ": the leader of term " + std::to_string(term.value) + " has " +
           std::to_string(count(voters)) + " votes that are durable with nodes that count";
}

std::string PromiseBook::on_commit(RangeId range, Term term) const {
    const auto found = terms_.find(range);
    std::uint32_t nodes = moved_;
    for (std::size_t node = 0; found != terms_.end() && node < found->second.size(); node++) {
        nodes |= found->second[node] >= term ? 1u << node : 0u;
    }
    if (count(nodes) >= quorum_) {
        return {};
    }
    return "range " + std::to_string(range.value) + ": something is committed in term " + std::to_string(term.value) +
           ", which is durable on " + std::to_string(count(nodes)) + " nodes";
}

}  // namespace ringfort::sim
