// Any bytes as commands: decoding is total and canonical, and whatever decodes can be applied, with the same state
// however it is cut into steps.
//
// Input: one byte of switches. By switch 1 the rest is one command as it stands; else it is a list of bodies (u8 kind,
// u16 bytes, body) that get right headers and are applied one after the other.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/assertion.h"
#include "base/checksum.h"
#include "kv/command.h"
#include "kv/store.h"

using namespace ringfort;

namespace {

constexpr std::size_t commands_max = 64;

void check_canonical(Bytes bytes) {
    Arena arena;
    const auto decoded = kv::decode_command(bytes, arena);
    if (!decoded) {
        return;
    }
    ASSERT(kv::command_kind(bytes).has_value());
    ASSERT(kv::command_bytes(decoded->body) == bytes.size());
    std::vector<std::byte> again(bytes.size());
    kv::encode_command(again, decoded->header, decoded->body);
    ASSERT(std::equal(again.begin(), again.end(), bytes.begin()));
}

void apply(kv::Store& store, Bytes bytes, LogIndex index, std::int64_t keys, Arena* answer) {
    store.begin(bytes, checksum(bytes), index, answer);
    WorkBudget budget{keys, 64};
    while (store.step(budget) == kv::Step::more) {
        budget = {keys, 64};
    }
}

std::vector<std::byte> with_header(std::uint8_t kind, Bytes body) {
    // The header of some command, with kind and size of this one.
    const kv::CommandBody some = api::CompactRequest{};
    std::vector<std::byte> out(kv::command_bytes(some));
    kv::encode_command(out, {}, some);
    constexpr std::size_t compact_body_bytes = 9;
    out.resize(out.size() - compact_body_bytes);
    out.insert(out.end(), body.begin(), body.end());
    out[1] = std::byte{kind};
    store(out.data() + 4, static_cast<std::uint32_t>(out.size()));
    return out;
}

std::vector<std::vector<std::byte>> commands_of(Bytes rest) {
    std::vector<std::vector<std::byte>> out;
    while (rest.size() >= 3 && out.size() < commands_max) {
        const auto kind = static_cast<std::uint8_t>(rest[0]);
        const std::size_t bytes = std::min<std::size_t>(load<std::uint16_t>(rest.data() + 1), rest.size() - 3);
        out.push_back(with_header(kind, rest.subspan(3, bytes)));
        rest = rest.subspan(3 + bytes);
    }
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const Bytes rest = Bytes(reinterpret_cast<const std::byte*>(data), size).subspan(1);
    std::vector<std::vector<std::byte>> commands;
    if ((data[0] & 1) != 0) {
        commands.emplace_back(rest.begin(), rest.end());
    } else {
        commands = commands_of(rest);
    }
    kv::Store answered({RangeId(1), 1});
    kv::Store silent({RangeId(1), 2});
    LogIndex index{};
    for (const auto& bytes : commands) {
        check_canonical(bytes);
        index = index.next();
        Arena arena;
        apply(answered, bytes, index, 2, &arena);
        apply(silent, bytes, index, 1000, nullptr);
        ASSERT(answered.hash() == silent.hash() && answered.revision() == silent.revision());
        WorkBudget budget{3, 64};
        answered.compact_step(budget);
    }
    answered.check_invariants();
    silent.check_invariants();
    return 0;
}
