// The side index for exact keys: hash of the key -> record. Never iterated, so its order decides nothing.
//
// Extendible hashing: a directory of segments by the high bits of the hash; each segment an open-addressed table of 1024
// slots with linear probing, split in two when 7/8 full. Growth costs one split at a time: there is no moment at which
// the whole table is rebuilt. A slot packs the record's address (48 bits) and 16 bits of hash, whose low ten are
// the slot the entry belongs to, so that probing and removal read records only on a likely match.
//
// A segment whose keys no split would part (equal hashes, by ill will) stops growing: insert() declines, and find()
// says that the tree has to be asked.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/work_budget.h"
#include "kv/version.h"

namespace ringfort::kv {

class HashIndex {
  public:
    explicit HashIndex(std::uint64_t seed);
    ~HashIndex();
    HashIndex(const HashIndex&) = delete;
    HashIndex& operator=(const HashIndex&) = delete;

    std::uint64_t hash(std::string_view key) const;

    struct Found {
        KeyRecord* record;   // null: not here
        bool ask_tree;       // true: not here, but the tree may have it
    };
    Found find(std::string_view key, std::uint64_t hash) const;
    // find() in two halves, for who waits for memory many times over: brings the slot near; then the record that find()
    // will most likely give (null: none), of which nothing has been read.
    void prefetch(std::uint64_t hash) const;
    const KeyRecord* likely(std::uint64_t hash) const;
    // Requires: the key is not in the index. False: no room; then find() of this key answers ask_tree.
    bool insert(KeyRecord* record, std::uint64_t hash);
    // False: it was not here (insert() had declined).
    bool erase(const KeyRecord* record, std::uint64_t hash);

    // Gives back everything in steps; true when it is done. After the first step nothing else may be called.
    bool dismantle(WorkBudget& budget);

    std::uint64_t size() const { return size_; }
    std::uint64_t memory_bytes() const;
    // Ever since the start: each one is many times as dear as an insertion, so that steps count it.
    std::uint64_t splits() const { return segments_ - 1; }

  private:
    static constexpr std::size_t slot_bits = 10, slots = 1u << slot_bits, full_count = slots / 8 * 7;

    struct Segment {
        std::uint64_t slot[slots];   // 0: empty
        std::uint32_t count;
        std::uint8_t depth;          // how many high bits of the hash its keys share
        bool overflowed;             // insert() has declined a key of this segment
    };

    Segment* segment_of(std::uint64_t hash) const;
    bool try_split(std::uint64_t hash);
    bool may_double() const;
    std::uint64_t full_hash(const KeyRecord& record) const { return hash(record.key()); }

    std::uint64_t seed_;
    std::uint32_t depth_{0};                 // the directory has 2^depth_ entries
    std::vector<Segment*> directory_;        // a segment of depth d stands 2^(depth_ - d) times, side by side
    std::uint64_t segments_{1};
    std::uint64_t size_{0};
};

}  // namespace ringfort::kv
