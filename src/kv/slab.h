// The store's memory: blocks of a few dozen sizes cut from 64 KiB pages, pages cut from regions taken from the heap.
//
// A page holds blocks of one size class and returns to its region when the last of them is freed; a region returns to
// the heap when its last page does. Blocks above `small_bytes_max` come from the heap directly. Every byte is counted:
// block_bytes() as blocks in use, reserved_bytes() as taken from the heap.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/work_budget.h"

namespace ringfort::kv {

class Slab {
  public:
    static constexpr std::size_t page_bytes = 64 * 1024;
    static constexpr std::size_t region_pages = 16;
    static constexpr std::size_t small_bytes_max = 4096;

    // Called for each page that blocks will be cut from, if given: a hint to bring its memory in at once (env::Populate).
    using Populate = void (*)(void* memory, std::size_t bytes);
    explicit Slab(Populate populate = nullptr) : populate_(populate) {}
    ~Slab();   // gives back everything, freed or not
    Slab(const Slab&) = delete;
    Slab& operator=(const Slab&) = delete;

    // Uninitialised, aligned to 8. Requires: bytes > 0.
    void* allocate(std::size_t bytes);
    // `bytes`: as given to allocate().
    void release(void* block, std::size_t bytes);

    // Gives back everything in steps, freed or not; true when it is done. After the first step nothing else may be called.
    bool dismantle(WorkBudget& budget);

    // What a block of this size takes.
    static std::size_t block_bytes(std::size_t bytes);
    std::uint64_t block_bytes() const { return block_bytes_; }
    std::uint64_t reserved_bytes() const { return reserved_bytes_; }
    // How often a region was taken from the heap or given back: far dearer than a block, so that steps count it.
    std::uint64_t region_moves() const { return region_moves_; }
    // What a step is charged for that.
    static constexpr std::int64_t region_keys = 400;

  private:
    struct Region;
    struct Page;
    struct LargeBlock;

    // Steps of 8 bytes to 512, of 64 to 4096.
    static constexpr std::size_t fine_step = 8, fine_bytes_max = 512, coarse_step = 64;
    static constexpr std::size_t fine_classes = fine_bytes_max / fine_step;
    static constexpr std::size_t classes = fine_classes + (small_bytes_max - fine_bytes_max) / coarse_step;

    static std::size_t class_of(std::size_t bytes);
    static std::size_t class_bytes(std::size_t size_class);
    Page* take_page(std::size_t size_class);
    void give_back_page(Page* page);
    Region* open_region();
    void* allocate_large(std::size_t bytes);
    void release_large(void* block, std::size_t bytes);

    Populate populate_;
    std::array<Page*, classes> partial_{};   // pages with at least one free block, per class
    Region* open_regions_{nullptr};          // with at least one free page
    Region* full_regions_{nullptr};
    LargeBlock* large_{nullptr};
    std::uint64_t block_bytes_{0};
    std::uint64_t reserved_bytes_{0};
    std::uint64_t region_moves_{0};
};

}  // namespace ringfort::kv
