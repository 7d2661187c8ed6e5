// Locks and elections, judged by the account of the cluster: of the keys of a name the one that was created first has the
// turn.
//
//   account   a key keeps its create revision, and a new one has the revision that created it
//   turn      a client was told that it is its turn, and it was not; or two believed so at the same time
//   order     turns come in the order of their tokens
//   guard     a write that was to happen only in a turn happened outside of it
//   leaders   an observer was told of a leader that was none, of one twice, or out of order; or one was left out
//   ghost     a key stands in a line for somebody who has left it
//   lost      a proclamation was acknowledged and is not there
//
// That everybody's turn comes is liveness: Simulation waits for it (locks_rest).
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "sim/lock_record.h"

namespace ringfort::sim {

// Who was first in each line, and with what, revision by revision.
class LockLines {
  public:
    struct First {
        api::Revision from{0};
        RecordedKv kv;              // key empty: nobody
    };
    // Takes in what it has not seen of the account; what is wrong with that, empty if nothing is.
    std::string read(const std::vector<LockChange>& account);
    // As of that revision; null: nobody.
    const RecordedKv* first(const std::string& name, api::Revision at) const;
    const std::vector<First>& history(const std::string& name) const;

  private:
    std::string take(const LockChange& change);

    std::size_t read_{0};
    std::map<std::string, std::map<std::string, RecordedKv>> lines_;
    std::map<std::string, std::vector<First>> firsts_;
};

// `slack`: so much sooner than a client may know a lease may end, by clocks that run too fast.
std::string check_locks(const LockRecords& records, const std::deque<RecordedOperation>& operations, Duration slack);

}  // namespace ringfort::sim
