#include "uring/identity.h"

#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "base/bounds.h"
#include "base/checksum.h"

namespace ringfort::uring {
namespace {

constexpr std::string_view first_line = "ringfort identity\n";

// Takes "key value\n" from the front; nullopt if the key is another or the value is no number of this base.
std::optional<std::uint64_t> take(std::string_view& text, std::string_view key, int base) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos || !text.starts_with(key) || text.size() <= key.size() ||
        text[key.size()] != ' ') {
        return std::nullopt;
    }
    const std::string_view value = text.substr(key.size() + 1, end - key.size() - 1);
    std::uint64_t number = 0;
    const auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), number, base);
    if (error != std::errc() || stop != value.data() + value.size()) {
        return std::nullopt;
    }
    text.remove_prefix(end + 1);
    return number;
}

}  // namespace

std::string encode_identity(const Identity& identity) {
    std::string text = fmt::format(
        "{}format {}\ninstance {:016x}\ncluster {:016x}\nnode {:016x}\nshards {}\nincarnation {}\n", first_line,
        identity.format, identity.instance.value, identity.cluster.value, identity.node.value, identity.shard_count,
        identity.incarnation.value);
    text += fmt::format("checksum {:016x}\n", checksum(as_bytes(text)));
    return text;
}

Result<Identity, IdentityErrc> decode_identity(std::string_view text) {
    const std::string_view whole = text;
    if (!text.starts_with(first_line)) {
        return failure(IdentityErrc::malformed);
    }
    text.remove_prefix(first_line.size());
    const auto format = take(text, "format", 10);
    if (!format || *format == 0) {
        return failure(IdentityErrc::malformed);
    }
    if (*format > data_format_current) {
        return failure(IdentityErrc::newer_format);
    }
    const auto instance = take(text, "instance", 16);
    const auto cluster = take(text, "cluster", 16);
    const auto node = take(text, "node", 16);
    const auto shards = take(text, "shards", 10);
    const auto incarnation = take(text, "incarnation", 10);
    const std::string_view summed = whole.substr(0, whole.size() - text.size());
    const auto sum = take(text, "checksum", 16);
    if (!instance || !cluster || !node || !shards || !incarnation || !sum || !text.empty() ||
        *sum != checksum(as_bytes(summed)) || *shards == 0 || *shards > limits::shards_max || *incarnation == 0) {
        return failure(IdentityErrc::malformed);
    }
    return Identity{.format = static_cast<std::uint32_t>(*format),
                    .instance = InstanceId(*instance),
                    .cluster = ClusterId(*cluster),
                    .node = NodeId(*node),
                    .shard_count = static_cast<std::uint32_t>(*shards),
                    .incarnation = Incarnation(*incarnation)};
}

}  // namespace ringfort::uring
