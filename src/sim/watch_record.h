// What watches of clients were told, in owned form: the input of the judge of watches.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "api/types.h"
#include "base/instant.h"
#include "sim/history.h"

namespace ringfort::sim {

struct RecordedEvent {
    bool removal{false};
    RecordedKv kv;            // of a removal: key and mod_revision
    bool has_prev{false};
    RecordedKv prev;
    bool operator==(const RecordedEvent&) const = default;
};

struct WatchTold {
    enum class Kind : std::uint8_t { created, resumed, revision, mark, ended };
    Kind kind{};
    Instant at{};
    api::Revision revision{0};               // of `created`: the store's
    std::vector<RecordedEvent> events;
    // Of `ended`.
    api::Revision compact_revision{0};       // not 0: cancelled as compacted
    api::Errc error{api::Errc::ok};
};

struct RecordedWatch {
    std::uint64_t number{0};
    std::uint32_t client{0};
    std::uint32_t domain{0};
    std::string key, range_end;              // range_end empty: the one key; a zero byte: whatever lies behind it
    api::Revision start_revision{0};
    bool prev_kv{false}, no_put{false}, no_delete{false}, require_leader{false};
    bool progress_notify{true};
    std::vector<WatchTold> told;
    // Everything up to this revision should have been told by the end; 0: nobody knows, since it was given up or ended.
    api::Revision due{0};

    bool covers(const std::string& at) const {
        const bool endless = range_end == std::string_view("\0", 1);
        return range_end.empty() ? at == key : at >= key && (endless || at < range_end);
    }
};

// One line for people.
std::string describe(const RecordedWatch& watch);

using WatchRecords = std::deque<RecordedWatch>;   // addresses stay

}  // namespace ringfort::sim
