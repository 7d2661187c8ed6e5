// Checks of a request that need no state, in etcd's order: field checks and limits over the whole tree first (parents
// before children, success before failure), then the duplicate rule. The size comes before that rule, whose sorting looks at
// every key: decoded, a request may be many times larger than its frame.
//
// Where etcd behaves by accident, this file decides:
// - A put in one nested transaction and a delete in a later sibling: etcd collects siblings one after the other and
//   lets this pass. Here all deletes of a list are known before any put is looked at: order does not matter.
// - A delete with range_end "\0" (no end): etcd's overlap check takes "\0" literally and gets an inverted interval.
//   Here the interval is normalised first (api::interval_of).
// - An op without a member: etcd answers "key not found". It cannot be expressed in api::RequestOp: the wire refuses it
//   as malformed.
// - An unknown compare result or target: etcd takes an unknown result as true. Here it is malformed.
// - Like etcd: the puts of one branch of a nested transaction collide with deletes of its other branch, though
//   the two never run together; puts of the same key in both branches do not. The two lists at the top are independent.
// - etcd bounds ops per level only, so that nesting multiplies them; txn_total_ops_max bounds the tree.
//
// And one thing that etcd does on purpose is not done: it answers a transaction of ranges alone as a read (by ReadIndex, or
// from the own copy if every range is serializable). Here every transaction is a command: as linearizable, at the price
// of an entry in a batch. To be a read it would have to run over several turns at a pinned revision beside the commands
// that go on, compares included; who wants cheap reads asks for ranges.
#include <algorithm>
#include <vector>

#include "api/key_range.h"
#include "base/bounds.h"
#include "kv/command.h"

namespace ringfort::kv {

namespace {

using api::Errc;

Errc check(const api::RangeRequest& range) {
    if (range.key.empty()) {
        return Errc::empty_key;
    }
    const bool order_known = range.sort_order <= api::SortOrder::descend;
    const bool target_known = range.sort_target <= api::SortTarget::value;
    return order_known && target_known ? Errc::ok : Errc::invalid_sort_option;
}

Errc check(const api::PutRequest& put) {
    if (put.key.empty()) {
        return Errc::empty_key;
    }
    if (put.ignore_value && !put.value.empty()) {
        return Errc::value_provided;
    }
    if (put.ignore_lease && put.lease != 0) {
        return Errc::lease_provided;
    }
    return Errc::ok;
}

Errc check(const api::DeleteRangeRequest& remove) {
    return remove.key.empty() ? Errc::empty_key : Errc::ok;
}

Errc check(const api::Compare& compare) {
    if (compare.key.empty()) {
        return Errc::empty_key;
    }
    const bool result_known = compare.result <= api::CompareResult::not_equal;
    const bool target_known = compare.target <= api::CompareTarget::lease;
    return result_known && target_known ? Errc::ok : Errc::malformed_request;
}

class TxnFieldCheck {
  public:
    Errc check_txn(const api::TxnRequest& txn, std::size_t ops_limit, std::size_t depth) {
        if (depth > limits::txn_depth_max) {
            return Errc::too_deep;
        }
        const std::size_t ops = std::max({txn.compare.size(), txn.success.size(), txn.failure.size()});
        total_ops_ += txn.compare.size() + txn.success.size() + txn.failure.size();
        if (ops > ops_limit || total_ops_ > txn_total_ops_max) {
            return Errc::too_many_ops;
        }
        for (const api::Compare& compare : txn.compare) {
            if (const Errc code = check(compare); code != Errc::ok) {
                return code;
            }
        }
        for (const auto list : {txn.success, txn.failure}) {
            for (const api::RequestOp& op : list) {
                if (const Errc code = check_op(op, ops_limit - ops, depth); code != Errc::ok) {
                    return code;
                }
            }
        }
        return Errc::ok;
    }

  private:
    Errc check_op(const api::RequestOp& op, std::size_t ops_limit, std::size_t depth) {
        if (const auto* nested = std::get_if<api::TxnRequest>(&op.op)) {
            return check_txn(*nested, ops_limit, depth + 1);
        }
        if (const auto* put = std::get_if<api::PutRequest>(&op.op)) {
            return check(*put);
        }
        if (const auto* range = std::get_if<api::RangeRequest>(&op.op)) {
            return check(*range);
        }
        return check(std::get<api::DeleteRangeRequest>(op.op));
    }

    std::size_t total_ops_{0};
};

// The duplicate rule for one list with everything nested in it.
class DuplicateCheck {
  public:
    bool has_duplicates(std::span<const api::RequestOp> list) {
        std::vector<std::string_view> puts;
        return !collect(list, puts) || put_meets_delete(puts);
    }

  private:
    using Keys = std::vector<std::string_view>;

    // Ensures: `puts` is sorted and distinct. False: a key is put twice.
    bool collect(std::span<const api::RequestOp> list, Keys& puts) {
        for (const api::RequestOp& op : list) {
            if (const auto* put = std::get_if<api::PutRequest>(&op.op)) {
                puts.push_back(put->key);
            } else if (const auto* remove = std::get_if<api::DeleteRangeRequest>(&op.op)) {
                deletes_.push_back(*remove);
            } else if (const auto* nested = std::get_if<api::TxnRequest>(&op.op)) {
                Keys success;
                Keys failure_puts;
                if (!collect(nested->success, success) || !collect(nested->failure, failure_puts)) {
                    return false;
                }
                std::set_union(success.begin(), success.end(), failure_puts.begin(), failure_puts.end(),
                               std::back_inserter(puts));
            }
        }
        std::sort(puts.begin(), puts.end());
        return std::adjacent_find(puts.begin(), puts.end()) == puts.end();
    }

    // Sweeps puts and deletes in key order; `reach` is the furthest end of the deletes begun so far.
    bool put_meets_delete(const Keys& puts) {
        std::sort(deletes_.begin(), deletes_.end(),
                  [](const auto& a, const auto& b) { return a.key < b.key; });
        std::size_t next = 0;
        std::string_view reach;
        bool endless = false;
        for (const std::string_view key : puts) {
            for (; next < deletes_.size() && deletes_[next].key <= key; next++) {
                const api::KeyRange range{deletes_[next].key, deletes_[next].range_end};
                if (api::is_point(range)) {
                    if (range.key == key) {
                        return true;
                    }
                    continue;
                }
                const api::Interval interval = api::interval_of(range);
                endless = endless || !interval.end;
                reach = std::max(reach, interval.end.value_or(std::string_view{}));
            }
            if (endless || key < reach) {
                return true;
            }
        }
        return false;
    }

    std::vector<api::DeleteRangeRequest> deletes_;
};

Errc check(const api::TxnRequest& txn, const RequestLimits& limits) {
    if (const Errc code = TxnFieldCheck().check_txn(txn, limits.txn_ops, 1); code != Errc::ok) {
        return code;
    }
    if (command_bytes(txn) > limits.command_bytes) {
        return Errc::request_too_large;
    }
    const bool duplicates =
        DuplicateCheck().has_duplicates(txn.success) || DuplicateCheck().has_duplicates(txn.failure);
    return duplicates ? Errc::duplicate_key : Errc::ok;
}

Errc check(const api::LeaseGrantRequest& grant) {
    return grant.ttl > limits::lease_ttl_max_s ? Errc::lease_ttl_too_large : Errc::ok;
}

Errc check(const api::LeaseKeepAliveRequest& keep_alive) {
    return keep_alive.ids.size() > limits::lease_keep_alive_ids_max ? Errc::request_too_large : Errc::ok;
}

// No key is longer than a command: nothing hangs on a lease from there on.
Errc check(const api::LeaseTimeToLiveRequest& question, const RequestLimits& limits) {
    return question.from_key.size() > limits.command_bytes ? Errc::request_too_large : Errc::ok;
}

// No key is as long as what it is put with.
Errc check(const api::WatchRequest& watch, const RequestLimits& limits) {
    const bool too_long = std::max(watch.key.size(), watch.range_end.size()) > limits.command_bytes;
    return too_long ? Errc::request_too_large : Errc::ok;
}

template <class Request>
Errc check_with_size(const Request& request, const RequestLimits& limits) {
    const Errc code = check(request);
    const bool too_large = command_bytes(request) > limits.command_bytes;
    return code == Errc::ok && too_large ? Errc::request_too_large : code;
}

}  // namespace

api::Errc check_request(const api::Operation& operation, const RequestLimits& limits) {
    if (const auto* put = std::get_if<api::PutRequest>(&operation)) {
        return check_with_size(*put, limits);
    }
    if (const auto* range = std::get_if<api::RangeRequest>(&operation)) {
        return check(*range);   // no command is made of it
    }
    if (const auto* remove = std::get_if<api::DeleteRangeRequest>(&operation)) {
        return check_with_size(*remove, limits);
    }
    if (const auto* txn = std::get_if<api::TxnRequest>(&operation)) {
        return check(*txn, limits);
    }
    if (const auto* grant = std::get_if<api::LeaseGrantRequest>(&operation)) {
        return check(*grant);
    }
    if (const auto* revoke = std::get_if<api::LeaseRevokeRequest>(&operation)) {
        return revoke->id == 0 ? Errc::lease_not_found : Errc::ok;   // nobody was ever granted that one
    }
    if (const auto* keep_alive = std::get_if<api::LeaseKeepAliveRequest>(&operation)) {
        return check(*keep_alive);
    }
    if (const auto* question = std::get_if<api::LeaseTimeToLiveRequest>(&operation)) {
        return check(*question, limits);
    }
    if (const auto* watch = std::get_if<api::WatchRequest>(&operation)) {
        return check(*watch, limits);
    }
    if (const auto* alarm = std::get_if<api::AlarmRequest>(&operation)) {
        // Members raise them, for a reason that has to be gone before they end.
        return alarm->action == api::AlarmAction::activate ? Errc::unsupported_request : Errc::ok;
    }
    return Errc::ok;
}

}  // namespace ringfort::kv
