// What the bodies share that are laid out by hand instead of built: those that every request and reply of a busy
// connection consists of. The generated constants say which slot of a vtable is whose; where a field lies in its table is
// ours to choose.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace ringfort::wire {

// Bytes of the vtable, bytes of the table, then the place of each field in the table; 0: absent.
template <std::size_t fields>
using FlatVtable = std::array<std::uint16_t, 2 + fields>;

// Lengths and offsets of FlatBuffers.
inline constexpr std::size_t flat_word_bytes = sizeof(std::uint32_t);

}  // namespace ringfort::wire
