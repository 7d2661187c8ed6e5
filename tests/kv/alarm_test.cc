// Alarms are state: raised and taken back by commands, part of the hash, carried by a checkpoint.
#include "store_driver.h"

namespace ringfort::kv {
namespace {

using api::Alarm;
using api::AlarmType;

Alarm nospace(std::uint64_t member) { return {NodeId(member), AlarmType::nospace}; }

std::vector<Alarm> raised(const Store& store) { return {store.alarms().begin(), store.alarms().end()}; }

std::vector<Alarm> clear(Driver& driver, const Alarm& alarm) {
    const auto response = driver.must<api::AlarmResponse>(AlarmClear{alarm});
    return {response.alarms.begin(), response.alarms.end()};
}

TEST(Alarms, are_raised_once_and_taken_back_by_member_type_or_all) {
    Driver driver;
    const Alarm corrupt{NodeId(1), AlarmType::corrupt};
    for (const Alarm& alarm : {nospace(2), nospace(1), nospace(2), corrupt}) {
        EXPECT_EQ(driver.error(AlarmRaise{alarm}), api::Errc::ok);
    }
    EXPECT_EQ(raised(driver.store), (std::vector<Alarm>{nospace(1), corrupt, nospace(2)}));
    EXPECT_EQ(driver.store.revision(), 1) << "an alarm makes no revision";
    EXPECT_EQ(clear(driver, nospace(3)), std::vector<Alarm>{});
    EXPECT_EQ(clear(driver, nospace(2)), std::vector<Alarm>{nospace(2)});
    EXPECT_EQ(clear(driver, {NodeId(0), AlarmType::nospace}), std::vector<Alarm>{nospace(1)});
    EXPECT_EQ(driver.error(AlarmRaise{nospace(7)}), api::Errc::ok);
    EXPECT_EQ(clear(driver, {}), (std::vector<Alarm>{corrupt, nospace(7)}));
    EXPECT_TRUE(driver.store.alarms().empty());
}

TEST(Alarms, are_bounded_at_the_bound) {
    Driver driver;
    for (std::uint64_t member = 1; member <= alarms_max; member++) {
        EXPECT_EQ(driver.error(AlarmRaise{nospace(member)}), api::Errc::ok);
    }
    EXPECT_EQ(driver.error(AlarmRaise{nospace(alarms_max + 1)}), api::Errc::too_many_requests);
    EXPECT_EQ(driver.error(AlarmRaise{nospace(alarms_max)}), api::Errc::ok) << "it is there";
    EXPECT_EQ(driver.store.alarms().size(), alarms_max);
}

TEST(Alarms, are_part_of_the_hash) {
    const auto hash_of = [](const CommandBody& second) {
        Driver driver;
        driver.error(AlarmRaise{nospace(1)});
        Driver other;
        other.error(second);
        return std::pair(driver.store.hash(), other.store.hash());
    };
    EXPECT_EQ(hash_of(AlarmRaise{nospace(1)}).first, hash_of(AlarmRaise{nospace(1)}).second);
    EXPECT_NE(hash_of(AlarmRaise{nospace(2)}).first, hash_of(AlarmRaise{nospace(2)}).second);
}

}  // namespace
}  // namespace ringfort::kv
