// Answers of writes are bounded: what would not fit a frame is refused before anything is done.
#include "kv/answer_meter.h"

#include "base/bounds.h"
#include "kv/txn_job.h"
#include "request_maker.h"
#include "store_driver.h"

namespace ringfort::kv {
namespace {

using api::Errc;

constexpr std::size_t pair_bytes = limits::answer_pair_bytes + 2;   // with a key of two bytes

api::RequestOp get(std::string_view key, std::string_view end = {}, std::int64_t limit = 0) {
    api::RangeRequest out;
    out.key = key;
    out.range_end = end;
    out.limit = limit;
    return {out};
}
api::RequestOp put(std::string_view key, std::string_view value, bool prev_kv = false) {
    return {api::PutRequest{.key = key, .value = value, .prev_kv = prev_kv}};
}
api::RequestOp remove(std::string_view key, std::string_view end, bool prev_kv = false) {
    return {api::DeleteRangeRequest{.key = key, .range_end = end, .prev_kv = prev_kv}};
}
api::TxnRequest txn(const std::vector<api::RequestOp>& ops) {
    return {{}, ops, {}};
}

// Eight keys k0..k7 whose pairs make an answer of one op exactly as long as the bound, and a byte longer if told.
void fill_to_the_bound(Driver& driver, std::size_t extra_bytes = 0) {
    constexpr std::size_t each = (limits::answer_bytes_max - limits::answer_op_bytes) / 8 - pair_bytes;
    static_assert((each + pair_bytes) * 8 + limits::answer_op_bytes == limits::answer_bytes_max);
    for (char digit = '0'; digit < '8'; digit++) {
        const std::string key{'k', digit};
        driver.put(key, std::string(each + (digit == '7' ? extra_bytes : 0), digit));
    }
}

TEST(AnswerBound, a_range_deletion_with_prev_kv_at_the_bound_is_answered_in_full) {
    Driver driver;
    fill_to_the_bound(driver);
    const api::DeleteRangeResponse response = driver.remove("k", "l", true);
    EXPECT_EQ(response.deleted, 8);
    EXPECT_EQ(response.prev_kvs.size(), 8u);
    EXPECT_GT(driver.steps, 2);
}

TEST(AnswerBound, a_range_deletion_with_prev_kv_beyond_it_deletes_nothing_wherever_it_is_applied) {
    Driver leader;
    Driver follower({1, 1});
    follower.wants_answer = false;
    for (Driver* driver : {&leader, &follower}) {
        fill_to_the_bound(*driver, 1);
        const api::Revision before = driver->store.revision();
        EXPECT_EQ(driver->error(api::DeleteRangeRequest{"k", "l", true}), Errc::request_too_large);
        EXPECT_EQ(driver->store.revision(), before);
        EXPECT_EQ(driver->store.key_count(), 8u);
        EXPECT_EQ(driver->remove("k", "l", false).deleted, 8) << "without prev_kv there is no bound";
    }
    EXPECT_EQ(leader.store.hash(), follower.store.hash());
}

TEST(AnswerBound, of_a_transaction_counts_all_its_ops_and_applies_none_beyond_it) {
    Driver driver;
    driver.put("g", std::string(mib, 'g'));
    const std::vector<api::RequestOp> fitting{put("a", "1"), get("g"), get("g"), get("g"), get("g"), get("g"), get("g"),
                                              get("g")};
    const auto answer = driver.must<api::TxnResponse>(txn(fitting));
    ASSERT_EQ(answer.responses.size(), 8u);
    EXPECT_EQ(std::get<api::RangeResponse>(answer.responses[7].op).kvs.size(), 1u);
    std::vector<api::RequestOp> large = fitting;
    large.push_back(get("g"));
    const api::Revision before = driver.store.revision();
    const std::uint64_t hash = driver.store.hash();
    EXPECT_EQ(driver.error(txn(large)), Errc::request_too_large);
    EXPECT_EQ(driver.store.revision(), before);
    EXPECT_NE(driver.store.hash(), hash);
    EXPECT_EQ(driver.store.get("a")->version, 1);
    // Nested ones likewise.
    const std::vector<api::RequestOp> outer{{txn(fitting)}, get("g")};
    EXPECT_EQ(driver.error(txn(outer)), Errc::request_too_large);
    large.back().op = std::get<api::RangeRequest>(get("g").op);
    std::get<api::RangeRequest>(large.back().op).count_only = true;
    EXPECT_EQ(driver.error(txn(large)), Errc::ok) << "a count answers with no pair";
}

TEST(AnswerBound, sees_what_the_transaction_itself_puts) {
    Driver driver;
    const std::string value(mib, 'v');
    std::vector<api::RequestOp> ops{put("a", value)};
    for (int i = 0; i < 7; i++) {
        ops.push_back(get("a", "b"));
    }
    EXPECT_EQ(driver.error(txn(ops)), Errc::ok);
    driver.remove("a");
    ops.push_back(get("a", "b"));
    EXPECT_EQ(driver.error(txn(ops)), Errc::request_too_large);
    EXPECT_FALSE(driver.store.get("a"));
}

TEST(AnswerBound, takes_a_limit_into_account_unless_a_removal_before_it_makes_room) {
    Driver driver;
    fill_to_the_bound(driver, 1);
    EXPECT_EQ(driver.error(txn({get("k", "l", 2), get("x")})), Errc::ok);
    EXPECT_EQ(driver.error(txn({get("k", "l")})), Errc::request_too_large);
    EXPECT_EQ(driver.error(txn({put("k9", ""), get("k", "l", 2)})), Errc::ok);
    EXPECT_EQ(driver.error(txn({remove("x", "y"), get("k", "l", 2)})), Errc::ok);
    EXPECT_EQ(driver.error(txn({remove("k0", "k1"), get("k", "l", 2)})), Errc::request_too_large);
    EXPECT_EQ(driver.store.key_count(), 9u);
}

TEST(AnswerBound, of_one_pair_is_no_bound_at_all) {
    Driver driver;
    const std::string largest(limits::request_bytes_max, 'v');
    driver.put("k", largest);
    EXPECT_TRUE(driver.must<api::PutResponse>(api::PutRequest{.key = "k", .value = "w", .prev_kv = true}).prev_kv);
    driver.put("k", largest);
    EXPECT_EQ(driver.must<api::TxnResponse>(txn({get("k")})).responses.size(), 1u);
    EXPECT_EQ(driver.remove("k", {}, true).prev_kvs.size(), 1u);
}

// ---- the measure against what comes out

std::uint64_t bytes_of(std::span<const api::KeyValue> pairs) {
    std::uint64_t out = 0;
    for (const api::KeyValue& pair : pairs) {
        out += limits::answer_pair_bytes + pair.key.size() + pair.value.size();
    }
    return out;
}

std::uint64_t bytes_of(const api::TxnResponse& response) {
    std::uint64_t out = 0;
    for (const api::ResponseOp& op : response.responses) {
        out += limits::answer_op_bytes;
        if (const auto* range = std::get_if<api::RangeResponse>(&op.op)) {
            out += bytes_of(range->kvs);
        } else if (const auto* removed = std::get_if<api::DeleteRangeResponse>(&op.op)) {
            out += bytes_of(removed->prev_kvs);
        } else if (const auto* put = std::get_if<api::PutResponse>(&op.op); put->prev_kv) {
            out += bytes_of(std::span(&*put->prev_kv, 1));
        }
    }
    return out;
}

bool only_reads(const api::TxnRequest& request) {
    for (const api::RequestOp& op : request.success) {
        if (!std::holds_alternative<api::RangeRequest>(op.op)) {
            return false;
        }
    }
    return true;
}

TEST(AnswerBound, is_measured_never_short_and_exactly_where_nothing_is_written) {
    RequestMaker maker(4711);
    StoreState state{StoreOptions{}};
    TxnJob job;
    AnswerMeter meter;
    int exact = 0;
    for (std::uint64_t round = 1; round < 20'000; round++) {
        maker.next_round();
        constexpr std::size_t flat = 4;   // no deeper transactions in it
        api::TxnRequest request = maker.txn(state.revision, flat);
        request.compare = {};
        meter.begin();
        for (const api::RequestOp& op : request.success) {
            WorkBudget budget{3, 1000};
            while (meter.add(state, op, budget) == Step::more) {
                budget = {3, 1000};
            }
        }
        Arena arena;
        state.begin_command(LogIndex(round), round);
        job.begin(request, &arena);
        WorkBudget budget{1 << 20, 1 << 20};
        ASSERT_EQ(job.step(state, budget), Step::done);
        if (job.error() == Errc::ok) {
            ASSERT_GE(meter.bytes(), bytes_of(job.response()));
            if (only_reads(request)) {
                ASSERT_EQ(meter.bytes(), bytes_of(job.response()));
                exact++;
            }
        }
        state.commit();
    }
    EXPECT_GT(exact, 1000);
}

}  // namespace
}  // namespace ringfort::kv
