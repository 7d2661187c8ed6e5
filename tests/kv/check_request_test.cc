#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/bounds.h"
#include "kv/command.h"
#include "store_driver.h"

namespace ringfort::kv {
namespace {

using api::Errc;
using Ops = std::vector<api::RequestOp>;

api::RequestOp put_op(std::string_view key) { return {api::PutRequest{.key = key, .value = "v"}}; }
api::RequestOp remove_op(std::string_view key, std::string_view end = {}) {
    return {api::DeleteRangeRequest{.key = key, .range_end = end}};
}
api::RequestOp nested(const Ops& success, const Ops& failure = {}) {
    return {api::TxnRequest{{}, success, failure}};
}
Errc check(const api::Operation& operation) { return check_request(operation, {}); }
Errc check_ops(const Ops& success, const Ops& failure = {}) {
    return check(api::TxnRequest{{}, success, failure});
}

TEST(CheckRequest, an_empty_key_is_refused_everywhere) {
    EXPECT_EQ(check(api::PutRequest{}), Errc::empty_key);
    EXPECT_EQ(check(api::RangeRequest{}), Errc::empty_key);
    EXPECT_EQ(check(api::DeleteRangeRequest{}), Errc::empty_key);
    EXPECT_EQ(check_ops({put_op("")}), Errc::empty_key);
    EXPECT_EQ(check_ops({}, {remove_op("")}), Errc::empty_key);
    const api::Compare compare;
    EXPECT_EQ(check(api::TxnRequest{{&compare, 1}, {}, {}}), Errc::empty_key);
}

TEST(CheckRequest, ignore_flags_refuse_what_they_ignore) {
    EXPECT_EQ(check(api::PutRequest{.key = "a", .value = "v", .ignore_value = true}), Errc::value_provided);
    EXPECT_EQ(check(api::PutRequest{.key = "a", .value = {}, .lease = 1, .ignore_lease = true}), Errc::lease_provided);
    EXPECT_EQ(check(api::PutRequest{.key = "a", .value = {}, .ignore_value = true, .ignore_lease = true}), Errc::ok);
}

TEST(CheckRequest, a_watch_of_keys_longer_than_any_is_refused) {
    const RequestLimits limits;
    const std::string longest(limits.command_bytes, 'k'), longer(limits.command_bytes + 1, 'k');
    EXPECT_EQ(check(api::WatchRequest{.key = longest, .range_end = longest}), Errc::ok);
    EXPECT_EQ(check(api::WatchRequest{.key = longer, .range_end = {}}), Errc::request_too_large);
    EXPECT_EQ(check(api::WatchRequest{.key = "k", .range_end = longer}), Errc::request_too_large);
}

TEST(CheckRequest, an_unknown_sort_is_refused) {
    api::RangeRequest range{.key = "a", .range_end = {}};
    range.sort_order = static_cast<api::SortOrder>(3);
    EXPECT_EQ(check(range), Errc::invalid_sort_option);
    range.sort_order = api::SortOrder::descend;
    range.sort_target = static_cast<api::SortTarget>(5);
    EXPECT_EQ(check(range), Errc::invalid_sort_option);
    range.sort_target = api::SortTarget::value;
    EXPECT_EQ(check(range), Errc::ok);
}

TEST(CheckRequest, ops_of_a_list_are_bounded_at_the_limit_and_nesting_gets_the_rest) {
    std::vector<api::RequestOp> ranges(128, {api::RangeRequest{.key = "a", .range_end = {}}});
    EXPECT_EQ(check_ops(ranges), Errc::ok);
    ranges.push_back(ranges.front());
    EXPECT_EQ(check_ops(ranges), Errc::too_many_ops);
    ranges.resize(127);
    EXPECT_EQ(check_ops({nested(ranges)}), Errc::ok);
    ranges.push_back(ranges.front());
    EXPECT_EQ(check_ops({nested(ranges)}), Errc::too_many_ops);
}

TEST(CheckRequest, a_key_is_put_once_in_a_list_and_what_is_nested_in_it) {
    EXPECT_EQ(check_ops({put_op("a"), put_op("a")}), Errc::duplicate_key);
    EXPECT_EQ(check_ops({put_op("a"), put_op("b")}), Errc::ok);
    EXPECT_EQ(check_ops({put_op("a")}, {put_op("a")}), Errc::ok);
    const Ops a{put_op("a")};
    EXPECT_EQ(check_ops({put_op("a"), nested(a)}), Errc::duplicate_key);
    EXPECT_EQ(check_ops({nested(a), nested(a)}), Errc::duplicate_key);
    EXPECT_EQ(check_ops({nested(a, a)}), Errc::ok);
}

TEST(CheckRequest, a_put_does_not_fall_into_a_delete_of_its_list) {
    EXPECT_EQ(check_ops({put_op("a"), remove_op("a")}), Errc::duplicate_key);
    EXPECT_EQ(check_ops({remove_op("a", "c"), put_op("b")}), Errc::duplicate_key);
    EXPECT_EQ(check_ops({remove_op("a", "c"), put_op("c")}), Errc::ok);
    EXPECT_EQ(check_ops({remove_op("a", "c"), remove_op("b", "d")}), Errc::ok);
    EXPECT_EQ(check_ops({remove_op("a", "c")}, {put_op("b")}), Errc::ok);
    const Ops inner{put_op("b")};
    EXPECT_EQ(check_ops({remove_op("a", "c"), nested(inner)}), Errc::duplicate_key);
}

TEST(CheckRequest, an_endless_delete_and_a_later_sibling_count_where_etcd_forgets_them) {
    EXPECT_EQ(check_ops({remove_op("a", endless), put_op("z")}), Errc::duplicate_key);
    const Ops puts{put_op("b")};
    const Ops removes{remove_op("a", "c")};
    EXPECT_EQ(check_ops({nested(puts), nested(removes)}), Errc::duplicate_key);
}

TEST(CheckRequest, a_request_is_as_large_as_its_command_and_is_measured_before_its_keys_are_compared) {
    const Ops twice{put_op("a"), put_op("a")};
    const api::TxnRequest duplicates{{}, twice, {}};
    const std::size_t bytes = command_bytes(duplicates);
    EXPECT_EQ(check_request(duplicates, {.command_bytes = bytes}), Errc::duplicate_key);
    EXPECT_EQ(check_request(duplicates, {.command_bytes = bytes - 1}), Errc::request_too_large);
    const api::PutRequest put{.key = "a", .value = "v"};
    EXPECT_EQ(check_request(put, {.command_bytes = command_bytes(put)}), Errc::ok);
    EXPECT_EQ(check_request(put, {.command_bytes = command_bytes(put) - 1}), Errc::request_too_large);
    const api::DeleteRangeRequest removal{"a", "b", false};
    EXPECT_EQ(check_request(removal, {.command_bytes = command_bytes(removal)}), Errc::ok);
    EXPECT_EQ(check_request(removal, {.command_bytes = command_bytes(removal) - 1}), Errc::request_too_large);
    EXPECT_EQ(check_request(api::RangeRequest{.key = "a", .range_end = {}}, {.command_bytes = 0}), Errc::ok);
}

TEST(CheckRequest, leases_are_bounded_at_the_bound) {
    EXPECT_EQ(check(api::LeaseGrantRequest{.ttl = limits::lease_ttl_max_s}), Errc::ok);
    EXPECT_EQ(check(api::LeaseGrantRequest{.ttl = limits::lease_ttl_max_s + 1}), Errc::lease_ttl_too_large);
    EXPECT_EQ(check(api::LeaseGrantRequest{.ttl = INT64_MIN}), Errc::ok) << "less than the least is the least";
    EXPECT_EQ(check(api::LeaseRevokeRequest{.id = 0}), Errc::lease_not_found);
    const std::vector<api::LeaseId> ids(limits::lease_keep_alive_ids_max + 1, 7);
    EXPECT_EQ(check(api::LeaseKeepAliveRequest{ids}), Errc::request_too_large);
    EXPECT_EQ(check(api::LeaseKeepAliveRequest{std::span(ids).subspan(1)}), Errc::ok);
    const std::string key(1001, 'k');
    const std::string_view longest = std::string_view(key).substr(1);
    const api::LeaseTimeToLiveRequest from_longest{.id = 1, .keys = true, .from_key = longest};
    EXPECT_EQ(check_request(from_longest, {.command_bytes = 1000}),
              Errc::ok);
    EXPECT_EQ(check_request(api::LeaseTimeToLiveRequest{.id = 1, .keys = true, .from_key = key}, {.command_bytes = 1000}),
              Errc::request_too_large);
}

}  // namespace
}  // namespace ringfort::kv
