#include "kv/hash_index.h"

#include "base/assertion.h"
#include "base/checksum.h"

namespace ringfort::kv {

namespace {

constexpr std::uint64_t pointer_mask = (std::uint64_t{1} << 48) - 1;
constexpr std::uint32_t record_hash_bits = 32;

// The 16 bits kept in a slot come from the low half of the hash, the segment from the high half.
std::uint64_t tag_of(std::uint64_t hash) {
    return hash & 0xffff;
}
std::uint64_t pack(const KeyRecord* record, std::uint64_t hash) {
    const auto address = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(record));
    ASSERT((address & ~pointer_mask) == 0);
    return (tag_of(hash) << 48) | address;
}
KeyRecord* record_of(std::uint64_t entry) {
    return reinterpret_cast<KeyRecord*>(static_cast<std::uintptr_t>(entry & pointer_mask));
}

}  // namespace

HashIndex::HashIndex(std::uint64_t seed) : seed_(seed), directory_{new Segment{}} {}

HashIndex::~HashIndex() {
    WorkBudget all{INT64_MAX, INT64_MAX};
    dismantle(all);
}

bool HashIndex::dismantle(WorkBudget& budget) {
    constexpr std::int64_t segment_keys = 4;
    for (; !directory_.empty() && !budget.spent(); budget.take(segment_keys, 0)) {
        Segment* const segment = directory_.back();
        while (!directory_.empty() && directory_.back() == segment) {
            directory_.pop_back();
        }
        delete segment;
        segments_--;
    }
    if (!directory_.empty()) {
        return false;
    }
    std::vector<Segment*>().swap(directory_);   // shrink_to_fit() does nothing in a build without exceptions
    return true;
}

std::uint64_t HashIndex::hash(std::string_view key) const {
    return checksum(as_bytes(key), seed_);
}

HashIndex::Segment* HashIndex::segment_of(std::uint64_t hash) const {
    return directory_[depth_ == 0 ? 0 : hash >> (64 - depth_)];
}

HashIndex::Found HashIndex::find(std::string_view key, std::uint64_t hash) const {
    const Segment* segment = segment_of(hash);
    const std::uint64_t tag = tag_of(hash);
    for (std::size_t at = tag % slots;; at = (at + 1) % slots) {
        const std::uint64_t entry = segment->slot[at];
        if (entry == 0) {
            return {nullptr, segment->overflowed};
        }
        if (entry >> 48 == tag) {
            KeyRecord* record = record_of(entry);
            if (record->hash == hash >> record_hash_bits && record->key() == key) {
                return {record, false};
            }
        }
    }
}

void HashIndex::prefetch(std::uint64_t hash) const {
    __builtin_prefetch(&segment_of(hash)->slot[tag_of(hash) % slots]);
}

const KeyRecord* HashIndex::likely(std::uint64_t hash) const {
    const std::uint64_t entry = segment_of(hash)->slot[tag_of(hash) % slots];
    return entry >> 48 == tag_of(hash) ? record_of(entry) : nullptr;
}

bool HashIndex::insert(KeyRecord* record, std::uint64_t hash) {
    Segment* segment = segment_of(hash);
    while (segment->count >= full_count) {
        if (!try_split(hash)) {
            segment->overflowed = true;
            return false;
        }
        segment = segment_of(hash);
    }
    std::size_t at = tag_of(hash) % slots;
    while (segment->slot[at] != 0) {
        at = (at + 1) % slots;
    }
    segment->slot[at] = pack(record, hash);
    segment->count++;
    size_++;
    return true;
}

bool HashIndex::erase(const KeyRecord* record, std::uint64_t hash) {
    Segment* segment = segment_of(hash);
    const std::uint64_t wanted = pack(record, hash);
    std::size_t hole = tag_of(hash) % slots;
    while (segment->slot[hole] != wanted) {
        if (segment->slot[hole] == 0) {
            ASSERT(segment->overflowed);
            return false;
        }
        hole = (hole + 1) % slots;
    }
    // Close the gap: an entry behind it moves up unless its own slot lies between the gap and it.
    for (std::size_t at = (hole + 1) % slots; segment->slot[at] != 0; at = (at + 1) % slots) {
        const std::size_t home = (segment->slot[at] >> 48) % slots;
        const std::size_t from_home = (at + slots - home) % slots;
        const std::size_t from_hole = (at + slots - hole) % slots;
        if (from_home >= from_hole) {
            segment->slot[hole] = segment->slot[at];
            hole = at;
        }
    }
    segment->slot[hole] = 0;
    segment->count--;
    size_--;
    return true;
}

// Keeps the directory in proportion: with honest hashes segments are half full or more, and it never binds.
bool HashIndex::may_double() const {
    return directory_.size() <= 16 * (segments_ + 1) && depth_ < record_hash_bits;
}

bool HashIndex::try_split(std::uint64_t hash) {
    Segment* low = segment_of(hash);
    if (low->depth == depth_) {
        if (!may_double()) {
            return false;
        }
        std::vector<Segment*> doubled(directory_.size() * 2);
        for (std::size_t i = 0; i < directory_.size(); i++) {
            doubled[2 * i] = doubled[2 * i + 1] = directory_[i];
        }
        directory_ = std::move(doubled);
        depth_++;
    }
    auto* high = new Segment{};
    segments_++;
    low->depth++;
    high->depth = low->depth;
    high->overflowed = low->overflowed;
    const std::size_t span = std::size_t{1} << (depth_ - low->depth);   // directory entries of each half
    const std::size_t first = (hash >> (64 - depth_)) / (2 * span) * (2 * span);
    for (std::size_t i = first + span; i < first + 2 * span; i++) {
        directory_[i] = high;
    }
    // The parting bit lies in the half of the hash that the record keeps (depth_ < 32).
    std::uint64_t entries[slots];
    std::size_t count = 0;
    for (std::uint64_t& entry : low->slot) {
        if (entry != 0) {
            __builtin_prefetch(record_of(entry));
            entries[count++] = entry;
            entry = 0;
        }
    }
    low->count = 0;
    for (std::size_t i = 0; i < count; i++) {
        const bool upper = ((record_of(entries[i])->hash >> (record_hash_bits - low->depth)) & 1) != 0;
        Segment* to = upper ? high : low;
        std::size_t at = (entries[i] >> 48) % slots;
        while (to->slot[at] != 0) {
            at = (at + 1) % slots;
        }
        to->slot[at] = entries[i];
        to->count++;
    }
    return true;
}

std::uint64_t HashIndex::memory_bytes() const {
    return segments_ * sizeof(Segment) + directory_.capacity() * sizeof(Segment*);
}

}  // namespace ringfort::kv
