// Which keys a request touches, and other questions about a request that need no state.
#pragma once

#include <string_view>

#include "api/types.h"
#include "kv/command.h"

namespace ringfort::shard {

// Everything touched lies in [first, last_begin ...]: `first` is the smallest key; the extent goes beyond `bound` if
// `reaches(bound)`.
struct Extent {
    bool any{false};
    bool no_end{false};             // to the end of the key space
    std::string_view first;
    std::string_view last_point;    // largest single key or interval begin
    std::string_view end;           // largest exclusive end of an interval

    void add(std::string_view key, std::string_view range_end);
    // Whether a key >= bound may be touched.
    bool reaches(std::string_view bound) const { return no_end || last_point >= bound || end > bound; }
};

// Requires: the request has keys (Range, Put, DeleteRange, Txn, Watch). A transaction without any key has the extent of "".
Extent extent_of(const api::Operation& op);

// A single key at the latest revision without options: the store's shortest way.
bool is_point_get(const api::RangeRequest& request);

// Requires: a write.
kv::CommandBody command_body_of(const api::Operation& op);

}  // namespace ringfort::shard
