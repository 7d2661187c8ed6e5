// Any bytes as the directory's command or checkpoint: both are total; what loads is a valid state that is written as it
// was read and answers for every key.
//
// Input: one byte of switches. By switch 1 the rest is a checkpoint, without its checksum; else it is the state in a
// bootstrap command, without the command's header.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/assertion.h"
#include "base/checksum.h"
#include "kv/command_header.h"
#include "kv/directory.h"
#include "kv/directory_codec.h"

using namespace ringfort;

namespace {

void use(const kv::Directory& directory) {
    if (!directory.bootstrapped()) {
        return;
    }
    ASSERT(kv::state_is_valid(directory.state()));
    for (const kv::RangeRecord& range : directory.state().ranges) {
        ASSERT(directory.range_of(range.begin).id == range.id && directory.find(range.id) != nullptr);
    }
    for (const kv::MemberRecord& member : directory.state().members) {
        ASSERT(directory.find(member.id) != nullptr);
    }
}

void load(std::vector<std::byte> bytes) {
    const std::uint64_t sum = checksum(bytes);
    bytes.resize(bytes.size() + sizeof(sum));
    store(bytes.data() + bytes.size() - sizeof(sum), sum);
    kv::Directory directory;
    if (!directory.load(bytes)) {
        ASSERT(!directory.bootstrapped() && directory.applied() == LogIndex());
        return;
    }
    ASSERT(directory.checkpoint() == bytes);
    use(directory);
}

void apply(Bytes state) {
    std::vector<std::byte> bytes(kv::command_header_bytes);
    bytes.insert(bytes.end(), state.begin(), state.end());
    kv::ByteWriter writer(MutableBytes(bytes).first(kv::command_header_bytes));
    kv::encode_command_header(writer, kv::CommandKind::directory_bootstrap, bytes.size(), {});
    kv::Directory directory;
    directory.apply(bytes, checksum(bytes), LogIndex(1));
    use(directory);
    kv::Directory again;
    ASSERT(again.load(directory.checkpoint()));
    ASSERT(again.state() == directory.state() && again.hash() == directory.hash());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const Bytes rest = Bytes(reinterpret_cast<const std::byte*>(data), size).subspan(1);
    if ((data[0] & 1) != 0) {
        load({rest.begin(), rest.end()});
    } else {
        apply(rest);
    }
    return 0;
}
