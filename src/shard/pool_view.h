// Something of bounded size that a shard holds, for judges and tests.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace ringfort::shard {

struct PoolView {
    std::string_view what;
    std::uint64_t held{0};
    std::uint64_t bound{UINT64_MAX};
    bool lasting{false};   // held for as long as a client keeps what it asked for
};
// Each part adds what it holds. But for what lasts all of it is empty once nothing is asked for and nothing is under way.
using PoolList = std::vector<PoolView>;

}  // namespace ringfort::shard
