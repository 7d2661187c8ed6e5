#include "log/records.h"

#include "base/assertion.h"

namespace ringfort::log {
namespace {

// Takes typed pieces off the front of a body; remembers whether one was missing.
class BodyReader {
  public:
    explicit BodyReader(Bytes bytes) : bytes_(bytes) {}

    template <class T>
    T take() {
        if (bytes_.size() < sizeof(T)) {
            ok_ = false;
            return T{};
        }
        T value = load<T>(bytes_.data());
        bytes_ = bytes_.subspan(sizeof(T));
        return value;
    }
    // Requires: the bytes left are aligned for T.
    template <class T>
    std::span<const T> take_array(std::size_t count) {
        if (bytes_.size() / sizeof(T) < count) {
            ok_ = false;
            return {};
        }
        std::span<const T> out{reinterpret_cast<const T*>(bytes_.data()), count};
        bytes_ = bytes_.subspan(count * sizeof(T));
        return out;
    }
    bool ok() const { return ok_; }
    bool done() const { return ok_ && bytes_.empty(); }
    void fail() { ok_ = false; }

  private:
    Bytes bytes_;
    bool ok_{true};
};

struct CheckpointFixed {
    std::uint64_t applied_term{0};
    std::uint64_t applied_index{0};
    std::uint64_t state_hash{0};
    std::uint64_t bytes{0};
    std::uint64_t file_checksum{0};
    std::uint8_t list_sizes[4]{};
    std::uint8_t file_bytes{0};
    std::uint8_t zeros[3]{};
};
static_assert(sizeof(CheckpointFixed) == 48);
static_assert(record_header_bytes + sizeof(HardStateBody) + 24 + sizeof(CheckpointFixed) +
                      configuration_nodes_max * sizeof(NodeId) + file_name_bytes_max <=
                  state_record_bytes_max);

CheckpointBody take_checkpoint(BodyReader& reader) {
    const auto fixed = reader.take<CheckpointFixed>();
    CheckpointBody out{fixed.applied_term, fixed.applied_index, fixed.state_hash, fixed.bytes, fixed.file_checksum,
                       {},                 {},                  {},               {},          {}};
    std::size_t nodes = 0;
    for (std::uint8_t size : fixed.list_sizes) {
        nodes += size;
    }
    if (nodes > configuration_nodes_max || fixed.file_bytes > file_name_bytes_max) {
        reader.fail();
        return out;
    }
    out.voters = reader.take_array<NodeId>(fixed.list_sizes[0]);
    out.outgoing = reader.take_array<NodeId>(fixed.list_sizes[1]);
    out.learners = reader.take_array<NodeId>(fixed.list_sizes[2]);
    out.learners_next = reader.take_array<NodeId>(fixed.list_sizes[3]);
    const auto name = reader.take_array<std::byte>(round_up<std::size_t>(fixed.file_bytes, 8));
    if (reader.ok()) {
        out.file = as_text(name.first(fixed.file_bytes));
    }
    return out;
}

std::optional<CheckpointBody> take_optional_checkpoint(BodyReader& reader) {
    const auto has = reader.take<std::uint64_t>();
    if (has > 1) {
        reader.fail();
    }
    return has == 1 ? std::optional(take_checkpoint(reader)) : std::nullopt;
}

void take_entries(BodyReader& reader, Record& out) {
    out.entries = reader.take<EntriesBody>();
    out.items = reader.take_array<EntryItem>(out.entries.count);
    if (out.entries.count == 0 || out.entries.first == 0 || out.entries.zero != 0 ||
        out.entries.first > UINT64_MAX - out.entries.count ||
        (out.header.type == RecordType::repaired && out.entries.count != 1)) {
        reader.fail();
    }
}

// Reads the body; false if it does not have the form of its type.
bool read_body(Bytes body, Record& out) {
    BodyReader reader(body);
    switch (out.header.type) {
        case RecordType::entries:
        case RecordType::copies:
        case RecordType::repaired:
            take_entries(reader, out);
            return reader.done();
        case RecordType::hard_state:
            out.hard_state = reader.take<HardStateBody>();
            return reader.done() && out.hard_state.in_doubt <= doubt_until_fence;
        case RecordType::truncate:
            out.truncate_from = reader.take<std::uint64_t>();
            return reader.done() && out.truncate_from > 0;
        case RecordType::checkpoint:
        case RecordType::snapshot_installed:
            out.checkpoint = take_checkpoint(reader);
            return reader.done();
        case RecordType::created:
            out.hard_state = reader.take<HardStateBody>();
            out.checkpoint = take_optional_checkpoint(reader);
            return reader.done() && out.hard_state.in_doubt <= (doubt_until_fence | doubt_found);
        case RecordType::removed:
            return reader.done();
        case RecordType::state:
            out.hard_state = reader.take<HardStateBody>();
            out.last_term = reader.take<std::uint64_t>();
            out.last_index = reader.take<std::uint64_t>();
            out.checkpoint = take_optional_checkpoint(reader);
            return reader.done() && out.hard_state.in_doubt <= (doubt_until_fence | doubt_found);
        case RecordType::opening:
            out.opening = reader.take<Opening>();
            return reader.done() && out.opening.begins_epoch <= 1 && out.opening.replicas_unknown <= 1;
    }
    return false;  // a type this version does not know
}

}  // namespace

std::string_view to_string(RecordType type) {
    switch (type) {
        case RecordType::entries: return "entries";
        case RecordType::copies: return "copies";
        case RecordType::repaired: return "repaired";
        case RecordType::hard_state: return "hard state";
        case RecordType::truncate: return "truncate";
        case RecordType::checkpoint: return "checkpoint";
        case RecordType::snapshot_installed: return "snapshot installed";
        case RecordType::created: return "created";
        case RecordType::removed: return "removed";
        case RecordType::state: return "state";
        case RecordType::opening: return "opening";
    }
    return "unknown";
}

std::uint64_t Record::sequences() const {
    switch (header.type) {
        case RecordType::entries:
            return entries.count;
        case RecordType::hard_state:
        case RecordType::truncate:
        case RecordType::checkpoint:
        case RecordType::snapshot_installed:
        case RecordType::created:
        case RecordType::removed:
            return 1;
        case RecordType::copies:
        case RecordType::repaired:
        case RecordType::state:
        case RecordType::opening:
            return 0;
    }
    return 0;
}

// ---- writing

template <class T>
void DirectoryWriter::put(const T& value) {
    const auto* from = reinterpret_cast<const std::byte*>(&value);
    data_.insert(data_.end(), from, from + sizeof(T));
}

std::uint32_t DirectoryWriter::begin(const Head& head) {
    ASSERT(data_.size() % 8 == 0);
    ASSERT(head.flags == 0 && head.zero == 0);
    const auto at = static_cast<std::uint32_t>(data_.size());
    put(head);
    return at;
}

void DirectoryWriter::end(std::uint32_t record) {
    ASSERT(data_.size() % 8 == 0);
    store(data_.data() + record + offsetof(RecordHeader, bytes), static_cast<std::uint32_t>(data_.size() - record));
}

std::uint32_t DirectoryWriter::begin_entries(const Head& head, std::uint64_t first, std::uint64_t term) {
    entries_record_ = begin(head);
    put(EntriesBody{first, term, 0, 0});
    end(entries_record_);
    return entries_record_;
}

std::uint32_t DirectoryWriter::add_entry(const EntryItem& item) {
    std::byte* const count_at = data_.data() + entries_record_ + record_header_bytes + offsetof(EntriesBody, count);
    store(count_at, load<std::uint32_t>(count_at) + 1);
    const auto at = static_cast<std::uint32_t>(data_.size());
    put(item);
    end(entries_record_);
    return at;
}

std::uint32_t DirectoryWriter::hard_state(const Head& head, const HardStateBody& body) {
    const std::uint32_t at = begin(head);
    put(body);
    end(at);
    return at;
}

void DirectoryWriter::overwrite_hard_state(std::uint32_t record, std::uint64_t incarnation,
                                           const HardStateBody& body) {
    std::byte* const at = data_.data() + record;
    ASSERT(load<RecordHeader>(at).type == RecordType::hard_state);
    store(at + offsetof(RecordHeader, incarnation), incarnation);
    store(at + record_header_bytes, body);
}

void DirectoryWriter::truncate(const Head& head, std::uint64_t from) {
    const std::uint32_t at = begin(head);
    put(from);
    end(at);
}

void DirectoryWriter::put_checkpoint(const CheckpointBody& body) {
    ASSERT(body.file.size() <= file_name_bytes_max);
    ASSERT(body.voters.size() + body.outgoing.size() + body.learners.size() + body.learners_next.size() <=
           configuration_nodes_max);
    CheckpointFixed fixed{body.applied_term, body.applied_index, body.state_hash, body.bytes, body.file_checksum,
                          {},                static_cast<std::uint8_t>(body.file.size()), {}};
    const std::span<const NodeId> lists[] = {body.voters, body.outgoing, body.learners, body.learners_next};
    for (std::size_t i = 0; i < 4; i++) {
        fixed.list_sizes[i] = static_cast<std::uint8_t>(lists[i].size());
    }
    put(fixed);
    for (const auto& list : lists) {
        for (NodeId node : list) {
            put(node);
        }
    }
    const Bytes name = as_bytes(body.file);
    data_.insert(data_.end(), name.begin(), name.end());
    data_.resize(round_up<std::size_t>(data_.size(), 8));
}

void DirectoryWriter::checkpoint(const Head& head, const CheckpointBody& body) {
    const std::uint32_t at = begin(head);
    put_checkpoint(body);
    end(at);
}

void DirectoryWriter::created(const Head& head, const HardStateBody& hard_state, const CheckpointBody* checkpoint) {
    const std::uint32_t at = begin(head);
    put(hard_state);
    put(std::uint64_t{checkpoint != nullptr});
    if (checkpoint != nullptr) {
        put_checkpoint(*checkpoint);
    }
    end(at);
}

void DirectoryWriter::removed(const Head& head) {
    const std::uint32_t at = begin(head);
    end(at);
}

void DirectoryWriter::state(const Head& head, const HardStateBody& hard_state, std::uint64_t last_term,
                            std::uint64_t last_index, const CheckpointBody* checkpoint) {
    const std::uint32_t at = begin(head);
    put(hard_state);
    put(last_term);
    put(last_index);
    put(std::uint64_t{checkpoint != nullptr});
    if (checkpoint != nullptr) {
        put_checkpoint(*checkpoint);
    }
    end(at);
    ASSERT(data_.size() - at <= state_record_bytes_max);
}

void DirectoryWriter::opening(const Opening& opening) {
    RecordHeader head;
    head.type = RecordType::opening;
    const std::uint32_t at = begin(head);
    put(opening);
    end(at);
}

// ---- reading

bool DirectoryReader::fail() {
    ok_ = false;
    return false;
}

bool DirectoryReader::next(Record& out) {
    if (!ok_ || position_ == bytes_.size()) {
        return false;
    }
    const Bytes rest = bytes_.subspan(position_);
    if (rest.size() < record_header_bytes) {
        return fail();
    }
    out = Record{};
    out.header = load<RecordHeader>(rest.data());
    out.offset = static_cast<std::uint32_t>(position_);
    const std::size_t size = out.header.bytes;
    if (size < record_header_bytes || size % 8 != 0 || size > rest.size() || out.header.flags != 0 ||
        out.header.zero != 0) {
        return fail();
    }
    if (!read_body(rest.subspan(record_header_bytes, size - record_header_bytes), out)) {
        return fail();
    }
    position_ += size;
    return true;
}

bool directory_is_sound(Bytes directory, std::size_t payload_bytes) {
    DirectoryReader reader(directory);
    Record record;
    const std::uint64_t end = header_bytes + payload_bytes;
    while (reader.next(record)) {
        for (const EntryItem& item : record.items) {
            if (item.offset < header_bytes || std::uint64_t{item.offset} + item.length() > end) {
                return false;
            }
        }
    }
    return reader.ok();
}

}  // namespace ringfort::log
