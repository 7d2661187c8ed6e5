// Any text as what people type to ringctl: Go's string literals and words, of which transactions are made, durations,
// addresses. What is printed in quotes is read back as it was.
//
// Input: lines.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assertion.h"
#include "client/endpoint_table.h"
#include "text.h"

using namespace ringfort;

namespace {

void check_line(std::string_view line) {
    std::string_view rest = line;
    ASSERT(!ringctl::take_quoted(rest) || rest.size() < line.size());
    const std::string quoted = ringctl::in_quotes(line);
    rest = quoted;
    ASSERT(ringctl::take_quoted(rest) == std::string(line) && rest.empty());
    const auto words = ringctl::split_words(line);
    ASSERT(!words || words->size() <= line.size());
    const auto duration = ringctl::parse_duration_ms(line);
    ASSERT(!duration || *duration >= 0);
    const auto address = client::parse_address(line);
    ASSERT(!address || !address->host.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    while (!rest.empty()) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
        check_line(line);
    }
    return 0;
}
