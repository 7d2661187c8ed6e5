// The state machine of one data range: etcd's multi-version key space in memory, ordered, with bounded steps.
//
// Applies commands in log order; serves reads at any revision between the compacted one and the current one. Pure: the
// same commands in the same order give the same state, hash and answers, byte for byte.
//
// Atomicity of long commands: a command is begun, then stepped until done. Versions it writes carry the next revision
// and stay invisible until the last step moves revision(), applied() and hash() together. Reads between steps see the
// former revision.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "api/types.h"
#include "base/arena.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/work_budget.h"
#include "kv/command.h"
#include "kv/lease_table.h"
#include "kv/slab.h"

namespace ringfort::kv {

enum class Step : std::uint8_t { more, done };

struct StoreOptions {
    // A checkpoint names it, and another range does not load it.
    RangeId range{};
    // Of the side index for exact keys, so that nobody can choose colliding keys. Decides no answer and no hash: replicas
    // may differ in it.
    std::uint64_t hash_seed{0};
    Slab::Populate populate{nullptr};
};

// A stand-alone range in another order than that of keys collects references (24 B each): with no limit (or one above
// this), an interval that holds more keys than this, removed ones not yet compacted included, is refused with
// too_many_requests.
inline constexpr std::uint64_t sorted_range_keys_max = std::uint64_t{1} << 20;

class RangeRead;
class StateHash;
class CheckpointWriter;
class CheckpointReader;

class Store {
  public:
    explicit Store(const StoreOptions& options);
    // At once, however much it holds: a shard that goes on dismantles it first.
    ~Store();
    // Gives its memory back in steps; true when it is done. Requires: no reader lives. After the first step nothing but this
    // and the destructor may be called.
    bool dismantle(WorkBudget& budget);
    Store(const Store&) = delete;
    Store& operator=(const Store&) = delete;

    // ---- apply. `command` must stay valid until the first step() returns: what takes more steps is copied. `answer`: where
    // to build the reply if somebody waits for it here; null otherwise (then nested ranges are not executed: they cannot
    // change state).
    void begin(Bytes command, std::uint64_t checksum, LogIndex index, Arena* answer);
    // Commands that will be applied soon: brings near what they will touch. Changes nothing.
    static constexpr std::size_t look_ahead_max = 16;
    void look_ahead(std::span<const Bytes> commands) const;
    // Entries that carry no command (noop, config, fence) move applied() only.
    void skip(LogIndex index);
    [[nodiscard]] Step step(WorkBudget& budget);
    bool applying() const;
    // Of the command just done. Views are valid until the next begin() (and the answer arena's reset). An answer fits a
    // frame: a command that would answer with more than limits::answer_bytes_max changes nothing (request_too_large).
    const std::variant<api::Result, api::Errc>& outcome() const;

    // ---- state
    api::Revision revision() const;          // of a fresh store: 1
    api::Revision compact_revision() const;  // 0: never compacted... etcd: reads below it fail, at it succeed
    LogIndex applied() const;
    std::uint64_t hash() const;              // H = hash(H, index, command checksum, ordered mutations)
    std::uint64_t key_count() const;         // live keys at revision()
    std::uint64_t live_bytes() const;        // counted memory of all versions not yet compacted (quota, status)
    std::uint64_t reserved_bytes() const;    // taken from the heap: live_bytes() and the free blocks among them

    // Raised and not taken back. Views live until the next apply step.
    std::span<const api::Alarm> alarms() const;

    // What limited reads left for their next pages, see PageCounts; not in live_bytes().
    std::uint64_t page_count_bytes() const;

    // ---- reads
    // The key at a revision (0: latest). nullopt: absent there. Requires: compact_revision() <= revision <= revision().
    // Fast at the latest revision; at an old one it walks back over the key's newer versions in one go, which
    // open_range() does in steps.
    std::optional<api::KeyValue> get(std::string_view key, api::Revision revision = 0) const;
    // Checks the request against the state and pins its revision. Errors: compacted, future_revision, invalid_sort_option,
    // too_many_requests (sorted_range_keys_max; the detail says so). The request may die.
    Result<std::unique_ptr<RangeRead>, api::ErrorInfo> open_range(const api::RangeRequest& request);

    // Of the keys and values at a revision (<= 0: the current one), which is pinned. Errc: compacted, future_revision.
    Result<std::unique_ptr<StateHash>, api::Errc> open_hash(api::Revision revision);

    // ---- leases. The clock and the term move when a command about leases begins, renewals with its steps; which leases
    // there are changes with its last.
    std::optional<LeaseFacts> lease(api::LeaseId id) const;
    LeaseTime lease_clock() const;
    Term lease_term() const;           // of who spoke of leases last
    std::uint64_t lease_count() const;
    // Appends ids in their order, those above `after` only. true: there are more.
    bool list_leases(std::optional<api::LeaseId> after, std::size_t most, std::vector<api::LeaseId>& out) const;
    // Appends the keys attached, in their order, from this one on: while there are fewer and they have fewer bytes. true:
    // there are more. Requires: !applying(): until a command is done it moves keys one by one.
    struct LeaseKeysBounds {
        std::size_t keys;
        std::size_t bytes;
    };
    bool list_lease_keys(api::LeaseId id, std::string_view from, const LeaseKeysBounds& bounds,
                         std::vector<std::string_view>& out) const;
    // Appends leases whose time is over at `now`, `most` at most; each again about a second later if it is still there. For
    // who leads: it is a search and changes no state. true: the budget, or `most`, ended it before all were found.
    struct ExpiredLease {
        api::LeaseId id;
        LogIndex version;
    };
    bool find_expired(LeaseTime now, WorkBudget& budget, std::size_t most, std::vector<ExpiredLease>& out);

    // ---- changes, numbered in the order in which they were made: by revision, and within one in that of its command's ops.
    // Those kept and visible: [changes_begin(), changes_end()).
    struct Change {
        std::uint32_t sub{0};        // place among those of its revision, from 0
        bool whole{false};           // it is the last of its revision
        api::Event event;            // kv.mod_revision is its revision; without the former pair
    };
    std::uint64_t changes_begin() const;
    std::uint64_t changes_end() const;
    // The first of that revision or a later one; changes_end() if there is none.
    std::uint64_t first_change(api::Revision revision) const;
    // The least revision from which on every change is there: the compacted one, or the next.
    api::Revision changes_whole_from() const;
    // nullopt: it was given back. Views live until the next apply step or compact_step.
    std::optional<Change> change(std::uint64_t number) const;
    // The pair before that change's revision, if there was one and it is kept. Apart from change(): it is a miss of memory,
    // and few want it. Requires: the change was not given back.
    std::optional<api::KeyValue> former_pair(std::uint64_t number) const;
    // What a reader at that revision needs, and every change behind it, is kept until it is unpinned.
    void pin(api::Revision revision);
    void unpin(api::Revision revision);

    // ---- compaction: logical with the command; the space comes back in steps whenever the shard has time. Pending: a
    // step would give something back now; what a pin holds becomes pending when the pin goes.
    bool compaction_pending() const;
    void compact_step(WorkBudget& budget);
    // Whether the space of all that a compaction at this revision forgets is free, pinned or not.
    bool reclaimed(api::Revision revision) const;

    // ---- checkpoints: the cut is applied() now. Compaction steps wait behind the pin while a writer lives.
    // Requires: !applying(): what has no revisions (leases) is changed by a command as it goes.
    std::unique_ptr<CheckpointWriter> open_checkpoint();
    // Fills an empty store. Requires: fresh.
    std::unique_ptr<CheckpointReader> load_checkpoint();

    void check_invariants() const;

    struct Impl;
    // For tests that look inside, or spoil what is there.
    Impl& impl() { return *impl_; }

  private:
    std::unique_ptr<Impl> impl_;
};

// A range read in pieces at one pinned revision. Dies before the store does. While it lives its revision stays readable
// even if a compaction command moves past it (the pin is bounded by the session: it closes old readers).
class RangeRead {
  public:
    virtual ~RangeRead() = default;
    // Appends to `out` until done, the budget is spent, or `piece_bytes` are reached. Spans and texts in `out` live in
    // the arena or in the store until the next apply step or compact_step.
    [[nodiscard]] virtual Step step(WorkBudget& budget, std::size_t piece_bytes, Arena& arena,
                                    api::RangeResponse& out) = 0;
    virtual api::Revision revision() const = 0;
    // Memory that grows with the request: of a sorted one, taken when it is opened.
    virtual std::size_t held_bytes() const = 0;
};

// The hash of all that can be read of keys and values between the compacted revision of when it was opened and its own:
// every version in (compact_revision, revision], removals included, and of each key the one that is visible at
// compact_revision. In the order of keys, of each the newest first, with key, value, lease, create and mod revision, version
// and place in its revision. Equal on all replicas where both revisions are, whatever way they came to their state.
// Dies before the store does.
class StateHash {
  public:
    virtual ~StateHash() = default;
    [[nodiscard]] virtual Step step(WorkBudget& budget) = 0;
    // Requires: done.
    virtual api::HashKvResponse result() const = 0;
};

// Gives the state as a byte stream in bounded pieces; format at the head of checkpoint_format.h; versioned, self-checking.
class CheckpointWriter {
  public:
    virtual ~CheckpointWriter() = default;
    // Fills `out` with up to out.size() bytes; returns how many. 0 with Step::done: the end.
    struct Piece {
        std::size_t bytes;
        Step step;
    };
    virtual Piece next(MutableBytes out, WorkBudget& budget) = 0;
    virtual LogIndex applied() const = 0;
    virtual std::uint64_t hash() const = 0;
};

class CheckpointReader {
  public:
    virtual ~CheckpointReader() = default;
    // Takes any cut of the stream's bytes. false: the bytes are no checkpoint (then the store must be thrown away).
    // Steps: returns after the budget is spent; call again with the rest. `consumed` says how far it came.
    virtual bool feed(Bytes bytes, WorkBudget& budget, std::size_t& consumed) = 0;
    // After the last byte: what is left to do, in steps; true when it is done.
    virtual bool settle(WorkBudget& budget) = 0;
    // Does at once what settle() has left: true if the stream was whole and the state's hash is the one it names.
    virtual bool finish() = 0;
};

}  // namespace ringfort::kv
