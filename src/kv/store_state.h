// The state that commands change, and the only three ways to change a key: put, remove, and what compaction gives back.
//
// Revisions are assigned here and nowhere else: all changes of the command in progress carry revision + 1, and
// commit() makes them visible at once.
#pragma once

#include <map>

#include "kv/alarm_commands.h"
#include "kv/hash_index.h"
#include "kv/history.h"
#include "kv/key_tree.h"
#include "kv/lease_table.h"
#include "kv/store.h"

namespace ringfort::kv {

struct StoreState {
    explicit StoreState(const StoreOptions& options) : slab(options.populate), index(options.hash_seed) {}

    Slab slab;
    KeyTree tree{slab};
    HashIndex index;
    LeaseTable leases{slab};
    History history{slab};
    Alarms alarms;

    // ---- what readers see
    api::Revision revision{1};
    api::Revision compact_revision{0};
    LogIndex applied{};
    std::uint64_t hash{0};
    std::uint64_t key_count{0};

    // ---- the command in progress
    LogIndex pending_index{};
    std::uint64_t pending_hash{0};
    std::uint32_t changes{0};      // versions written so far; the next one's sub-revision

    // How often each revision is pinned; compaction gives back nothing that a read at one of them needs.
    std::map<api::Revision, std::uint32_t> pins;

    KeyRecord* find(std::string_view key) const;
    api::Revision writing_revision() const { return revision + 1; }
    // The revision whose state the tree's counts describe.
    api::Revision newest_revision() const { return changes > 0 ? revision + 1 : revision; }
    // The version a reader at `at` sees, a removal included; null: none.
    static const Version* visible(const KeyRecord& record, api::Revision at);

    void begin_command(LogIndex index, std::uint64_t checksum);
    struct NewValue {
        std::string_view value;
        api::LeaseId lease;
    };
    // `record`: find(key). The value may lie in the store itself.
    void put(std::string_view key, KeyRecord* record, const NewValue& value);
    // Requires: the record's latest version is no tombstone.
    void remove(KeyRecord& record);
    // The lease takes effect with the command; requires: there is none of this id.
    void grant(api::LeaseId id, std::int64_t ttl);
    void renew(Lease& lease);
    // Requires: no key hangs on it any more.
    void end(Lease& lease);
    // What changed about an alarm is part of the hash.
    void mix_alarm(const api::Alarm& alarm, bool raised);
    // Makes everything since begin_command() visible.
    void commit();

    // Compaction may forget what is superseded at this revision or before.
    api::Revision forget_limit() const;
    // Forgets what the change superseded, and, if it is a removal and the newest of its key, the key with it. Requires: it
    // is the oldest for which that was not done, and compacted.
    void forget_below(std::uint64_t change);

    void pin(api::Revision at);
    void unpin(api::Revision at);

    struct VersionSpec {
        api::Revision mod;
        std::uint32_t sub;
        Version* older;
        api::Revision create;
        std::int64_t version;
        api::LeaseId lease;
        std::uint32_t value_bytes;
        bool linked{false};   // an older version will be linked in later
    };
    // Everything but the value's bytes is filled in.
    Version* new_version(const VersionSpec& spec);
    Version* new_tombstone(api::Revision mod, std::uint32_t sub, Version* older);
    KeyRecord* new_record(std::string_view key, std::uint64_t key_hash, Version* latest, bool live);
    // In the tree only: the index waits for the caller, who must put it there before anybody looks for the key.
    KeyRecord* new_tree_record(std::string_view key, std::uint64_t key_hash, Version* latest, bool live);
    // Charges `keys` for changes just made, and what they cost beyond themselves: splits of the hash index (random access
    // over two times a thousand keys), regions of memory that came or went (a system call, and its pages), and keys that
    // were hung on a lease or taken off one (a way down the tree of leases, and one down that of its keys).
    void charge(WorkBudget& budget, std::int64_t keys, std::int64_t bytes);
    static constexpr std::int64_t split_keys = 100;
    static constexpr std::int64_t attachment_keys = 2;
    // What a removal counts for, in keys walked: it writes a version and corrects the counts of the tree.
    static constexpr std::int64_t removal_keys = 3;

  private:
    std::uint64_t charged_splits_{0};
    std::uint64_t charged_region_moves_{0};
    std::int64_t uncharged_attachments_{0};

    void move_key(KeyRecord* record, api::LeaseId from, api::LeaseId to);

    void mix_lease(api::LeaseId id, const LeaseFacts& facts);
    void free_version(Version* version);
    void lose_same_revision(std::uint64_t change, const Version* older);
};

// A hash that goes on with all there is to know of a change, or of a version that it made.
std::uint64_t hash_version(std::uint64_t hash, const KeyRecord& record, const Version& version);

// The bytes of a version's value, writable: for the one who has just made it.
inline char* value_room(Version* version) {
    return reinterpret_cast<char*>(version) + Version::value_offset(version->extended(), version->leased());
}

}  // namespace ringfort::kv
