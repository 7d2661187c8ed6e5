// A record of every write of a run and what was said about it, so that it can be checked afterwards that nothing
// acknowledged was lost. A text file, one write a line:
//
//   # ringload history 1
//   # keys <count> key_bytes <n> value_bytes <n> prefix <prefix>
//   <key number> <sequence> <outcome> <revision> <domain>
//
// outcome: ok, definite, indefinite, redirect (the error's class). Writes without an answer do not appear: their
// outcome is open, like that of `indefinite`.
#pragma once

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "api/errc.h"

namespace ringload {

struct Options;

enum class WriteOutcome : std::uint8_t { ok, definite, indefinite, redirect };
WriteOutcome outcome_of(ringfort::api::Errc code);

struct Write {
    std::uint64_t key{0};
    std::uint64_t sequence{0};
    WriteOutcome outcome{WriteOutcome::ok};
    std::int64_t revision{0};
    std::uint64_t domain{0};
};

// Writing fails late (a full disk): finish() tells.
class HistoryWriter {
  public:
    HistoryWriter() = default;
    ~HistoryWriter();
    HistoryWriter(const HistoryWriter&) = delete;
    HistoryWriter& operator=(const HistoryWriter&) = delete;

    [[nodiscard]] bool open(const Options& options);
    bool is_open() const { return file_ != nullptr; }
    void record(const Write& write);
    [[nodiscard]] bool finish();

  private:
    std::FILE* file_{nullptr};
};

struct History {
    std::uint64_t keys{0};
    std::size_t key_bytes{0};
    std::size_t value_bytes{0};
    std::string prefix;
    std::vector<Write> writes;
};

// Nothing if the file cannot be read or is no history; `problem` says which. A torn last line is dropped: the run was
// killed while it wrote.
std::optional<History> read_history(const std::string& path, std::string& problem);

}  // namespace ringload
