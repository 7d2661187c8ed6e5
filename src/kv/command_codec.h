// Sizes and kinds of command bodies, shared by encoder and decoder (form: head of command.cc).
#pragma once

#include <cstddef>
#include <cstdint>

namespace ringfort::kv {

enum class OpKind : std::uint8_t { put = 1, delete_range = 2, txn = 3, range = 4 };

inline constexpr std::size_t put_fixed_bytes = 4 + 4 + 8 + 1;
inline constexpr std::size_t delete_fixed_bytes = 4 + 4 + 1;
inline constexpr std::size_t range_fixed_bytes = 4 + 4 + 6 * 8 + 3;
inline constexpr std::size_t compare_fixed_bytes = 3 * 4 + 8 + 2;
inline constexpr std::size_t txn_fixed_bytes = 3 * 4;
inline constexpr std::size_t compact_fixed_bytes = 8 + 1;
inline constexpr std::size_t lease_stamp_bytes = 8 + 8;
inline constexpr std::size_t lease_grant_bytes = lease_stamp_bytes + 8 + 8;
inline constexpr std::size_t lease_revoke_bytes = lease_stamp_bytes + 8;
inline constexpr std::size_t lease_keep_alive_fixed_bytes = lease_stamp_bytes + 4;
inline constexpr std::size_t lease_expire_bytes = lease_stamp_bytes + 8 + 8;
inline constexpr std::size_t alarm_bytes = 8 + 1;

}  // namespace ringfort::kv
