// Records of a batch's directory: their forms, writing and reading. format.h draws the record header.
//
//   entries, copies, repaired:  first index u64, term u64, count u32, 0 u32, then per entry: item (16 bytes)
//       entries of one term with rising index and sequence; payloads lie one after the other, 8-aligned
//   item:            checksum u64, payload's offset in the batch u32, length (24 bits) | kind << 24
//   hard state:      term u64, vote u64, commit u64, in doubt u64
//   truncate:        from u64
//   checkpoint, snapshot installed:  checkpoint
//   created:         hard state, has checkpoint u64, checkpoint if so; made here, or moved here from another shard
//   removed:         nothing
//   state:           hard state, last entry's term u64 and index u64, has checkpoint u64, checkpoint if so
//   opening:         see Opening
//   checkpoint:      applied term u64, applied index u64, state hash u64, bytes u64, file checksum u64,
//                    four list sizes u8 (voters, outgoing, learners, learners_next), file name's length u8, zeros u24,
//                    nodes u64 each, file name, zeros to 8
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "log/format.h"

namespace ringfort::log {

enum class RecordType : std::uint8_t {
    entries = 1,
    copies = 2,              // live entries written again, so that an old segment can go
    repaired = 3,            // a damaged entry, found again
    hard_state = 4,
    truncate = 5,
    checkpoint = 6,
    snapshot_installed = 7,  // voids the range's log
    created = 8,
    removed = 9,
    state = 10,              // a replica as of the end of this batch
    opening = 11,            // of a segment
};
std::string_view to_string(RecordType type);

struct RecordHeader {
    RecordType type{RecordType::entries};
    std::uint8_t flags{0};   // 0
    std::uint16_t zero{0};
    std::uint32_t bytes{0};
    std::uint64_t range{0};
    std::uint64_t incarnation{0};
    std::uint64_t sequence{0};
};
static_assert(sizeof(RecordHeader) == record_header_bytes);

struct EntryItem {
    std::uint64_t checksum{0};
    std::uint32_t offset{0};           // of the payload, from the batch's first byte
    std::uint32_t length_and_kind{0};

    static EntryItem make(std::uint32_t offset, std::size_t length, std::uint8_t kind) {
        return {0, offset, static_cast<std::uint32_t>(length) | (std::uint32_t{kind} << 24)};
    }
    std::uint32_t length() const { return length_and_kind & 0xff'ffff; }
    std::uint8_t kind() const { return static_cast<std::uint8_t>(length_and_kind >> 24); }
};
static_assert(sizeof(EntryItem) == 16);

struct EntriesBody {
    std::uint64_t first{0};
    std::uint64_t term{0};
    std::uint32_t count{0};
    std::uint32_t zero{0};
};
static_assert(sizeof(EntriesBody) == 24);
inline constexpr std::size_t items_offset = record_header_bytes + sizeof(EntriesBody);

// The fence is not yet durable here.
inline constexpr std::uint64_t doubt_until_fence = 1;
// State and created records only: recovery found the promises lost, and no new incarnation has begun since.
inline constexpr std::uint64_t doubt_found = 2;

struct HardStateBody {
    std::uint64_t term{0};
    std::uint64_t vote{0};
    std::uint64_t commit{0};
    std::uint64_t in_doubt{0};   // doubt_* bits
    bool operator==(const HardStateBody&) const = default;
};

struct CheckpointBody {
    std::uint64_t applied_term{0};
    std::uint64_t applied_index{0};
    std::uint64_t state_hash{0};
    std::uint64_t bytes{0};
    std::uint64_t file_checksum{0};
    std::span<const NodeId> voters;       // reading: views of the directory
    std::span<const NodeId> outgoing;
    std::span<const NodeId> learners;
    std::span<const NodeId> learners_next;
    std::string_view file;
};
static_assert(sizeof(NodeId) == 8);

// How an epoch, and each of its segments, begins.
struct Opening {
    std::uint64_t previous_epoch{0};   // 0: none
    std::uint64_t cut_sequence{0};     // last batch of older epochs that counts; 0: none
    std::uint64_t cut_segment{0};
    std::uint64_t cut_offset{0};       // where it ended; what lies behind counts for nothing
    std::uint64_t replicas{0};         // state records that follow
    std::uint32_t begins_epoch{0};     // 1: what follows is what recovery concluded, and all there is
    std::uint32_t replicas_unknown{0}; // 1: records were lost, and with them perhaps replicas nothing else tells of
};

// One record, read. The fields of its type are filled.
struct Record {
    RecordHeader header;
    std::uint32_t offset{0};                 // in the directory
    EntriesBody entries;
    std::span<const EntryItem> items;
    HardStateBody hard_state;
    std::uint64_t truncate_from{0};
    std::uint64_t last_term{0};              // state
    std::uint64_t last_index{0};
    std::optional<CheckpointBody> checkpoint;
    Opening opening;

    // How many numbers of the range it takes.
    std::uint64_t sequences() const;
};

// Appends records to a directory. Owns the bytes; its memory is kept for the next batch.
class DirectoryWriter {
  public:
    using Head = RecordHeader;  // type, range, incarnation, sequence; bytes is set here

    // Returns where the record begins.
    std::uint32_t begin_entries(const Head& head, std::uint64_t first, std::uint64_t term);
    // Adds an entry to the record begun last. Returns the item's place.
    std::uint32_t add_entry(const EntryItem& item);
    std::uint32_t hard_state(const Head& head, const HardStateBody& body);
    void overwrite_hard_state(std::uint32_t record, std::uint64_t incarnation, const HardStateBody& body);
    void truncate(const Head& head, std::uint64_t from);
    void checkpoint(const Head& head, const CheckpointBody& body);
    void created(const Head& head, const HardStateBody& hard_state, const CheckpointBody* checkpoint);
    void removed(const Head& head);
    void state(const Head& head, const HardStateBody& hard_state, std::uint64_t last_term, std::uint64_t last_index,
               const CheckpointBody* checkpoint);
    void opening(const Opening& opening);

    Bytes bytes() const { return {data_.data(), data_.size()}; }
    std::size_t size() const { return data_.size(); }
    void clear() { data_.clear(); }
    void assign(Bytes bytes) { data_.assign(bytes.begin(), bytes.end()); }
    void reserve(std::size_t bytes) { data_.reserve(bytes); }

    EntryItem item(std::uint32_t at) const { return load<EntryItem>(data_.data() + at); }
    void set_checksum(std::uint32_t item, std::uint64_t checksum) { store(data_.data() + item, checksum); }

  private:
    std::uint32_t begin(const Head& head);
    void end(std::uint32_t record);
    template <class T>
    void put(const T& value);
    void put_checkpoint(const CheckpointBody& body);

    std::vector<std::byte> data_;
    std::uint32_t entries_record_{0};  // begun last
};

// Reads a directory record by record; total. `bytes` must be 8-aligned.
class DirectoryReader {
  public:
    explicit DirectoryReader(Bytes bytes) : bytes_(bytes) {}
    // false: at the end, or malformed (then ok() is false).
    bool next(Record& out);
    bool ok() const { return ok_; }

  private:
    bool fail();

    Bytes bytes_;
    std::size_t position_{0};
    bool ok_{true};
};

// Whether every record can be read, and every payload lies within [header_bytes, header_bytes + payload_bytes).
bool directory_is_sound(Bytes directory, std::size_t payload_bytes);

}  // namespace ringfort::log
