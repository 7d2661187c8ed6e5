// One shard's real world in a test: its own thread is the test's, a turn is whatever the test does.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>

#include "uring/listener.h"
#include "uring/shard_world.h"

namespace ringfort::uring {

// A directory below the build folder, which lies on a real file system; removed at the end.
class TempDirectory {
  public:
    TempDirectory() {
        std::string pattern = (std::filesystem::current_path() / "uring-test-XXXXXX").string();
        path_ = mkdtemp(pattern.data());
        fd_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    ~TempDirectory() {
        ::close(fd_);
        std::error_code ignored;
        std::filesystem::permissions(path_, std::filesystem::perms::owner_all, ignored);
        std::filesystem::remove_all(path_, ignored);
    }
    TempDirectory(const TempDirectory&) = delete;
    TempDirectory& operator=(const TempDirectory&) = delete;
    const std::string& path() const { return path_; }
    int fd() const { return fd_; }

  private:
    std::string path_;
    int fd_{-1};
};

class NoHalt final : public HaltListener {
  public:
    void on_halt(ShardId, env::Halt, std::string_view reason) override { FAIL() << reason; }
};

// Everything a shard of a test node needs, and a loop without a shard.
class TestWorld {
  public:
    explicit TestWorld(int directory, Features allowed = Features::all(), NetworkOptions network = {},
                       RecipeChoice recipe = RecipeChoice::automatic)
        : hub_(1), log_(STDERR_FILENO, env::LogLevel::error) {
        WorldOptions options;
        options.ring.allowed = allowed;
        options.disk.directory = directory;
        options.disk.recipe = recipe;
        options.network = network;
        auto world = ShardWorld::create(options, hub_, log_, halt_);
        EXPECT_TRUE(world) << (world ? "" : world.error().sentence);
        world_ = std::move(*world);
    }

    ShardWorld& operator*() { return *world_; }
    ShardWorld* operator->() { return world_.get(); }
    RingNetwork& network() { return world_->network(); }
    RingDisk& disk() { return world_->disk(); }

    void turn(Duration wait) {
        world_->mailbox().ring_doorbells();
        const bool ready = world_->network().has_ready() || world_->disk().has_ready();
        world_->ring().submit_and_wait(ready ? 0ns : wait);
        world_->ring().reap();
        world_->clock().update();
        world_->disk().collect();
        world_->network().begin_turn();
        world_->disk().dispatch();
        world_->network().dispatch(env::ConnectionClass::peer);
        world_->network().dispatch(env::ConnectionClass::client);
    }
    // Turns until the condition holds; false after the deadline.
    bool turn_until(const std::function<bool()>& condition, Duration longest = 10s) {
        const Instant deadline = monotonic_now() + longest;
        while (!condition()) {
            if (monotonic_now() >= deadline) {
                return false;
            }
            turn(20ms);
        }
        return true;
    }
    void end() { world_.reset(); }

  private:
    MailboxHub hub_;
    LogWriter log_;
    NoHalt halt_;
    std::unique_ptr<ShardWorld> world_;
};

}  // namespace ringfort::uring
