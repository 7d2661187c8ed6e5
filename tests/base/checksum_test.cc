#include "base/checksum.h"

#include <gtest/gtest.h>

namespace ringfort {

TEST(Checksum, is_xxh3_and_does_not_depend_on_the_cpu) {
    // The first is the reference value published with XXH3 for the empty input.
    EXPECT_EQ(checksum({}), 0x2d06800538d394c2ULL);
    const std::string text(5000, 'x');
    EXPECT_EQ(checksum(as_bytes(text)), checksum(as_bytes(text)));
    EXPECT_NE(checksum(as_bytes(text)), checksum(as_bytes(text), 1));
}

}  // namespace ringfort
