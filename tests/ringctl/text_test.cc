#include "text.h"

#include <gtest/gtest.h>

namespace ringctl {
namespace {

TEST(Text, quoted_as_go_does) {
    EXPECT_EQ(in_quotes(""), "\"\"");
    EXPECT_EQ(in_quotes("plain 'text'"), "\"plain 'text'\"");
    EXPECT_EQ(in_quotes("a\"b\\c"), "\"a\\\"b\\\\c\"");
    EXPECT_EQ(in_quotes("\a\b\f\n\r\t\v"), "\"\\a\\b\\f\\n\\r\\t\\v\"");
    EXPECT_EQ(ringctl::in_quotes(std::string("\0\x1f\x7f", 3)), "\"\\x00\\x1f\\x7f\"");
    EXPECT_EQ(in_quotes("\xff\xfe"), "\"\\xff\\xfe\"");
    EXPECT_EQ(in_quotes("\u00e4\u20ac\U0001f600"), "\"\u00e4\u20ac\U0001f600\"");
    EXPECT_EQ(in_quotes("\xc3"), "\"\\xc3\"");             // half a character
    EXPECT_EQ(in_quotes("\xc0\xaf"), "\"\\xc0\\xaf\"");    // too long a form
    EXPECT_EQ(in_quotes("\xed\xa0\x80"), "\"\\xed\\xa0\\x80\"");   // a surrogate
}

TEST(Text, what_is_quoted_is_read_again) {
    for (int first = 0; first < 256; first++) {
        const std::string text{static_cast<char>(first), 'x', static_cast<char>(255 - first)};
        const std::string literal = ringctl::in_quotes(text) + "rest";
        std::string_view view = literal;
        EXPECT_EQ(take_quoted(view), text);
        EXPECT_EQ(view, "rest");
    }
}

TEST(Text, literals_that_are_none) {
    for (const char* text : {"", "x", "\"", "\"abc", "\"\\\"", "\"\\q\"", "\"\\x4\"", "\"\\x4g\"", "\"\\400\"", "\"\\u12\"",
                             "\"\\U00110000\"", "`abc", "'abc'"}) {
        std::string_view view = text;
        EXPECT_EQ(take_quoted(view), std::nullopt) << text;
    }
    std::string_view octal = "\"\\101\\u00e4\\U0001f600\"";
    EXPECT_EQ(take_quoted(octal), "A\u00e4\U0001f600");
}

TEST(Text, base64_of_every_remainder) {
    EXPECT_EQ(base64(""), "");
    EXPECT_EQ(base64("f"), "Zg==");
    EXPECT_EQ(base64("fo"), "Zm8=");
    EXPECT_EQ(base64("foo"), "Zm9v");
    EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
    EXPECT_EQ(base64("\xff\xef\xbe"), "/+++");
}

TEST(Text, hex_of_bytes_and_numbers) {
    EXPECT_EQ(hex_escaped(std::string("a\0\xff", 3)), "\\x61\\x00\\xff");
    EXPECT_EQ(hex_number(0x8211f1d0f64f3269), "8211f1d0f64f3269");
}

TEST(Text, durations_as_go_reads_them) {
    EXPECT_EQ(parse_duration_ms("5s"), 5000);
    EXPECT_EQ(parse_duration_ms("500ms"), 500);
    EXPECT_EQ(parse_duration_ms("1m30s"), 90'000);
    EXPECT_EQ(parse_duration_ms("1.5s"), 1500);
    EXPECT_EQ(parse_duration_ms("2h"), 7'200'000);
    EXPECT_EQ(parse_duration_ms("1us"), 1);     // rounded up: a timeout is never nothing
    EXPECT_EQ(parse_duration_ms("0"), 0);
    for (const char* wrong : {"", "5", "s", "-5s", "5 s", "5sx", "1e3s", "nan s", "1000000h", "infs"}) {
        EXPECT_EQ(parse_duration_ms(wrong), std::nullopt) << wrong;
    }
}

TEST(Text, durations_as_go_writes_them) {
    EXPECT_EQ(duration_text(0), "0ns");
    EXPECT_EQ(duration_text(999), "999ns");
    EXPECT_EQ(duration_text(1500), "1.5\u00b5s");
    EXPECT_EQ(duration_text(2'345'678), "2.345678ms");
    EXPECT_EQ(duration_text(1'020'000'000), "1.02s");
}

TEST(Text, sizes_as_people_read_them) {
    EXPECT_EQ(size_text(0), "0 B");
    EXPECT_EQ(size_text(999), "999 B");
    EXPECT_EQ(size_text(1000), "1.0 kB");
    EXPECT_EQ(size_text(20'480), "20 kB");
    EXPECT_EQ(size_text(1'300'000), "1.3 MB");
    EXPECT_EQ(size_text(82'854'982), "83 MB");
    EXPECT_EQ(size_text(UINT64_MAX), "18 EB");
}

TEST(Text, words_and_quotes_of_a_line) {
    using Words = std::vector<std::string>;
    EXPECT_EQ(split_words(""), Words());
    EXPECT_EQ(split_words("  put  k\tv \r"), (Words{"put", "k", "v"}));
    EXPECT_EQ(split_words("put \"a b\" 'c \"d\"' \"\" e\\n"), (Words{"put", "a b", "c \"d\"", "", "e\\n"}));
    EXPECT_EQ(split_words("put \"a\\nb\""), (Words{"put", "a\nb"}));
    EXPECT_EQ(split_words("put \"a"), std::nullopt);
    EXPECT_EQ(split_words("put 'a"), std::nullopt);
}

}  // namespace
}  // namespace ringctl
