// Any bytes as the server's config file: a sentence or options, nothing else.
#include "memory_file.h"
#include "server/options.h"

using namespace ringfort;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const fuzz::MemoryFile file(data, size);
    const auto line = server::read_command_line({"--config-file=" + file.path()}, {});
    if (!line) {
        ASSERT(!line.error().sentence.empty());
        return 0;
    }
    const auto options = server::interpret(line->values, server::Machine{});
    ASSERT(options || !options.error().sentence.empty());
    return 0;
}
