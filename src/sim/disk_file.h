// One file on a simulated disk: what would survive a power cut, and the writes over it that might not.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "base/bounds.h"
#include "base/bytes.h"
#include "base/prng.h"
#include "sim/disk_content.h"

namespace ringfort::sim {

inline constexpr std::size_t sector_bytes = 512;

class DiskFile {
  public:
    DiskFile(std::uint64_t bytes, bool growing) : bytes_(bytes), durable_bytes_(bytes), growing_(growing) {}

    std::uint64_t bytes() const { return bytes_; }
    bool growing() const { return growing_; }
    // What it takes of the disk: its bytes, or what was set aside for it.
    std::uint64_t occupied() const { return std::max(bytes_, set_aside_); }
    void set_aside(std::uint64_t bytes) { set_aside_ = bytes; }

    // A plain write has reached the device: readable at once, durable after a sync.
    void write_volatile(std::uint64_t sequence, std::uint64_t offset, DiskContent content);
    // A write has reached the medium: earlier volatile versions of these sectors can no longer surface.
    void write_durable(std::uint64_t offset, const DiskContent& content);
    // Everything written with a number <= `through` is durable now, and the size.
    void sync(std::uint64_t through);
    // The same said by a device that lies: durable() believes it, a power cut does not.
    void claim(std::uint64_t through);
    // The size as well, for a growing file's own sync.
    void sync_size() { durable_bytes_ = bytes_; }

    // false: beyond the end, or a bad sector.
    [[nodiscard]] bool read(std::uint64_t offset, MutableBytes out) const;
    bool durable(std::uint64_t offset, std::uint64_t bytes) const;
    std::vector<std::byte> durable_content() const;
    std::vector<std::byte> content() const;

    // A power cut: every sector of every volatile write is kept with `keep_per_million`, each by its own lot; later
    // writes lie over earlier ones. What is kept is durable.
    void cut_power(Prng& random, std::uint32_t keep_per_million);

    // Damage to the medium. Bad sectors fail to read until written again.
    void flip_bit(std::uint64_t bit);
    void spoil_sector(std::uint64_t offset);
    // Whole sectors of the medium hold other bytes than were written there last. Requires: they lie within the file.
    void replace_sectors(std::uint64_t offset, Bytes content);
    bool harmed() const { return harmed_; }   // by one of these, ever
    // As a reader sees them, bad sectors too; zeros beyond the end.
    void peek(std::uint64_t offset, MutableBytes out) const;
    // A block of the medium. false: nothing but zeros was ever written there.
    [[nodiscard]] bool read_block(std::uint64_t index, std::span<std::byte, limits::block_bytes> out) const;
    // Behind it are zeros, up to the end.
    std::uint64_t used_bytes() const;
    // What a copy of the file has, all of it durable.
    std::shared_ptr<DiskFile> copy() const;
    std::size_t volatile_writes() const { return volatile_.size(); }

  private:
    struct VolatileWrite {
        std::uint64_t sequence;
        std::uint64_t offset;
        DiskContent content;
        std::vector<bool> superseded;   // by sector; empty: none is
        bool claimed{false};            // the device says that it is durable
    };
    // A block without the zeros at its end, by whole sectors.
    struct Page {
        std::unique_ptr<std::byte[]> memory;
        std::size_t bytes{0};
    };

    // Into the durable pages, and from them.
    void store(std::uint64_t offset, Bytes content);
    void store(std::uint64_t offset, const DiskContent& content);
    void store_zeros(std::uint64_t offset, std::uint64_t bytes);
    void load(std::uint64_t offset, MutableBytes out) const;
    std::byte* reach(std::size_t page, std::size_t bytes);
    void store_kept(const VolatileWrite& write, Prng* random, std::uint32_t keep_per_million);
    void heal(std::uint64_t offset, std::uint64_t bytes);

    std::vector<Page> pages_;
    std::uint64_t bytes_;           // as running processes see it
    std::uint64_t durable_bytes_;
    std::uint64_t set_aside_{0};
    bool growing_;
    bool harmed_{false};
    std::vector<VolatileWrite> volatile_;        // in the order they completed
    std::set<std::uint64_t> bad_sectors_;
};

}  // namespace ringfort::sim
