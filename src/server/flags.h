// The table of flags: names, help, and etcd's flags that have no meaning here.
#pragma once

#include <span>
#include <string_view>

namespace ringfort::server {

struct Flag {
    std::string_view name;
    std::string_view group;
    std::string_view value;      // what stands for the value in help
    std::string_view fallback;   // used when nobody says otherwise; empty: computed or none
    std::string_view help;
};
std::span<const Flag> flags();
const Flag* find_flag(std::string_view name);

// Why a flag of etcd is refused, as the end of a sentence; empty: it is none of them.
std::string_view refusal_of(std::string_view name);

}  // namespace ringfort::server
