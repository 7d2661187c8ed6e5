// One request in flight in a ring: a member of whoever issued it, immovable until its last completion came.
// The callback runs while the ring is reaped and only takes notes; acting on them is for the turn that follows.
#pragma once

#include <cstdint>

namespace ringfort::uring {

struct Completion {
    // `result` is the kernel's: a count, a descriptor, or a negative errno. `flags` are IORING_CQE_F_*.
    using Callback = void (*)(Completion& completion, int result, std::uint32_t flags);

    Completion(Callback cb, void* ctx) : callback(cb), context(ctx) {}
    Completion(const Completion&) = delete;
    Completion& operator=(const Completion&) = delete;

    Callback callback;
    void* context;
};

}  // namespace ringfort::uring
