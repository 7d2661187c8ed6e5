// A small set of whole numbers, written for people as "3,7-9".
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace ringfort::sim {

class NumberSet {
  public:
    bool contains(std::uint64_t number) const;
    bool empty() const { return ranges_.empty(); }
    // Both ends included. Requires: first <= last, and no range that is there overlaps.
    void add(std::uint64_t first, std::uint64_t last) { ranges_.emplace(first, last); }
    std::string text() const;
    // false: `text` is not of this form.
    [[nodiscard]] static bool parse(std::string_view text, NumberSet& out);

  private:
    std::set<std::pair<std::uint64_t, std::uint64_t>> ranges_;
};

}  // namespace ringfort::sim
