#include "kv/slab.h"

#include <bit>
#include <cstdlib>
#include <new>

#include "base/assertion.h"
#include "base/bytes.h"

namespace ringfort::kv {

struct FreeBlock {
    FreeBlock* next;
};

struct Slab::Region {
    Region* prev;               // in the list of all regions
    Region* next;
    std::byte* pages;           // region_pages of them, aligned to page_bytes
    std::uint32_t free_pages;   // a bit each
};

// At the head of each page.
struct Slab::Page {
    Region* region;
    Page* prev;                 // in the class's list of partial pages, while there is a free block
    Page* next;
    FreeBlock* free;
    std::uint32_t used;         // blocks in use
    std::uint32_t untouched;    // offset of the first block never handed out; they follow the free list
    std::uint32_t size_class;
};

// In front of each block that comes from the heap directly.
struct Slab::LargeBlock {
    LargeBlock* prev;
    LargeBlock* next;
};

namespace {

constexpr std::uint32_t page_head_bytes = 64;
constexpr std::uint32_t all_pages_free = (1u << Slab::region_pages) - 1;

template <class Node>
void link_front(Node*& head, Node* node) {
    node->prev = nullptr;
    node->next = head;
    if (head != nullptr) {
        head->prev = node;
    }
    head = node;
}

template <class Node>
void unlink(Node*& head, Node* node) {
    if (node->prev != nullptr) {
        node->prev->next = node->next;
    } else {
        ASSERT(head == node);
        head = node->next;
    }
    if (node->next != nullptr) {
        node->next->prev = node->prev;
    }
}

void* must_allocate(void* block) {
    ASSERT(block != nullptr);   // the memory limit is the quota's business, far below what the machine has
    return block;
}

}  // namespace

Slab::~Slab() {
    WorkBudget all{INT64_MAX, INT64_MAX};
    dismantle(all);
}

bool Slab::dismantle(WorkBudget& budget) {
    constexpr std::int64_t large_block_keys = 200;   // a value of a MiB goes back to the system by a call of its own
    for (Region** list : {&open_regions_, &full_regions_}) {
        for (; *list != nullptr && !budget.spent(); budget.take(region_keys, 0)) {
            Region* region = *list;
            *list = region->next;
            std::free(region->pages);
            delete region;
            reserved_bytes_ -= region_pages * page_bytes;
        }
    }
    for (; large_ != nullptr && !budget.spent(); budget.take(large_block_keys, 0)) {
        LargeBlock* block = large_;
        large_ = block->next;
        std::free(block);
    }
    return open_regions_ == nullptr && full_regions_ == nullptr && large_ == nullptr;
}

std::size_t Slab::class_of(std::size_t bytes) {
    if (bytes <= fine_bytes_max) {
        return div_ceil(bytes, fine_step) - 1;
    }
    return fine_classes + div_ceil(bytes - fine_bytes_max, coarse_step) - 1;
}

std::size_t Slab::class_bytes(std::size_t size_class) {
    if (size_class < fine_classes) {
        return (size_class + 1) * fine_step;
    }
    return fine_bytes_max + (size_class - fine_classes + 1) * coarse_step;
}

std::size_t Slab::block_bytes(std::size_t bytes) {
    return bytes <= small_bytes_max ? class_bytes(class_of(bytes)) : bytes + sizeof(LargeBlock);
}

void* Slab::allocate(std::size_t bytes) {
    ASSERT(bytes > 0);
    if (bytes > small_bytes_max) {
        return allocate_large(bytes);
    }
    const std::size_t size_class = class_of(bytes);
    const std::size_t size = class_bytes(size_class);
    Page* page = partial_[size_class];
    if (page == nullptr) {
        page = take_page(size_class);
    }
    void* out;
    if (page->free != nullptr) {
        out = page->free;
        page->free = page->free->next;
    } else {
        out = reinterpret_cast<std::byte*>(page) + page->untouched;
        page->untouched += static_cast<std::uint32_t>(size);
    }
    page->used++;
    block_bytes_ += size;
    if (page->free == nullptr && page->untouched + size > page_bytes) {
        unlink(partial_[size_class], page);
    }
    return out;
}

void Slab::release(void* block, std::size_t bytes) {
    if (bytes > small_bytes_max) {
        release_large(block, bytes);
        return;
    }
    const std::size_t size_class = class_of(bytes);
    const std::size_t size = class_bytes(size_class);
    auto* page = reinterpret_cast<Page*>(reinterpret_cast<std::uintptr_t>(block) & ~(page_bytes - 1));
    ASSERT(page->size_class == size_class && page->used > 0);
    const bool was_full = page->free == nullptr && page->untouched + size > page_bytes;
    auto* freed = static_cast<FreeBlock*>(block);
    freed->next = page->free;
    page->free = freed;
    page->used--;
    block_bytes_ -= size;
    if (was_full) {
        link_front(partial_[size_class], page);
    }
    // One empty page a class stays, so that a class at the edge of a page does not take and give back in turns.
    if (page->used == 0 && (page->prev != nullptr || page->next != nullptr)) {
        unlink(partial_[size_class], page);
        give_back_page(page);
    }
}

Slab::Page* Slab::take_page(std::size_t size_class) {
    Region* region = open_region();
    const auto slot = static_cast<std::size_t>(std::countr_zero(region->free_pages));
    region->free_pages &= region->free_pages - 1;
    if (region->free_pages == 0) {
        unlink(open_regions_, region);
        link_front(full_regions_, region);
    }
    auto* page = reinterpret_cast<Page*>(region->pages + slot * page_bytes);
    if (populate_ != nullptr) {
        populate_(page, page_bytes);   // else 16 page faults, a sixth of what a put costs
    }
    *page = {region, nullptr, nullptr, nullptr, 0, page_head_bytes, static_cast<std::uint32_t>(size_class)};
    link_front(partial_[size_class], page);
    return page;
}

Slab::Region* Slab::open_region() {
    if (open_regions_ == nullptr) {
        constexpr std::size_t bytes = region_pages * page_bytes;
        auto* region = new Region{nullptr, nullptr, nullptr, all_pages_free};
        region->pages = static_cast<std::byte*>(must_allocate(std::aligned_alloc(page_bytes, bytes)));
        link_front(open_regions_, region);
        reserved_bytes_ += bytes;
        region_moves_++;
    }
    return open_regions_;
}

void Slab::give_back_page(Page* page) {
    Region* region = page->region;
    if (region->free_pages == 0) {
        unlink(full_regions_, region);
        link_front(open_regions_, region);
    }
    const auto slot = static_cast<std::size_t>(reinterpret_cast<std::byte*>(page) - region->pages) / page_bytes;
    region->free_pages |= 1u << slot;
    // One empty region stays for the next page.
    const bool only_open = region->prev == nullptr && region->next == nullptr;
    if (region->free_pages == all_pages_free && !only_open) {
        unlink(open_regions_, region);
        std::free(region->pages);
        delete region;
        reserved_bytes_ -= region_pages * page_bytes;
        region_moves_++;
    }
}

void* Slab::allocate_large(std::size_t bytes) {
    auto* block = static_cast<LargeBlock*>(must_allocate(std::malloc(sizeof(LargeBlock) + bytes)));
    link_front(large_, block);
    block_bytes_ += sizeof(LargeBlock) + bytes;
    reserved_bytes_ += sizeof(LargeBlock) + bytes;
    return block + 1;
}

void Slab::release_large(void* memory, std::size_t bytes) {
    LargeBlock* block = static_cast<LargeBlock*>(memory) - 1;
    unlink(large_, block);
    std::free(block);
    block_bytes_ -= sizeof(LargeBlock) + bytes;
    reserved_bytes_ -= sizeof(LargeBlock) + bytes;
}

}  // namespace ringfort::kv
