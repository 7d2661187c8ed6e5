// What stranger.py sends (its --frames), made by the Python builder from the schema alone: another layout of the same
// FlatBuffers.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "frames.h"
#include "wire/client_codec.h"

namespace ringfort::wire {
namespace {

class WireStranger : public testing::Test {
  protected:
    WireStranger() {
        std::ifstream file(RINGFORT_STRANGER_FRAMES, std::ios::binary);
        EXPECT_TRUE(file.good());
        const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
        memory_.resize(div_ceil<std::size_t>(bytes.size(), 8));
        std::memcpy(memory_.data(), bytes.data(), bytes.size());
        reader_.feed({reinterpret_cast<const std::byte*>(memory_.data()), bytes.size()});
        EXPECT_TRUE(reader_.next_preamble(PeerRole::client)->has_value());
    }
    ~WireStranger() override = default;

    FrameReader::Frame next() {
        const auto frame = reader_.next();
        EXPECT_TRUE(frame && *frame);
        return **frame;
    }
    template <class T>
    T next_operation(ClientKind kind, std::uint64_t request_id) {
        const FrameReader::Frame frame = next();
        EXPECT_EQ(frame.header.kind, static_cast<std::uint8_t>(kind));
        EXPECT_EQ(frame.header.request_id, request_id);
        const auto request = decode_request(kind, frame.body, arena_);
        EXPECT_TRUE(request);
        const auto* operation = std::get_if<T>(&request->op);
        EXPECT_NE(operation, nullptr);
        return *operation;
    }

    std::vector<std::uint64_t> memory_;
    FrameReader reader_{limits::frame_bytes_max};
    Arena arena_;
};

TEST_F(WireStranger, is_understood) {
    const auto hello = decode_client_hello(next().body);
    ASSERT_TRUE(hello);
    EXPECT_EQ(hello->client_name, "stranger");
    EXPECT_EQ(hello->reply_credit_bytes, 65536u);

    const auto put = next_operation<api::PutRequest>(ClientKind::put, 1);
    EXPECT_EQ(put.key, "stranger/hello");
    EXPECT_EQ(put.value, "world");

    const auto range = next_operation<api::RangeRequest>(ClientKind::range, 2);
    EXPECT_EQ(range.key, "stranger/hello");
    EXPECT_EQ(range.range_end, "");
    EXPECT_EQ(range.limit, 3);

    const auto txn = next_operation<api::TxnRequest>(ClientKind::txn, 3);
    ASSERT_EQ(txn.compare.size(), 1u);
    EXPECT_EQ(txn.compare[0].target, api::CompareTarget::create);
    EXPECT_EQ(txn.compare[0].key, "stranger/new");
    ASSERT_EQ(txn.success.size(), 1u);
    ASSERT_TRUE(std::holds_alternative<api::PutRequest>(txn.success[0].op));
    ASSERT_EQ(txn.failure.size(), 1u);
    ASSERT_TRUE(std::holds_alternative<api::RangeRequest>(txn.failure[0].op));

    const auto remove = next_operation<api::DeleteRangeRequest>(ClientKind::delete_range, 4);
    EXPECT_EQ(remove.range_end, "stranger0");
    EXPECT_FALSE(*reader_.next());
}

}  // namespace
}  // namespace ringfort::wire
