// Prints a segment for people: every batch found, what stands in it, and what is wrong with it. One line a fact.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/bytes.h"
#include "log/format.h"

namespace ringfort::log {

// What a segment says of itself, for a reader who knows nothing: the identity in the first header of any segment,
// offset or instance that has a right checksum. false: there is none.
bool guess_identity(Bytes segment, SegmentIdentity& out);

struct DumpOptions {
    bool entries{true};    // a line for each entry
    std::span<const std::uint64_t> unreadable{};   // offsets of blocks the disk could not read, rising; zeros stand for them
};

// Appends lines, each ended by '\n'. Total.
void dump_segment(Bytes segment, const SegmentIdentity& identity, const DumpOptions& options, std::string& out);

}  // namespace ringfort::log
