// Random requests over a small key space, so that they meet. The texts live as long as the maker's current round.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "base/arena.h"
#include "base/prng.h"
#include "kv/command.h"

namespace ringfort::kv {

class RequestMaker {
  public:
    explicit RequestMaker(std::uint64_t seed) : prng(seed) {}

    void next_round() {
        texts_.clear();
        arena_.reset();
    }

    std::string_view key() {
        static constexpr std::string_view stems[] = {"a", "b", "shared/prefix/longer/than/a/head/", "z", "\xff\xff"};
        std::string out(stems[prng.below(std::size(stems))]);
        const std::uint64_t tail = prng.below(4);
        for (std::uint64_t i = 0; i < tail; i++) {
            out.push_back("\0ab\xff"[prng.below(4)]);
        }
        return keep(std::move(out));
    }
    std::string_view range_end() {
        switch (prng.below(6)) {
            case 0:
            case 1:
                return {};
            case 2:
                return std::string_view("\0", 1);
            default:
                return key();
        }
    }
    std::string_view value() { return keep(std::string(prng.below(40), static_cast<char>('a' + prng.below(3)))); }

    api::PutRequest put() {
        api::PutRequest out;
        out.key = key();
        out.prev_kv = prng.one_in(2);
        out.ignore_value = prng.one_in(8);
        out.ignore_lease = prng.one_in(8);
        out.value = out.ignore_value ? std::string_view{} : value();
        out.lease = !out.ignore_lease && prng.one_in(3) ? lease() : 0;
        return out;
    }
    api::DeleteRangeRequest remove() { return {key(), range_end(), prng.one_in(2)}; }

    api::Revision revision_near(api::Revision current) {
        return prng.one_in(2) ? 0 : current + 2 - static_cast<api::Revision>(prng.below(12));
    }
    api::RangeRequest range(api::Revision current) {
        api::RangeRequest out;
        out.key = key();
        out.range_end = prng.one_in(2) ? std::string_view("\0", 1) : range_end();
        out.limit = prng.one_in(2) ? static_cast<std::int64_t>(prng.below(8)) - 1 : 0;
        out.revision = revision_near(current);
        out.sort_order = static_cast<api::SortOrder>(prng.below(3));
        out.sort_target = prng.one_in(2) ? api::SortTarget::key : static_cast<api::SortTarget>(prng.below(5));
        out.keys_only = prng.one_in(5);
        out.count_only = prng.one_in(8);
        for (api::Revision* filter : {&out.min_mod_revision, &out.max_mod_revision, &out.min_create_revision,
                                      &out.max_create_revision}) {
            *filter = prng.one_in(8) ? current - static_cast<api::Revision>(prng.below(10)) : 0;
        }
        return out;
    }

    api::Compare compare(api::Revision current) {
        api::Compare out;
        out.result = static_cast<api::CompareResult>(prng.below(4));
        out.target = static_cast<api::CompareTarget>(prng.below(5));
        out.key = key();
        out.range_end = prng.one_in(2) ? std::string_view{} : range_end();
        if (out.target == api::CompareTarget::value) {
            out.value = value();
        } else if (out.target == api::CompareTarget::create || out.target == api::CompareTarget::mod) {
            out.number = current - static_cast<std::int64_t>(prng.below(6));
        } else {
            out.number = static_cast<std::int64_t>(prng.below(3));
        }
        return out;
    }
    api::TxnRequest txn(api::Revision current, std::size_t depth = 1) {
        const auto compares = arena_.make_array<api::Compare>(prng.below(3));
        for (api::Compare& one : compares) {
            one = compare(current);
        }
        return {compares, ops(current, depth), ops(current, depth)};
    }

    api::LeaseId lease() { return static_cast<api::LeaseId>(prng.below(5)) - 2; }
    api::LeaseId some_lease() {
        const api::LeaseId id = lease();
        return id == 0 ? 7 : id;
    }
    // Mostly as it is; now and then of a reading, or a leader, of before.
    LeaseStamp stamp() {
        lease_clock_ns_ += static_cast<std::int64_t>(prng.below(3'000'000'000));
        lease_term_ += prng.one_in(20) ? 1u : 0u;
        const std::int64_t back = prng.one_in(5) ? 4'000'000'000 : 0;
        return {Term(lease_term_ - (prng.one_in(8) && lease_term_ > 1 ? 1u : 0u)),
                LeaseTime{std::max<std::int64_t>(lease_clock_ns_ - back, 0)}};
    }
    CommandBody lease_command() {
        switch (prng.below(6)) {
            case 0:
            case 1:
                return LeaseGrant{stamp(), some_lease(), static_cast<std::int64_t>(prng.between(1, 20))};
            case 2:
                return LeaseRevoke{stamp(), some_lease()};
            case 3: {
                const auto ids = arena_.make_array<api::LeaseId>(prng.below(4));
                for (api::LeaseId& id : ids) {
                    id = some_lease();
                }
                return LeaseKeepAlive{stamp(), ids};
            }
            case 4: {
                const api::LeaseId id = some_lease();
                const auto version = lease_versions.find(id);
                const bool right = version != lease_versions.end() && !prng.one_in(4);
                return LeaseExpire{stamp(), id, right ? version->second : LogIndex(1)};
            }
            default:
                return LeaseTick{stamp()};
        }
    }

    CommandBody alarm_command() {
        const auto type = [&](std::uint64_t least) { return static_cast<api::AlarmType>(prng.between(least, 2)); };
        if (prng.one_in(3)) {
            return AlarmClear{{NodeId(prng.below(3)), type(0)}};
        }
        return AlarmRaise{{NodeId(prng.between(1, 3)), type(1)}};
    }

    CommandBody command(api::Revision current) {
        if (prng.one_in(20)) {
            return alarm_command();
        }
        const std::uint64_t kind = prng.below(28);
        if (kind >= 20) {
            return lease_command();
        }
        if (kind < 9) {
            return put();
        }
        if (kind < 12) {
            return remove();
        }
        if (kind < 19) {
            return txn(current);
        }
        return api::CompactRequest{current - static_cast<api::Revision>(prng.below(8)), prng.one_in(2)};
    }

    Prng prng;
    std::map<api::LeaseId, LogIndex> lease_versions;   // as the caller knows them

  private:
    std::string_view keep(std::string text) { return texts_.emplace_back(std::move(text)); }

    std::span<const api::RequestOp> ops(api::Revision current, std::size_t depth) {
        const auto out = arena_.make_array<api::RequestOp>(prng.below(4));
        for (api::RequestOp& op : out) {
            switch (prng.below(depth < 4 ? 5 : 4)) {
                case 0:
                case 1:
                    op.op = put();
                    break;
                case 2:
                    op.op = remove();
                    break;
                case 3:
                    op.op = range(current);
                    break;
                default:
                    op.op = txn(current, depth + 1);
                    break;
            }
        }
        return out;
    }

    std::int64_t lease_clock_ns_{0};
    std::uint64_t lease_term_{1};
    std::deque<std::string> texts_;
    Arena arena_;
};

}  // namespace ringfort::kv
