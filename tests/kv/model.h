// A deliberately naive store: a map from key to all its versions, nothing shared with the real one but the api types.
// A transaction first chooses its branches, then checks, then executes.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "store_driver.h"

namespace ringfort::kv {

class Model {
  public:
    using Pair = Driver::Pair;
    using Answer = Driver::Answer;

    struct PutAnswer {
        std::optional<Pair> prev;
        bool operator==(const PutAnswer&) const = default;
    };
    struct DeleteAnswer {
        std::int64_t deleted{0};
        std::vector<Pair> prev;
        bool operator==(const DeleteAnswer&) const = default;
    };
    struct TxnAnswer;
    struct OpAnswer;
    struct TxnAnswer {
        bool succeeded{false};
        std::vector<OpAnswer> ops;
        bool operator==(const TxnAnswer&) const;
    };
    struct OpAnswer {
        std::variant<Answer, PutAnswer, DeleteAnswer, TxnAnswer> is;
        bool operator==(const OpAnswer&) const;
    };
    struct Compacted {
        bool operator==(const Compacted&) const = default;
    };
    struct Granted {
        api::LeaseId id{0};
        std::int64_t ttl{0};
        bool operator==(const Granted&) const = default;
    };
    struct LeaseDone {   // any other command about leases
        bool operator==(const LeaseDone&) const = default;
    };
    struct AlarmsCleared {
        std::vector<api::Alarm> which;
        bool operator==(const AlarmsCleared&) const = default;
    };
    using Outcome = std::variant<api::Errc, Answer, PutAnswer, DeleteAnswer, TxnAnswer, Compacted, Granted, LeaseDone,
                                 AlarmsCleared>;

    std::vector<api::Alarm> alarms;

    std::map<api::LeaseId, LeaseFacts> leases;
    std::int64_t lease_clock_ns{0};
    std::uint64_t lease_term{0};
    std::uint64_t applied{0};

    api::Revision revision{1};
    api::Revision compacted{0};

    Outcome apply(const CommandBody& body) {
        applied++;
        if (const auto* put = std::get_if<api::PutRequest>(&body)) {
            if (const api::Errc code = check(*put); code != api::Errc::ok) {
                return code;
            }
            const PutAnswer out = execute(*put);
            finish();
            return out;
        }
        if (const auto* remove = std::get_if<api::DeleteRangeRequest>(&body)) {
            const DeleteAnswer out = execute(*remove);
            finish();
            return out;
        }
        if (const auto* compact = std::get_if<api::CompactRequest>(&body)) {
            if (compact->revision <= compacted) {
                return api::Errc::compacted;
            }
            if (compact->revision > revision) {
                return api::Errc::future_revision;
            }
            compacted = compact->revision;
            return Compacted{};
        }
        if (const auto* raise = std::get_if<AlarmRaise>(&body)) {
            return raise_alarm(raise->alarm);
        }
        if (const auto* clear = std::get_if<AlarmClear>(&body)) {
            AlarmsCleared out;
            for (std::size_t i = alarms.size(); i > 0; i--) {
                if (clear->covers(alarms[i - 1])) {
                    out.which.insert(out.which.begin(), alarms[i - 1]);
                    alarms.erase(alarms.begin() + static_cast<std::ptrdiff_t>(i - 1));
                }
            }
            return out;
        }
        if (!std::holds_alternative<api::TxnRequest>(body)) {
            return apply_lease(body);
        }
        const auto& txn = std::get<api::TxnRequest>(body);
        const Chosen chosen = choose(txn);
        if (const api::Errc code = check(chosen); code != api::Errc::ok) {
            return code;
        }
        const TxnAnswer out = execute(chosen);
        finish();
        return out;
    }

    std::variant<api::Errc, Answer> range(const api::RangeRequest& request) const {
        const api::Revision at = request.revision <= 0 ? revision : request.revision;
        if (at > revision) {
            return api::Errc::future_revision;
        }
        if (at < compacted) {
            return api::Errc::compacted;
        }
        return range_at(request, at);
    }

    // Key by key, in order.
    std::vector<std::string> keys_of(api::LeaseId id) const {
        std::vector<std::string> out;
        for (const auto& [key, versions] : keys_) {
            if (versions.back().pair && versions.back().pair->lease == id) {
                out.push_back(key);
            }
        }
        return out;
    }

    std::map<std::string, Pair> live_at(api::Revision at) const {
        std::map<std::string, Pair> out;
        for (const auto& [key, versions] : keys_) {
            const State* newest = nullptr;
            for (const State& state : versions) {
                if (state.mod <= at) {
                    newest = &state;
                }
            }
            if (newest != nullptr && newest->pair) {
                out[key] = *newest->pair;
            }
        }
        return out;
    }

  private:
    struct State {
        api::Revision mod;
        std::optional<Pair> pair;   // nullopt: removed
    };
    // A transaction with its branches chosen.
    struct Chosen {
        bool succeeded{false};
        std::vector<std::variant<const api::RequestOp*, Chosen>> ops;
    };

    static bool covers(std::string_view begin, std::string_view end, const std::string& key) {
        if (end.empty()) {
            return key == begin;
        }
        return key >= begin && (end == std::string_view("\0", 1) || key < end);
    }

    Outcome raise_alarm(const api::Alarm& alarm) {
        if (std::ranges::count(alarms, alarm) == 0) {
            if (alarms.size() == alarms_max) {
                return api::Errc::too_many_requests;
            }
            alarms.push_back(alarm);
            std::ranges::sort(alarms);
        }
        return AlarmsCleared{};
    }
    void stamp(const LeaseStamp& by) {
        lease_clock_ns = std::max(lease_clock_ns, by.at.ns);
        lease_term = std::max(lease_term, by.term.value);
    }
    LeaseFacts granted_now(std::int64_t ttl) const {
        return {ttl, LeaseTime{lease_clock_ns + ttl * 1'000'000'000}, LogIndex(applied)};
    }
    Outcome end_lease(api::LeaseId id) {
        if (leases.erase(id) == 0) {
            return api::Errc::lease_not_found;
        }
        for (auto& [key, versions] : keys_) {
            if (versions.back().pair && versions.back().pair->lease == id) {
                versions.push_back({revision + 1, std::nullopt});
                changed_ = true;
            }
        }
        finish();
        return LeaseDone{};
    }
    Outcome apply_lease(const CommandBody& body) {
        if (const auto* grant = std::get_if<LeaseGrant>(&body)) {
            stamp(grant->stamp);
            if (leases.contains(grant->id)) {
                return api::Errc::lease_exists;
            }
            leases[grant->id] = granted_now(grant->ttl);
            return Granted{grant->id, grant->ttl};
        }
        if (const auto* revoke = std::get_if<LeaseRevoke>(&body)) {
            stamp(revoke->stamp);
            return end_lease(revoke->id);
        }
        if (const auto* expire = std::get_if<LeaseExpire>(&body)) {
            const bool deposed = expire->stamp.term.value < lease_term;
            stamp(expire->stamp);
            const auto lease = leases.find(expire->id);
            const bool same = lease != leases.end() && lease->second.version == expire->version;
            return same && !deposed ? end_lease(expire->id) : api::Errc::lease_not_found;
        }
        if (const auto* keep_alive = std::get_if<LeaseKeepAlive>(&body)) {
            stamp(keep_alive->stamp);
            for (const api::LeaseId id : keep_alive->ids) {
                if (leases.contains(id)) {
                    leases[id] = granted_now(leases[id].ttl);
                }
            }
            return LeaseDone{};
        }
        stamp(std::get<LeaseTick>(body).stamp);
        return LeaseDone{};
    }

    std::optional<Pair> current(std::string_view key) const {
        const auto found = keys_.find(std::string(key));
        return found == keys_.end() ? std::nullopt : found->second.back().pair;
    }

    void finish() {
        if (changed_) {
            revision++;
        }
        changed_ = false;
    }

    api::Errc check(const api::PutRequest& put) const {
        if (put.lease != 0 && !leases.contains(put.lease)) {
            return api::Errc::lease_not_found;
        }
        return (put.ignore_value || put.ignore_lease) && !current(put.key) ? api::Errc::key_not_found
                                                                          : api::Errc::ok;
    }

    PutAnswer execute(const api::PutRequest& put) {
        const std::optional<Pair> before = current(put.key);
        Pair next{std::string(put.key), std::string(put.value), revision + 1, revision + 1, 1, put.lease};
        if (before) {
            next.create = before->create;
            next.version = before->version + 1;
            if (put.ignore_value) {
                next.value = before->value;
            }
            if (put.ignore_lease) {
                next.lease = before->lease;
            }
        }
        keys_[next.key].push_back({revision + 1, next});
        changed_ = true;
        return {put.prev_kv ? before : std::nullopt};
    }

    DeleteAnswer execute(const api::DeleteRangeRequest& remove) {
        DeleteAnswer out;
        for (auto& [key, versions] : keys_) {
            if (covers(remove.key, remove.range_end, key) && versions.back().pair) {
                out.deleted++;
                if (remove.prev_kv) {
                    out.prev.push_back(*versions.back().pair);
                }
                versions.push_back({revision + 1, std::nullopt});
                changed_ = true;
            }
        }
        return out;
    }

    Answer range_at(const api::RangeRequest& request, api::Revision at) const {
        Answer out;
        std::vector<Pair> matches;
        for (const auto& [key, pair] : live_at(at)) {
            if (!covers(request.key, request.range_end, key)) {
                continue;
            }
            out.count++;
            const bool in_mod = (request.min_mod_revision == 0 || pair.mod >= request.min_mod_revision) &&
                                (request.max_mod_revision == 0 || pair.mod <= request.max_mod_revision);
            const bool in_create = (request.min_create_revision == 0 || pair.create >= request.min_create_revision) &&
                                   (request.max_create_revision == 0 || pair.create <= request.max_create_revision);
            if (in_mod && in_create) {
                matches.push_back(pair);
            }
        }
        if (request.count_only) {
            return out;
        }
        std::stable_sort(matches.begin(), matches.end(), [&](const Pair& a, const Pair& b) {
            const bool down = request.sort_order == api::SortOrder::descend;
            const Pair& x = down ? b : a;
            const Pair& y = down ? a : b;
            switch (request.sort_target) {
                case api::SortTarget::key:
                    return x.key < y.key;
                case api::SortTarget::version:
                    return x.version < y.version;
                case api::SortTarget::create:
                    return x.create < y.create;
                case api::SortTarget::mod:
                    return x.mod < y.mod;
                case api::SortTarget::value:
                    return x.value < y.value;
            }
            return false;
        });
        if (request.limit > 0 && matches.size() > static_cast<std::size_t>(request.limit)) {
            matches.resize(static_cast<std::size_t>(request.limit));
            out.more = true;
        }
        for (Pair& pair : matches) {
            if (request.keys_only) {
                pair.value.clear();
            }
        }
        out.pairs = std::move(matches);
        return out;
    }

    template <class T>
    static bool ordered(api::CompareResult result, const T& found, const T& given) {
        switch (result) {
            case api::CompareResult::equal:
                return found == given;
            case api::CompareResult::greater:
                return found > given;
            case api::CompareResult::less:
                return found < given;
            case api::CompareResult::not_equal:
                return found != given;
        }
        return false;
    }

    static bool holds(const api::Compare& compare, const Pair& pair, bool exists) {
        switch (compare.target) {
            case api::CompareTarget::version:
                return ordered(compare.result, pair.version, compare.number);
            case api::CompareTarget::create:
                return ordered(compare.result, pair.create, compare.number);
            case api::CompareTarget::mod:
                return ordered(compare.result, pair.mod, compare.number);
            case api::CompareTarget::lease:
                return ordered(compare.result, pair.lease, compare.number);
            case api::CompareTarget::value:
                return exists && ordered(compare.result, pair.value, std::string(compare.value));
        }
        return false;
    }

    bool holds(const api::Compare& compare) const {
        bool met = false;
        for (const auto& [key, pair] : live_at(revision)) {
            if (covers(compare.key, compare.range_end, key)) {
                met = true;
                if (!holds(compare, pair, true)) {
                    return false;
                }
            }
        }
        return met || holds(compare, Pair{}, false);
    }

    Chosen choose(const api::TxnRequest& txn) const {
        Chosen out;
        out.succeeded = std::all_of(txn.compare.begin(), txn.compare.end(),
                                    [&](const api::Compare& compare) { return holds(compare); });
        for (const api::RequestOp& op : out.succeeded ? txn.success : txn.failure) {
            if (const auto* nested = std::get_if<api::TxnRequest>(&op.op)) {
                out.ops.push_back(choose(*nested));
            } else {
                out.ops.push_back(&op);
            }
        }
        return out;
    }

    api::Errc check(const Chosen& chosen) const {
        for (const auto& op : chosen.ops) {
            api::Errc code = api::Errc::ok;
            if (const auto* nested = std::get_if<Chosen>(&op)) {
                code = check(*nested);
            } else if (const auto* put = std::get_if<api::PutRequest>(&std::get<const api::RequestOp*>(op)->op)) {
                code = check(*put);
            } else if (const auto* range =
                           std::get_if<api::RangeRequest>(&std::get<const api::RequestOp*>(op)->op)) {
                if (range->revision > revision) {
                    code = api::Errc::future_revision;
                } else if (range->revision < 0 || (range->revision > 0 && range->revision < compacted)) {
                    code = api::Errc::compacted;
                }
            }
            if (code != api::Errc::ok) {
                return code;
            }
        }
        return api::Errc::ok;
    }

    TxnAnswer execute(const Chosen& chosen) {
        TxnAnswer out{chosen.succeeded, {}};
        for (const auto& op : chosen.ops) {
            if (const auto* nested = std::get_if<Chosen>(&op)) {
                out.ops.push_back({execute(*nested)});
                continue;
            }
            const auto& is = std::get<const api::RequestOp*>(op)->op;
            if (const auto* put = std::get_if<api::PutRequest>(&is)) {
                out.ops.push_back({execute(*put)});
            } else if (const auto* remove = std::get_if<api::DeleteRangeRequest>(&is)) {
                out.ops.push_back({execute(*remove)});
            } else {
                const auto& range = std::get<api::RangeRequest>(is);
                out.ops.push_back({range_at(range, range.revision == 0 ? revision + 1 : range.revision)});
            }
        }
        return out;
    }

    std::map<std::string, std::vector<State>> keys_;
    bool changed_{false};
};

inline bool Model::OpAnswer::operator==(const OpAnswer& other) const {
    return is == other.is;
}

inline bool Model::TxnAnswer::operator==(const TxnAnswer& other) const {
    return succeeded == other.succeeded && ops == other.ops;
}

// The real store's outcome in the model's words.
inline Model::TxnAnswer model_answer(const api::TxnResponse& response);
inline Model::PutAnswer model_answer(const api::PutResponse& response) {
    return {response.prev_kv ? std::optional(Driver::copy(*response.prev_kv)) : std::nullopt};
}
inline Model::DeleteAnswer model_answer(const api::DeleteRangeResponse& response) {
    Model::DeleteAnswer out{response.deleted, {}};
    for (const api::KeyValue& pair : response.prev_kvs) {
        out.prev.push_back(Driver::copy(pair));
    }
    return out;
}
inline Model::Answer model_answer(const api::RangeResponse& response) {
    return Driver::copy(response);
}
inline Model::TxnAnswer model_answer(const api::TxnResponse& response) {
    Model::TxnAnswer out{response.succeeded, {}};
    for (const api::ResponseOp& op : response.responses) {
        std::visit([&](const auto& is) { out.ops.push_back({model_answer(is)}); }, op.op);
    }
    return out;
}
inline Model::Outcome model_outcome(const std::variant<api::Result, api::Errc>& outcome) {
    if (const auto* code = std::get_if<api::Errc>(&outcome)) {
        return *code;
    }
    const auto& result = std::get<api::Result>(outcome);
    if (const auto* put = std::get_if<api::PutResponse>(&result)) {
        return model_answer(*put);
    }
    if (const auto* remove = std::get_if<api::DeleteRangeResponse>(&result)) {
        return model_answer(*remove);
    }
    if (const auto* txn = std::get_if<api::TxnResponse>(&result)) {
        return model_answer(*txn);
    }
    if (const auto* grant = std::get_if<api::LeaseGrantResponse>(&result)) {
        return Model::Granted{grant->id, grant->ttl};
    }
    if (std::holds_alternative<api::LeaseRevokeResponse>(result) ||
        std::holds_alternative<api::LeaseKeepAliveResponse>(result)) {
        return Model::LeaseDone{};
    }
    if (const auto* alarms = std::get_if<api::AlarmResponse>(&result)) {
        return Model::AlarmsCleared{{alarms->alarms.begin(), alarms->alarms.end()}};
    }
    EXPECT_TRUE(std::holds_alternative<api::CompactResponse>(result));
    return Model::Compacted{};
}

}  // namespace ringfort::kv
