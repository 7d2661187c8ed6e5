#include "kv/lease_table.h"

#include <algorithm>

#include "base/assertion.h"
#include "base/mutant.h"

namespace ringfort::kv {

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;

}  // namespace

LeaseTable::LeaseTable(Slab& slab)
    : slab_(slab), leases_(SlabAllocator<std::pair<const api::LeaseId, Lease>>(slab)) {}

void LeaseTable::advance(const LeaseStamp& stamp) {
    clock_ = std::max(clock_, stamp.at);
    term_ = std::max(term_, stamp.term);
}

LeaseTime LeaseTable::deadline_of(std::int64_t ttl) const {
    const std::int64_t room = (lease_never.ns - clock_.ns) / second_ns;
    return ttl > room ? lease_never : LeaseTime{clock_.ns + ttl * second_ns};
}

// ---------------------------------------------------------------------------------------------- leases

Lease* LeaseTable::find(api::LeaseId id) {
    const auto found = leases_.find(id);
    return found == leases_.end() ? nullptr : &found->second;
}

const Lease* LeaseTable::after(std::optional<api::LeaseId> id) const {
    const auto next = id ? leases_.upper_bound(*id) : leases_.begin();
    return next == leases_.end() ? nullptr : &next->second;
}

bool LeaseTable::list(std::optional<api::LeaseId> after, std::size_t most, std::vector<api::LeaseId>& out) const {
    auto next = after ? leases_.upper_bound(*after) : leases_.begin();
    for (; next != leases_.end() && most > 0; ++next, most--) {
        out.push_back(next->first);
    }
    return next != leases_.end();
}

Lease& LeaseTable::add(api::LeaseId id, const LeaseFacts& facts) {
    ASSERT(id != 0);
    const auto [place, added] = leases_.try_emplace(id, slab_, id, facts);
    ASSERT(added);
    link_by_deadline(place->second, turned_to_ + 1);
    return place->second;
}

void LeaseTable::renew(Lease& lease, LogIndex version) {
    note_change(lease);
    lease.facts.deadline = deadline_of(lease.facts.ttl);
    lease.facts.version = version;
}

void LeaseTable::erase(Lease& lease) {
    ASSERT(lease.keys.empty());
    note_change(lease);
    unlink(lease);
    leases_.erase(lease.id);
}

void LeaseTable::move_key(KeyRecord* record, api::LeaseId from, api::LeaseId to) {
    if (from != 0 && !(MUTANT(moved_key_stays_attached) && to != 0)) {
        Lease* former = find(from);
        ASSERT(former != nullptr);
        const std::size_t erased = former->keys.erase(AttachedKey{record});
        ASSERT(erased == 1);
    }
    if (to != 0) {
        Lease* lease = find(to);
        ASSERT(lease != nullptr);
        const bool added = lease->keys.insert(AttachedKey{record}).second;
        ASSERT(added);
    }
}

// ---------------------------------------------------------------------------------------------- the wheel

void LeaseTable::link(Lease& lease, std::int64_t number) {
    lease.slot = static_cast<std::uint32_t>(number % static_cast<std::int64_t>(wheel_slots));
    Lease*& head = wheel_[lease.slot];
    lease.prev = nullptr;
    lease.next = head;
    if (head != nullptr) {
        head->prev = &lease;
    }
    head = &lease;
}

void LeaseTable::unlink(Lease& lease) {
    (lease.prev == nullptr ? wheel_[lease.slot] : lease.prev->next) = lease.next;
    if (lease.next != nullptr) {
        lease.next->prev = lease.prev;
    }
    lease.prev = nullptr;
    lease.next = nullptr;
}

// Into the slot that begins at its deadline or later, as far ahead as the wheel reaches.
void LeaseTable::link_by_deadline(Lease& lease, std::int64_t least) {
    const std::int64_t furthest = turned_to_ + static_cast<std::int64_t>(wheel_slots);
    link(lease, std::clamp(slot_number(lease.facts.deadline) + 1, std::min(least, furthest), furthest));
}

bool LeaseTable::turn_wheel_to(LeaseTime now, WorkBudget& budget, std::size_t most, void (*found)(void*, Lease&),
                               void* context) {
    const std::int64_t target = slot_number(now);
    // Whoever has not turned it for long finds everything within one round.
    turned_to_ = std::max(turned_to_, target - static_cast<std::int64_t>(wheel_slots));
    while (turned_to_ < target) {
        Lease*& head = wheel_[static_cast<std::size_t>(turned_to_ + 1) % wheel_slots];
        while (head != nullptr) {
            if (budget.spent() || most == 0) {
                return true;
            }
            budget.take(1, 0);
            Lease& lease = *head;
            unlink(lease);
            if (lease.facts.deadline <= now) {
                const std::int64_t furthest = turned_to_ + static_cast<std::int64_t>(wheel_slots);
                link(lease, MUTANT(expiry_tried_once) ? furthest : std::min(target + look_again_slots, furthest));
                found(context, lease);
                most--;
            } else {
                link_by_deadline(lease, target + 1);
            }
        }
        turned_to_++;
    }
    return false;
}

void LeaseTable::check_invariants() const {
    std::size_t linked = 0;
    for (std::size_t slot = 0; slot < wheel_slots; slot++) {
        const Lease* prev = nullptr;
        for (const Lease* lease = wheel_[slot]; lease != nullptr; lease = lease->next) {
            ASSERT(lease->slot == slot && lease->prev == prev && find(lease->id) == lease);
            prev = lease;
            linked++;
        }
    }
    ASSERT(linked == leases_.size());
    for (const auto& [id, lease] : leases_) {
        ASSERT(id == lease.id && id != 0 && lease.facts.ttl > 0 && lease.facts.version);
        for (const auto [record] : lease.keys) {
            ASSERT(!record->latest->tombstone() && record->latest->lease() == id);
        }
    }
}

// ---------------------------------------------------------------------------------------------- snapshots

// Before it changes.
void LeaseTable::note_change(const Lease& lease) {
    for (LeaseSnapshot* snapshot : snapshots_) {
        snapshot->note_change(lease);
    }
}

LeaseSnapshot::LeaseSnapshot(LeaseTable& table, LogIndex applied)
    : table_(table), applied_(applied), clock_(table.clock_), term_(table.term_), count_(table.size()) {
    table_.snapshots_.push_back(this);
}

LeaseSnapshot::~LeaseSnapshot() { std::erase(table_.snapshots_, this); }

void LeaseSnapshot::note_change(const Lease& lease) {
    const bool given = given_ && lease.id <= *given_;
    if (!given && lease.facts.version <= applied_) {
        former_.try_emplace(lease.id, lease.facts);
    }
}

std::optional<LeaseSnapshot::Item> LeaseSnapshot::next(WorkBudget& budget) {
    while (!budget.spent()) {
        budget.take(1, 0);
        const Lease* present = table_.after(given_);
        const auto former = former_.begin();   // all of them are above given_
        if (former != former_.end() && (present == nullptr || former->first <= present->id)) {
            const Item item{former->first, former->second};
            given_ = former->first;
            former_.erase(former);
            return item;
        }
        if (present == nullptr) {
            return std::nullopt;
        }
        given_ = present->id;
        if (present->facts.version <= applied_) {
            return Item{present->id, present->facts};
        }
    }
    return std::nullopt;
}

}  // namespace ringfort::kv
