// The 48 bytes at the head of every command, shared by the codecs of the two state machines.
#pragma once

#include "kv/byte_reader.h"
#include "kv/command.h"

namespace ringfort::kv {

inline constexpr std::size_t command_header_bytes = 48;

void encode_command_header(ByteWriter& writer, CommandKind kind, std::size_t command_bytes,
                           const CommandHeader& header);

struct DecodedHeader {
    CommandKind kind;
    CommandHeader header;
};
// Ensures: the kind is one of the enumerators and the length named is the length given.
Result<DecodedHeader, CommandErrc> decode_command_header(ByteReader& reader, Bytes command);

}  // namespace ringfort::kv
