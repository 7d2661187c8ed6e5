// A copy of a prefix of one cluster in another: first all there is at one revision, then every change, each revision as one
// transaction at the destination.
//
// What is written there is written again where it is not known whether it was: put and deleted in order, by nobody else,
// twice is as good as once. Unless the network holds the first try up until later revisions are there: then what it wrote
// stands until the key changes next. The destination is never told a revision out of order, and of a revision all or
// nothing, if it has no more changes than --max-txn-ops.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ringfort/client.h"

namespace ringctl {

struct MirrorOptions {
    std::string prefix;
    std::string destination_prefix;    // stands there in the place of `prefix`
    std::int64_t revision{0};          // from this one on, without what was there before; 0: all
    std::size_t txn_ops_max{128};
};

// Which operations go to the destination together.
class MirrorBatch {
  public:
    // Commits them, all or nothing.
    using Commit = std::function<void(ringfort::Txn)>;
    MirrorBatch(const MirrorOptions& options, Commit commit) : options_(options), commit_(std::move(commit)) {}

    // Of the base: in any order, and as many together as fit.
    void put(const ringfort::KeyValue& kv);
    // A revision, alone.
    void tell(const std::vector<ringfort::Event>& events);
    void flush();
    // Pairs and changes committed.
    std::uint64_t count() const { return count_; }
    std::string destination_key(std::string_view key) const;

  private:
    void add(ringfort::Op op, std::size_t bytes);

    // Well below the least request a cluster takes by default.
    static constexpr std::size_t bytes_most = 512 * 1024;

    const MirrorOptions& options_;
    Commit commit_;
    std::vector<ringfort::Op> ops_;
    std::size_t bytes_{0};
    std::uint64_t count_{0};
};

// Mirrors until the source ends the watch, or until `over`, which is asked now and then. The error that ended it; of a
// destination only one that another try would meet again.
ringfort::Error mirror(ringfort::Client& source, ringfort::Client& destination, const MirrorOptions& options,
                       const std::function<bool(std::uint64_t count)>& over);

}  // namespace ringctl
