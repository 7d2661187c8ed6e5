// etcd's key space as plainly as it can be said: every version of every key, one revision after the other. The oracle of
// the history checkers; shares no code with kv/.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/history.h"

namespace ringfort::sim {

class KvModel {
  public:
    struct Execution {
        bool modified{false};
        bool succeeded{true};
        std::vector<StepResult> results;
    };

    // Of a fresh store: 1.
    api::Revision revision() const { return revision_; }
    // Executes the operation on the newest state. If it changes something, the revision rises by one. What is refused, as a
    // key is not there, changes nothing and has no results.
    Execution execute(const RecordedOperation& operation);
    // What the operation would answer on the state at `at` if it changed nothing. Requires: at <= revision().
    Execution read(const RecordedOperation& operation, api::Revision at) const;
    // Takes the newest revision back. Requires: revision() > 1.
    void undo();
    // The keys that the newest revision changed. Requires: revision() > 1.
    const std::vector<std::string>& touched() const { return touched_.back(); }
    // Whether some key of the newest state hangs on the lease.
    bool holds_keys(api::LeaseId lease) const;
    // Those that another revision changed, in the order of its changes. Requires: 1 < at <= revision().
    const std::vector<std::string>& touched(api::Revision at) const { return touched_[static_cast<std::size_t>(at - 2)]; }
    // The key at that revision; null: absent.
    const RecordedKv* find(const std::string& key, api::Revision at) const;
    // So far, by all of the above: what a search costs.
    std::uint64_t keys_visited() const { return keys_visited_; }

  private:
    struct Version {
        api::Revision at;
        bool live;
        RecordedKv kv;
    };
    const RecordedKv* find(const std::vector<Version>& versions, api::Revision at) const;
    bool holds(const CompareRequest& compare, api::Revision at) const;
    static bool holds_for(const CompareRequest& compare, const RecordedKv* kv);
    StepResult range(const StepRequest& step, api::Revision at) const;
    bool lacks_key(const std::vector<StepRequest>& steps) const;
    StepResult put(const StepRequest& step, api::Revision at);
    StepResult remove(const StepRequest& step, api::Revision at);
    void revoke(const StepRequest& step, api::Revision at);

    api::Revision revision_{1};
    std::map<std::string, std::vector<Version>> keys_;
    std::vector<std::vector<std::string>> touched_;   // by revision, from 2 on
    mutable std::uint64_t keys_visited_{0};
};

}  // namespace ringfort::sim
