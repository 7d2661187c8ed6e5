// What the explorer (explorer.h) explores: three replicas, and how many of each kind of event may happen.
//
// Free of charge and in any order: messages arrive, late, twice or never; writes end. Counted: everything below.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace ringfort::raft {

// What is counted.
enum class Kind : std::uint8_t {
    election,     // a replica stands, whether the leader is alive or not
    proposal,
    crash,        // and restart; what was not durable is lost, or was written without anybody having been told
    wipe,         // the whole store is lost
    forget,       // the hard state is lost, and any suffix of the log
    damage,       // a restart finds the payload of an entry lost
    rot,          // it is found lost while the replica runs
    transfer,
    change,       // of voters: to two, or back to three
    checkpoint,
    resign,       // a leader hears that it reaches nobody
    news,         // a leader hears that a replica is back, and begins anew with it
    read,         // a linearizable read is asked for
    count,
};
inline constexpr std::size_t kind_count = static_cast<std::size_t>(Kind::count);

enum class Start : std::uint8_t {
    fresh,
    led,          // node 1 leads, all is applied everywhere
    contested,    // Figure 8: node 1 has an entry of term 2, node 2 one of term 3 in its place, nobody leads
};
enum class Stand : std::uint8_t { at_once, pre_vote };
// Mistakes that are planted so that it is known that the explorer finds them.
enum class Wrong : std::uint8_t {
    none,
    commits_older_terms_by_count,
    speaks_before_durable,         // votes and answers leave before what they promise is durable
    forgets_votes,                 // a restart begins without the vote
    forgets_wipe,                  // a wiped replica comes back as if nothing had been lost
    counts_before_fence,           // doubt ends at the announcement: the next leader's word is enough
    fence_need_not_be_committed,   // doubt ends as soon as the fence is in the log
    reads_before_noop,             // the commit index serves reads before an entry of the own term is committed
    reads_unconfirmed,             // and before a quorum confirmed the term
};

struct Scope {
    std::string_view name;
    std::string_view what;
    Start start{Start::fresh};
    Stand stand{Stand::at_once};
    bool entry_by_entry{false};         // an append carries one
    std::uint8_t writes_in_flight{0};   // 0: writes end at once, so a crash loses only what memory alone knew
    std::array<std::uint8_t, kind_count> budget{};
    Wrong wrong{Wrong::none};
    bool outcomes_only{false};          // what is said before it is durable is no breach by itself

    std::uint8_t of(Kind kind) const { return budget[static_cast<std::size_t>(kind)]; }
    Scope with(Kind kind, std::uint8_t times) const;
};

std::span<const Scope> scopes();
const Scope* find_scope(std::string_view name);
std::string_view to_string(Kind kind);
std::string_view to_string(Wrong wrong);
std::span<const Wrong> all_wrongs();

}  // namespace ringfort::raft
