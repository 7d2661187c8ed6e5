// Any text as the server's settings, as they come from flags, environment or config file: a sentence or options, nothing
// else.
//
// Input: lines "name=value".
#include <algorithm>
#include <cstdint>
#include <string_view>

#include "base/assertion.h"
#include "server/options.h"
#include "server/url.h"

using namespace ringfort;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    server::FlagValues values;
    while (!rest.empty()) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
        const std::size_t equals = line.find('=');
        if (equals != std::string_view::npos) {
            values[std::string(line.substr(0, equals))] = std::string(line.substr(equals + 1));
        }
    }
    const server::Machine machine{};
    const auto options = server::interpret(values, machine);
    ASSERT(options || !options.error().sentence.empty());
    return 0;
}
