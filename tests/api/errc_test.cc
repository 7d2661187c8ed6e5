// What etcd's clients match on: text and gRPC status of each error (research: etcd's error table).
#include "api/errc.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace ringfort::api {
namespace {

struct Expected {
    Errc code;
    int grpc;
    std::string_view text;   // behind etcd's prefix
};

constexpr int invalid_argument = 3, not_found = 5, resource_exhausted = 8, failed_precondition = 9, out_of_range = 11,
              unavailable = 14, data_loss = 15, cancelled = 1;

constexpr Expected etcd_errors[] = {
    {Errc::empty_key, invalid_argument, "key is not provided"},
    {Errc::key_not_found, invalid_argument, "key not found"},
    {Errc::value_provided, invalid_argument, "value is provided"},
    {Errc::lease_provided, invalid_argument, "lease is provided"},
    {Errc::too_many_ops, invalid_argument, "too many operations in txn request"},
    {Errc::duplicate_key, invalid_argument, "duplicate key given in txn request"},
    {Errc::invalid_sort_option, invalid_argument, "invalid sort option"},
    {Errc::request_too_large, invalid_argument, "request is too large"},
    {Errc::compacted, out_of_range, "mvcc: required revision has been compacted"},
    {Errc::future_revision, out_of_range, "mvcc: required revision is a future revision"},
    {Errc::lease_not_found, not_found, "requested lease not found"},
    {Errc::no_space, resource_exhausted, "mvcc: database space exceeded"},
    {Errc::too_many_requests, resource_exhausted, "too many requests"},
    {Errc::member_not_found, not_found, "member not found"},
    {Errc::bad_leader_transferee, failed_precondition, "bad leader transferee"},
    {Errc::not_leader, failed_precondition, "not leader"},
    {Errc::cluster_id_mismatch, failed_precondition, "cluster ID mismatch"},
    {Errc::no_leader, unavailable, "no leader"},
    {Errc::leader_changed, unavailable, "leader changed"},
    {Errc::stopped, unavailable, "server stopped"},
    {Errc::timed_out, unavailable, "request timed out"},
    {Errc::corrupt, data_loss, "corrupt cluster"},
    {Errc::cancelled, cancelled, "request canceled"},
};

TEST(Errc, has_etcds_texts_and_statuses_where_etcd_has_the_case) {
    for (const Expected& expected : etcd_errors) {
        EXPECT_EQ(error_text(expected.code), "etcdserver: " + std::string(expected.text));
        EXPECT_EQ(grpc_code(expected.code), expected.grpc) << expected.text;
    }
}

TEST(Errc, tells_unknown_outcomes_from_failures) {
    for (const Errc code : {Errc::timed_out, Errc::leader_changed, Errc::connection_lost, Errc::cancelled}) {
        EXPECT_EQ(error_class(code), ErrorClass::indefinite) << error_name(code);
    }
    for (const Errc code : {Errc::no_space, Errc::request_too_large, Errc::no_leader, Errc::stopped, Errc::compacted}) {
        EXPECT_EQ(error_class(code), ErrorClass::definite) << error_name(code);
    }
    for (const Errc code : {Errc::not_leader, Errc::stale_route}) {
        EXPECT_EQ(error_class(code), ErrorClass::redirect) << error_name(code);
    }
}

TEST(Errc, every_number_has_a_name_and_a_text_of_its_own_or_is_unknown) {
    std::set<std::string_view> names;
    std::set<std::string_view> texts;
    for (std::uint32_t number = 0; number <= UINT16_MAX; number++) {
        if (known_error(static_cast<std::uint16_t>(number))) {
            EXPECT_TRUE(names.insert(error_name(static_cast<Errc>(number))).second);
            EXPECT_TRUE(texts.insert(error_text(static_cast<Errc>(number))).second);
        }
    }
    EXPECT_GE(names.size(), std::size(etcd_errors));
}

}  // namespace
}  // namespace ringfort::api
