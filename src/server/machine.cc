#include "server/machine.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string>

#include "base/bounds.h"

namespace ringfort::server {
namespace {

std::string contents(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

std::optional<std::uint64_t> leading_number(std::string_view text) {
    std::uint64_t number = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() ? std::optional(number) : std::nullopt;
}

// Calls `visit` with the file of our cgroup and of each above it: the tightest one counts.
template <class Visit>
void each_cgroup(const char* file, Visit visit) {
    const std::string own = contents("/proc/self/cgroup");
    std::string path(cgroup_path(own));
    while (true) {
        visit(contents("/sys/fs/cgroup" + path + "/" + file));
        if (path.empty() || path == "/") {
            return;
        }
        path.erase(path.rfind('/'));
    }
}

}  // namespace

std::optional<std::uint64_t> memory_total(std::string_view meminfo) {
    constexpr std::string_view key = "MemTotal:";
    const std::size_t at = meminfo.find(key);
    if (at == std::string_view::npos) {
        return std::nullopt;
    }
    std::string_view rest = meminfo.substr(at + key.size());
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    const auto kilobytes = leading_number(rest);
    return kilobytes ? std::optional(*kilobytes * kib) : std::nullopt;
}

std::optional<std::uint64_t> cgroup_limit(std::string_view memory_max) {
    return leading_number(memory_max);
}

std::optional<unsigned> cgroup_cores(std::string_view cpu_max) {
    const std::size_t space = cpu_max.find(' ');
    const auto quota = leading_number(cpu_max);
    const auto period = space == std::string_view::npos ? std::nullopt : leading_number(cpu_max.substr(space + 1));
    if (!quota || !period || *period == 0) {
        return std::nullopt;
    }
    return static_cast<unsigned>(std::clamp<std::uint64_t>(div_ceil(*quota, *period), 1, limits::shards_max));
}

std::string_view cgroup_path(std::string_view proc_self_cgroup) {
    // Version 2 has the hierarchy number 0 and no controllers.
    constexpr std::string_view key = "0::";
    const std::size_t at = proc_self_cgroup.find(key);
    if (at == std::string_view::npos || (at > 0 && proc_self_cgroup[at - 1] != '\n')) {
        return {};
    }
    const std::string_view rest = proc_self_cgroup.substr(at + key.size());
    return rest.substr(0, rest.find('\n'));
}

unsigned usable_cores() {
    cpu_set_t set;
    CPU_ZERO(&set);
    unsigned cores = 1;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) {
        cores = static_cast<unsigned>(CPU_COUNT(&set));
    }
    each_cgroup("cpu.max", [&](const std::string& text) {
        cores = std::min(cores, cgroup_cores(text).value_or(cores));
    });
    return std::clamp(cores, 1U, static_cast<unsigned>(limits::shards_max));
}

std::uint64_t usable_memory_bytes() {
    std::uint64_t bytes = memory_total(contents("/proc/meminfo")).value_or(4 * gib);
    each_cgroup("memory.max", [&](const std::string& text) {
        bytes = std::min(bytes, cgroup_limit(text).value_or(bytes));
    });
    return bytes;
}

}  // namespace ringfort::server
