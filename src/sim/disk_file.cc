#include "sim/disk_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/assertion.h"

namespace ringfort::sim {

void DiskFile::write_volatile(std::uint64_t sequence, std::uint64_t offset, DiskContent content) {
    ASSERT(volatile_.empty() || volatile_.back().sequence < sequence);
    heal(offset, content.size());
    bytes_ = std::max(bytes_, offset + content.size());
    volatile_.push_back({sequence, offset, std::move(content), {}, false});
}

void DiskFile::write_durable(std::uint64_t offset, const DiskContent& content) {
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
                write.content.read(at - write.offset, out.subspan(at - offset, part));
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

bool DiskFile::read_block(std::uint64_t index, std::span<std::byte, limits::block_bytes> out) const {
    if (index >= pages_.size() || pages_[index].bytes == 0) {
        return false;
    }
    load(index * limits::block_bytes, out);
    return true;
}

std::uint64_t DiskFile::used_bytes() const {
    std::size_t pages = pages_.size();
    while (pages > 0 && pages_[pages - 1].bytes == 0) {
        pages--;
    }
    std::uint64_t end = pages * limits::block_bytes;
    for (const auto& write : volatile_) {
        end = std::max<std::uint64_t>(end, write.offset + write.content.kept().size());
    }
    return std::min(end, bytes_);
}

std::shared_ptr<DiskFile> DiskFile::copy() const {
    auto out = std::make_shared<DiskFile>(bytes_, growing_);
    for (std::size_t page = 0; page < pages_.size(); page++) {
        out->store(page * limits::block_bytes, Bytes(pages_[page].memory.get(), pages_[page].bytes));
    }
    for (const auto& write : volatile_) {
        for (std::size_t at = 0; at < write.content.size(); at += sector_bytes) {
            if (write.superseded.empty() || !write.superseded[at / sector_bytes]) {
                std::array<std::byte, sector_bytes> sector;
                write.content.read(at, sector);
                out->store(write.offset + at, sector);
            }
        }
    }
    out->set_aside_ = set_aside_;
    out->bad_sectors_ = bad_sectors_;
    out->harmed_ = harmed_;
    return out;
}

void DiskFile::store(std::uint64_t offset, Bytes content) {
    for (std::size_t done = 0; done < content.size();) {
        const std::size_t within = (offset + done) % limits::block_bytes;
        const Bytes part = content.subspan(done, std::min(content.size() - done, limits::block_bytes - within));
        const std::size_t page = (offset + done) / limits::block_bytes;
        const std::size_t kept = bytes_before_zeros(part);
        if (kept > 0) {
            std::memcpy(reach(page, within + kept) + within, part.data(), kept);
        }
        store_zeros(offset + done + kept, part.size() - kept);
        done += part.size();
    }
}

void DiskFile::store(std::uint64_t offset, const DiskContent& content) {
    store(offset, content.kept());
    store_zeros(offset + content.kept().size(), content.size() - content.kept().size());
}

void DiskFile::store_zeros(std::uint64_t offset, std::uint64_t bytes) {
    const std::uint64_t end = std::min<std::uint64_t>(offset + bytes, pages_.size() * limits::block_bytes);
    while (offset < end) {
        Page& page = pages_[offset / limits::block_bytes];
        const std::size_t within = offset % limits::block_bytes;
        const std::uint64_t part = std::min<std::uint64_t>(end - offset, limits::block_bytes - within);
        if (within < page.bytes) {
            std::memset(page.memory.get() + within, 0, std::min<std::uint64_t>(part, page.bytes - within));
        }
        offset += part;
    }
}

// The page's memory, of at least that many bytes.
std::byte* DiskFile::reach(std::size_t index, std::size_t bytes) {
    if (pages_.size() <= index) {
        pages_.resize(index + 1);
    }
    Page& page = pages_[index];
    if (page.bytes < bytes) {
        const std::size_t rounded = round_up(bytes, sector_bytes);
        auto memory = std::make_unique_for_overwrite<std::byte[]>(rounded);
        if (page.bytes > 0) {
            std::memcpy(memory.get(), page.memory.get(), page.bytes);
        }
        std::memset(memory.get() + page.bytes, 0, rounded - page.bytes);
        page = {std::move(memory), rounded};
    }
    return page.memory.get();
}

void DiskFile::load(std::uint64_t offset, MutableBytes out) const {
    for (std::size_t done = 0; done < out.size();) {
        const std::size_t page = (offset + done) / limits::block_bytes;
        if (page >= pages_.size()) {
            std::memset(out.data() + done, 0, out.size() - done);
            return;
        }
        const std::size_t within = (offset + done) % limits::block_bytes;
        const std::size_t part = std::min(out.size() - done, limits::block_bytes - within);
        const std::size_t kept = within < pages_[page].bytes ? std::min(part, pages_[page].bytes - within) : 0;
        if (kept > 0) {
            std::memcpy(out.data() + done, pages_[page].memory.get() + within, kept);
        }
        std::memset(out.data() + done + kept, 0, part - kept);
        done += part;
    }
}

void DiskFile::store_kept(const VolatileWrite& write, Prng* random, std::uint32_t keep_per_million) {
    if (write.superseded.empty() && random == nullptr) {
        store(write.offset, write.content);
        durable_bytes_ = std::max<std::uint64_t>(durable_bytes_, write.offset + write.content.size());
        return;
    }
    for (std::size_t at = 0; at < write.content.size(); at += sector_bytes) {
        if (!write.superseded.empty() && write.superseded[at / sector_bytes]) {
            continue;
        }
        if (random != nullptr && !random->per_million(keep_per_million)) {
            continue;
        }
        std::array<std::byte, sector_bytes> sector;
        write.content.read(at, sector);
        store(write.offset + at, sector);
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
