// The promises of a watch, held against the writes that were committed. By name:
//
//   ordered      revisions rise
//   unique       none is told twice
//   reliable     none that matches is left out
//   atomic       the changes of one revision come together, in their order
//   resumable    the same, over an interruption
//   bookmarkable a mark comes behind all that it covers
//   filtered     nothing is told that was not asked for
//   true         keys, values, revisions and versions are those written; prev_kv is what was there before
//   compaction   it is cancelled as compacted only where something it needs was
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "sim/checkers/kv_model.h"
#include "sim/checkers/serializability.h"
#include "sim/watch_record.h"

namespace ringfort::sim {

struct WatchTruth {
    const KvModel* model{nullptr};
    // The highest compaction that may have happened.
    api::Revision compacted_max{0};
};

// What watches of a domain were told, for whoever looks for the order of the writes: pairs, which keys a revision changed,
// and, where nobody knows the write, that it changed none of theirs.
class WatchWitness final : public Witness {
  public:
    // The records outlive it.
    explicit WatchWitness(std::span<const RecordedWatch* const> watches);
    std::span<const RecordedKv> seen() const override { return seen_; }
    api::Revision newest() const override { return told_.empty() ? 0 : told_.rbegin()->first; }
    std::string contradiction(const KvModel& model, bool acknowledged) const override;

  private:
    struct Told {
        const RecordedWatch* watch;
        const WatchTold* told;
    };
    // Revisions of which a watch was told nothing: [first, last].
    struct Silence {
        api::Revision first, last;
    };
    struct Silences {
        const RecordedWatch* watch;
        std::vector<Silence> all;   // in order, apart from each other

        bool hold(api::Revision revision) const;
    };
    std::vector<RecordedKv> seen_;
    std::multimap<api::Revision, Told> told_;
    std::vector<Silences> silences_;
};

// Returns the broken promise by its name, with what was told; empty if none is.
std::string check_watch(const RecordedWatch& watch, const WatchTruth& truth);

}  // namespace ringfort::sim
