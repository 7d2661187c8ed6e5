// What clients did and were told, in owned form: the input of the checkers. Every operation is a transaction; a plain
// put, delete or range is one step without compares.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "api/types.h"
#include "base/arena.h"
#include "base/instant.h"

namespace ringfort::sim {

// Those about leases are on their own, but for a put's; so are compactions, hashes, and taking back alarms.
enum class StepKind : std::uint8_t { range, put, remove, compact, grant, revoke, keep_alive, time_to_live, hash, disarm };

struct RecordedKv;

// What of the keys of a range is answered, which of them and in which order.
struct Arrangement {
    api::SortTarget target{api::SortTarget::key};
    api::SortOrder order{api::SortOrder::none};
    bool keys_only{false};
    bool count_only{false};
    api::Revision min_mod{0};      // of these four 0 is no bound
    api::Revision max_mod{0};
    api::Revision min_create{0};
    api::Revision max_create{0};

    bool is_plain() const { return *this == Arrangement{}; }
    bool wants(const RecordedKv& kv) const;
    bool operator==(const Arrangement&) const = default;
};

struct StepRequest {
    StepKind kind{StepKind::range};
    std::string key;
    std::string range_end;
    std::string value;             // put
    bool prev_kv{false};           // put, remove
    std::int64_t limit{0};         // range
    api::Revision revision{0};     // range on its own, hash: a past revision; compact: up to which
    bool physical{false};          // compact: answered when the space is free
    api::LeaseId lease{0};         // put: it hangs on this one; grant: 0 leaves the choice; others about leases: which
    std::int64_t ttl{0};           // grant: seconds
    Arrangement arrangement{};     // range
    bool ignore_value{false};      // put: it keeps what the key has; of one that does not exist it is refused
    bool ignore_lease{false};      // likewise

    bool needs_key() const { return ignore_value || ignore_lease; }
};

struct CompareRequest {
    api::CompareTarget target{api::CompareTarget::version};
    api::CompareResult result{api::CompareResult::equal};
    std::string key;
    std::int64_t number{0};
    std::string value;
    std::string range_end{};       // not empty: every key of the interval must hold
};

struct RecordedKv {
    std::string key;
    std::string value;
    api::Revision create_revision{0};
    api::Revision mod_revision{0};
    std::int64_t version{0};
    api::LeaseId lease{0};
    bool operator==(const RecordedKv&) const = default;
};

struct StepResult {
    std::vector<RecordedKv> kvs;   // range: the keys; put, remove: what was there before, if asked for
    std::int64_t count{0};         // range: keys that match; remove: keys removed
    bool more{false};              // range: the limit cut it
    api::LeaseId lease{0};         // grant: its id
    std::int64_t ttl{0};           // grant, keep_alive, time_to_live: as answered
    api::HashKvResponse hash{};    // hash
    bool operator==(const StepResult&) const = default;
};

enum class Outcome : std::uint8_t {
    pending,
    ok,
    failed,    // definitely did not happen and never will
    unknown,   // may have happened, or may happen yet
};

struct RecordedOperation {
    std::uint64_t number{0};       // in the history
    std::uint32_t client{0};
    std::uint32_t domain{0};       // the keys' domain, counted in key order
    bool transaction{false};       // asked as a transaction; else one step in `success` and no compares
    bool serializable{false};      // range on its own: may be stale
    Duration timeout{0};           // 0: the workload's
    std::vector<CompareRequest> compares;
    std::vector<StepRequest> success;
    std::vector<StepRequest> failure;

    Instant invoked{0};            // true time
    Instant completed{never};
    Outcome outcome{Outcome::pending};
    api::Errc error{api::Errc::ok};
    // Of outcome ok.
    api::ResponseHeader header{};
    bool succeeded{true};
    std::vector<StepResult> results;

    // Whether its answer says that it changed something. A revocation's does not say: false. Requires: outcome ok.
    bool modified() const;
    // Whether it could change something at all.
    bool may_modify() const;
    // Whether it is a compaction that was not definitely refused.
    bool may_compact() const;
    // The lease it is about by itself, as a grant is; 0: none. Of a grant without an id once it is answered.
    api::LeaseId about_lease() const;
    const std::vector<StepRequest>& branch() const { return succeeded ? success : failure; }
};

// As histories keep it, the value shortened.
RecordedKv recorded(const api::KeyValue& kv);
// A value as histories keep it: whole up to 64 bytes, else its first ones and its checksum, 64 in all. Such are equal, and
// in the order of the values, as long as values that differ do so in their first 40 bytes.
inline constexpr std::size_t shortened_bytes = 64;
std::string shortened(std::string_view value);
// What the request wrote, as answers are already.
void shorten(RecordedOperation& operation);

// One line for people.
std::string describe(const RecordedOperation& operation);

// The request as the client takes it; views into the operation and the arena.
api::Request make_request(const RecordedOperation& operation, Arena& arena);
// Takes in one frame of the answer; true once it was the last.
bool record_response(RecordedOperation& operation, const api::Response& response, Instant now);

// A lease ended at a revision between these (the second included), if it took keys along.
struct LeaseEnd {
    api::LeaseId lease{0};
    api::Revision after{0};
    api::Revision by{0};
};

class History {
  public:
    RecordedOperation& add(RecordedOperation operation) {
        operation.number = operations_.size();
        operations_.push_back(std::move(operation));
        return operations_.back();
    }
    RecordedOperation& operator[](std::uint64_t number) { return operations_[number]; }
    const std::deque<RecordedOperation>& operations() const { return operations_; }

  private:
    std::deque<RecordedOperation> operations_;   // addresses stay
};

}  // namespace ringfort::sim
