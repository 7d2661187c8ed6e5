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

}  // namespace ringfort::wire
