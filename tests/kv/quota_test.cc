// The memory limit, and the way back from it.
#include "base/bounds.h"
#include "store_driver.h"

namespace ringfort::kv {
namespace {

using api::Errc;

constexpr std::uint64_t quota = 4 * mib;

std::string key(int number) {
    return "key" + std::to_string(100'000 + number);
}

Errc check(const Driver& driver, const api::Operation& operation) {
    return check_quota({added_bytes(operation, driver.store, 0), driver.store.live_bytes(), quota});
}

// As a leader does: refused at the door, or applied.
Errc offer(Driver& driver, const api::PutRequest& put) {
    const Errc code = check(driver, put);
    return code != Errc::ok ? code : driver.error(put);
}

constexpr std::size_t kept_bytes = 100 * kib;
constexpr int kept_keys = 8;

void put_large_values(Driver& driver) {
    const std::string value(kept_bytes, 'v');
    for (int i = 0; i < kept_keys; i++) {
        driver.put(key(i), value);
    }
}
// Every one of them again, each keeping its value.
struct KeepAll {
    KeepAll() {
        for (int i = 0; i < kept_keys; i++) {
            keys.push_back(key(i));
        }
        for (const std::string& name : keys) {
            ops.push_back({api::PutRequest{.key = name, .value = {}, .ignore_value = true}});
        }
    }
    std::vector<std::string> keys;
    std::vector<api::RequestOp> ops;
};

int fill_to_the_quota(Driver& driver) {
    const std::string value(1000, 'v');
    int keys = 0;
    while (offer(driver, {.key = key(keys), .value = value}) == Errc::ok) {
        keys++;
    }
    return keys;
}

TEST(Quota, a_full_store_refuses_puts_with_etcds_error_and_comes_back_by_deleting_and_compacting) {
    Driver driver;
    const int keys = fill_to_the_quota(driver);
    EXPECT_GT(keys, 3000);
    EXPECT_LE(driver.store.live_bytes(), quota);
    const api::PutRequest put{.key = "one more", .value = std::string_view("v")};
    const std::string value(1000, 'v');
    const api::PutRequest large{.key = "one more", .value = value};
    EXPECT_EQ(offer(driver, large), Errc::no_space);
    EXPECT_EQ(api::error_text(Errc::no_space), "etcdserver: mvcc: database space exceeded");
    EXPECT_TRUE(driver.store.get(key(0))) << "reads go on";

    const std::string first = key(0);
    const std::string middle = key(keys / 2);
    const api::DeleteRangeRequest removal{first, middle, false};
    EXPECT_EQ(check(driver, removal), Errc::ok);
    EXPECT_EQ(driver.remove(removal.key, removal.range_end).deleted, keys / 2);
    EXPECT_EQ(offer(driver, large), Errc::no_space) << "what was deleted is history, and still takes room";
    const api::CompactRequest compaction{driver.store.revision(), false};
    EXPECT_EQ(check(driver, compaction), Errc::ok);
    EXPECT_EQ(driver.compact(compaction.revision), Errc::ok);
    driver.forget_all();

    EXPECT_EQ(offer(driver, put), Errc::ok);
    EXPECT_NEAR(fill_to_the_quota(driver), keys / 2, keys / 20) << "as much again fits in";
}

TEST(Quota, overwriting_the_same_key_fills_the_store_too_until_its_history_is_compacted) {
    Driver driver;
    const std::string value(64 * kib, 'v');
    int puts = 0;
    while (offer(driver, {.key = "k", .value = value}) == Errc::ok) {
        puts++;
    }
    EXPECT_GT(puts, 50);
    EXPECT_EQ(driver.compact(driver.store.revision()), Errc::ok);
    driver.forget_all();
    EXPECT_LT(driver.store.live_bytes(), quota / 16);
    EXPECT_EQ(offer(driver, {.key = "k", .value = value}), Errc::ok);
}

TEST(Quota, lets_in_what_just_fits_and_whatever_adds_no_data) {
    const Driver driver;
    const auto added = [&](const api::Operation& operation) { return added_bytes(operation, driver.store, 0); };
    const api::PutRequest put{.key = "k", .value = "v"};
    const std::uint64_t bytes = command_bytes(put);
    EXPECT_EQ(added(put), bytes);
    EXPECT_EQ(check_quota({bytes, quota - bytes, quota}), Errc::ok);
    EXPECT_EQ(check_quota({bytes, quota - bytes + 1, quota}), Errc::no_space);
    EXPECT_EQ(check_quota({bytes, UINT64_MAX / 2, 0}), Errc::ok) << "no limit";
    EXPECT_EQ(check_quota({0, quota + 1, quota}), Errc::ok) << "it adds nothing";
    EXPECT_EQ(check_quota({bytes, 0, 1}), Errc::no_space) << "the smallest limit is a limit";
    const api::RequestOp removal{api::DeleteRangeRequest{"a", "b", false}};
    const api::RequestOp put_op{put};
    const api::RequestOp nested{api::TxnRequest{{}, {}, {&put_op, 1}}};
    EXPECT_EQ(added(api::TxnRequest{{}, {&removal, 1}, {}}), 0u);
    EXPECT_GT(added(api::TxnRequest{{}, {&nested, 1}, {}}), 0u);
    EXPECT_EQ(added(api::DeleteRangeRequest{endless, endless, false}), 0u);
    EXPECT_EQ(added(api::CompactRequest{1, true}), 0u);
}

TEST(Quota, counts_a_kept_value_like_a_given_one_as_large_as_it_is_or_can_be_by_then) {
    Driver driver;
    put_large_values(driver);
    const std::string name = key(0);
    const api::PutRequest keep{.key = name, .value = {}, .ignore_value = true};
    EXPECT_EQ(added_bytes(keep, driver.store, 0), command_bytes(keep) + kept_bytes);
    EXPECT_EQ(added_bytes(keep, driver.store, kept_bytes - 1), command_bytes(keep) + kept_bytes);
    EXPECT_EQ(added_bytes(keep, driver.store, kept_bytes + 1), command_bytes(keep) + kept_bytes + 1);
    const KeepAll all;
    const api::TxnRequest txn{{}, all.ops, {}};
    EXPECT_EQ(added_bytes(txn, driver.store, 0), command_bytes(txn) + kept_keys * kept_bytes);
    const api::RequestOp nested{api::TxnRequest{{}, all.ops, all.ops}};
    const api::TxnRequest outer{{}, {&nested, 1}, {}};
    EXPECT_EQ(added_bytes(outer, driver.store, 0), command_bytes(outer) + kept_keys * kept_bytes) << "one branch runs";
    const api::PutRequest missing{.key = "missing", .value = {}, .ignore_value = true};
    EXPECT_EQ(added_bytes(missing, driver.store, 0), command_bytes(missing));
}

TEST(Quota, is_never_exceeded_by_transactions_that_keep_large_values) {
    Driver driver;
    put_large_values(driver);
    const KeepAll all;
    const api::TxnRequest txn{{}, all.ops, {}};
    int taken = 0;
    while (check(driver, txn) == Errc::ok) {
        ASSERT_EQ(driver.error(txn), Errc::ok);
        taken++;
    }
    EXPECT_GE(taken, 3);
    // A page at most for what each version costs besides its value.
    EXPECT_LE(driver.store.live_bytes(), quota + 64 * kib);
}

TEST(Quota, grants_count_and_ends_of_leases_do_not) {
    Driver driver;
    EXPECT_EQ(added_bytes(api::LeaseGrantRequest{.ttl = 5}, driver.store, 0), lease_node_bytes);
    EXPECT_EQ(added_bytes(api::LeaseRevokeRequest{.id = 5}, driver.store, 0), 0u);
    EXPECT_EQ(added_bytes(api::LeaseKeepAliveRequest{}, driver.store, 0), 0u);
    EXPECT_EQ(check_quota({.added_bytes = lease_node_bytes, .used_bytes = 1000, .quota_bytes = 1000 + lease_node_bytes}),
              Errc::ok);
    EXPECT_EQ(check_quota({.added_bytes = lease_node_bytes, .used_bytes = 1001, .quota_bytes = 1000 + lease_node_bytes}),
              Errc::no_space);
}

}  // namespace
}  // namespace ringfort::kv
