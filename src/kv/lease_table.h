// The leases of a range, and which keys hang on which.
//
// The lease clock. Time is a number of the state: what the range's leaders have counted, each on its own monotonic clock,
// from where the one before had got to by what was committed. So it never runs ahead of the time that really passed, and
// a change of leaders costs it what passed since the last command about leases and until the next leader counts: nobody
// loses time, and nobody is given a whole term. A lease's deadline is such a reading, and its remainder the distance to it.
//
// Order. Leases stand by id, a lease's keys by key. All nodes are in the slab, so that they are counted and given back with
// everything else: 152 B a lease, 40 B a key attached (and 8 B in its version).
//
// The wheel finds leases whose time is over: slots of lease time, each a list. Renewing a lease leaves it where it is; it
// moves on when its slot comes by. The wheel is no part of the state: only who leads turns it, and it decides no answer.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "base/instant.h"
#include "base/work_budget.h"
#include "kv/lease_commands.h"
#include "kv/slab.h"
#include "kv/version.h"

namespace ringfort::kv {

template <class T>
class SlabAllocator {
  public:
    using value_type = T;
    explicit SlabAllocator(Slab& slab) : slab_(&slab) {}
    template <class Other>
    explicit(false) SlabAllocator(const SlabAllocator<Other>& other) : slab_(&other.slab()) {}

    T* allocate(std::size_t count) {
        static_assert(alignof(T) <= 8);
        return static_cast<T*>(slab_->allocate(count * sizeof(T)));
    }
    void deallocate(T* block, std::size_t count) { slab_->release(block, count * sizeof(T)); }
    Slab& slab() const { return *slab_; }
    template <class Other>
    bool operator==(const SlabAllocator<Other>& other) const {
        return slab_ == &other.slab();
    }

  private:
    Slab* slab_;
};

// A key that hangs on a lease, in the order of keys.
struct AttachedKey {
    KeyRecord* record;
};
struct AttachedKeyOrder {
    using is_transparent = void;
    bool operator()(const AttachedKey& a, const AttachedKey& b) const { return a.record->key() < b.record->key(); }
    bool operator()(const AttachedKey& a, std::string_view key) const { return a.record->key() < key; }
    bool operator()(std::string_view key, const AttachedKey& b) const { return key < b.record->key(); }
};

// A lease without its keys, as checkpoints and hashes know it.
struct LeaseFacts {
    std::int64_t ttl{0};     // seconds, as granted
    LeaseTime deadline{};
    LogIndex version{};      // the command that granted or renewed it last
    bool operator==(const LeaseFacts&) const = default;
};

struct Lease {
    using Keys = std::set<AttachedKey, AttachedKeyOrder, SlabAllocator<AttachedKey>>;
    Lease(Slab& slab, api::LeaseId lease_id, const LeaseFacts& lease_facts)
        : id(lease_id), facts(lease_facts), keys(SlabAllocator<AttachedKey>(slab)) {}

    const api::LeaseId id;
    LeaseFacts facts;
    Keys keys;               // Invariant: exactly those whose newest version is no removal and names this lease
    // Its place in the wheel.
    Lease* prev{nullptr};
    Lease* next{nullptr};
    std::uint32_t slot{0};
};

// What a lease takes without keys, for who admits one: its node in the table.
inline constexpr std::uint64_t lease_node_bytes = 32 + sizeof(std::pair<const api::LeaseId, Lease>);

class LeaseSnapshot;

class LeaseTable {
  public:
    explicit LeaseTable(Slab& slab);
    // Nothing is walked: the nodes are the slab's.
    ~LeaseTable() {}
    LeaseTable(const LeaseTable&) = delete;
    LeaseTable& operator=(const LeaseTable&) = delete;

    // ---- the clock
    LeaseTime clock() const { return clock_; }
    // The highest term of a proposer that has spoken of leases.
    Term term() const { return term_; }
    // Takes a command's reading. The clock never goes back.
    void advance(const LeaseStamp& stamp);

    // ---- leases
    Lease* find(api::LeaseId id);
    const Lease* find(api::LeaseId id) const { return const_cast<LeaseTable*>(this)->find(id); }
    std::size_t size() const { return leases_.size(); }
    // The first with an id above this one; null: none.
    const Lease* after(std::optional<api::LeaseId> id) const;
    // See Store::list_leases().
    bool list(std::optional<api::LeaseId> after, std::size_t most, std::vector<api::LeaseId>& out) const;
    // Requires: there is none of this id.
    Lease& add(api::LeaseId id, const LeaseFacts& facts);
    void renew(Lease& lease, LogIndex version);
    // Requires: no key hangs on it.
    void erase(Lease& lease);
    // The reading a lease granted or renewed now ends at.
    LeaseTime deadline_of(std::int64_t ttl) const;

    // ---- keys. Leases are ids: 0 is none, others exist.
    void move_key(KeyRecord* record, api::LeaseId from, api::LeaseId to);

    // ---- the wheel
    // Calls `found` with leases whose time is over at `now`, `most` at most; each again after a while if it is still there.
    // true: the budget, or `most`, ended it before all were found.
    template <class Found>
    bool turn_wheel(LeaseTime now, WorkBudget& budget, std::size_t most, Found found) {
        return turn_wheel_to(now, budget, most,
                             [](void* context, Lease& lease) { (*static_cast<Found*>(context))(lease); }, &found);
    }

    void check_invariants() const;

    static constexpr Duration wheel_slot = 125ms;

  private:
    friend class LeaseSnapshot;
    static constexpr std::size_t wheel_slots = 512;
    // For one that is over and still there: nothing of it was proposed, or it was void.
    static constexpr std::int64_t look_again_slots = 1;
    using Map = std::map<api::LeaseId, Lease, std::less<>, SlabAllocator<std::pair<const api::LeaseId, Lease>>>;

    static std::int64_t slot_number(LeaseTime at) { return at.ns / wheel_slot.count(); }
    bool turn_wheel_to(LeaseTime now, WorkBudget& budget, std::size_t most, void (*found)(void*, Lease&), void* context);
    void link(Lease& lease, std::int64_t number);
    void link_by_deadline(Lease& lease, std::int64_t least);
    void unlink(Lease& lease);
    void note_change(const Lease& lease);

    Slab& slab_;
    union {
        Map leases_;   // never destroyed
    };
    LeaseTime clock_{};
    Term term_{};
    std::array<Lease*, wheel_slots> wheel_{};
    std::int64_t turned_to_{0};                // slots up to this number are empty, or were filled again behind it
    std::vector<LeaseSnapshot*> snapshots_;
};

// The table as it is now, given out little by little while commands go on: what changes before its turn is kept as it was.
// Leases granted since are known by their version, so that no more is kept than there were.
class LeaseSnapshot {
  public:
    // `applied`: the last command that the table has seen.
    LeaseSnapshot(LeaseTable& table, LogIndex applied);
    ~LeaseSnapshot();
    LeaseSnapshot(const LeaseSnapshot&) = delete;
    LeaseSnapshot& operator=(const LeaseSnapshot&) = delete;

    LeaseTime clock() const { return clock_; }
    Term term() const { return term_; }
    std::uint64_t count() const { return count_; }
    struct Item {
        api::LeaseId id;
        LeaseFacts facts;
    };
    // In the order of ids. nullopt: the end, or, if the budget is spent, not yet known.
    std::optional<Item> next(WorkBudget& budget);
    std::size_t kept() const { return former_.size(); }

  private:
    friend class LeaseTable;
    void note_change(const Lease& lease);

    LeaseTable& table_;
    const LogIndex applied_;
    const LeaseTime clock_;
    const Term term_;
    const std::uint64_t count_;
    std::optional<api::LeaseId> given_;                              // the last one
    std::map<api::LeaseId, LeaseFacts> former_;                      // above it
};

}  // namespace ringfort::kv
