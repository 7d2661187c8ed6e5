// Which rare branches of the production code (base/mark.h) the runs so far have reached, over seeds and processes: a
// file of counts by name, to which every run of the command adds.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sim/simulate_run.h"

namespace ringfort::sim {

class MarkCounts {
  public:
    void add(const RunRecord& record);
    // Adds what the file holds and replaces it by the sum, while nobody else does. An empty path: nothing happens.
    // false: the file cannot be read or written.
    [[nodiscard]] bool merge_with_file(const std::string& path);

    std::size_t reached() const;
    std::size_t total() const;
    std::vector<std::string> never_reached() const;
    // Name, place and count of each, the never reached first.
    std::string report() const;

  private:
    std::uint64_t count_of(const char* name) const;

    std::map<std::string, std::uint64_t, std::less<>> counts_;   // of this program's marks and of former ones
};

}  // namespace ringfort::sim
