// Copies a checkpoint file, a piece at a time, one operation in flight. What cannot be read is asked for again
// (patience.h), and then becomes zeros: the checksum in the record that names the file then tells.
#pragma once

#include <string>

#include "base/aligned_buffer.h"
#include "env/disk.h"
#include "shard/patience.h"

namespace ringfort::shard {

class FileCopy {
  public:
    static constexpr std::size_t piece_bytes = 256 * kib;

    // `bytes`: of the file, a multiple of the block. What bears the target's name is replaced.
    FileCopy(env::Disk& disk, std::string source, std::string target, std::uint64_t bytes);
    FileCopy(const FileCopy&) = delete;
    FileCopy& operator=(const FileCopy&) = delete;

    // Tries again what is due.
    void step(Instant now);
    // When that is; never: it waits for the disk.
    Instant next_deadline() const { return patience_.waiting() ? patience_.deadline() : never; }
    // The copy is durable; or it has failed; or there was nothing to copy.
    bool done() const { return stage_ == Stage::done; }
    env::DiskErrc error() const { return error_; }
    bool source_missing() const { return source_missing_; }
    std::uint64_t unreadable_blocks() const { return unreadable_blocks_; }

  private:
    enum class Stage : std::uint8_t { clearing, opening, creating, reading, writing, syncing, done };

    static void on_operation(env::DiskOperation& op);
    void go_on();
    void open();
    void read_next();
    void read_block();
    void on_read();
    void end(env::DiskErrc error);

    env::Disk& disk_;
    const std::string source_name_;
    const std::string target_name_;
    const std::uint64_t bytes_;
    env::DiskOperation op_;
    Stage stage_{Stage::clearing};
    env::DiskErrc error_{env::DiskErrc::ok};
    env::FileId source_{0};
    env::FileId target_{0};
    AlignedBuffer piece_;
    std::uint64_t copied_{0};
    std::uint64_t in_piece_{0};     // read so far
    bool by_blocks_{false};         // a piece that cannot be read whole
    Patience patience_;
    bool source_missing_{false};
    std::uint64_t unreadable_blocks_{0};
};

}  // namespace ringfort::shard
