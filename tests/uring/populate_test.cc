#include "uring/populate.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <sys/mman.h>

namespace ringfort::uring {
namespace {

TEST(Populate, brings_the_pages_in_and_leaves_what_they_hold) {
    constexpr std::size_t page = 4096, pages = 16;
    void* const memory = ::mmap(nullptr, pages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    std::memset(memory, 'x', 10);
    populate(memory, pages * page);
    std::array<unsigned char, pages> resident{};
    ASSERT_EQ(::mincore(memory, pages * page, resident.data()), 0);
    const bool known = ::madvise(memory, page, 23) == 0;   // kernels before 5.14 leave it at that
    for (const unsigned char present : resident) {
        EXPECT_TRUE((present & 1) != 0 || !known);
    }
    EXPECT_EQ(std::memcmp(memory, "xxxxxxxxxx\0\0", 12), 0);
    ::munmap(memory, pages * page);
}

}  // namespace
}  // namespace ringfort::uring
