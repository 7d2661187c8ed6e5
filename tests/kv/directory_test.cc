#include <gtest/gtest.h>

#include "base/checksum.h"
#include "base/prng.h"
#include "kv/directory_codec.h"

namespace ringfort::kv {
namespace {

std::vector<MemberRecord> three_members() {
    std::vector<MemberRecord> out;
    for (std::uint64_t i = 1; i <= 3; i++) {
        out.push_back({NodeId(i * 10), "n" + std::to_string(i), {"http://h:" + std::to_string(i)}, {"http://c"}, i == 3});
    }
    return out;
}
DirectoryState four_pieces() {
    return bootstrap_state(ClusterId(99), three_members(), {"a", "m", "t"}, Settings{64, 1000});
}
void apply(Directory& directory, Bytes command, std::uint64_t index) {
    directory.apply(command, checksum(command), LogIndex(index));
}

TEST(Directory, bootstrap_makes_a_domain_and_a_range_per_piece) {
    const DirectoryState state = four_pieces();
    ASSERT_EQ(state.domains.size(), 4u);
    ASSERT_EQ(state.ranges.size(), 4u);
    EXPECT_EQ(state.ranges[1].begin, "a");
    EXPECT_EQ(state.ranges[1].end, "m");
    EXPECT_EQ(state.ranges[1].domain, state.domains[1].id);
    EXPECT_EQ(state.ranges[1].replicas, (std::vector<NodeId>{NodeId(10), NodeId(20), NodeId(30)}));
    EXPECT_EQ(state.feature_level, feature_level_current);
    EXPECT_EQ(bootstrap_state(ClusterId(1), three_members(), {}, {}).ranges.size(), 1u);
}

TEST(Directory, the_first_bootstrap_counts_and_later_ones_change_nothing) {
    Directory directory;
    EXPECT_FALSE(directory.bootstrapped());
    const auto command = encode_bootstrap_command(four_pieces());
    apply(directory, command, 1);
    ASSERT_TRUE(directory.bootstrapped());
    EXPECT_EQ(directory.state(), four_pieces());
    const auto other = encode_bootstrap_command(bootstrap_state(ClusterId(5), three_members(), {}, {}));
    const std::uint64_t hash = directory.hash();
    apply(directory, other, 2);
    EXPECT_EQ(directory.state(), four_pieces());
    EXPECT_EQ(directory.applied(), LogIndex(2));
    EXPECT_NE(directory.hash(), hash) << "every command enters the hash";
    directory.skip(LogIndex(3));
    EXPECT_EQ(directory.applied(), LogIndex(3));
}

TEST(Directory, finds_the_range_of_any_key) {
    Directory directory;
    apply(directory, encode_bootstrap_command(four_pieces()), 1);
    EXPECT_EQ(directory.range_of("").id, RangeId(1));
    EXPECT_EQ(directory.range_of(std::string_view("\0", 1)).id, RangeId(1));
    EXPECT_EQ(directory.range_of("a").id, RangeId(2));
    EXPECT_EQ(directory.range_of("lzzz").id, RangeId(2));
    EXPECT_EQ(directory.range_of("m").id, RangeId(3));
    EXPECT_EQ(directory.range_of("\xff\xff").id, RangeId(4));
    EXPECT_EQ(directory.find(RangeId(3))->begin, "m");
    EXPECT_EQ(directory.find(RangeId(9)), nullptr);
    EXPECT_EQ(directory.find(NodeId(20))->name, "n2");
    EXPECT_EQ(directory.find(NodeId(21)), nullptr);
}

TEST(Directory, its_checkpoint_brings_it_back) {
    Directory directory;
    Directory loaded;
    ASSERT_TRUE(loaded.load(directory.checkpoint()));
    EXPECT_FALSE(loaded.bootstrapped());
    apply(directory, encode_bootstrap_command(four_pieces()), 4);
    ASSERT_TRUE(loaded.load(directory.checkpoint()));
    EXPECT_EQ(loaded.state(), directory.state());
    EXPECT_EQ(loaded.applied(), LogIndex(4));
    EXPECT_EQ(loaded.hash(), directory.hash());
}

TEST(Directory, a_checkpoint_with_any_byte_changed_or_cut_off_is_refused_and_changes_nothing) {
    Directory directory;
    apply(directory, encode_bootstrap_command(four_pieces()), 4);
    const auto good = directory.checkpoint();
    Directory other;
    for (std::size_t at = 0; at < good.size(); at++) {
        auto bad = good;
        bad[at] ^= std::byte{0x10};
        EXPECT_FALSE(other.load(bad));
        EXPECT_FALSE(other.load(Bytes(good).first(at)));
    }
    EXPECT_FALSE(other.bootstrapped());
    EXPECT_EQ(other.applied(), LogIndex(0));
}

// With the checksum made right again the decoder itself is on trial.
TEST(Directory, any_bytes_decode_to_a_valid_state_or_nothing) {
    Prng prng(3);
    const auto good = encode_bootstrap_command(four_pieces());
    Directory seed;
    apply(seed, good, 1);
    const auto checkpoint = seed.checkpoint();
    for (int i = 0; i < 20000; i++) {
        auto bytes = checkpoint;
        for (std::uint64_t changes = prng.between(1, 3); changes > 0; changes--) {
            bytes[prng.below(bytes.size() - 8)] = static_cast<std::byte>(prng.next());
        }
        store(bytes.data() + bytes.size() - 8, checksum(Bytes(bytes).first(bytes.size() - 8)));
        Directory directory;
        if (directory.load(bytes) && directory.bootstrapped()) {
            const RangeRecord& range = directory.range_of("n");
            ASSERT_TRUE(range.begin <= "n" && (range.end.empty() || range.end > "n"));
        }
        auto command = good;
        command[prng.below(command.size())] = static_cast<std::byte>(prng.next());
        Directory fresh;
        apply(fresh, command, 1);
        ASSERT_EQ(fresh.applied(), LogIndex(1));
    }
}

TEST(Directory, a_state_with_a_gap_an_overlap_or_a_stranger_is_invalid) {
    EXPECT_TRUE(state_is_valid(four_pieces()));
    const auto invalid = [](auto change) {
        DirectoryState state = four_pieces();
        change(state);
        return !state_is_valid(state);
    };
    EXPECT_TRUE(invalid([](DirectoryState& s) { s.ranges[3].begin = "u"; })) << "gap";
    EXPECT_TRUE(invalid([](DirectoryState& s) { s.ranges[3].begin = "s"; })) << "overlap";
    EXPECT_TRUE(invalid([](DirectoryState& s) { s.ranges[3].end = "z"; })) << "keys without a range";
    EXPECT_TRUE(invalid([](DirectoryState& s) { s.ranges[1].domain = DomainId(3); })) << "outside its domain";
    EXPECT_TRUE(invalid([](DirectoryState& s) { s.ranges[1].id = RangeId(1); })) << "an id twice";
    EXPECT_TRUE(invalid([](DirectoryState& s) { s.ranges[1].id = RangeId(0); })) << "the directory's own id";
    EXPECT_TRUE(invalid([](DirectoryState& s) { s.ranges[1].replicas[0] = NodeId(11); })) << "no member";
    EXPECT_TRUE(invalid([](DirectoryState& s) { s.ranges[1].replicas.clear(); })) << "nobody";
    EXPECT_TRUE(invalid([](DirectoryState& s) { std::swap(s.members[0], s.members[1]); })) << "order";
    EXPECT_TRUE(invalid([](DirectoryState& s) { s.cluster_id = ClusterId(0); })) << "no cluster";
}

}  // namespace
}  // namespace ringfort::kv
