// Small translations of text: Go's quoting, base64, hex, durations and sizes as etcdctl prints them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ringctl {

// As Go's %q: printable text as it is, the rest escaped, in double quotes.
std::string in_quotes(std::string_view text);
// Reads a Go string literal ("..." with escapes, or `...`) at the front of `text` and removes it. Nothing: there is none.
std::optional<std::string> take_quoted(std::string_view& text);
std::string base64(std::string_view bytes);
// "\x66\x6f"
std::string hex_escaped(std::string_view bytes);
std::string hex_number(std::uint64_t number);
// "1.5s", "300ms", "1m30s", "2h"; also a bare 0. Nothing: it is none, or not positive.
std::optional<std::int64_t> parse_duration_ms(std::string_view text);
// "2.345678ms", "1.02s"
std::string duration_text(std::int64_t ns);
// "20 kB", "1.3 MB": powers of 1000
std::string size_text(std::uint64_t bytes);
// Words of a line: blanks separate, '...' and "..." (with escapes) keep them. Nothing: a quote is not closed.
std::optional<std::vector<std::string>> split_words(std::string_view line);

}  // namespace ringctl
