// A histogram of durations with 3 significant digits: log-linear buckets, constant cost per value, fixed memory.
//
// Values below 2048 have a bucket each; above, every power of two is cut into 1024 buckets of equal width, so that a
// bucket is never wider than a thousandth of its values.
#pragma once

#include <cstdint>
#include <vector>

namespace ringload {

class Histogram {
  public:
    Histogram();

    // Values over `value_max` count as that; negative ones as 0.
    void record(std::int64_t value);
    void add(const Histogram& other);
    void clear();

    std::uint64_t count() const { return count_; }
    std::int64_t min() const { return count_ == 0 ? 0 : min_; }
    std::int64_t max() const { return max_; }      // exact
    double mean() const;
    // The smallest recorded bucket's upper edge below or at which `share` of the values lie (0.5: the median), never
    // more than max(). 0 if nothing was recorded.
    std::int64_t percentile(double share) const;

    static constexpr std::int64_t value_max = std::int64_t{1} << 43;   // in ns: over two hours

  private:
    static constexpr int linear_bits = 10;
    static std::size_t bucket_of(std::int64_t value);
    static std::int64_t upper_edge(std::size_t bucket);

    std::vector<std::uint64_t> counts_;
    std::size_t first_used_{0};     // buckets in use lie in [first_used_, end_used_)
    std::size_t end_used_{0};
    std::uint64_t count_{0};
    std::int64_t min_{0};
    std::int64_t max_{0};
    double sum_{0};
};

}  // namespace ringload
