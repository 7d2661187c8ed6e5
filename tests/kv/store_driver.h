// Drives a Store as a shard does: encodes a request as a command, applies it in steps of a given budget.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/checksum.h"
#include "kv/store.h"
#include "kv/store_state.h"

namespace ringfort::kv {

// The dearest single thing a step does beyond its budget: what comes when the budget is down to one key.
constexpr std::int64_t overdraft_max = 10 + StoreState::split_keys + Slab::region_keys;

// As range_end: every key from `key` on.
inline constexpr std::string_view endless("\0", 1);

inline std::vector<std::byte> command_of(const CommandBody& body) {
    std::vector<std::byte> out(command_bytes(body));
    encode_command(out, CommandHeader{RangeId(1), Generation(1), WallTime{7}, 0, 0}, body);
    return out;
}

class Driver {
  public:
    explicit Driver(WorkBudget budget = {}, const StoreOptions& options = {}) : store(options), budget_(budget) {}

    // What stands in the answer lives until the next call.
    const std::variant<api::Result, api::Errc>& apply(const CommandBody& body) {
        return apply_bytes(command_of(body));
    }
    const std::variant<api::Result, api::Errc>& apply_bytes(std::vector<std::byte> bytes) {
        begin(std::move(bytes));
        while (step() == Step::more) {
        }
        return store.outcome();
    }
    void begin(std::vector<std::byte> bytes) {
        arena.reset();
        bytes_ = std::move(bytes);
        index_ = index_.next();
        steps = 0;
        store.begin(bytes_, checksum(bytes_), index_, wants_answer ? &arena : nullptr);
    }
    Step step() {
        WorkBudget budget = budget_;
        steps++;
        const Step out = store.step(budget);
        bytes_.assign(bytes_.size(), std::byte{0xa5});   // the log may use its memory for something else by now
        return out;
    }

    template <class Response>
    Response must(const CommandBody& body) {
        const auto& outcome = apply(body);
        if (const auto* code = std::get_if<api::Errc>(&outcome)) {
            ADD_FAILURE() << api::error_name(*code);
            return {};
        }
        return std::get<Response>(std::get<api::Result>(outcome));
    }
    api::Errc error(const CommandBody& body) {
        const auto& outcome = apply(body);
        const auto* code = std::get_if<api::Errc>(&outcome);
        return code == nullptr ? api::Errc::ok : *code;
    }
    api::PutResponse put(std::string_view key, std::string_view value) {
        return must<api::PutResponse>(api::PutRequest{.key = key, .value = value});
    }
    api::DeleteRangeResponse remove(std::string_view key, std::string_view end = {}, bool prev_kv = false) {
        return must<api::DeleteRangeResponse>(
            api::DeleteRangeRequest{.key = key, .range_end = end, .prev_kv = prev_kv});
    }
    api::Errc compact(api::Revision revision) { return error(api::CompactRequest{revision, false}); }
    void forget_all() {
        while (store.compaction_pending()) {
            WorkBudget budget = budget_;
            store.compact_step(budget);
        }
    }

    // Keys and values are copied: the answer outlives what follows.
    struct Pair {
        std::string key, value;
        api::Revision create{0}, mod{0};
        std::int64_t version{0};
        api::LeaseId lease{0};
        bool operator==(const Pair&) const = default;
    };
    struct Answer {
        std::vector<Pair> pairs;
        bool more{false};
        std::int64_t count{0};
        bool operator==(const Answer&) const = default;
    };
    static Pair copy(const api::KeyValue& pair) {
        return {std::string(pair.key), std::string(pair.value), pair.create_revision,
                pair.mod_revision,     pair.version,            pair.lease};
    }
    static Answer copy(const api::RangeResponse& response) {
        Answer out{{}, response.more, response.count};
        for (const api::KeyValue& pair : response.kvs) {
            out.pairs.push_back(copy(pair));
        }
        return out;
    }
    Result<Answer, api::Errc> range(const api::RangeRequest& request, std::size_t piece_bytes = 1 << 20) {
        auto read = store.open_range(request);
        if (!read) {
            return failure(read.error().code);
        }
        Answer out;
        for (bool done = false; !done;) {
            Arena piece_arena;
            api::RangeResponse piece;
            WorkBudget budget = budget_;
            done = (*read)->step(budget, piece_bytes, piece_arena, piece) == Step::done;
            Answer copied = copy(piece);
            out.pairs.insert(out.pairs.end(), copied.pairs.begin(), copied.pairs.end());
            out.more = copied.more;
            out.count = copied.count;
        }
        return out;
    }

    Store store;
    Arena arena;
    bool wants_answer{true};
    int steps{0};

  private:
    WorkBudget budget_;
    LogIndex index_{};
    std::vector<std::byte> bytes_;
};

}  // namespace ringfort::kv
