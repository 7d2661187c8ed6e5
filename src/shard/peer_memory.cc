#include "shard/peer_memory.h"

#include <charconv>

#include "base/bounds.h"
#include "base/checksum.h"

namespace ringfort::shard {

namespace {

constexpr std::string_view first_line = "ringfort peers 1\n";
constexpr std::string_view own_word = "own ";
constexpr std::string_view lost_word = " lost";
constexpr std::string_view checksum_word = "checksum ";

bool take(std::string_view& text, std::string_view expected) {
    if (!text.starts_with(expected)) {
        return false;
    }
    text.remove_prefix(expected.size());
    return true;
}

std::optional<std::uint64_t> take_number(std::string_view& text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc()) {
        return std::nullopt;
    }
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return value;
}

std::optional<PeerMemory::Peer> take_peer(std::string_view& text) {
    const auto node = take_number(text);
    const bool first_space = take(text, " ");
    const auto instance = take_number(text);
    const bool second_space = take(text, " ");
    const auto incarnation = take_number(text);
    if (!node || *node == 0 || !first_space || !instance || !second_space || !incarnation || !take(text, "\n")) {
        return std::nullopt;
    }
    return PeerMemory::Peer{NodeId(*node), InstanceId(*instance), Incarnation(*incarnation)};
}

std::string body_of(const PeerMemory& memory) {
    std::string text(first_line);
    for (const PeerMemory::Peer& peer : memory.peers) {
        text += std::to_string(peer.node.value) + " " + std::to_string(peer.instance.value) + " " +
                std::to_string(peer.incarnation.value) + "\n";
    }
    text += own_word;
    text += std::to_string(memory.own.value);
    text += memory.lost ? lost_word : "";
    return text + "\n";
}

}  // namespace

std::string encode_peer_memory(const PeerMemory& memory) {
    std::string text = body_of(memory);
    std::uint64_t sum = checksum(as_bytes(text));
    text += checksum_word;
    for (int digit = 0; digit < 16; digit++, sum <<= 4) {
        text += "0123456789abcdef"[sum >> 60];
    }
    return text + "\n";
}

std::optional<PeerMemory> decode_peer_memory(std::string_view text) {
    const std::string_view whole = text;
    if (!take(text, first_line)) {
        return std::nullopt;
    }
    PeerMemory out;
    while (!text.starts_with(own_word)) {
        const auto peer = take_peer(text);
        if (!peer || out.peers.size() == limits::members_max) {
            return std::nullopt;
        }
        out.peers.push_back(*peer);
    }
    text.remove_prefix(own_word.size());
    const auto own = take_number(text);
    if (!own || *own == 0) {
        return std::nullopt;
    }
    out.own = Incarnation(*own);
    out.lost = take(text, lost_word);
    // There is one way to write a memory, checksum and all.
    return encode_peer_memory(out) == whole ? std::optional(out) : std::nullopt;
}

}  // namespace ringfort::shard
