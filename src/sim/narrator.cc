#include "sim/narrator.h"

#include <string>

#include "sim/narrate.h"

namespace ringfort::sim {

void Narrator::look(NodeId node, std::string_view name, const shard::ReplicaView& view) {
    const auto [found, first] = told_.emplace(std::pair(node, view.range), view);
    const shard::ReplicaView before = first ? shard::ReplicaView{} : found->second;
    found->second = view;
    const std::string range = "range " + std::to_string(view.range.value);
    const auto say = [&](const std::string& what) { narrate(queue_.now(), name, range + ": " + what); };
    const std::string term = std::to_string(view.term.value);
    if (view.role != before.role || (view.term != before.term && view.role != raft::Role::follower)) {
        if (view.role == raft::Role::leader) {
            say("leads term " + term);
        } else if (view.role == raft::Role::candidate) {
            say("stands for election in term " + term);
        } else if (before.role == raft::Role::leader) {
            say("leads no more; the term is " + term);
        }
    }
    if (view.in_doubt != before.in_doubt) {
        say(view.in_doubt ? "is in doubt and counts for nothing" : "is in doubt no more");
    }
    if (view.role == raft::Role::leader && view.commit > before.commit) {
        say("commits through " + std::to_string(view.commit.value));
    }
}

void Narrator::on_end(NodeId node, std::string_view name) {
    std::erase_if(told_, [&](const auto& item) { return item.first.first == node; });
    narrate(queue_.now(), name, "the process has ended");
}

}  // namespace ringfort::sim
