#include "raft/configuration.h"

#include <algorithm>
#include <iterator>

#include "base/assertion.h"

namespace ringfort::raft {
namespace {

void sort_unique(std::vector<NodeId>& nodes) {
    std::sort(nodes.begin(), nodes.end());
    nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
}

std::vector<NodeId> both(const std::vector<NodeId>& a, const std::vector<NodeId>& b) {
    std::vector<NodeId> out;
    std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
    return out;
}

std::vector<NodeId> without(const std::vector<NodeId>& a, const std::vector<NodeId>& b) {
    std::vector<NodeId> out;
    std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
    return out;
}

std::vector<NodeId> either(const std::vector<NodeId>& a, const std::vector<NodeId>& b) {
    std::vector<NodeId> out;
    std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
    return out;
}

}  // namespace

std::optional<Configuration> change(const Configuration& current, Configuration target) {
    ASSERT(!current.joint());
    sort_unique(target.voters);
    sort_unique(target.learners);
    const std::vector<NodeId> members = either(target.voters, target.learners);
    if (target.voters.empty() || !members.front() || !target.outgoing.empty() || !target.learners_next.empty() ||
        !both(target.voters, target.learners).empty() ||
        either(members, current.voters).size() > limits::members_max || target == current) {
        return std::nullopt;
    }
    if (target.voters == current.voters) {
        return target;
    }
    // A voter of the old majority stays one until the joint phase ends, whatever it becomes then.
    Configuration joint;
    joint.voters = target.voters;
    joint.outgoing = current.voters;
    joint.learners = without(target.learners, current.voters);
    joint.learners_next = both(target.learners, current.voters);
    return joint;
}

Configuration leave_joint(const Configuration& joint) {
    ASSERT(joint.joint());
    Configuration out;
    out.voters = joint.voters;
    out.learners = either(joint.learners, joint.learners_next);
    return out;
}

const Configuration& ConfigurationHistory::at(LogIndex index) const {
    std::size_t i = items_.size() - 1;
    while (i > 0 && items_[i].index > index) {
        i--;
    }
    return items_[i].configuration;
}

void ConfigurationHistory::insert(LogIndex index, const Configuration& configuration) {
    auto place = items_.end();
    while (std::prev(place)->index > index) {
        --place;
        ASSERT(place != items_.begin());
    }
    if (std::prev(place)->index == index) {
        std::prev(place)->configuration = configuration;   // it was known before its entry was lost
        return;
    }
    items_.insert(place, {index, configuration});
}

void ConfigurationHistory::truncate(LogIndex from) {
    while (items_.back().index >= from) {
        ASSERT(items_.size() > 1);
        items_.pop_back();
    }
}

void ConfigurationHistory::compact(LogIndex through) {
    std::size_t drop_count = 0;
    while (drop_count + 1 < items_.size() && items_[drop_count + 1].index <= through) {
        drop_count++;
    }
    items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(drop_count));
}

void ConfigurationHistory::restore(LogIndex index, const Configuration& configuration) {
    items_.assign(1, {index, configuration});
}

}  // namespace ringfort::raft
