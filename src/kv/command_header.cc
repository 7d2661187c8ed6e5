#include "kv/command_header.h"

namespace ringfort::kv {

void encode_command_header(ByteWriter& writer, CommandKind kind, std::size_t command_bytes,
                           const CommandHeader& header) {
    writer.number(command_version);
    writer.number(static_cast<std::uint8_t>(kind));
    writer.number(std::uint16_t{0});   // flags: none is defined in version 1
    writer.number(static_cast<std::uint32_t>(command_bytes));
    writer.number(header.range.value);
    writer.number(header.generation.value);
    writer.number(header.proposed_at.ns);
    writer.number(header.client);
    writer.number(header.client_sequence);
}

namespace {

std::optional<CommandKind> known_kind(std::uint8_t number) {
    const auto kind = static_cast<CommandKind>(number);
    switch (kind) {
        case CommandKind::put:
        case CommandKind::delete_range:
        case CommandKind::txn:
        case CommandKind::compact:
        case CommandKind::lease_grant:
        case CommandKind::lease_revoke:
        case CommandKind::lease_keep_alive:
        case CommandKind::lease_expire:
        case CommandKind::lease_tick:
        case CommandKind::alarm_raise:
        case CommandKind::alarm_clear:
        case CommandKind::directory_bootstrap:
            return kind;
    }
    return std::nullopt;
}

}  // namespace

Result<DecodedHeader, CommandErrc> decode_command_header(ByteReader& reader, Bytes command) {
    const auto version = reader.number<std::uint8_t>();
    const auto kind_number = reader.number<std::uint8_t>();
    const auto flags = reader.number<std::uint16_t>();
    const auto bytes = reader.number<std::uint32_t>();
    CommandHeader header;
    header.range = RangeId(reader.number<std::uint64_t>());
    header.generation = Generation(reader.number<std::uint64_t>());
    header.proposed_at = WallTime{reader.number<std::int64_t>()};
    header.client = reader.number<std::uint64_t>();
    header.client_sequence = reader.number<std::uint64_t>();
    if (reader.failed()) {
        return failure(CommandErrc::malformed);
    }
    if (version != command_version) {
        return failure(CommandErrc::unknown_version);
    }
    if (flags != 0 || bytes != command.size()) {
        return failure(CommandErrc::malformed);
    }
    const std::optional<CommandKind> kind = known_kind(kind_number);
    if (!kind) {
        return failure(CommandErrc::unknown_kind);
    }
    return DecodedHeader{*kind, header};
}

std::optional<CommandKind> command_kind(Bytes bytes) {
    ByteReader reader(bytes);
    const auto decoded = decode_command_header(reader, bytes);
    if (!decoded) {
        return std::nullopt;
    }
    return decoded->kind;
}

}  // namespace ringfort::kv
