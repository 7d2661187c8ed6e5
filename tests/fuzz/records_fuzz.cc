// Any bytes as the directory of a log batch: reading is total, and nothing that is read lies outside of the bytes.
#include <cstdint>
#include <cstring>
#include <memory>

#include "base/assertion.h"
#include "log/records.h"

using namespace ringfort;

namespace {

bool inside(Bytes whole, const void* begin, std::size_t bytes) {
    const auto* at = static_cast<const std::byte*>(begin);
    return bytes == 0 || (at >= whole.data() && at + bytes <= whole.data() + whole.size());
}

void check(Bytes directory, const log::CheckpointBody& checkpoint) {
    for (const auto nodes : {checkpoint.voters, checkpoint.outgoing, checkpoint.learners, checkpoint.learners_next}) {
        ASSERT(inside(directory, nodes.data(), nodes.size_bytes()));
    }
    ASSERT(inside(directory, checkpoint.file.data(), checkpoint.file.size()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // In a block of its own size, so that a read past the end is seen; operator new aligns as the reader requires.
    const std::unique_ptr<std::byte[]> block(new std::byte[size]);
    if (size > 0) {
        std::memcpy(block.get(), data, size);
    }
    const Bytes directory(block.get(), size);
    log::DirectoryReader reader(directory);
    log::Record record;
    std::size_t end = 0;
    while (reader.next(record)) {
        ASSERT(record.offset == end);
        end += record.header.bytes;
        ASSERT(inside(directory, record.items.data(), record.items.size_bytes()));
        ASSERT(record.sequences() <= size);
        if (record.checkpoint) {
            check(directory, *record.checkpoint);
        }
    }
    ASSERT(!reader.ok() || end == size);
    ASSERT(!log::directory_is_sound(directory, 0) || reader.ok());
    return 0;
}
