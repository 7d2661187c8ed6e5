// Views of bytes. A view never outlives the turn it was handed out in, unless its holder also holds the owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

namespace ringfort {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

inline Bytes as_bytes(std::string_view text) {
    return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(Bytes bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Little-endian fields at any alignment. All our hosts are little-endian (asserted in bytes.cc).
template <class T>
    requires std::is_trivially_copyable_v<T>
T load(const std::byte* from) {
    T out;
    std::memcpy(&out, from, sizeof(T));
    return out;
}
template <class T>
    requires std::is_trivially_copyable_v<T>
void store(std::byte* to, const T& value) {
    std::memcpy(to, &value, sizeof(T));
}

template <class T>
constexpr T round_up(T value, T multiple) {
    return (value + multiple - 1) / multiple * multiple;
}
template <class T>
constexpr T div_ceil(T value, T by) {
    return (value + by - 1) / by;
}

inline constexpr std::size_t kib = 1024;
inline constexpr std::size_t mib = 1024 * kib;
inline constexpr std::size_t gib = 1024 * mib;

}  // namespace ringfort
