#include "kv/store_state.h"

#include <utility>

#include "base/checksum.h"
#include "base/mutant.h"

namespace ringfort::kv {

KeyRecord* StoreState::find(std::string_view key) const {
    const HashIndex::Found found = index.find(key, index.hash(key));
    return found.ask_tree ? tree.find(key) : found.record;
}

const Version* StoreState::visible(const KeyRecord& record, api::Revision at) {
    const Version* version = record.latest;
    while (version != nullptr && version->mod > at) {
        version = version->older();
    }
    return version;
}

// ---------------------------------------------------------------------------------------------- commands

void StoreState::begin_command(LogIndex command_index, std::uint64_t checksum) {
    ASSERT(command_index > applied && changes == 0);
    std::byte link[16];
    store(link, command_index.value);
    store(link + 8, checksum);
    pending_index = command_index;
    pending_hash = ringfort::checksum(link, hash);
}

void StoreState::put(std::string_view key, KeyRecord* record, const NewValue& value) {
    Version* older = record == nullptr ? nullptr : record->latest;
    const bool alive = older != nullptr && !older->tombstone();
    ASSERT(value.value.size() <= Version::value_bytes_max);
    Version* version = new_version({
        .mod = writing_revision(),
        .sub = changes++,
        .older = older,
        .create = alive && !MUTANT(create_revision_moves) ? older->create() : writing_revision(),
        .version = alive ? older->version() + 1 : 1,
        .lease = value.lease,
        .value_bytes = static_cast<std::uint32_t>(value.value.size()),
    });
    if (!value.value.empty()) {
        std::memcpy(value_room(version), value.value.data(), value.value.size());
    }
    if (record == nullptr) {
        record = new_record(key, index.hash(key), version, true);
    } else {
        record->latest = version;
        if (!alive) {
            tree.set_live(record, true);
        }
    }
    const api::LeaseId former = alive ? older->lease() : 0;
    if (former != value.lease) {
        move_key(record, former, value.lease);
    }
    history.append(record, version);
    pending_hash = hash_version(pending_hash, *record, *version);
}

void StoreState::remove(KeyRecord& record) {
    ASSERT(!record.latest->tombstone());
    if (const api::LeaseId lease = record.latest->lease(); lease != 0 && !MUTANT(deleted_key_stays_attached)) {
        move_key(&record, lease, 0);
    }
    Version* tombstone = new_tombstone(writing_revision(), changes++, record.latest);
    record.latest = tombstone;
    history.append(&record, tombstone);
    tree.set_live(&record, false);
    pending_hash = hash_version(pending_hash, record, *tombstone);
}

void StoreState::move_key(KeyRecord* record, api::LeaseId from, api::LeaseId to) {
    leases.move_key(record, from, to);
    uncharged_attachments_ += (from != 0 ? 1 : 0) + (to != 0 ? 1 : 0);
}

void StoreState::grant(api::LeaseId id, std::int64_t ttl) {
    const LeaseFacts facts{ttl, leases.deadline_of(ttl), pending_index};
    leases.add(id, facts);
    mix_lease(id, facts);
}

void StoreState::renew(Lease& lease) {
    leases.renew(lease, pending_index);
    mix_lease(lease.id, lease.facts);
}

void StoreState::end(Lease& lease) {
    mix_lease(lease.id, {});
    leases.erase(lease);
}

void StoreState::commit() {
    if (changes > 0 || MUTANT(empty_write_takes_revision)) {
        revision++;
        changes = 0;
    }
    hash = pending_hash;
    applied = pending_index;
    key_count = tree.totals().live;
}

// The order of calls is part of what is hashed. Texts enter by their own checksums: a long text under a seed would cost
// a fresh secret each time.
std::uint64_t hash_version(std::uint64_t hash, const KeyRecord& record, const Version& version) {
    std::byte fields[64];
    const bool removal = version.tombstone();
    store(fields, version.mod);
    store(fields + 8, std::uint64_t{version.sub} << 1 | (removal ? 1u : 0u));
    store(fields + 16, removal ? api::Revision{0} : version.create());
    store(fields + 24, removal ? std::int64_t{0} : version.version());
    store(fields + 32, version.lease());
    store(fields + 40, std::uint64_t{record.key_bytes} << 32 | version.value_bytes());
    store(fields + 48, checksum(as_bytes(record.key())));
    store(fields + 56, removal ? std::uint64_t{0} : checksum(as_bytes(version.value())));
    return checksum(fields, hash);
}

void StoreState::mix_lease(api::LeaseId id, const LeaseFacts& facts) {
    std::byte fields[32];
    store(fields, id);
    store(fields + 8, facts.ttl);
    store(fields + 16, facts.deadline.ns);
    store(fields + 24, facts.version.value);
    pending_hash = checksum(fields, pending_hash);
}

void StoreState::mix_alarm(const api::Alarm& alarm, bool raised) {
    std::byte fields[16];
    store(fields, alarm.member.value);
    store(fields + 8, std::uint64_t{static_cast<std::uint8_t>(alarm.type)} << 1 | (raised ? 1u : 0u));
    pending_hash = checksum(fields, pending_hash);
}

// ---------------------------------------------------------------------------------------------- blocks

Version* StoreState::new_version(const VersionSpec& spec) {
    const bool extended = spec.older != nullptr || spec.linked || spec.version != 1 || spec.create != spec.mod;
    const bool leased = spec.lease != 0;
    const std::size_t bytes = Version::value_offset(extended, leased) + spec.value_bytes;
    auto* version = static_cast<Version*>(slab.allocate(bytes));
    version->mod = spec.mod;
    version->sub = spec.sub;
    version->bytes_and_flags = spec.value_bytes | (extended ? Version::extended_flag : 0) |
                               (leased ? Version::leased_flag : 0);
    if (extended) {
        *version->extension() = {spec.older, spec.create, spec.version};
    }
    if (leased) {
        std::memcpy(reinterpret_cast<char*>(version) + Version::lease_offset(extended), &spec.lease,
                    sizeof(spec.lease));
    }
    return version;
}

Version* StoreState::new_tombstone(api::Revision mod, std::uint32_t sub, Version* older) {
    auto* version = static_cast<Version*>(slab.allocate(sizeof(Version) + sizeof(Version::Extension)));
    version->mod = mod;
    version->sub = sub;
    version->bytes_and_flags = Version::tombstone_flag | Version::extended_flag;
    *version->extension() = {older, 0, 0};
    return version;
}

KeyRecord* StoreState::new_record(std::string_view key, std::uint64_t key_hash, Version* latest, bool live) {
    KeyRecord* record = new_tree_record(key, key_hash, latest, live);
    // A declined key is found through the tree.
    static_cast<void>(index.insert(record, key_hash));
    return record;
}

KeyRecord* StoreState::new_tree_record(std::string_view key, std::uint64_t key_hash, Version* latest, bool live) {
    auto* record = static_cast<KeyRecord*>(slab.allocate(KeyRecord::bytes(key.size())));
    record->latest = latest;
    record->key_bytes = static_cast<std::uint32_t>(key.size());
    record->hash = static_cast<std::uint32_t>(key_hash >> 32);
    std::memcpy(record + 1, key.data(), key.size());
    tree.insert(record, live);
    return record;
}

void StoreState::free_version(Version* version) {
    slab.release(version, version->bytes());
}

void StoreState::charge(WorkBudget& budget, std::int64_t keys, std::int64_t bytes) {
    const auto splits = static_cast<std::int64_t>(index.splits() - charged_splits_);
    const auto regions = static_cast<std::int64_t>(slab.region_moves() - charged_region_moves_);
    charged_splits_ = index.splits();
    charged_region_moves_ = slab.region_moves();
    const std::int64_t attachments = std::exchange(uncharged_attachments_, 0);
    budget.take(keys + splits * split_keys + regions * Slab::region_keys + attachments * attachment_keys, bytes);
}

// ---------------------------------------------------------------------------------------------- compaction

api::Revision StoreState::forget_limit() const {
    const bool pinned = !pins.empty() && !MUTANT(compaction_ignores_pins);
    return pinned ? std::min(compact_revision, pins.begin()->first) : compact_revision;
}

void StoreState::forget_below(std::uint64_t change) {
    const auto [record, version] = history[change];
    if (Version* older = version->older(); older != nullptr) {
        ASSERT(older->older() == nullptr);   // whatever it superseded came before
        lose_same_revision(change, older);
        free_version(older);
        version->extension()->older = nullptr;
    }
    if (!version->tombstone()) {
        return;
    }
    if (record->latest != version && !MUTANT(compaction_drops_living_key)) {
        return;   // put again since: the version that did so will free this one
    }
    history.lose(change);
    tree.erase(record);
    // False: it had been declined.
    static_cast<void>(MUTANT(index_keeps_dead_key) || index.erase(record, index.hash(record->key())));
    free_version(version);
    slab.release(record, KeyRecord::bytes(record->key_bytes));
}

// A command that was never checked for duplicates may change a key twice: then the older of the two changes is kept as
// long as the newer one, and must not outlive its version.
void StoreState::lose_same_revision(std::uint64_t change, const Version* older) {
    const api::Revision mod = history[change].mod();
    while (older->mod == mod && change > history.begin()) {
        change--;
        if (history[change].record != nullptr && history[change].version == older) {
            history.lose(change);
            return;
        }
    }
}

void StoreState::pin(api::Revision at) {
    pins[at]++;
}

void StoreState::unpin(api::Revision at) {
    const auto pinned = pins.find(at);
    ASSERT(pinned != pins.end() && pinned->second > 0);
    if (--pinned->second == 0) {
        pins.erase(pinned);
    }
}

}  // namespace ringfort::kv
