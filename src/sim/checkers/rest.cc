#include "sim/checkers/rest.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace ringfort::sim {

namespace {

std::string held_text(const std::string& who, std::string_view what, std::uint64_t held) {
    return who + " holds " + std::to_string(held) + " of: " + std::string(what);
}

bool knows(std::span<const Holdings> all, NodeId node) {
    return std::ranges::any_of(all, [&](const Holdings& holdings) { return holdings.node == node; });
}

// The other end of a link; null: not up.
const shard::LinkView* other_end(std::span<const Holdings> all, const Holdings& here, const shard::LinkView& link) {
    for (const Holdings& there : all) {
        if (there.node == link.node && there.shard == link.remote_shard) {
            const auto found = std::ranges::find_if(there.links, [&](const shard::LinkView& other) {
                return other.up && other.node == here.node && other.remote_shard == here.shard;
            });
            return found == there.links.end() ? nullptr : &*found;
        }
    }
    return nullptr;
}

// What one end may send and what the other keeps back of that make the whole.
std::string check_credit(std::span<const Holdings> all, const Holdings& here, const shard::LinkView& link) {
    const shard::LinkView* other = other_end(all, here, link);
    if (other == nullptr) {
        return here.who + " has a link to node " + std::to_string(link.node.value) + " that is up at one end only";
    }
    for (std::size_t cls = 1; cls < wire::link_class_count; cls++) {
        const std::int64_t whole = static_cast<std::int64_t>(link.whole[cls]);
        if (link.credit[cls] + static_cast<std::int64_t>(other->to_grant[cls]) != whole) {
            return here.who + " lost credit of class " + std::to_string(cls) + " to node " +
                   std::to_string(link.node.value) + ": it has " + std::to_string(link.credit[cls]) + ", " +
                   std::to_string(other->to_grant[cls]) + " is kept back";
        }
    }
    return {};
}

}  // namespace

std::string check_bounds(const Holdings& holdings) {
    for (const shard::PoolView& pool : holdings.pools) {
        if (pool.held > pool.bound) {
            return held_text(holdings.who, pool.what, pool.held) + ", and the bound is " + std::to_string(pool.bound);
        }
    }
    return {};
}

std::string check_rest(std::span<const Holdings> all) {
    for (const Holdings& here : all) {
        for (const shard::PoolView& pool : here.pools) {
            if (pool.held > 0 && !pool.lasting) {
                return held_text(here.who, pool.what, pool.held) + ", at rest";
            }
        }
        const shard::HeldView& held = here.held;
        // (held.requests is the memory that connections keep for the next frame; what they set aside is a pool.)
        const std::pair<std::string_view, std::size_t> clients[] = {
            {"bytes of answers", held.replies},
            {"bytes forwarded", held.forwarded},
            {"bytes being sorted", held.sorted},
            {"bytes of reads that wait", held.reads},
            {"long replies", held.streams}};
        for (const auto& [what, bytes] : clients) {
            if (bytes > 0) {
                return held_text(here.who, what, bytes) + ", at rest";
            }
        }
        for (const shard::LinkView& link : here.links) {
            const bool both_ends = link.up && knows(all, link.node);
            std::string wrong = both_ends ? check_credit(all, here, link) : std::string{};
            if (!wrong.empty()) {
                return wrong;
            }
        }
    }
    return {};
}

std::string check_files(const NodeFiles& files) {
    if (files.open > files.log_files + files.scrubbed) {
        return files.who + " has " + std::to_string(files.open) + " files open, at rest, and " +
               std::to_string(files.log_files) + " files of logs and " + std::to_string(files.scrubbed) + " being scrubbed";
    }
    std::uint64_t logs = 0;
    std::string log_names;
    for (const std::string& name : files.names) {
        const bool log = name.find("/log-") != std::string::npos;
        logs += log ? 1u : 0u;
        log_names += log ? " " + name : std::string{};
        const bool checkpoint = name.find("/checkpoint-") != std::string::npos;
        if (checkpoint && std::ranges::find(files.checkpoints, name) == files.checkpoints.end()) {
            return files.who + " has a file on its disk that nothing names: " + name;
        }
    }
    if (logs != files.log_files && !files.segments_excused) {
        return files.who + " has " + std::to_string(logs) + " files of logs on its disk, and knows of " +
               std::to_string(files.log_files) + ":" + log_names;
    }
    return {};
}

}  // namespace ringfort::sim
