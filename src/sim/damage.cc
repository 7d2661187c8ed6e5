#include "sim/damage.h"

#include <algorithm>

#include "base/assertion.h"
#include "shard/peer_memory.h"

namespace ringfort::sim {

namespace {

// The newest segments of a shard: the one being written, and those made or recycled ahead of it.
constexpr std::size_t segments_spared = 4;
constexpr int tries = 32;
constexpr std::string_view checkpoint_mark = "/checkpoint-";

std::string_view directory_of(std::string_view name) { return name.substr(0, name.rfind('/')); }
bool is_checkpoint(std::string_view name) { return name.find(checkpoint_mark) != std::string_view::npos; }
bool is_segment(std::string_view name) { return name.find("/log-") != std::string_view::npos; }

RangeId range_of_checkpoint(std::string_view name) {
    name.remove_prefix(name.find(checkpoint_mark) + checkpoint_mark.size());
    return RangeId(std::stoull(std::string(name)));
}

}  // namespace

// A node's logs, and what of them the budget gives away.
class Damage::View {
  public:
    View(DiskMedia& media, InstanceId instance, const DamageBudget& budget, std::size_t node)
        : media_(media), budget_(budget), node_(node), batches_(logged_batches(media, instance)) {}

    const std::vector<LoggedBatch>& batches() const { return batches_; }

    // Requires: it lies within one batch.
    bool may_harm(const LoggedBatch& batch, std::uint64_t begin, std::uint64_t end) const {
        if (!batch.claimed || budget_.may_lose_all(node_)) {
            return batch.claimed;
        }
        const std::uint64_t payloads = batch.header.offset + log::header_bytes;
        const std::uint64_t directory = batch.header.offset + batch.header.directory_offset();
        const std::uint64_t used = batch.header.offset + batch.header.used_bytes();
        if ((begin < payloads || (end > directory && begin < used)) && !batch.may_lose_header()) {
            return false;
        }
        const auto entries = entries_of(media_, batch);
        return entries && std::all_of(entries->begin(), entries->end(), [&](const LoggedEntry& entry) {
                   const bool hit = entry.bytes > 0 && entry.offset < end && entry.offset + entry.bytes > begin;
                   return !hit || budget_.may_harm(node_, entry.range, entry.index);
               });
    }

    // Any stretch of a log: what no batch is known of may hold one that was harmed before, unless it lies behind the
    // newest.
    bool may_harm(const Place& place) const {
        std::uint64_t covered = place.begin;
        const LoggedBatch* newest = nullptr;   // of this log
        for (const LoggedBatch& batch : batches_) {   // by number: of one file also by place
            if (directory_of(batch.file) == directory_of(place.file)) {
                newest = &batch;
            }
            if (batch.file != place.file || batch.end() <= place.begin || batch.header.offset >= place.end) {
                continue;
            }
            const std::uint64_t end = std::min(place.end, batch.end());
            if (batch.header.offset > covered || !may_harm(batch, covered, end)) {
                return false;
            }
            covered = end;
        }
        return covered == place.end || (newest != nullptr && newest->file == place.file && newest->end() <= covered);
    }

  private:
    DiskMedia& media_;
    const DamageBudget& budget_;
    std::size_t node_;
    std::vector<LoggedBatch> batches_;
};

Damage::Damage(Cluster& cluster, Prng& random)
    : cluster_(cluster),
      random_(random),
      budget_(cluster.node_count(), cluster.options().beyond_budget, random),
      may_refuse_(cluster.node_count()),
      sound_(cluster.node_count(), true) {}

// ------------------------------------------------------------------------------------------- places

std::optional<Damage::Place> Damage::pick_in_log(const View& view) {
    if (view.batches().empty()) {
        return std::nullopt;
    }
    // Of one log: anywhere, in its oldest file, or in its newest.
    const std::string& some = view.batches()[random_.below(view.batches().size())].file;
    std::vector<const LoggedBatch*> log;
    for (const LoggedBatch& batch : view.batches()) {
        if (directory_of(batch.file) == directory_of(some)) {
            log.push_back(&batch);
        }
    }
    const std::uint64_t aim = random_.below(3);
    std::erase_if(log, [file = aim == 0 ? log.front()->file : log.back()->file, aim](const LoggedBatch* batch) {
        return aim < 2 && batch->file != file;
    });
    const LoggedBatch& batch = *log[random_.below(log.size())];
    const log::BatchHeader& header = batch.header;
    std::uint64_t begin = 0;
    std::uint64_t bytes = log::header_bytes;
    switch (random_.below(4)) {
        case 0: break;
        case 1: begin = header.directory_offset(), bytes = header.directory_bytes; break;
        case 2: begin = header.copy_offset(), bytes = header.copy_bytes; break;
        default: begin = log::header_bytes, bytes = header.payload_bytes; break;
    }
    if (bytes == 0) {
        return std::nullopt;
    }
    const std::uint64_t at = header.offset + begin + random_.below(bytes);
    return Place{batch.file, at, at + 1};
}

std::optional<Damage::Place> Damage::pick_checkpoint(std::size_t node) {
    DiskMedia& media = cluster_.node(node).media();
    std::vector<std::string> candidates;
    for (const std::string& name : media.names()) {
        if (is_checkpoint(name) && may_harm_file(node, name) && media.file(name)->bytes() > 0) {
            candidates.push_back(name);
        }
    }
    if (candidates.empty()) {
        return std::nullopt;
    }
    const std::string& name = candidates[random_.below(candidates.size())];
    const std::uint64_t at = random_.below(media.file(name)->bytes());
    return Place{name, at, at + 1};
}

bool Damage::may_harm_file(std::size_t node, const std::string& name) const {
    return is_checkpoint(name) && cluster_.node(node).media().durable_name(name) &&
           budget_.may_harm_checkpoints(node, range_of_checkpoint(name));
}

std::optional<Damage::Place> Damage::pick_place(std::size_t node, const View& view) {
    const std::uint64_t lot = random_.below(8);
    const DiskFile* peers = cluster_.node(node).media().file(shard::peer_memory_file);
    if (lot == 0 && peers != nullptr && peers->bytes() > 0 && budget_.may_wipe(node)) {
        const std::uint64_t at = random_.below(peers->bytes());
        return Place{std::string(shard::peer_memory_file), at, at + 1};
    }
    return lot < 3 ? pick_checkpoint(node) : pick_in_log(view);
}

// ------------------------------------------------------------------------------------------- harm

template <class Harm>
bool Damage::harm_places(std::size_t node, Harm harm) {
    SimNode& sim_node = cluster_.node(node);
    if (sim_node.media().lying()) {
        return false;   // nobody knows yet what is there
    }
    const View view(sim_node.media(), sim_node.instance(), budget_, node);
    bool any = false;
    for (std::uint64_t count = 1ull << random_.below(6); count > 0; count--) {
        for (int i = 0; i < tries; i++) {
            const auto place = pick_place(node, view);
            if (place && harm(*place, view)) {
                any = true;
                break;
            }
        }
    }
    if (any) {
        note_harm(node);
    }
    return any;
}

bool Damage::flip_bits(std::size_t node) {
    return harm_places(node, [&](const Place& place, const View& view) {
        if (is_segment(place.file) && !view.may_harm(place)) {
            return false;
        }
        cluster_.node(node).media().file(place.file)->flip_bit(place.begin * 8 + random_.below(8));
        return true;
    });
}

// Readers ask for whole blocks: the rest of the block goes with the sector.
bool Damage::spoil_sectors(std::size_t node) {
    return harm_places(node, [&](const Place& place, const View& view) {
        const std::uint64_t block = place.begin / limits::block_bytes * limits::block_bytes;
        if (is_segment(place.file) && !view.may_harm({place.file, block, block + limits::block_bytes})) {
            return false;
        }
        cluster_.node(node).media().file(place.file)->spoil_sector(place.begin);
        return true;
    });
}

bool Damage::lose_write(std::size_t node) { return harm_write(node, false); }
bool Damage::misdirect_write(std::size_t node) { return harm_write(node, true); }

bool Damage::harm_write(std::size_t node, bool misdirected) {
    SimNode& sim_node = cluster_.node(node);
    DiskMedia& media = sim_node.media();
    if (media.lying() || media.recent_writes().empty()) {
        return false;
    }
    const View view(media, sim_node.instance(), budget_, node);
    const auto names = media.names();
    for (int i = 0; i < tries; i++) {
        const auto& write = media.recent_writes()[random_.below(media.recent_writes().size())];
        const auto name = std::find_if(names.begin(), names.end(),
                                       [&](const std::string& other) { return media.file(other) == write.file.get(); });
        if (name == names.end()) {
            continue;
        }
        const bool harmable = is_segment(*name)
                                  ? view.may_harm({*name, write.offset, write.offset + write.content.size()})
                                  : may_harm_file(node, *name);
        if (harmable && (misdirected ? land_elsewhere(node, view, write) : DiskMedia::take_back(write))) {
            note_harm(node);
            return true;
        }
    }
    return false;
}

bool Damage::land_elsewhere(std::size_t node, const View& view, const DiskMedia::RecentWrite& write) {
    DiskMedia& media = cluster_.node(node).media();
    const auto names = media.names();
    for (int i = 0; i < tries; i++) {
        const std::string& name = names[random_.below(names.size())];
        DiskFile* file = media.file(name);
        const std::uint64_t blocks = file->bytes() / limits::block_bytes;
        if (blocks == 0) {
            continue;
        }
        // Near to other batches rather than in the large rest.
        std::uint64_t offset = random_.below(blocks) * limits::block_bytes;
        if (!view.batches().empty() && random_.one_in(2)) {
            const LoggedBatch& batch = view.batches()[random_.below(view.batches().size())];
            offset = batch.file == name ? (random_.one_in(4) ? batch.end() : batch.header.offset) : offset;
        }
        const std::uint64_t end = std::min(file->bytes(), offset + write.content.size());
        const bool harmable = is_segment(name) ? view.may_harm({name, offset, end}) : may_harm_file(node, name);
        const bool own_place = file == write.file.get() && offset < write.offset + write.content.size() &&
                               write.offset < end;
        if (harmable && !own_place && offset < end) {
            return DiskMedia::misdirect(write, *file, offset);
        }
    }
    return false;
}

bool Damage::lose_file(std::size_t node) {
    DiskMedia& media = cluster_.node(node).media();
    const auto names = media.names();   // sorted: segments of a shard stand in the order they were made
    std::vector<std::string> candidates;
    for (std::size_t i = 0; i < names.size(); i++) {
        const auto newer = static_cast<std::size_t>(
            std::count_if(names.begin() + static_cast<std::ptrdiff_t>(i), names.end(), [&](const std::string& other) {
                return is_segment(other) && directory_of(other) == directory_of(names[i]);
            }));
        if (may_harm_file(node, names[i]) ||
            (budget_.may_lose_all(node) && is_segment(names[i]) && newer > segments_spared)) {
            candidates.push_back(names[i]);
        }
    }
    if (candidates.empty()) {
        return false;
    }
    media.lose(candidates[random_.below(candidates.size())]);
    note_harm(node);
    return true;
}

void Damage::wipe(std::size_t node) {
    ASSERT(may_wipe(node));
    cluster_.node(node).wipe();
    may_refuse_[node] = false;
    sound_[node] = false;
}

void Damage::note_rollback(std::size_t node, FaultKind how) {
    sound_[node] = false;
    may_refuse_[node] = may_refuse_[node] || how == FaultKind::lying_flush;
}

void Damage::note_harm(std::size_t node) {
    sound_[node] = false;
    may_refuse_[node] = may_refuse_[node] || budget_.may_lose_all(node);
}

}  // namespace ringfort::sim
