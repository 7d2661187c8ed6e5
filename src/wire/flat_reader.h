// Reads FlatBuffers that a stranger sent. Every access is checked as it is made, so nothing is believed that was not
// looked at, and one pass does what a verifier and a reader would do in two.
//
// Why not the library's verifier: it passes buffers whose offsets alias, so that a small buffer decodes to gigabytes,
// and takes as long over them; it passes unknown union members; it assumes an aligned buffer. Here all loads are of any
// alignment, unions are the caller's to judge, and every byte and object given out is counted against a budget.
//
// Faults stick: after the first one everything reads as absent, and ok() says so. Callers test it once per object or
// loop instead of once per field.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/arena.h"
#include "base/bytes.h"

namespace ringfort::wire {

class FlatTable;
class FlatTables;
class FlatStructs;

inline constexpr std::size_t flat_offset_bytes = 4;
inline constexpr std::size_t flat_vtable_head_bytes = 4;

class FlatReader {
  public:
    enum class Fault : std::uint8_t {
        none,
        malformed,  // points outside of the buffer
        too_large,  // decodes to more than the budget
    };

    FlatReader(Bytes buffer, std::size_t decoded_bytes_max) : buffer_(buffer), budget_(decoded_bytes_max) {}

    FlatTable root();
    bool ok() const { return fault_ == Fault::none; }
    Fault fault() const { return fault_; }
    void fail(Fault fault) {
        if (fault_ == Fault::none) {
            fault_ = fault;
        }
    }

    // Counts what is about to be decoded. False: it is too much.
    bool take(std::size_t bytes) {
        if (bytes > budget_) {
            fail(Fault::too_large);
            return false;
        }
        budget_ -= bytes;
        return true;
    }
    // An array in the arena, counted; empty if it is too much.
    template <class T>
    std::span<T> take_array(Arena& arena, std::size_t count) {
        // count is at most the buffer's size: no overflow.
        return take(count * sizeof(T)) ? arena.make_array<T>(count) : std::span<T>();
    }

  private:
    friend class FlatTable;
    friend class FlatTables;
    friend class FlatStructs;

    bool holds(std::size_t at, std::size_t bytes) const {
        return at <= buffer_.size() && bytes <= buffer_.size() - at;
    }
    template <class T>
    T read(std::size_t at) const {
        return load<T>(buffer_.data() + at);
    }
    // Where the offset stored at `at` leads; 0 (no object lies there) on a fault.
    std::size_t follow(std::size_t at);
    // The elements of the vector at `at`, each of element_bytes: their place and count.
    Bytes elements(std::size_t at, std::size_t element_bytes, std::size_t& begin);
    FlatTable table_at(std::size_t at);

    Bytes buffer_;
    std::size_t budget_;
    Fault fault_{Fault::none};
};

// A vector of structs of fixed size.
class FlatStructs {
  public:
    FlatStructs() = default;
    FlatStructs(Bytes bytes, std::size_t element_bytes) : bytes_(bytes), element_bytes_(element_bytes) {}
    std::size_t size() const { return bytes_.size() / element_bytes_; }
    template <class T>
    T field(std::size_t index, std::size_t offset) const {
        return load<T>(bytes_.data() + index * element_bytes_ + offset);
    }

  private:
    Bytes bytes_;
    std::size_t element_bytes_{1};
};

// A table, or the absent one, whose fields are all absent. Fields are named by the generated VT_ constants.
class FlatTable {
  public:
    FlatTable() = default;

    explicit operator bool() const { return vtable_bytes_ != 0; }

    template <class T>
    T scalar(std::uint16_t field, T absent = T{}) const {
        const std::size_t at = place(field, sizeof(T));
        return at == 0 ? absent : reader_->read<T>(at);
    }
    bool boolean(std::uint16_t field, bool absent = false) const {
        return scalar<std::uint8_t>(field, absent ? 1 : 0) != 0;
    }
    // A vector of bytes or a string. Counted as decoded.
    std::string_view bytes(std::uint16_t field) const;
    // Its length at most `bytes_max`, or the buffer is malformed.
    std::string_view text(std::uint16_t field, std::size_t bytes_max) const;
    FlatTable table(std::uint16_t field) const;
    FlatTables tables(std::uint16_t field) const;
    FlatStructs structs(std::uint16_t field, std::size_t element_bytes) const;

  private:
    friend class FlatReader;
    // Where the field's inline bytes are; 0 if it is absent or on a fault.
    std::size_t place(std::uint16_t field, std::size_t bytes) const;

    FlatReader* reader_{nullptr};
    std::size_t at_{0};
    std::size_t vtable_{0};
    std::size_t vtable_bytes_{0};
};

// A vector of tables or of strings.
class FlatTables {
  public:
    FlatTables() = default;
    std::size_t size() const { return count_; }
    FlatTable operator[](std::size_t index) const;
    // The element as bytes. Counted as decoded.
    std::string_view bytes(std::size_t index) const;

  private:
    friend class FlatTable;
    FlatReader* reader_{nullptr};
    std::size_t begin_{0};
    std::size_t count_{0};
};

// ---------------------------------------------------------------------------------------------- bodies
// Inline: a request is some twenty accesses of a nanosecond or two each.

inline std::size_t FlatReader::follow(std::size_t at) {
    const std::size_t to = at + read<std::uint32_t>(at);
    if (to == at || !holds(to, flat_offset_bytes)) {
        fail(Fault::malformed);
        return 0;
    }
    return to;
}

inline FlatTable FlatReader::root() {
    if (!holds(0, flat_offset_bytes)) {
        fail(Fault::malformed);
        return {};
    }
    return table_at(follow(0));
}

inline FlatTable FlatReader::table_at(std::size_t at) {
    if (!ok()) {
        return {};
    }
    const auto back = read<std::int32_t>(at);
    const std::int64_t vtable = static_cast<std::int64_t>(at) - back;
    if (vtable < 0 || !holds(static_cast<std::size_t>(vtable), flat_vtable_head_bytes)) {
        fail(Fault::malformed);
        return {};
    }
    FlatTable table;
    table.reader_ = this;
    table.at_ = at;
    table.vtable_ = static_cast<std::size_t>(vtable);
    const std::size_t vtable_bytes = read<std::uint16_t>(table.vtable_);
    if (vtable_bytes < flat_vtable_head_bytes || vtable_bytes % 2 != 0 || !holds(table.vtable_, vtable_bytes)) {
        fail(Fault::malformed);
        return {};
    }
    table.vtable_bytes_ = vtable_bytes;
    return table;
}

inline Bytes FlatReader::elements(std::size_t at, std::size_t element_bytes, std::size_t& begin) {
    const std::size_t count = read<std::uint32_t>(at);
    begin = at + flat_offset_bytes;
    // count < 2^32 and elements are small: no overflow.
    if (!holds(begin, count * element_bytes)) {
        fail(Fault::malformed);
        return {};
    }
    return buffer_.subspan(begin, count * element_bytes);
}

inline std::size_t FlatTable::place(std::uint16_t field, std::size_t bytes) const {
    if (field + sizeof(std::uint16_t) > vtable_bytes_) {
        return 0;
    }
    const std::size_t offset = reader_->read<std::uint16_t>(vtable_ + field);
    if (offset == 0) {
        return 0;
    }
    if (!reader_->holds(at_ + offset, bytes)) {
        reader_->fail(FlatReader::Fault::malformed);
        return 0;
    }
    return at_ + offset;
}

inline std::string_view FlatTable::bytes(std::uint16_t field) const {
    const std::size_t at = place(field, flat_offset_bytes);
    const std::size_t to = at == 0 ? 0 : reader_->follow(at);
    if (to == 0) {
        return {};
    }
    std::size_t begin = 0;
    const Bytes found = reader_->elements(to, 1, begin);
    return reader_->take(found.size()) ? as_text(found) : std::string_view();
}

inline std::string_view FlatTable::text(std::uint16_t field, std::size_t bytes_max) const {
    const std::string_view found = bytes(field);
    if (found.size() > bytes_max) {
        reader_->fail(FlatReader::Fault::malformed);
        return {};
    }
    return found;
}

inline FlatTable FlatTable::table(std::uint16_t field) const {
    const std::size_t at = place(field, flat_offset_bytes);
    const std::size_t to = at == 0 ? 0 : reader_->follow(at);
    return to == 0 ? FlatTable() : reader_->table_at(to);
}

inline FlatTables FlatTable::tables(std::uint16_t field) const {
    const std::size_t at = place(field, flat_offset_bytes);
    const std::size_t to = at == 0 ? 0 : reader_->follow(at);
    if (to == 0) {
        return {};
    }
    FlatTables tables;
    tables.reader_ = reader_;
    tables.count_ = reader_->elements(to, flat_offset_bytes, tables.begin_).size() / flat_offset_bytes;
    return tables;
}

inline FlatStructs FlatTable::structs(std::uint16_t field, std::size_t element_bytes) const {
    const std::size_t at = place(field, flat_offset_bytes);
    const std::size_t to = at == 0 ? 0 : reader_->follow(at);
    if (to == 0) {
        return {};
    }
    std::size_t begin = 0;
    return {reader_->elements(to, element_bytes, begin), element_bytes};
}

inline FlatTable FlatTables::operator[](std::size_t index) const {
    const std::size_t to = reader_->follow(begin_ + index * flat_offset_bytes);
    return to == 0 ? FlatTable() : reader_->table_at(to);
}

inline std::string_view FlatTables::bytes(std::size_t index) const {
    const std::size_t to = reader_->follow(begin_ + index * flat_offset_bytes);
    if (to == 0) {
        return {};
    }
    std::size_t begin = 0;
    const Bytes found = reader_->elements(to, 1, begin);
    return reader_->take(found.size()) ? as_text(found) : std::string_view();
}

}  // namespace ringfort::wire
