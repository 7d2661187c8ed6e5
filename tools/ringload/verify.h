// ringload verify: does the cluster still hold every write that a run was told is done?
//
// An acknowledged write is lost if its key's current mod_revision is below the revision of the acknowledgement, if the
// pair at that revision is not the one written, or if its revision was given to another write of the run as well.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "history.h"

namespace ringload {

struct Options;

struct Verdict {
    std::uint64_t acknowledged{0};       // writes in the history that were
    std::uint64_t keys_checked{0};
    std::uint64_t read_back{0};          // compared at their own revision
    std::uint64_t compacted{0};          // not there to compare any more
    std::uint64_t lost{0};
    std::uint64_t refused_but_done{0};   // answered "did not happen", and found
    std::vector<std::string> examples;   // the first few findings in words
};

// What the history leads one to expect, and the comparison; reading the cluster is verify()'s.
class Expectation {
  public:
    explicit Expectation(const History& history);

    // The current pair of a key of the history.
    void see_current(std::uint64_t key, std::int64_t mod_revision, std::string_view value);
    // A write of history.writes as read at its own revision; mod_revision 0: the key was not there.
    void see_past(const Write& write, std::int64_t mod_revision, std::string_view value);
    void see_compacted() { verdict_.compacted++; }
    // After the last see_current(): keys never seen have lost their writes.
    void finish_current();
    // The reading of current pairs broke off, and begins anew: what it has shown counts for nothing.
    void forget_current();

    // Acknowledged writes to read back, spread over the run.
    std::vector<const Write*> sample(std::uint64_t count) const;
    const Verdict& verdict() const { return verdict_; }

  private:
    void find_repeated_revisions();
    void note_refused_but_done(std::uint64_t key, std::string_view value);
    void lose(std::uint64_t count, std::string example);

    const History& history_;
    Verdict verdict_;
    Verdict before_current_;   // what the history alone tells
    struct KeyFacts {
        const Write* newest{nullptr};    // acknowledged
        std::uint64_t acknowledged{0};
        bool seen{false};
    };
    std::vector<KeyFacts> keys_;
    std::map<std::uint64_t, const Write*> refused_;   // definite and redirect, by sequence
};

// Prints what it found. The exit code: 0 nothing lost, 1 something lost or the cluster could not be read.
int verify(const Options& options);

}  // namespace ringload
