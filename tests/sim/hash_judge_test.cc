// The judge of hashes knows a wrong one.
#include <gtest/gtest.h>

#include "sim/checkers/hashes.h"

namespace ringfort::sim {
namespace {

RecordedOperation hash(api::Revision asked, const api::HashKvResponse& found) {
    RecordedOperation out;
    out.success.push_back({StepKind::hash, {}, {}, {}, false, 0, asked});
    out.outcome = Outcome::ok;
    out.header.revision = 50;
    out.results.emplace_back();
    out.results[0].hash = found;
    return out;
}

std::string judge(const RecordedOperation& one, const RecordedOperation& other) {
    const RecordedOperation* all[] = {&one, &other};
    return check_hashes(all);
}

TEST(HashJudge, takes_equal_ones_and_those_of_other_revisions) {
    EXPECT_EQ(judge(hash(0, {7, 1, 40}), hash(40, {7, 1, 40})), "");
    EXPECT_EQ(judge(hash(0, {7, 1, 40}), hash(0, {8, 1, 41})), "");
    EXPECT_EQ(judge(hash(0, {7, 1, 40}), hash(0, {8, 2, 40})), "");
    RecordedOperation failed = hash(40, {8, 1, 40});
    failed.outcome = Outcome::failed;
    EXPECT_EQ(judge(hash(0, {7, 1, 40}), failed), "");
}

TEST(HashJudge, finds_what_differs_and_what_is_of_another_revision) {
    EXPECT_NE(judge(hash(0, {7, 1, 40}), hash(40, {8, 1, 40})).find("differ"), std::string::npos);
    EXPECT_NE(judge(hash(0, {7, 1, 40}), hash(41, {8, 1, 40})).find("another revision"), std::string::npos);
    EXPECT_NE(judge(hash(0, {7, 1, 40}), hash(0, {8, 1, 51})).find("another revision"), std::string::npos);
    EXPECT_NE(judge(hash(0, {7, 1, 40}), hash(0, {8, 41, 40})).find("another revision"), std::string::npos);
}

}  // namespace
}  // namespace ringfort::sim
