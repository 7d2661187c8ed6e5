// What clients ask for: a mix of operations over few or many keys, every value of a put distinct.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/prng.h"
#include "sim/history.h"
#include "sim/run_options.h"

namespace ringfort::sim {

// Where the key space is cut into domains: domain d holds the keys that begin with domain_prefix(d).
std::string domain_prefix(std::uint32_t domain);
// The split points of `domains` domains, as --initial-domains names them.
std::vector<std::string> domain_splits(std::uint32_t domains);

class Workload {
  public:
    Workload(const WorkloadOptions& options, std::uint32_t domains, std::uint32_t client, std::uint64_t seed);

    // The next operation, without times and outcome.
    RecordedOperation next();
    // What an answer taught: later compares, past reads and puts on leases use it.
    void learn(const RecordedOperation& operation);

  private:
    std::string key(std::uint32_t domain);
    std::string value();
    StepRequest get(std::uint32_t domain);
    StepRequest range(std::uint32_t domain);
    Arrangement arrangement(std::uint32_t domain);
    StepRequest put(std::uint32_t domain);
    StepRequest remove(std::uint32_t domain, bool many);
    RecordedOperation page(std::uint32_t domain);
    void turn_page(const RecordedOperation& operation);
    RecordedOperation transaction(std::uint32_t domain);
    RecordedOperation compaction(std::uint32_t domain);
    RecordedOperation hash(std::uint32_t domain);
    RecordedOperation about_lease(std::uint32_t domain);
    api::LeaseId lease(std::uint32_t domain);
    void forget(std::uint32_t domain, api::LeaseId lease);
    std::string bulk_key(std::uint32_t domain, std::uint64_t number);
    RecordedOperation bulk(std::uint32_t domain);
    RecordedOperation bulk_fill(std::uint32_t domain);
    CompareRequest compare(std::uint32_t domain);

    const WorkloadOptions& options_;
    std::uint32_t domains_;
    std::uint32_t client_;
    Prng random_;
    Prng details_;                                      // of requests: what they draw changes no others
    std::uint64_t values_{0};
    std::map<std::string, RecordedKv> last_seen_;
    std::map<std::uint32_t, api::Revision> revision_;   // highest seen, by domain
    std::map<std::uint32_t, StepRequest> next_page_;    // of the last read that a limit cut off, by domain
    std::map<std::uint32_t, std::vector<api::LeaseId>> leases_;   // its own, by domain, as far as it knows
    api::LeaseId granted_{0};                           // ids it has chosen
};

}  // namespace ringfort::sim
