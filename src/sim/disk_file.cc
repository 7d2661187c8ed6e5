#include "sim/disk_file.h"

#include <algorithm>
#include <cstring>

#include "base/assertion.h"

namespace ringfort::sim {

namespace {

bool all_zero(Bytes bytes) {
    return bytes.empty() || (bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

}  // namespace

void DiskFile::write_volatile(std::uint64_t sequence, std::uint64_t offset, Bytes content) {
    ASSERT(volatile_.empty() || volatile_.back().sequence < sequence);
    heal(offset, content.size());
    bytes_ = std::max(bytes_, offset + content.size());
    volatile_.push_back({sequence, offset, {content.begin(), content.end()}, {}, false});
}

void DiskFile::write_durable(std::uint64_t offset, Bytes content) {
    heal(offset, content.size());
    const std::uint64_t end = offset + content.size();
    for (auto& write : volatile_) {
        const std::uint64_t first = std::max(offset, write.offset);
        const std::uint64_t last = std::min(end, write.offset + write.content.size());
        if (first >= last) {
            continue;
        }
        write.superseded.resize(write.content.size() / sector_bytes, false);
        for (std::uint64_t at = first; at < last; at += sector_bytes) {
            write.superseded[(at - write.offset) / sector_bytes] = true;
        }
    }
    store(offset, content);
    bytes_ = std::max(bytes_, end);
    durable_bytes_ = std::max(durable_bytes_, end);
}

void DiskFile::sync(std::uint64_t through) {
    std::size_t done = 0;
    for (; done < volatile_.size() && volatile_[done].sequence <= through; done++) {
        store_kept(volatile_[done], nullptr, 0);
        durable_bytes_ = std::max(durable_bytes_, volatile_[done].offset + volatile_[done].content.size());
    }
    volatile_.erase(volatile_.begin(), volatile_.begin() + static_cast<std::ptrdiff_t>(done));
}

void DiskFile::claim(std::uint64_t through) {
    for (auto& write : volatile_) {
        write.claimed = write.claimed || write.sequence <= through;
    }
}

bool DiskFile::read(std::uint64_t offset, MutableBytes out) const {
    if (offset + out.size() > bytes_) {
        return false;
    }
    const auto bad = bad_sectors_.lower_bound(offset / sector_bytes);
    if (bad != bad_sectors_.end() && *bad * sector_bytes < offset + out.size()) {
        return false;
    }
    peek(offset, out);
    return true;
}

void DiskFile::peek(std::uint64_t offset, MutableBytes out) const {
    load(offset, out);
    for (const auto& write : volatile_) {
        const std::uint64_t first = std::max(offset, write.offset);
        const std::uint64_t last = std::min(offset + out.size(), write.offset + write.content.size());
        for (std::uint64_t at = first; at < last; at += sector_bytes) {
            const std::size_t sector = (at - write.offset) / sector_bytes;
            if (write.superseded.empty() || !write.superseded[sector]) {
                const std::size_t part = std::min<std::size_t>(sector_bytes, last - at);
                std::memcpy(out.data() + (at - offset), write.content.data() + (at - write.offset), part);
            }
        }
    }
}

bool DiskFile::durable(std::uint64_t offset, std::uint64_t bytes) const {
    if (offset + bytes > durable_bytes_) {
        return false;
    }
    for (const auto& write : volatile_) {
        if (write.claimed) {
            continue;
        }
        const std::uint64_t first = std::max(offset, write.offset);
        const std::uint64_t last = std::min(offset + bytes, write.offset + write.content.size());
        for (std::uint64_t at = first; at < last; at += sector_bytes) {
            if (write.superseded.empty() || !write.superseded[(at - write.offset) / sector_bytes]) {
                return false;
            }
        }
    }
    return true;
}

std::vector<std::byte> DiskFile::durable_content() const {
    std::vector<std::byte> out(durable_bytes_);
    load(0, out);
    return out;
}

std::vector<std::byte> DiskFile::content() const {
    std::vector<std::byte> out(bytes_);
    peek(0, out);
    return out;
}

void DiskFile::cut_power(Prng& random, std::uint32_t keep_per_million) {
    for (const auto& write : volatile_) {
        store_kept(write, &random, keep_per_million);
    }
    volatile_.clear();
    bytes_ = durable_bytes_;
}

void DiskFile::flip_bit(std::uint64_t bit) {
    ASSERT(bit / 8 < bytes_);
    harmed_ = true;
    const std::uint64_t sector = bit / 8 / sector_bytes * sector_bytes;
    std::array<std::byte, sector_bytes> content;
    load(sector, content);
    content[bit / 8 % sector_bytes] ^= static_cast<std::byte>(1u << (bit % 8));
    store(sector, content);
}

void DiskFile::spoil_sector(std::uint64_t offset) {
    harmed_ = true;
    bad_sectors_.insert(offset / sector_bytes);
}

void DiskFile::replace_sectors(std::uint64_t offset, Bytes content) {
    ASSERT(offset % sector_bytes == 0 && content.size() % sector_bytes == 0 && offset + content.size() <= bytes_);
    harmed_ = true;
    store(offset, content);
}

const std::byte* DiskFile::written_block(std::uint64_t index) const {
    return index < pages_.size() && pages_[index] ? pages_[index]->data() : nullptr;
}

std::shared_ptr<DiskFile> DiskFile::copy() const {
    auto out = std::make_shared<DiskFile>(bytes_, growing_);
    for (std::size_t page = 0; page < pages_.size(); page++) {
        if (pages_[page]) {
            out->store(page * limits::block_bytes, *pages_[page]);
        }
    }
    for (const auto& write : volatile_) {
        for (std::size_t at = 0; at < write.content.size(); at += sector_bytes) {
            if (write.superseded.empty() || !write.superseded[at / sector_bytes]) {
                out->store(write.offset + at, Bytes(write.content).subspan(at, sector_bytes));
            }
        }
    }
    out->set_aside_ = set_aside_;
    out->bad_sectors_ = bad_sectors_;
    out->harmed_ = harmed_;
    return out;
}

void DiskFile::store(std::uint64_t offset, Bytes content) {
    const std::size_t pages = div_ceil<std::uint64_t>(offset + content.size(), limits::block_bytes);
    if (pages_.size() < pages) {
        pages_.resize(pages);
    }
    for (std::size_t done = 0; done < content.size();) {
        auto& page = pages_[(offset + done) / limits::block_bytes];
        const std::size_t within = (offset + done) % limits::block_bytes;
        const std::size_t part = std::min(content.size() - done, limits::block_bytes - within);
        const Bytes bytes = content.subspan(done, part);
        done += part;
        if (!page && all_zero(bytes)) {
            continue;   // most of what is ever written: new segments
        }
        if (!page) {
            page = std::make_unique_for_overwrite<Page>();
            if (part < page->size()) {
                page->fill(std::byte{0});
            }
        }
        std::memcpy(page->data() + within, bytes.data(), part);
    }
}

void DiskFile::load(std::uint64_t offset, MutableBytes out) const {
    for (std::size_t done = 0; done < out.size();) {
        const std::size_t page = (offset + done) / limits::block_bytes;
        const std::size_t within = (offset + done) % limits::block_bytes;
        const std::size_t part = std::min(out.size() - done, limits::block_bytes - within);
        if (page < pages_.size() && pages_[page]) {
            std::memcpy(out.data() + done, pages_[page]->data() + within, part);
        } else {
            std::memset(out.data() + done, 0, part);
        }
        done += part;
    }
}

void DiskFile::store_kept(const VolatileWrite& write, Prng* random, std::uint32_t keep_per_million) {
    for (std::size_t at = 0; at < write.content.size(); at += sector_bytes) {
        if (!write.superseded.empty() && write.superseded[at / sector_bytes]) {
            continue;
        }
        if (random != nullptr && !random->per_million(keep_per_million)) {
            continue;
        }
        store(write.offset + at, Bytes(write.content).subspan(at, sector_bytes));
        durable_bytes_ = std::max<std::uint64_t>(durable_bytes_, write.offset + at + sector_bytes);
    }
}

void DiskFile::heal(std::uint64_t offset, std::uint64_t bytes) {
    if (!bad_sectors_.empty()) {
        bad_sectors_.erase(bad_sectors_.lower_bound(offset / sector_bytes),
                           bad_sectors_.lower_bound(div_ceil(offset + bytes, std::uint64_t{sector_bytes})));
    }
}

}  // namespace ringfort::sim
