#include "sim/damage_budget.h"

#include <algorithm>

#include "base/assertion.h"

namespace ringfort::sim {

namespace {

constexpr std::uint64_t indices_together = 8;   // have their copies harmed on the same nodes

std::uint64_t mix(std::uint64_t seed, std::uint64_t a, std::uint64_t b) {
    return Prng(seed ^ a * 0x9e3779b97f4a7c15 ^ b * 0xd6e8feb86659fd93).next();
}

}  // namespace

DamageBudget::DamageBudget(std::size_t nodes, bool beyond, Prng& random)
    : beyond_(beyond), nodes_(nodes), minority_((nodes - 1) / 2), seed_(random.next()) {
    for (std::size_t i = 0; i < nodes; i++) {
        others_.push_back(i);
    }
    std::swap(others_.front(), others_[random.below(nodes)]);
    for (std::size_t left = random.between(0, minority_); left > 0; left--) {
        const auto at = others_.begin() + static_cast<std::ptrdiff_t>(random.below(others_.size()));
        losers_.push_back(*at);
        others_.erase(at);
    }
}

bool DamageBudget::may_wipe(std::size_t node) const {
    return std::find(losers_.begin(), losers_.end(), node) != losers_.end();
}

bool DamageBudget::may_harm(std::size_t node, RangeId range, LogIndex index) const {
    const std::uint64_t group = chosen_once(range) ? 0 : index.value / indices_together + 1;
    return may_lose_all(node) || is_chosen(node, mix(seed_, range.value, group));
}

bool DamageBudget::may_harm_checkpoints(std::size_t node, RangeId range) const {
    return may_lose_all(node) || (chosen_once(range) && is_chosen(node, mix(seed_, range.value, 0)));
}

bool DamageBudget::chosen_once(RangeId range) const { return mix(seed_, range.value, UINT64_MAX) % 2 == 0; }

// So many that with the losers they are m, from a place by lot on.
bool DamageBudget::is_chosen(std::size_t node, std::uint64_t lot) const {
    ASSERT(losers_.size() <= minority_);
    const auto at = std::find(others_.begin(), others_.end(), node) - others_.begin();
    const std::size_t place = (static_cast<std::size_t>(at) + lot % others_.size()) % others_.size();
    return place < minority_ - losers_.size();
}

}  // namespace ringfort::sim
