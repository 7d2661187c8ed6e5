// What the store lets into an answer fits a frame, however the bytes are spread over keys, values and ops.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/bounds.h"
#include "wire/client_codec.h"

namespace ringfort::wire {
namespace {

bool fits(ClientKind kind, const api::Result& result) {
    api::Response response;
    response.body = result;
    OutBuffer out;
    return encode_response(1, kind, response, out);
}

// They point to key and value.
std::vector<api::KeyValue> pairs_up_to_the_bound(std::string_view key, std::string_view value) {
    api::KeyValue pair{key, 1, 2, 3, value, 4};
    return std::vector<api::KeyValue>(
        (limits::answer_bytes_max - limits::answer_op_bytes) / (limits::answer_pair_bytes + key.size() + value.size()),
        pair);
}

TEST(LargeAnswerBound, of_a_range_deletion_fits_a_frame_with_pairs_of_any_size) {
    for (std::size_t key_bytes = 1; key_bytes <= 9; key_bytes++) {
        for (const std::size_t value_bytes : {0U, 1U, 2U, 3U, 4U, 5U, 6U, 7U, 8U, 1000U}) {
            const std::string key(key_bytes, 'k');
            const std::string value(value_bytes, 'v');
            const auto pairs = pairs_up_to_the_bound(key, value);
            EXPECT_TRUE(fits(ClientKind::delete_range, api::DeleteRangeResponse{1, pairs}));
        }
    }
    const std::string value(limits::request_bytes_max, 'v');
    const auto few = pairs_up_to_the_bound("k", value);
    EXPECT_TRUE(fits(ClientKind::delete_range, api::DeleteRangeResponse{1, few}));
}

TEST(AnswerBound, of_a_transaction_fits_a_frame_with_each_pair_in_an_op_of_its_own) {
    for (const bool deletion : {false, true}) {
        api::KeyValue pair{"k", 1, 2, 3, "", 4};
        api::ResponseOp op;
        if (deletion) {
            op.op = api::DeleteRangeResponse{1, {&pair, 1}};
        } else {
            op.op = api::RangeResponse{{&pair, 1}, true, 1};
        }
        const std::size_t count = limits::answer_bytes_max / (limits::answer_op_bytes + limits::answer_pair_bytes + 1);
        const std::vector<api::ResponseOp> ops(count, op);
        EXPECT_TRUE(fits(ClientKind::txn, api::TxnResponse{true, ops}));
    }
}

TEST(AnswerBound, a_frame_is_refused_and_nothing_written_when_an_answer_is_larger) {
    const std::vector<api::KeyValue> pairs(16, api::KeyValue{"k", 1, 2, 3, std::string_view(), 4});
    const std::string value(mib, 'v');
    std::vector<api::KeyValue> large = pairs;
    for (api::KeyValue& pair : large) {
        pair.value = value;
    }
    api::Response response;
    response.body = api::Result{api::DeleteRangeResponse{1, large}};
    OutBuffer out;
    EXPECT_FALSE(encode_response(1, ClientKind::delete_range, response, out));
    EXPECT_EQ(out.pending_bytes(), 0u);
}

}  // namespace
}  // namespace ringfort::wire
