#pragma once

#include <string_view>

namespace ringfort::server {

inline constexpr std::string_view version = "0.1.0";

}  // namespace ringfort::server
