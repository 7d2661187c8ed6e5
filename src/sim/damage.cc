#include "sim/damage.h"

#include <algorithm>

#include "base/assertion.h"

namespace ringfort::sim {

namespace {

// The newest segments of a shard: the one being written, and those made or recycled ahead of it.
constexpr std::size_t segments_spared = 4;

std::string_view directory_of(std::string_view name) { return name.substr(0, name.rfind('/')); }
bool is_checkpoint(std::string_view name) { return name.find("/checkpoint-") != std::string_view::npos; }
bool is_segment(std::string_view name) { return name.find("/log-") != std::string_view::npos; }

}  // namespace

Damage::Damage(Cluster& cluster, Prng& random)
    : cluster_(cluster), random_(random), harmed_(cluster.node_count()), sound_(cluster.node_count(), true) {
    std::vector<std::size_t> nodes(cluster.node_count());
    for (std::size_t i = 0; i < nodes.size(); i++) {
        nodes[i] = i;
    }
    for (std::size_t left = nodes.size(); left > nodes.size() / 2 + 1; left--) {
        std::swap(nodes[left - 1], nodes[random_.below(left)]);
        victims_.push_back(nodes[left - 1]);
    }
}

DiskFile* Damage::pick_place(std::size_t node, std::uint64_t& offset) {
    DiskMedia& media = cluster_.node(node).media();
    const auto names = media.names();
    if (names.empty()) {
        return nullptr;
    }
    DiskFile* file = media.file(names[random_.below(names.size())]);
    const auto place = file->pick_written(random_);
    offset = place.value_or(0);
    return place ? file : nullptr;
}

void Damage::flip_bits(std::size_t node) {
    for (std::uint64_t count = 1ull << random_.below(6); count > 0; count--) {
        std::uint64_t offset = 0;
        if (DiskFile* file = pick_place(node, offset)) {
            file->flip_bit(offset * 8 + random_.below(8));
            harmed_[node] = true;
            sound_[node] = false;
        }
    }
}

void Damage::spoil_sectors(std::size_t node) {
    for (std::uint64_t count = 1ull << random_.below(6); count > 0; count--) {
        std::uint64_t offset = 0;
        if (DiskFile* file = pick_place(node, offset)) {
            file->spoil_sector(offset);
            harmed_[node] = true;
            sound_[node] = false;
        }
    }
}

void Damage::lose_file(std::size_t node) {
    DiskMedia& media = cluster_.node(node).media();
    const auto names = media.names();   // sorted: segments of a shard stand in the order they were made
    std::vector<std::string> candidates;
    for (std::size_t i = 0; i < names.size(); i++) {
        const auto newer = static_cast<std::size_t>(
            std::count_if(names.begin() + static_cast<std::ptrdiff_t>(i), names.end(), [&](const std::string& other) {
                return is_segment(other) && directory_of(other) == directory_of(names[i]);
            }));
        if (is_checkpoint(names[i]) || (is_segment(names[i]) && newer > segments_spared)) {
            candidates.push_back(names[i]);
        }
    }
    if (!candidates.empty()) {
        media.lose(candidates[random_.below(candidates.size())]);
        harmed_[node] = true;
        sound_[node] = false;
    }
}

void Damage::wipe(std::size_t node) {
    cluster_.node(node).wipe();
    harmed_[node] = false;
    sound_[node] = false;
}

}  // namespace ringfort::sim
