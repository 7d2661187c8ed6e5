// Any bytes as the payload of a config or fence entry: decoding is total and canonical.
#include <algorithm>
#include <cstdint>

#include "base/assertion.h"
#include "raft/types.h"

using namespace ringfort;

namespace {

template <class T>
void check(Bytes payload) {
    T value;
    if (!raft::decode(payload, value)) {
        return;
    }
    const std::vector<std::byte> again = raft::encode(value);
    ASSERT(std::equal(again.begin(), again.end(), payload.begin(), payload.end()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Bytes payload(reinterpret_cast<const std::byte*>(data), size);
    check<raft::Configuration>(payload);
    check<raft::Fence>(payload);
    return 0;
}
