#include "shard/watch_table.h"

#include <array>

#include "base/checksum.h"

namespace ringfort::shard {

std::uint64_t WatchTable::hash_of(std::uint32_t sink, std::uint64_t request_id) const {
    std::array<std::byte, sizeof(sink) + sizeof(request_id)> text;
    store(text.data(), sink);
    store(text.data() + sizeof(sink), request_id);
    return checksum(text, seed_);
}

std::uint32_t WatchTable::find(std::uint32_t sink, std::uint64_t request_id) const {
    std::uint32_t at = buckets_.first(hash_of(sink, request_id));
    while (at != no_slot && (watchers_[at].sink != sink || watchers_[at].request_id != request_id)) {
        at = watchers_[at].table_next;
    }
    return at;
}

}  // namespace ringfort::shard
