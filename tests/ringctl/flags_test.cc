#include <gtest/gtest.h>

#include <algorithm>

#include "kv_flags.h"

namespace ringctl {
namespace {

using namespace ringfort;

template <class Flags>
Flags read(std::vector<std::string> words) {
    Flags flags;
    CLI::App app;
    flags.add_to(app);
    std::ranges::reverse(words);
    app.parse(std::move(words));
    return flags;
}

OpGet get(const std::vector<std::string>& words) {
    auto op = read<GetFlags>(words).to_op();
    EXPECT_TRUE(std::holds_alternative<OpGet>(op)) << std::get<UsageError>(op).text;
    return std::get<OpGet>(op);
}

UsageError get_error(const std::vector<std::string>& words) {
    auto op = read<GetFlags>(words).to_op();
    EXPECT_TRUE(std::holds_alternative<UsageError>(op));
    return std::holds_alternative<UsageError>(op) ? std::get<UsageError>(op) : UsageError();
}

const std::string zero(1, '\0');

TEST(GetFlags, one_key_two_ends_a_prefix_and_from_a_key) {
    EXPECT_EQ(get({"k"}).key, "k");
    EXPECT_EQ(get({"k"}).options.range_end, "");
    EXPECT_EQ(get({"a", "c"}).options.range_end, "c");
    EXPECT_EQ(get({"a/", "--prefix"}).options.range_end, "a0");
    EXPECT_EQ(get({"\xff\xff", "--prefix"}).options.range_end, zero);
    EXPECT_EQ(get({"a", "--from-key"}).options.range_end, zero);
    for (const char* flag : {"--prefix", "--from-key"}) {
        EXPECT_EQ(get({"", flag}).key, zero) << flag;
        EXPECT_EQ(get({"", flag}).options.range_end, zero) << flag;
    }
}

TEST(GetFlags, each_flag_reaches_its_option) {
    const OpGet op = get({"a", "z", "--rev", "7", "--limit=5", "--order", "descend", "--sort-by", "modify",
                          "--consistency", "s", "--keys-only",
                          "--min-mod-rev", "1", "--max-mod-rev", "2", "--min-create-rev", "3",
                          "--max-create-rev", "4"});
    EXPECT_EQ(op.options.revision, 7);
    EXPECT_EQ(op.options.limit, 5);
    EXPECT_EQ(op.options.sort_order, SortOrder::descend);
    EXPECT_EQ(op.options.sort_target, SortTarget::mod);
    EXPECT_TRUE(op.options.serializable);
    EXPECT_TRUE(op.options.keys_only);
    EXPECT_EQ(op.options.min_mod_revision, 1);
    EXPECT_EQ(op.options.max_mod_revision, 2);
    EXPECT_EQ(op.options.min_create_revision, 3);
    EXPECT_EQ(op.options.max_create_revision, 4);
    EXPECT_TRUE(get({"a", "--count-only"}).options.count_only);
    EXPECT_FALSE(get({"a"}).options.serializable);
    EXPECT_FALSE(get({"a", "--consistency", "l"}).options.serializable);
}

TEST(GetFlags, every_sort_target_means_ascending_unless_said_otherwise_and_the_key_needs_no_order) {
    const std::vector<std::pair<const char*, SortTarget>> targets{{"CREATE", SortTarget::create},
                                                                  {"MODIFY", SortTarget::mod},
                                                                  {"VALUE", SortTarget::value},
                                                                  {"VERSION", SortTarget::version}};
    for (const auto& [name, target] : targets) {
        EXPECT_EQ(get({"a", "--sort-by", name}).options.sort_target, target);
        EXPECT_EQ(get({"a", "--sort-by", name}).options.sort_order, SortOrder::ascend);
        EXPECT_EQ(get({"a", "--sort-by", name, "--order", "DESCEND"}).options.sort_order, SortOrder::descend);
    }
    EXPECT_EQ(get({"a", "--sort-by", "KEY"}).options.sort_order, SortOrder::none);
    EXPECT_EQ(get({"a", "--order", "ASCEND"}).options.sort_order, SortOrder::ascend);
}

TEST(GetFlags, contradictions_are_refused_in_etcdctls_words_and_choices_there_are_not_by_its_code) {
    EXPECT_EQ(get_error({}).text, "get command needs one argument as key and an optional argument as range_end");
    EXPECT_TRUE(std::holds_alternative<UsageError>(read<GetFlags>({"a", "b", "c"}).to_op()));
    EXPECT_EQ(get_error({"a", "--prefix", "--from-key"}).text,
              "`--prefix` and `--from-key` cannot be set at the same time, choose one");
    EXPECT_EQ(get_error({"a", "b", "--prefix"}).text,
              "too many arguments, only accept one argument when `--prefix` or `--from-key` is set");
    EXPECT_EQ(get_error({"a", "--keys-only", "--count-only"}).text,
              "`--keys-only` and `--count-only` cannot be set at the same time, choose one");
    EXPECT_FALSE(get_error({"a", "--prefix", "--from-key"}).bad_feature);
    EXPECT_EQ(get_error({"a", "--consistency", "x"}).text, "unknown consistency flag \"x\"");
    EXPECT_EQ(get_error({"a", "--order", "up"}).text, "bad sort order up");
    EXPECT_EQ(get_error({"a", "--sort-by", "size"}).text, "bad sort target size");
    for (const std::vector<std::string>& words : {std::vector<std::string>{"a", "--consistency", "x"},
                                                  {"a", "--order", "up"}, {"a", "--sort-by", "size"}}) {
        EXPECT_TRUE(get_error(words).bad_feature);
    }
}

// ---------------------------------------------------------------------------------------------- put

std::string from_stdin() {
    return "from stdin\n";
}

TEST(PutFlags, the_value_is_an_argument_or_standard_input) {
    auto op = read<PutFlags>({"k", "v"}).to_op(&from_stdin);
    EXPECT_EQ(std::get<OpPut>(op).value, "v");
    op = read<PutFlags>({"k", ""}).to_op(&from_stdin);
    EXPECT_EQ(std::get<OpPut>(op).value, "");
    op = read<PutFlags>({"k"}).to_op(&from_stdin);
    EXPECT_EQ(std::get<OpPut>(op).value, "from stdin\n");
    // A forgotten value (put k $UNSET, under a service whose input is empty) overwrites nothing.
    op = read<PutFlags>({"k"}).to_op([] { return std::string(); });
    ASSERT_TRUE(std::holds_alternative<UsageError>(op));
    EXPECT_EQ(std::get<UsageError>(op).text,
              "put command needs 1 argument and input from stdin or 2 arguments; an empty value is written \"\"");
    op = read<PutFlags>({"k"}).to_op(nullptr);
    EXPECT_TRUE(std::holds_alternative<UsageError>(op));
    op = read<PutFlags>({}).to_op(&from_stdin);
    EXPECT_EQ(std::get<UsageError>(op).text, "put command needs 1 argument and input from stdin or 2 arguments");
    op = read<PutFlags>({"k", "two", "words"}).to_op(&from_stdin);
    EXPECT_TRUE(std::holds_alternative<UsageError>(op));
}

TEST(PutFlags, ignore_value_reads_no_value_and_takes_none) {
    auto op = read<PutFlags>({"k", "--ignore-value"}).to_op(&from_stdin);
    EXPECT_EQ(std::get<OpPut>(op).value, "");
    EXPECT_TRUE(std::get<OpPut>(op).options.ignore_value);
    op = read<PutFlags>({"k", "v", "--ignore-value"}).to_op(&from_stdin);
    EXPECT_EQ(std::get<UsageError>(op).text, "put command needs only 1 argument when 'ignore-value' is set");
}

TEST(PutFlags, a_lease_is_hexadecimal_and_must_be_one) {
    auto op = read<PutFlags>({"k", "v", "--lease", "694d77aa9e38260f", "--ignore-lease", "--prev-kv"}).to_op(nullptr);
    EXPECT_EQ(std::get<OpPut>(op).options.lease, 0x694d77aa9e38260f);
    EXPECT_TRUE(std::get<OpPut>(op).options.ignore_lease);
    EXPECT_TRUE(std::get<OpPut>(op).options.prev_kv);
    for (const char* wrong : {"zz", "12 ", "fffffffffffffffff"}) {
        op = read<PutFlags>({"k", "v", std::string("--lease=") + wrong}).to_op(nullptr);
        ASSERT_TRUE(std::holds_alternative<UsageError>(op)) << wrong;
        EXPECT_EQ(std::get<UsageError>(op).text, std::string("bad lease ID (") + wrong + "), expecting ID in Hex");
    }
}

// ---------------------------------------------------------------------------------------------- del

TEST(DeleteFlags, name_keys_as_get_does) {
    const auto del = [](const std::vector<std::string>& words) {
        return std::get<OpDelete>(read<DeleteFlags>(words).to_op());
    };
    EXPECT_EQ(del({"k"}).options.range_end, "");
    EXPECT_EQ(del({"a", "c"}).options.range_end, "c");
    EXPECT_EQ(del({"a", "c", "--range"}).options.range_end, "c");
    EXPECT_EQ(del({"a/", "--prefix", "--prev-kv"}).options.range_end, "a0");
    EXPECT_TRUE(del({"a/", "--prefix", "--prev-kv"}).options.prev_kv);
    EXPECT_EQ(del({"", "--from-key"}).key, zero);
    for (const std::vector<std::string>& words : {std::vector<std::string>{}, {"a", "b", "c"}, {"a", "--range"},
                                                  {"a", "b", "--prefix"}, {"a", "--prefix", "--from-key"}}) {
        EXPECT_TRUE(std::holds_alternative<UsageError>(read<DeleteFlags>(words).to_op())) << testing::PrintToString(words);
    }
}

// ---------------------------------------------------------------------------------------------- watch

TEST(WatchFlags, ask_for_a_node_that_has_a_leader) {
    for (const std::vector<std::string>& words : {std::vector<std::string>{"k"}, {"k", "--prefix", "--rev", "5"}}) {
        const auto watched = read<WatchFlags>(words).to_watch();
        EXPECT_TRUE(std::get<WatchFlags::Watched>(watched).options.require_leader);
    }
}

// The parser's own syntax for lists is none here: a value in JSON stays what it is, and a key too.
TEST(Flags, words_in_brackets_are_taken_as_they_are) {
    EXPECT_EQ(std::get<OpPut>(read<PutFlags>({"[a]", "[1,2]"}).to_op(nullptr)).key, "[a]");
    EXPECT_EQ(std::get<OpPut>(read<PutFlags>({"[a]", "[1,2]"}).to_op(nullptr)).value, "[1,2]");
    EXPECT_EQ(std::get<OpPut>(read<PutFlags>({"k", "[]"}).to_op(nullptr)).value, "[]");
    EXPECT_EQ(get({"[a,c]"}).key, "[a,c]");
    EXPECT_EQ(get({"[a,c]"}).options.range_end, "");
    const OpDelete op = std::get<OpDelete>(read<DeleteFlags>({"[a,c]", "[b]"}).to_op());
    EXPECT_EQ(op.key, "[a,c]");
    EXPECT_EQ(op.options.range_end, "[b]");
}

}  // namespace
}  // namespace ringctl
