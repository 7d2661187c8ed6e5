// What the kernel's io_uring can do, found once per ring. A mask turns each feature off, so that the path for a kernel
// without it is tested on one that has it. Everything else that is used is in Linux 6.1, the oldest kernel supported.
#pragma once

#include <cstdint>

namespace ringfort::uring {

enum class Feature : std::uint32_t {
    single_issuer = 1U << 0,        // 6.0: one thread submits
    defer_taskrun = 1U << 1,        // 6.1: completions run when the shard asks for them; needs single_issuer
    coop_taskrun = 1U << 2,         // 5.19: no interruption of the shard for completions
    taskrun_flag = 1U << 3,         // 5.19: the shard sees in memory that completions wait
    registered_ring = 1U << 4,      // 5.18: no descriptor look-up per enter
    multishot_accept = 1U << 5,     // 5.19
    multishot_receive = 1U << 6,    // 6.0
    message_ring = 1U << 7,         // 5.18: doorbell from ring to ring; else an eventfd
};

class Features {
  public:
    static constexpr Features all() { return Features(0xff); }
    static constexpr Features none() { return Features(0); }

    constexpr bool has(Feature f) const { return (bits_ & static_cast<std::uint32_t>(f)) != 0; }
    constexpr Features without(Feature f) const { return Features(bits_ & ~static_cast<std::uint32_t>(f)); }
    constexpr Features with(Feature f) const { return Features(bits_ | static_cast<std::uint32_t>(f)); }
    constexpr std::uint32_t bits() const { return bits_; }

  private:
    constexpr explicit Features(std::uint32_t bits) : bits_(bits) {}
    std::uint32_t bits_;
};

}  // namespace ringfort::uring
