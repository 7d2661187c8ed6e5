#include "txn_parser.h"

#include <gtest/gtest.h>

#include <sstream>

namespace ringctl {
namespace {

using namespace ringfort;

Parsed<Txn> parse(const std::string& input, std::string* prompts = nullptr) {
    std::istringstream lines(input);
    return parse_txn(
        [&lines]() -> std::optional<std::string> {
            std::string line;
            return std::getline(lines, line) ? std::optional(line) : std::nullopt;
        },
        [prompts](std::string_view title) {
            if (prompts != nullptr) {
                *prompts += std::string(title) + "\n";
            }
        });
}

Compare compare(std::string_view line) {
    auto parsed = parse_compare(line);
    const auto* error = std::get_if<UsageError>(&parsed);
    EXPECT_EQ(error, nullptr) << (error != nullptr ? error->text : "");
    return error != nullptr ? Compare() : std::get<Compare>(parsed);
}

std::string compare_error(std::string_view line) {
    auto parsed = parse_compare(line);
    const auto* error = std::get_if<UsageError>(&parsed);
    EXPECT_NE(error, nullptr) << line;
    return error != nullptr ? error->text : "";
}

TEST(TxnParser, the_example_of_etcdctls_manual) {
    std::string prompts;
    auto parsed = parse("mod(\"key1\") > \"0\"\n\nput key1 \"overwrote-key1\"\n\nput key1 \"created-key1\"\n"
                        "put key2 \"some extra key\"\n\n", &prompts);
    ASSERT_TRUE(std::holds_alternative<Txn>(parsed));
    const Txn& txn = std::get<Txn>(parsed);
    ASSERT_EQ(txn.compares.size(), 1U);
    EXPECT_EQ(txn.compares[0].target, CompareTarget::mod);
    EXPECT_EQ(txn.compares[0].result, CompareResult::greater);
    EXPECT_EQ(txn.compares[0].key, "key1");
    EXPECT_EQ(txn.compares[0].number, 0);
    ASSERT_EQ(txn.success.size(), 1U);
    EXPECT_EQ(std::get<OpPut>(txn.success[0]).value, "overwrote-key1");
    ASSERT_EQ(txn.failure.size(), 2U);
    EXPECT_EQ(std::get<OpPut>(txn.failure[1]).key, "key2");
    EXPECT_EQ(std::get<OpPut>(txn.failure[1]).value, "some extra key");
    EXPECT_EQ(prompts, "compares:\nsuccess requests (get, put, del):\nfailure requests (get, put, del):\n");
}

TEST(TxnParser, every_target_under_both_of_its_names) {
    EXPECT_EQ(compare("ver(\"k\") = \"1\"").target, CompareTarget::version);
    EXPECT_EQ(compare("version(\"k\") = \"1\"").target, CompareTarget::version);
    EXPECT_EQ(compare("c(\"k\") = \"1\"").target, CompareTarget::create);
    EXPECT_EQ(compare("create(\"k\") = \"1\"").target, CompareTarget::create);
    EXPECT_EQ(compare("m(\"k\") = \"1\"").target, CompareTarget::mod);
    EXPECT_EQ(compare("mod(\"k\") = \"1\"").target, CompareTarget::mod);
    EXPECT_EQ(compare("val(\"k\") = \"1\"").target, CompareTarget::value);
    EXPECT_EQ(compare("value(\"k\") = \"1\"").target, CompareTarget::value);
    EXPECT_EQ(compare("lease(\"k\") = \"1\"").target, CompareTarget::lease);
}

TEST(TxnParser, every_operator) {
    EXPECT_EQ(compare("ver(\"k\") = \"1\"").result, CompareResult::equal);
    EXPECT_EQ(compare("ver(\"k\") != \"1\"").result, CompareResult::not_equal);
    EXPECT_EQ(compare("ver(\"k\") > \"1\"").result, CompareResult::greater);
    EXPECT_EQ(compare("ver(\"k\") < \"1\"").result, CompareResult::less);
}

TEST(TxnParser, values_are_texts_numbers_decimal_and_leases_hexadecimal) {
    EXPECT_EQ(compare("value(\"k\") = \"12\"").value, "12");
    EXPECT_EQ(compare("value(\"k\") = \"12\"").number, 0);
    EXPECT_EQ(compare("mod(\"k\") = \"12\"").number, 12);
    EXPECT_EQ(compare("mod(\"k\") = \"-12\"").number, -12);
    EXPECT_EQ(compare("mod(\"k\") = \"9223372036854775807\"").number, INT64_MAX);
    EXPECT_EQ(compare("lease(\"k\") = \"ff\"").number, 255);
}

TEST(TxnParser, escapes_and_blanks_in_a_comparison) {
    const Compare one = compare("  value ( \"a\\\"b)\" )!=\"x\\n\\x41\" ");
    EXPECT_EQ(one.key, "a\"b)");
    EXPECT_EQ(one.value, "x\nA");
    EXPECT_EQ(one.result, CompareResult::not_equal);
    EXPECT_EQ(compare("val(`raw\\n`) = `\"`").key, "raw\\n");
}

TEST(TxnParser, what_is_no_comparison_is_named_with_the_line) {
    for (const char* line : {"garbage", "mod", "mod(k) = \"1\"", "mod(\"k\" = \"1\"", "mod(\"k\") \"1\"",
                             "mod(\"k\") ~ \"1\"",
                             "mod(\"k\") = 1", "mod(\"k\") = \"1\" more", "mod(\"k) = \"1\"", "mod(\"k\") == \"1\"",
                             "mod(\"\\q\") = \"1\""}) {
        EXPECT_EQ(compare_error(line).find(std::string("malformed comparison: ") + line), 0U) << compare_error(line);
    }
    EXPECT_EQ(compare_error("foo(\"k\") = \"0\""), "malformed comparison: foo(\"k\") = \"0\" (unknown target foo)");
    EXPECT_EQ(compare_error("mod(\"k\") = \"abc\""), "malformed comparison: mod(\"k\") = \"abc\" (not a number: \"abc\")");
    for (const char* number : {"", "1x", "9223372036854775808", " 1", "0x1"}) {
        compare_error(std::string("mod(\"k\") = \"") + number + "\"");
    }
}

TEST(TxnParser, requests_take_the_flags_of_their_commands) {
    auto parsed = parse("\nget a/ --prefix --limit 3 --order=DESCEND --keys-only\ndel a b --prev-kv\n"
                        "put k 'a \"b\" c' --prev-kv --lease 1f\nput -- -k -v\n\n\n");
    ASSERT_TRUE(std::holds_alternative<Txn>(parsed)) << std::get<UsageError>(parsed).text;
    const Txn& txn = std::get<Txn>(parsed);
    ASSERT_EQ(txn.success.size(), 4U);
    const OpGet& get = std::get<OpGet>(txn.success[0]);
    EXPECT_EQ(get.options.range_end, "a0");
    EXPECT_EQ(get.options.limit, 3);
    EXPECT_EQ(get.options.sort_order, SortOrder::descend);
    EXPECT_TRUE(get.options.keys_only);
    const OpDelete& del = std::get<OpDelete>(txn.success[1]);
    EXPECT_EQ(del.options.range_end, "b");
    EXPECT_TRUE(del.options.prev_kv);
    const OpPut& put = std::get<OpPut>(txn.success[2]);
    EXPECT_EQ(put.value, "a \"b\" c");
    EXPECT_EQ(put.options.lease, 31);
    EXPECT_TRUE(put.options.prev_kv);
    EXPECT_EQ(std::get<OpPut>(txn.success[3]).key, "-k");
    EXPECT_EQ(std::get<OpPut>(txn.success[3]).value, "-v");
    EXPECT_TRUE(txn.failure.empty());
}

TEST(TxnParser, a_blank_line_ends_each_block) {
    for (const char* input : {"\n\n\n", "\n\n\nwhat follows is not read\n"}) {
        auto parsed = parse(input);
        ASSERT_TRUE(std::holds_alternative<Txn>(parsed)) << input;
        EXPECT_TRUE(std::get<Txn>(parsed).success.empty());
    }
    // A line of blanks is a blank line; carriage returns are none of the text.
    auto parsed = parse("ver(\"k\") = \"1\"\r\n \t \r\nput k v\r\n\r\ndel k\r\n\r\n");
    EXPECT_EQ(std::get<Txn>(parsed).compares.size(), 1U);
    EXPECT_EQ(std::get<OpPut>(std::get<Txn>(parsed).success.at(0)).value, "v");
    EXPECT_EQ(std::get<OpDelete>(std::get<Txn>(parsed).failure.at(0)).key, "k");
}

// Whoever wrote it may have died before the comparison that would have held the requests back.
TEST(TxnParser, input_that_ends_within_a_block_is_no_transaction) {
    const std::vector<std::pair<std::string, std::string>> cases{
        {"", "compares"},
        {"mod(\"k\") > \"0\"\n", "compares"},
        {"\n", "success requests"},
        {"\nput k v", "success requests"},
        {"\n\n", "failure requests"},
        {"\nput k v\n\nput k w\n", "failure requests"}};
    for (const auto& [input, block] : cases) {
        auto parsed = parse(input);
        const auto* error = std::get_if<UsageError>(&parsed);
        ASSERT_NE(error, nullptr) << input;
        EXPECT_EQ(error->text, "the input ended within the " + block +
                                   ": compares, success requests and failure requests each end with a blank line");
    }
}

TEST(TxnParser, what_is_no_request_is_named_with_the_line) {
    for (const char* line : {"foo bar", "put", "get", "txn x", "put k \"v", "put k 'v", "put k v --nosuch",
                             "get k --limit x", "put k v --lease"}) {
        auto parsed = parse(std::string("\n") + line + "\n");
        const auto* error = std::get_if<UsageError>(&parsed);
        ASSERT_NE(error, nullptr) << line;
        EXPECT_EQ(error->text.find(std::string("invalid txn request: ") + line), 0U) << error->text;
    }
    auto parsed = parse("\nput k\n");   // no value, and standard input is taken
    EXPECT_EQ(std::get<UsageError>(parsed).text, "put in a transaction needs a key and a value");
    parsed = parse("\nget k --prefix --from-key\n");
    EXPECT_TRUE(std::holds_alternative<UsageError>(parsed));
}

}  // namespace
}  // namespace ringctl
