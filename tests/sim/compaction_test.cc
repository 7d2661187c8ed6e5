#include "sim/checkers/compaction.h"

#include <gtest/gtest.h>

#include <array>

#include "history_builder.h"

namespace ringfort::sim {

namespace {

RecordedOperation read_of_past(api::Revision at, std::int64_t invoked, std::int64_t completed, api::Errc error) {
    RecordedOperation out;
    out.success.push_back({StepKind::range, "a", {}, {}, false, 0, at});
    out.invoked = Instant{invoked};
    out.completed = Instant{completed};
    out.error = error;
    out.outcome = error == api::Errc::ok ? Outcome::ok : Outcome::failed;
    out.header.revision = 10;
    return out;
}
RecordedOperation compaction(api::Revision at, std::int64_t invoked, std::int64_t completed) {
    RecordedOperation out = read_of_past(at, invoked, completed, api::Errc::ok);
    out.success[0].kind = StepKind::compact;
    return out;
}
std::string check(const std::vector<RecordedOperation>& operations) {
    std::vector<const RecordedOperation*> all;
    for (const auto& operation : operations) {
        all.push_back(&operation);
    }
    return check_compaction(all);
}

}  // namespace

TEST(Compaction, below_an_acknowledged_one_no_linearizable_read_is_answered) {
    EXPECT_EQ(check({compaction(5, 0, 1), read_of_past(5, 2, 3, api::Errc::ok)}), "");
    EXPECT_NE(check({compaction(5, 0, 1), read_of_past(4, 2, 3, api::Errc::ok)}), "");
    // Asked before the compaction was answered: either way.
    EXPECT_EQ(check({compaction(5, 0, 3), read_of_past(4, 2, 4, api::Errc::ok)}), "");
    auto stale = read_of_past(4, 2, 3, api::Errc::ok);
    stale.serializable = true;
    EXPECT_EQ(check({compaction(5, 0, 1), stale}), "");
}

TEST(Compaction, a_read_is_refused_only_below_one_that_somebody_asked_for) {
    EXPECT_EQ(check({compaction(5, 0, 9), read_of_past(4, 2, 3, api::Errc::compacted)}), "");
    EXPECT_NE(check({compaction(5, 0, 9), read_of_past(5, 2, 3, api::Errc::compacted)}), "");
    EXPECT_NE(check({compaction(5, 4, 9), read_of_past(4, 2, 3, api::Errc::compacted)}), "");
    auto lost = compaction(5, 0, 1);
    lost.outcome = Outcome::failed;
    lost.error = api::Errc::timed_out;
    EXPECT_EQ(check({lost, read_of_past(4, 2, 3, api::Errc::compacted)}), "");
    lost.error = api::Errc::no_leader;   // definitely never happened
    EXPECT_NE(check({lost, read_of_past(4, 2, 3, api::Errc::compacted)}), "");
}

TEST(Compaction, a_cluster_that_compacts_by_itself_refuses_what_that_may_have_taken_and_no_more) {
    const auto refused = read_of_past(4, 2, 3, api::Errc::compacted);
    EXPECT_EQ(check_compaction(std::array{&refused}, 5), "");
    EXPECT_NE(check_compaction(std::array{&refused}, 4), "");
}

TEST(Compaction, a_revision_that_was_told_is_not_of_the_future) {
    EXPECT_NE(check({compaction(1, 0, 1), read_of_past(10, 2, 3, api::Errc::future_revision)}), "");
    EXPECT_EQ(check({compaction(1, 0, 1), read_of_past(11, 2, 3, api::Errc::future_revision)}), "");
    EXPECT_EQ(check({compaction(1, 0, 2), read_of_past(10, 2, 3, api::Errc::future_revision)}), "");
}

}  // namespace ringfort::sim
