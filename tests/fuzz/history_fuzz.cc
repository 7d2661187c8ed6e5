// Any bytes as ringload's record of a run: it is read whole, or refused in a sentence.
#include "history.h"
#include "memory_file.h"

using namespace ringfort;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const fuzz::MemoryFile file(data, size);
    std::string problem;
    const auto history = ringload::read_history(file.path(), problem);
    ASSERT(history.has_value() == problem.empty());
    if (history) {
        for (const ringload::Write& write : history->writes) {
            ASSERT(write.key < history->keys);
        }
    }
    return 0;
}
