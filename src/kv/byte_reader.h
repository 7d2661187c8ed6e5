// Total decoding: a cursor over untrusted bytes. A read past the end gives zeros and sets failed() for good, so that a
// decoder may read a whole group of fields and ask once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assertion.h"
#include "base/bytes.h"

namespace ringfort::kv {

class ByteReader {
  public:
    explicit ByteReader(Bytes bytes) : bytes_(bytes) {}

    template <class T>
    T number() {
        if (remaining() < sizeof(T)) {
            fail();
            return T{};
        }
        const T out = load<T>(bytes_.data() + offset_);
        offset_ += sizeof(T);
        return out;
    }

    std::string_view text(std::size_t count) {
        if (remaining() < count) {
            fail();
            return {};
        }
        const std::string_view out = as_text(bytes_.subspan(offset_, count));
        offset_ += count;
        return out;
    }

    // Marks the bytes as malformed for a reason of the caller's.
    void fail() {
        failed_ = true;
        offset_ = bytes_.size();
    }
    void fail_unless(bool holds) {
        if (!holds) {
            fail();
        }
    }

    bool failed() const { return failed_; }
    std::size_t remaining() const { return bytes_.size() - offset_; }
    bool at_end() const { return !failed_ && remaining() == 0; }

  private:
    Bytes bytes_;
    std::size_t offset_{0};
    bool failed_{false};
};

// Writes fields one after the other into a buffer of the exact size.
class ByteWriter {
  public:
    explicit ByteWriter(MutableBytes out) : out_(out) {}

    template <class T>
    void number(T value) {
        ASSERT(sizeof(T) <= out_.size() - offset_);
        store(out_.data() + offset_, value);
        offset_ += sizeof(T);
    }

    void text(std::string_view value) {
        ASSERT(value.size() <= out_.size() - offset_);
        if (!value.empty()) {
            std::memcpy(out_.data() + offset_, value.data(), value.size());
        }
        offset_ += value.size();
    }

    bool full() const { return offset_ == out_.size(); }

  private:
    MutableBytes out_;
    std::size_t offset_{0};
};

}  // namespace ringfort::kv
