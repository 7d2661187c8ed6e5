// The directory's state as bytes: the body of the bootstrap command and of the directory's checkpoint.
//
// Form, version 1, little-endian. text = u32 bytes, the bytes; list = u32 count, the elements:
//   u64 cluster, u32 feature_level, u32 txn_ops, u32 request_bytes, list of members, list of domains, list of ranges
//   member  u64 id, text name, list of text peer_urls, list of text client_urls, u8 learner
//   domain  u64 id, text begin, text end
//   range   u64 id, u64 domain, u64 generation, text begin, text end, list of u64 replicas
#pragma once

#include <optional>
#include <vector>

#include "kv/byte_reader.h"
#include "kv/directory.h"

namespace ringfort::kv {

void append_state(std::vector<std::byte>& out, const DirectoryState& state);
// nullopt unless the bytes up to the reader's end are a state that meets state_is_valid().
std::optional<DirectoryState> decode_state(ByteReader& reader);

// Domains and ranges, each by begin, cover the key space once; ids are distinct and not 0; every range lies in its
// domain and is replicated by members; members are sorted by id.
bool state_is_valid(const DirectoryState& state);

}  // namespace ringfort::kv
