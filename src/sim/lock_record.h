// What clients did with locks and elections and what they were told of them, in owned form: the input of their judge.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "base/instant.h"
#include "sim/history.h"

namespace ringfort::sim {

// A turn that a client believed to have.
struct LockClaim {
    std::uint32_t client{0};
    std::string name, key;
    api::Revision token{0};
    api::Revision seen_at{0};      // the revision that showed that it was its turn
    Instant from{0};               // true time
    Instant until{never};          // when it stopped to believe in it: before it asked to leave, or told that it was lost
};

// A write that is to happen only while a turn lasts.
struct GuardedAction {
    std::uint64_t operation{0};    // in the history
    std::string name, key;
    api::Revision token{0};
};

// What one observer of an election was told.
struct LeaderTale {
    struct Told {
        api::Revision revision{0};
        RecordedKv leader;
    };
    std::uint32_t client{0};
    std::string name;
    std::vector<Told> told;
    api::Revision through{0};      // all of it was to be told up to this one
};

struct Proclamation {
    std::string name, key, value;
    api::Revision revision{0};     // acknowledged
};

// From when somebody was told that he has left a line, at that revision, until he entered it again or his session ended.
struct LockAbsence {
    std::string key;
    api::Revision left_at{0};
    Instant until{never};
};

// The account of the cluster: every change in the domain of the locks, as a watch told it.
struct LockChange {
    api::Revision revision{0};
    bool removal{false};
    RecordedKv kv;
    Instant told{0};               // it happened before
};

struct LockRecords {
    std::deque<LockClaim> claims;        // addresses stay
    std::vector<GuardedAction> actions;
    std::deque<LeaderTale> tales;        // addresses stay
    std::vector<Proclamation> proclamations;
    std::deque<LockAbsence> absences;    // likewise
    std::vector<LockChange> account;
    api::Revision account_through{0};    // it is whole up to here
};

}  // namespace ringfort::sim
