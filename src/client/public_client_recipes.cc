// Recipes over the public client's own calls.
#include "ringfort/recipes.h"

#include <atomic>
#include <charconv>
#include <utility>

#include "client/public_client_impl.h"

namespace ringfort {

namespace {

// How much of a time limit is left, as the client's calls take it.
class Remaining {
  public:
    explicit Remaining(std::int64_t timeout_ms)
        : until_(timeout_ms < 0 ? never : client::SystemClock().now() + client::from_ms(timeout_ms)) {}
    std::int64_t ms() const {
        return until_ == never ? -1 : std::max<std::int64_t>((until_ - client::SystemClock().now()) / 1ms, 0);
    }
    bool over() const { return ms() == 0; }

  private:
    Instant until_;
};

Error no_longer_waiting(const char* what) {
    return {ErrorCode::timed_out, ErrorClass::definite, "etcdserver: request timed out", what};
}

// Waits for an event of such a watch. `canceled`: there may have been one, look again.
Outcome<WatchReply> wait_for_event(Client& client, const std::string& key, WatchOptions options,
                                   const Remaining& remaining) {
    options.require_leader = true;   // a node that is cut off would say nothing
    Watcher watcher = client.watch(key, options);
    for (;;) {
        auto reply = watcher.next(remaining.ms());
        if (!reply || !reply->events.empty() || reply->canceled) {
            return reply;
        }
    }
}

}  // namespace

// ---------------------------------------------------------------------------------------------- transactions as functions

std::optional<std::string> Stm::get(std::string_view key) {
    if (const auto own = writes_.find(key); own != writes_.end()) {
        return own->second.removed ? std::nullopt : std::optional(own->second.value);
    }
    auto at = reads_.find(key);
    if (at == reads_.end()) {
        Seen seen;
        const std::string name(key);
        if (!read(name, seen)) {
            return std::nullopt;
        }
        at = reads_.emplace(name, std::move(seen)).first;
    }
    return at->second.mod_revision == 0 ? std::nullopt : std::optional(at->second.value);
}

void Stm::put(std::string_view key, std::string_view value, std::int64_t lease) {
    writes_.insert_or_assign(std::string(key), Written{false, std::string(value), lease});
}

void Stm::del(std::string_view key) { writes_.insert_or_assign(std::string(key), Written{true, {}, 0}); }

bool Stm::read(const std::string& key, Seen& seen) {
    if (error_) {
        return false;
    }
    if (const auto fetched = fetched_.find(key); fetched != fetched_.end()) {
        seen = fetched->second;
        return true;
    }
    GetOptions options;
    options.revision = revision_;
    auto got = client_->get(key, options);
    if (!got) {
        error_ = got.error();
        return false;
    }
    revision_ = revision_ == 0 ? got->header.revision : revision_;
    if (!got->kvs.empty()) {
        seen = {got->kvs.front().mod_revision, std::move(got->kvs.front().value)};
    }
    return true;
}

// All that was read is as it was: then what was written happens. Else it is all read anew, at one revision.
Txn Stm::commit() const {
    Txn txn;
    for (const auto& [key, seen] : reads_) {
        txn.compares.push_back({CompareTarget::mod, CompareResult::equal, key, {}, seen.mod_revision, {}});
        txn.failure.push_back(OpGet{key, {}});
    }
    for (const auto& [key, written] : writes_) {
        if (written.removed) {
            txn.success.push_back(OpDelete{key, {}});
        } else {
            PutOptions options;
            options.lease = written.lease;
            txn.success.push_back(OpPut{key, written.value, options});
        }
    }
    return txn;
}

// False: what is there is not what commit() asked for.
bool Stm::begin_after(const TxnReply& refused) {
    if (refused.replies.size() != reads_.size()) {
        return false;
    }
    fetched_.clear();
    std::size_t at = 0;
    for (const auto& [key, seen] : reads_) {
        const auto* got = std::get_if<GetReply>(&refused.replies[at++]);
        Seen& fetched = fetched_[key];
        if (got != nullptr && !got->kvs.empty()) {
            fetched = {got->kvs.front().mod_revision, got->kvs.front().value};
        }
    }
    revision_ = refused.header.revision;
    reads_.clear();
    writes_.clear();
    return true;
}

Outcome<TxnReply> run_stm(Client& client, const std::function<bool(Stm&)>& apply, std::int64_t timeout_ms) {
    const Remaining remaining(timeout_ms);
    Stm stm(client);
    for (;;) {
        const bool wanted = apply(stm);
        if (stm.error_ && stm.error_->code == ErrorCode::compacted && !remaining.over()) {
            stm = Stm(client);   // it took too long: another snapshot
            continue;
        }
        if (stm.error_) {
            return *stm.error_;
        }
        if (!wanted) {
            return Error{ErrorCode::cancelled, ErrorClass::definite, "etcdserver: request canceled", "it gave up"};
        }
        if (stm.writes_.empty()) {
            TxnReply reply;
            reply.header.revision = stm.revision_;
            reply.succeeded = true;
            return reply;
        }
        auto reply = client.txn(stm.commit());
        if (!reply || reply->succeeded) {
            return reply;
        }
        if (remaining.over()) {
            return no_longer_waiting("others changed what it had read");
        }
        if (!stm.begin_after(*reply)) {
            return Error{ErrorCode::corrupt, ErrorClass::definite, "ringfort: an answer of another form", {}};
        }
    }
}

// ---------------------------------------------------------------------------------------------- queues

Outcome<PutReply> Queue::enqueue(std::string_view value) {
    static std::atomic<std::uint64_t> made{0};
    for (;;) {
        // No other's, most likely; and if it is, the next one.
        std::string key = prefix_;
        for (const auto part : {static_cast<std::uint64_t>(client::SystemClock().wall().ns), made++}) {
            char digits[16];
            key.append(digits, std::to_chars(digits, digits + sizeof(digits), part, 16).ptr);
            key += '-';
        }
        Txn txn;
        txn.compares.push_back({CompareTarget::create, CompareResult::equal, key, {}, 0, {}});
        txn.success.push_back(OpPut{key, std::string(value), {}});
        auto reply = client_.txn(txn);
        if (!reply) {
            return reply.error();
        }
        if (reply->succeeded) {
            PutReply put;
            put.header = reply->header;
            return put;
        }
    }
}

Outcome<KeyValue> Queue::dequeue(std::int64_t timeout_ms) {
    const Remaining remaining(timeout_ms);
    GetOptions first = prefix(prefix_);
    first.sort_order = SortOrder::ascend;
    first.sort_target = SortTarget::create;
    first.limit = 1;
    for (;;) {
        auto got = client_.get(prefix_, first);
        if (!got) {
            return got.error();
        }
        if (got->kvs.empty()) {
            WatchOptions puts = watch_prefix(prefix_);
            puts.start_revision = got->header.revision + 1;
            puts.no_delete = true;
            if (const auto put = wait_for_event(client_, prefix_, puts, remaining); !put) {
                return put.error();
            }
            continue;
        }
        KeyValue& kv = got->kvs.front();
        Txn txn;
        txn.compares.push_back({CompareTarget::create, CompareResult::equal, kv.key, {}, kv.create_revision, {}});
        txn.success.push_back(OpDelete{kv.key, {}});
        const auto taken = client_.txn(txn);
        if (!taken) {
            return taken.error();
        }
        if (taken->succeeded) {
            return std::move(kv);
        }
        if (remaining.over()) {
            return no_longer_waiting("others took what there was");
        }
    }
}

// ---------------------------------------------------------------------------------------------- barriers

Outcome<Header> Barrier::hold() {
    Txn txn;
    txn.compares.push_back({CompareTarget::create, CompareResult::equal, key_, {}, 0, {}});
    txn.success.push_back(OpPut{key_, {}, {}});
    const auto reply = client_.txn(txn);
    if (!reply) {
        return reply.error();
    }
    return reply->header;
}

Outcome<Header> Barrier::release() {
    const auto reply = client_.del(key_);
    if (!reply) {
        return reply.error();
    }
    return reply->header;
}

Outcome<Header> Barrier::wait(std::int64_t timeout_ms) {
    const Remaining remaining(timeout_ms);
    for (;;) {
        const auto got = client_.get(key_);
        if (!got) {
            return got.error();
        }
        if (got->kvs.empty()) {
            return got->header;
        }
        WatchOptions removal;
        removal.start_revision = got->header.revision + 1;
        removal.no_put = true;
        const auto removed = wait_for_event(client_, key_, removal, remaining);
        if (!removed) {
            return removed.error();
        }
        if (!removed->events.empty()) {
            return removed->header;   // it may be held again by now
        }
    }
}

}  // namespace ringfort
