#include <gtest/gtest.h>

#include "base/bounds.h"
#include "kv/command_header.h"
#include "request_maker.h"

namespace ringfort::kv {
namespace {

const CommandHeader header{RangeId(7), Generation(3), WallTime{-5}, 11, 12};

std::vector<std::byte> encoded(const CommandBody& body) {
    std::vector<std::byte> out(command_bytes(body));
    encode_command(out, header, body);
    return out;
}

// A transaction in a transaction in a ...: `depth` levels.
std::vector<std::byte> nested(std::size_t depth) {
    Arena arena;
    api::TxnRequest txn;
    for (std::size_t level = 1; level < depth; level++) {
        const auto op = arena.make_array<api::RequestOp>(1);
        op[0].op = txn;
        txn = {{}, op, {}};
    }
    return encoded(txn);
}

std::vector<std::byte> with_ops(std::size_t count) {
    const std::vector<api::RequestOp> ops(count, {api::DeleteRangeRequest{.key = "k", .range_end = {}}});
    return encoded(api::TxnRequest{{}, ops, {}});
}

TEST(Command, survives_the_way_through_bytes) {
    RequestMaker maker(5);
    for (int i = 0; i < 3000; i++) {
        maker.next_round();
        const auto bytes = encoded(maker.command(100));
        Arena arena;
        const auto decoded = decode_command(bytes, arena);
        ASSERT_TRUE(decoded.has_value());
        EXPECT_EQ(decoded->header.range, header.range);
        EXPECT_EQ(decoded->header.generation, header.generation);
        EXPECT_EQ(decoded->header.proposed_at, header.proposed_at);
        EXPECT_EQ(decoded->header.client, header.client);
        EXPECT_EQ(decoded->header.client_sequence, header.client_sequence);
        // The form is canonical: what was decoded encodes to the same bytes.
        EXPECT_EQ(encoded(decoded->body) == bytes, true);
    }
}

TEST(Command, key_of_a_put_is_seen_without_decoding_and_any_cut_of_it_is_looked_at_in_bounds) {
    const auto put = encoded(api::PutRequest{"key", "value", 9, false, false, false});
    EXPECT_EQ(likely_put_key(put), "key");
    const std::size_t key_end = put.size() - 5;
    for (std::size_t bytes = 0; bytes < put.size(); bytes++) {
        // A copy of this size, so that a sanitizer sees a byte too far.
        const std::vector<std::byte> cut(put.begin(), put.begin() + static_cast<std::ptrdiff_t>(bytes));
        EXPECT_EQ(likely_put_key(cut).has_value(), bytes >= key_end) << bytes;
    }
    EXPECT_EQ(likely_put_key(encoded(api::DeleteRangeRequest{.key = "k", .range_end = "l"})), std::nullopt);
    auto keyless = put;
    keyless[command_header_bytes] = std::byte{0};
    EXPECT_EQ(likely_put_key(keyless), std::nullopt);
}

TEST(Command, put_keeps_each_field) {
    const auto bytes = encoded(api::PutRequest{"key", "", 9, true, true, false});
    Arena arena;
    const auto decoded = decode_command(bytes, arena);
    ASSERT_TRUE(decoded.has_value());
    const auto& put = std::get<api::PutRequest>(decoded->body);
    EXPECT_EQ(put.key, "key");
    EXPECT_EQ(put.lease, 9);
    EXPECT_TRUE(put.prev_kv);
    EXPECT_TRUE(put.ignore_value);
    EXPECT_FALSE(put.ignore_lease);
    EXPECT_EQ(arena.used_bytes(), 0u) << "only transactions touch the arena";
}

TEST(Command, changed_bytes_decode_to_a_canonical_command_or_to_an_error) {
    RequestMaker maker(6);
    int decoded_count = 0;
    for (int i = 0; i < 20000; i++) {
        maker.next_round();
        auto bytes = encoded(maker.command(100));
        for (std::uint64_t changes = maker.prng.between(1, 4); changes > 0; changes--) {
            bytes[maker.prng.below(bytes.size())] = static_cast<std::byte>(maker.prng.next());
        }
        if (maker.prng.one_in(3)) {
            bytes.resize(maker.prng.below(bytes.size() + 1));
        }
        Arena arena;
        const auto decoded = decode_command(bytes, arena);
        if (decoded) {
            decoded_count++;
            std::vector<std::byte> again(command_bytes(decoded->body));
            encode_command(again, decoded->header, decoded->body);
            ASSERT_EQ(again == bytes, true);
        }
    }
    EXPECT_GT(decoded_count, 1000);
}

TEST(Command, cut_anywhere_or_followed_by_anything_is_malformed) {
    const auto bytes = encoded(api::PutRequest{"key", "value", 0, false, false, false});
    for (std::size_t cut = 0; cut < bytes.size(); cut++) {
        Arena arena;
        EXPECT_EQ(decode_command(Bytes(bytes).first(cut), arena).error(), CommandErrc::malformed);
        EXPECT_EQ(command_kind(Bytes(bytes).first(cut)), std::nullopt);
    }
    auto longer = bytes;
    longer.push_back(std::byte{0});
    Arena arena;
    EXPECT_EQ(decode_command(longer, arena).error(), CommandErrc::malformed);
    store(longer.data() + 4, static_cast<std::uint32_t>(longer.size()));
    EXPECT_EQ(decode_command(longer, arena).error(), CommandErrc::malformed);
}

TEST(Command, unknown_version_and_kind_have_errors_of_their_own) {
    auto bytes = encoded(api::CompactRequest{5, true});
    EXPECT_EQ(command_kind(bytes), CommandKind::compact);
    Arena arena;
    bytes[1] = std::byte{200};
    EXPECT_EQ(decode_command(bytes, arena).error(), CommandErrc::unknown_kind);
    bytes[1] = static_cast<std::byte>(CommandKind::directory_bootstrap);
    EXPECT_EQ(decode_command(bytes, arena).error(), CommandErrc::unknown_kind) << "not a data range's";
    EXPECT_EQ(command_kind(bytes), CommandKind::directory_bootstrap);
    bytes[0] = std::byte{2};
    EXPECT_EQ(decode_command(bytes, arena).error(), CommandErrc::unknown_version);
}

TEST(Command, depth_and_number_of_ops_are_bounded_at_the_bound) {
    Arena arena;
    EXPECT_TRUE(decode_command(nested(limits::txn_depth_max), arena).has_value());
    EXPECT_EQ(decode_command(nested(limits::txn_depth_max + 1), arena).error(), CommandErrc::malformed);
    EXPECT_TRUE(decode_command(with_ops(txn_total_ops_max), arena).has_value());
    EXPECT_EQ(decode_command(with_ops(txn_total_ops_max + 1), arena).error(), CommandErrc::malformed);
}

TEST(Command, an_alarm_is_raised_by_somebody_and_of_a_kind) {
    Arena arena;
    const auto decodes = [&](const CommandBody& body) { return decode_command(encoded(body), arena).has_value(); };
    EXPECT_TRUE(decodes(AlarmRaise{{NodeId(1), api::AlarmType::nospace}}));
    EXPECT_TRUE(decodes(AlarmRaise{{NodeId(UINT64_MAX), api::AlarmType::corrupt}}));
    EXPECT_FALSE(decodes(AlarmRaise{{NodeId(0), api::AlarmType::nospace}}));
    EXPECT_FALSE(decodes(AlarmRaise{{NodeId(1), api::AlarmType::none}}));
    EXPECT_FALSE(decodes(AlarmRaise{{NodeId(1), static_cast<api::AlarmType>(3)}}));
    EXPECT_TRUE(decodes(AlarmClear{}));
    EXPECT_TRUE(decodes(AlarmClear{{NodeId(1), api::AlarmType::nospace}}));
    EXPECT_FALSE(decodes(AlarmClear{{NodeId(1), static_cast<api::AlarmType>(3)}}));
}

TEST(Command, leases_are_bounded_at_the_bound) {
    Arena arena;
    const auto decodes = [&](const CommandBody& body) { return decode_command(encoded(body), arena).has_value(); };
    const LeaseStamp last{Term(UINT64_MAX), LeaseTime{lease_clock_max_ns}};
    EXPECT_TRUE(decodes(LeaseTick{last}));
    EXPECT_FALSE(decodes(LeaseTick{{Term(1), LeaseTime{lease_clock_max_ns + 1}}}));
    EXPECT_FALSE(decodes(LeaseTick{{Term(1), LeaseTime{-1}}}));
    EXPECT_TRUE(decodes(LeaseGrant{last, -1, limits::lease_ttl_max_s}));
    EXPECT_FALSE(decodes(LeaseGrant{last, 1, limits::lease_ttl_max_s + 1}));
    EXPECT_FALSE(decodes(LeaseGrant{last, 1, 0}));
    EXPECT_FALSE(decodes(LeaseGrant{last, 0, 1}));
    EXPECT_FALSE(decodes(LeaseRevoke{last, 0}));
    EXPECT_FALSE(decodes(LeaseExpire{last, 0, LogIndex(1)}));
    const std::vector<api::LeaseId> ids(lease_keep_alive_ids_max, 7);
    auto keep_alive = encoded(LeaseKeepAlive{last, ids});
    EXPECT_TRUE(decode_command(keep_alive, arena).has_value());
    keep_alive.resize(keep_alive.size() + sizeof(api::LeaseId));
    store(keep_alive.data() + 4, static_cast<std::uint32_t>(keep_alive.size()));
    store(keep_alive.data() + command_header_bytes + 16, static_cast<std::uint32_t>(ids.size() + 1));
    EXPECT_FALSE(decode_command(keep_alive, arena).has_value());
}

TEST(Command, a_count_the_bytes_cannot_hold_allocates_nothing) {
    auto bytes = encoded(api::TxnRequest{});
    store(bytes.data() + command_header_bytes, std::uint32_t{10'000});
    Arena arena;
    EXPECT_EQ(decode_command(bytes, arena).error(), CommandErrc::malformed);
    EXPECT_EQ(arena.used_bytes(), 0u);
}

TEST(Command, checks_bound_depth_and_tree_as_decoding_does) {
    Arena arena;
    const auto check = [](const api::TxnRequest& txn, std::size_t txn_ops) {
        return check_request(txn, RequestLimits{txn_ops});
    };
    api::TxnRequest txn;
    for (std::size_t level = 1; level < limits::txn_depth_max; level++) {
        const auto op = arena.make_array<api::RequestOp>(1);
        op[0].op = txn;
        txn = {{}, op, {}};
    }
    EXPECT_EQ(check(txn, 128), api::Errc::ok);
    const auto op = arena.make_array<api::RequestOp>(1);
    op[0].op = txn;
    EXPECT_EQ(check({{}, op, {}}, 128), api::Errc::too_deep);
    const std::vector<api::RequestOp> ops(txn_total_ops_max, {api::RangeRequest{.key = "k", .range_end = {}}});
    EXPECT_EQ(check({{}, ops, {}}, txn_total_ops_max), api::Errc::ok);
    EXPECT_EQ(check({{}, ops, std::span(ops).first(1)}, txn_total_ops_max), api::Errc::too_many_ops);
}

}  // namespace
}  // namespace ringfort::kv
