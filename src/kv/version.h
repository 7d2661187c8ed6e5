// The two kinds of blocks the store is made of.
//
// A KeyRecord stands for a key as long as any version of it is kept; the ordered tree and the hash index point to it.
// A Version is one value (or the removal) of its key; versions of a key hang together newest first.
//
//   KeyRecord   latest, key_bytes, hash | key
//   Version     mod, bytes_and_flags, sub | [older, create, version] if extended | [lease] if leased | value
//
// The first version of a key without a lease, by far the most frequent kind, needs none of the optional fields: its
// create revision is its mod revision and its version number is 1.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "api/types.h"
#include "base/assertion.h"
#include "base/bounds.h"

namespace ringfort::kv {

struct Version;

struct KeyRecord {
    Version* latest;           // never null once the record is in the indexes
    std::uint32_t key_bytes;
    std::uint32_t hash;        // the high half of the key's hash

    std::string_view key() const { return {reinterpret_cast<const char*>(this + 1), key_bytes}; }
    static std::size_t bytes(std::size_t key_bytes) { return sizeof(KeyRecord) + key_bytes; }
};
static_assert(sizeof(KeyRecord) == 16);

struct Version {
    static constexpr std::uint32_t tombstone_flag = 1u << 31;
    static constexpr std::uint32_t extended_flag = 1u << 30;
    static constexpr std::uint32_t leased_flag = 1u << 29;
    static constexpr std::uint32_t value_bytes_max = (1u << 28) - 1;

    api::Revision mod;
    std::uint32_t bytes_and_flags;
    std::uint32_t sub;         // place of this change among those of its revision, from 0

    struct Extension {
        Version* older;        // null: none, or given back by compaction
        api::Revision create;
        std::int64_t version;
    };

    bool tombstone() const { return (bytes_and_flags & tombstone_flag) != 0; }
    bool extended() const { return (bytes_and_flags & extended_flag) != 0; }
    bool leased() const { return (bytes_and_flags & leased_flag) != 0; }
    std::uint32_t value_bytes() const { return bytes_and_flags & value_bytes_max; }

    Extension* extension() { return reinterpret_cast<Extension*>(this + 1); }
    const Extension* extension() const { return reinterpret_cast<const Extension*>(this + 1); }

    Version* older() const { return extended() ? extension()->older : nullptr; }
    api::Revision create() const { return extended() ? extension()->create : mod; }
    std::int64_t version() const { return extended() ? extension()->version : 1; }
    api::LeaseId lease() const {
        if (!leased()) {
            return 0;
        }
        api::LeaseId out;
        std::memcpy(&out, reinterpret_cast<const char*>(this) + lease_offset(extended()), sizeof(out));
        return out;
    }
    std::string_view value() const {
        return {reinterpret_cast<const char*>(this) + value_offset(extended(), leased()), value_bytes()};
    }

    static std::size_t lease_offset(bool extended) {
        return sizeof(Version) + (extended ? sizeof(Extension) : 0);
    }
    static std::size_t value_offset(bool extended, bool leased) {
        return lease_offset(extended) + (leased ? sizeof(api::LeaseId) : 0);
    }
    std::size_t bytes() const { return value_offset(extended(), leased()) + value_bytes(); }
};
static_assert(sizeof(Version) == 16 && sizeof(Version::Extension) == 24);
static_assert(limits::command_bytes_max <= Version::value_bytes_max);

inline api::KeyValue key_value(const KeyRecord& record, const Version& version) {
    ASSERT(!version.tombstone());
    return {record.key(), version.create(), version.mod, version.version(), version.value(), version.lease()};
}

}  // namespace ringfort::kv
