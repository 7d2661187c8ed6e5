// Builds FlatBuffers at the end of an OutBuffer, in the OutBuffer's own memory: no allocation per message.
#pragma once

#include <cstring>
#include <span>
#include <string_view>

#include <flatbuffers/flatbuffers.h>

#include "base/bytes.h"
#include "wire/frame.h"
#include "wire/out_buffer.h"

namespace ringfort::wire {

using FlatBuilder = flatbuffers::FlatBufferBuilder;
template <class T>
using Flat = flatbuffers::Offset<T>;

// The builder's memory: the last bytes of the OutBuffer. The builder fills it from its end downwards, and keeps notes
// at its front.
class TailAllocator final : public flatbuffers::Allocator {
  public:
    explicit TailAllocator(OutBuffer& out) : out_(out), begin_(out.pending_bytes()) {}

    std::uint8_t* allocate(std::size_t bytes) override {
        return reinterpret_cast<std::uint8_t*>(out_.extend(bytes));
    }
    void deallocate(std::uint8_t*, std::size_t) override {}
    std::uint8_t* reallocate_downward(std::uint8_t*, std::size_t old_bytes, std::size_t new_bytes,
                                      std::size_t in_use_back, std::size_t) override {
        // May move; the front stays in its place relative to begin_.
        out_.extend(new_bytes - old_bytes);
        std::byte* memory = out_.at(begin_);
        std::memmove(memory + new_bytes - in_use_back, memory + old_bytes - in_use_back, in_use_back);
        return reinterpret_cast<std::uint8_t*>(memory);
    }

  private:
    OutBuffer& out_;
    std::size_t begin_;
};

// Appends what `build(builder)` returns the root of, padded with zeros to a multiple of 8. `hint_bytes`: enough for all
// of it, or it grows. Returns the bytes without padding.
template <class Build>
std::size_t append_flat(OutBuffer& out, std::size_t hint_bytes, Build&& build) {
    const std::size_t begin = out.pending_bytes();
    ASSERT(begin % frame_alignment == 0);
    std::size_t bytes = 0;
    {
        TailAllocator allocator(out);
        FlatBuilder builder(round_up(hint_bytes, frame_alignment), &allocator);
        builder.Finish(build(builder));
        bytes = builder.GetSize();
        std::memmove(out.at(begin), builder.GetBufferPointer(), bytes);
    }
    const std::size_t padded = round_up(bytes, frame_alignment);
    std::memset(out.at(begin + bytes), 0, padded - bytes);
    out.truncate(begin + padded);
    return bytes;
}

// Bytes of the schema's [ubyte]; absent if there are none.
inline Flat<flatbuffers::Vector<std::uint8_t>> put_bytes(FlatBuilder& builder, std::string_view bytes) {
    return bytes.empty() ? 0
                         : builder.CreateVector(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}
inline Flat<flatbuffers::String> put_text(FlatBuilder& builder, std::string_view text) {
    return text.empty() ? 0 : builder.CreateString(text.data(), text.size());
}

// A vector of what `put(item)` makes of each item; absent if there are none. Calls may nest.
template <class T, class Items, class Put>
Flat<flatbuffers::Vector<Flat<T>>> put_vector(FlatBuilder& builder, OutBuffer& out, const Items& items, Put&& put) {
    if (items.empty()) {
        return 0;
    }
    std::vector<std::uint32_t>& offsets = out.offsets();
    const std::size_t begin = offsets.size();
    for (const auto& item : items) {
        // In two steps: put() may grow the stack.
        const std::uint32_t offset = put(item).o;
        offsets.push_back(offset);
    }
    static_assert(sizeof(Flat<T>) == sizeof(std::uint32_t));
    builder.StartVector(items.size(), sizeof(std::uint32_t));
    for (std::size_t i = offsets.size(); i > begin; i--) {
        builder.PushElement(Flat<T>(offsets[i - 1]));
    }
    offsets.resize(begin);
    return Flat<flatbuffers::Vector<Flat<T>>>(builder.EndVector(items.size()));
}

}  // namespace ringfort::wire
