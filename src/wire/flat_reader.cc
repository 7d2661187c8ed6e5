#include "wire/flat_reader.h"

namespace ringfort::wire {

namespace {

constexpr std::size_t offset_bytes = 4;
constexpr std::size_t vtable_head_bytes = 4;

}  // namespace

std::size_t FlatReader::follow(std::size_t at) {
    const std::size_t to = at + read<std::uint32_t>(at);
    if (to == at || !holds(to, offset_bytes)) {
        fail(Fault::malformed);
        return 0;
    }
    return to;
}

FlatTable FlatReader::root() {
    if (!holds(0, offset_bytes)) {
        fail(Fault::malformed);
        return {};
    }
    return table_at(follow(0));
}

FlatTable FlatReader::table_at(std::size_t at) {
    if (!ok()) {
        return {};
    }
    const auto back = read<std::int32_t>(at);
    const std::int64_t vtable = static_cast<std::int64_t>(at) - back;
    if (vtable < 0 || !holds(static_cast<std::size_t>(vtable), vtable_head_bytes)) {
        fail(Fault::malformed);
        return {};
    }
    FlatTable table;
    table.reader_ = this;
    table.at_ = at;
    table.vtable_ = static_cast<std::size_t>(vtable);
    const std::size_t vtable_bytes = read<std::uint16_t>(table.vtable_);
    if (vtable_bytes < vtable_head_bytes || vtable_bytes % 2 != 0 || !holds(table.vtable_, vtable_bytes)) {
        fail(Fault::malformed);
        return {};
    }
    table.vtable_bytes_ = vtable_bytes;
    return table;
}

Bytes FlatReader::elements(std::size_t at, std::size_t element_bytes, std::size_t& begin) {
    const std::size_t count = read<std::uint32_t>(at);
    begin = at + offset_bytes;
    // count < 2^32 and elements are small: no overflow.
    if (!holds(begin, count * element_bytes)) {
        fail(Fault::malformed);
        return {};
    }
    return buffer_.subspan(begin, count * element_bytes);
}

std::size_t FlatTable::place(std::uint16_t field, std::size_t bytes) const {
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

std::string_view FlatTable::bytes(std::uint16_t field) const {
    const std::size_t at = place(field, offset_bytes);
    const std::size_t to = at == 0 ? 0 : reader_->follow(at);
    if (to == 0) {
        return {};
    }
    std::size_t begin = 0;
    const Bytes found = reader_->elements(to, 1, begin);
    return reader_->take(found.size()) ? as_text(found) : std::string_view();
}

std::string_view FlatTable::text(std::uint16_t field, std::size_t bytes_max) const {
    const std::string_view found = bytes(field);
    if (found.size() > bytes_max) {
        reader_->fail(FlatReader::Fault::malformed);
        return {};
    }
    return found;
}

FlatTable FlatTable::table(std::uint16_t field) const {
    const std::size_t at = place(field, offset_bytes);
    const std::size_t to = at == 0 ? 0 : reader_->follow(at);
    return to == 0 ? FlatTable() : reader_->table_at(to);
}

FlatTables FlatTable::tables(std::uint16_t field) const {
    const std::size_t at = place(field, offset_bytes);
    const std::size_t to = at == 0 ? 0 : reader_->follow(at);
    if (to == 0) {
        return {};
    }
    FlatTables tables;
    tables.reader_ = reader_;
    tables.count_ = reader_->elements(to, offset_bytes, tables.begin_).size() / offset_bytes;
    return tables;
}

FlatStructs FlatTable::structs(std::uint16_t field, std::size_t element_bytes) const {
    const std::size_t at = place(field, offset_bytes);
    const std::size_t to = at == 0 ? 0 : reader_->follow(at);
    if (to == 0) {
        return {};
    }
    std::size_t begin = 0;
    return {reader_->elements(to, element_bytes, begin), element_bytes};
}

FlatTable FlatTables::operator[](std::size_t index) const {
    const std::size_t to = reader_->follow(begin_ + index * offset_bytes);
    return to == 0 ? FlatTable() : reader_->table_at(to);
}

std::string_view FlatTables::bytes(std::size_t index) const {
    const std::size_t to = reader_->follow(begin_ + index * offset_bytes);
    if (to == 0) {
        return {};
    }
    std::size_t begin = 0;
    const Bytes found = reader_->elements(to, 1, begin);
    return reader_->take(found.size()) ? as_text(found) : std::string_view();
}

}  // namespace ringfort::wire
