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

// As a leader does: refused at the door, or applied.
Errc offer(Driver& driver, const api::PutRequest& put) {
    const Errc code = check_quota(put, driver.store.live_bytes(), quota);
    return code != Errc::ok ? code : driver.error(put);
}

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
    EXPECT_EQ(check_quota(removal, driver.store.live_bytes(), quota), Errc::ok);
    EXPECT_EQ(driver.remove(removal.key, removal.range_end).deleted, keys / 2);
    EXPECT_EQ(offer(driver, large), Errc::no_space) << "what was deleted is history, and still takes room";
    const api::CompactRequest compaction{driver.store.revision(), false};
    EXPECT_EQ(check_quota(compaction, driver.store.live_bytes(), quota), Errc::ok);
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
    const api::PutRequest put{.key = "k", .value = "v"};
    const std::uint64_t bytes = command_bytes(put);
    EXPECT_EQ(check_quota(put, quota - bytes, quota), Errc::ok);
    EXPECT_EQ(check_quota(put, quota - bytes + 1, quota), Errc::no_space);
    EXPECT_EQ(check_quota(put, UINT64_MAX / 2, 0), Errc::ok) << "no limit";
    const api::RequestOp removal{api::DeleteRangeRequest{"a", "b", false}};
    const api::RequestOp put_op{put};
    const api::RequestOp nested{api::TxnRequest{{}, {}, {&put_op, 1}}};
    EXPECT_EQ(check_quota(api::TxnRequest{{}, {&removal, 1}, {}}, quota, quota), Errc::ok);
    EXPECT_EQ(check_quota(api::TxnRequest{{}, {&nested, 1}, {}}, quota, quota), Errc::no_space);
    EXPECT_EQ(check_quota(api::DeleteRangeRequest{endless, endless, false}, quota, quota), Errc::ok);
    EXPECT_EQ(check_quota(api::CompactRequest{1, true}, quota, quota), Errc::ok);
}

}  // namespace
}  // namespace ringfort::kv
