#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <deque>
#include <fstream>

#include "base/aligned_buffer.h"
#include "base/bounds.h"
#include "uring/disk_errors.h"
#include "uring/file_calls.h"
#include "world_fixture.h"

namespace ringfort::uring {
namespace {

using env::DiskErrc;
using env::DiskOperation;
using env::Durability;
using env::FileId;

// Runs one operation to its end and counts its callbacks.
class Waiter {
  public:
    explicit Waiter(TestWorld& world) : world_(world) {}
    template <class Start>
    DiskErrc run(Start start) {
        calls_ = 0;
        start(op);
        EXPECT_TRUE(op.in_flight);
        EXPECT_TRUE(world_.turn_until([&] { return calls_ == 1; }));
        EXPECT_FALSE(op.in_flight);
        return op.error;
    }

  private:
    TestWorld& world_;
    int calls_{0};

  public:
    DiskOperation op{[](DiskOperation& o) { (*static_cast<int*>(o.context))++; }, &calls_};
};

AlignedBuffer filled(std::size_t bytes, int value) {
    AlignedBuffer buffer(bytes);
    std::memset(buffer.data(), value, bytes);
    return buffer;
}

class DiskRecipe : public ::testing::TestWithParam<Durability> {};

TEST_P(DiskRecipe, what_was_written_is_read_back_after_reopening) {
    TempDirectory directory;
    TestWorld world(directory.fd());
    Waiter wait(world);
    ASSERT_EQ(DiskErrc::ok, wait.run([&](auto& op) { world.disk().create(op, "shard-0/log-1", mib); }));
    EXPECT_EQ(mib, wait.op.bytes);
    const FileId file = wait.op.file;
    const AlignedBuffer data = filled(64 * kib, 'x');
    ASSERT_EQ(DiskErrc::ok, wait.run([&](auto& op) {
        world.disk().write(op, file, 8192, data.span(), GetParam());
    }));
    if (GetParam() == Durability::none) {
        ASSERT_EQ(DiskErrc::ok, wait.run([&](auto& op) { world.disk().sync(op, file); }));
    }
    world.disk().close(file);
    ASSERT_EQ(DiskErrc::ok, wait.run([&](auto& op) { world.disk().open(op, "shard-0/log-1"); }));
    EXPECT_EQ(mib, wait.op.bytes);
    const FileId again = wait.op.file;
    AlignedBuffer read(mib);
    ASSERT_EQ(DiskErrc::ok, wait.run([&](auto& op) { world.disk().read(op, again, 0, read.span()); }));
    for (std::size_t i = 0; i < mib; i++) {
        const bool inside = i >= 8192 && i < 8192 + 64 * kib;
        ASSERT_EQ(std::byte{inside ? std::uint8_t{'x'} : std::uint8_t{0}}, read.data()[i]) << i;
    }
    world.disk().close(again);
}

INSTANTIATE_TEST_SUITE_P(Both, DiskRecipe, ::testing::Values(Durability::dsync, Durability::none));

TEST(Disk, many_writes_in_flight_all_land_where_they_belong) {
    TempDirectory directory;
    TestWorld world(directory.fd());
    Waiter wait(world);
    constexpr std::size_t count = 600;   // more than the ring's submission queue
    ASSERT_EQ(DiskErrc::ok, wait.run([&](auto& op) { world.disk().create(op, "file", count * 4096); }));
    const FileId file = wait.op.file;
    std::vector<AlignedBuffer> blocks;
    std::deque<DiskOperation> operations;
    std::size_t done = 0;
    for (std::size_t i = 0; i < count; i++) {
        blocks.push_back(filled(4096, static_cast<int>(i % 251)));
        DiskOperation& op = operations.emplace_back(
            [](DiskOperation& o) {
                EXPECT_EQ(DiskErrc::ok, o.error);
                (*static_cast<std::size_t*>(o.context))++;
            },
            &done);
        world.disk().write(op, file, i * 4096, blocks.back().span(), Durability::none);
    }
    ASSERT_TRUE(world.turn_until([&] { return done == count; }));
    AlignedBuffer read(count * 4096);
    ASSERT_EQ(DiskErrc::ok, wait.run([&](auto& op) { world.disk().read(op, file, 0, read.span()); }));
    for (std::size_t i = 0; i < count; i++) {
        ASSERT_EQ(static_cast<std::byte>(i % 251), read.data()[i * 4096]) << i;
    }
}

TEST(Disk, reading_beyond_the_end_fails_and_up_to_it_does_not) {
    TempDirectory directory;
    TestWorld world(directory.fd());
    Waiter wait(world);
    ASSERT_EQ(DiskErrc::ok, wait.run([&](auto& op) { world.disk().create(op, "file", 8192); }));
    const FileId file = wait.op.file;
    AlignedBuffer read(8192);
    EXPECT_EQ(DiskErrc::ok, wait.run([&](auto& op) { world.disk().read(op, file, 0, read.span()); }));
    EXPECT_EQ(DiskErrc::read_failed, wait.run([&](auto& op) { world.disk().read(op, file, 4096, read.span()); }));
    EXPECT_EQ(DiskErrc::read_failed, wait.run([&](auto& op) { world.disk().read(op, file, 8192, read.span()); }));
}

TEST(Disk, create_never_replaces_and_leaves_no_unfinished_name) {
    TempDirectory directory;
    TestWorld world(directory.fd());
    Waiter wait(world);
    EXPECT_EQ(DiskErrc::not_found, wait.run([&](auto& op) { world.disk().open(op, "a/b/file"); }));
    ASSERT_EQ(DiskErrc::ok, wait.run([&](auto& op) { world.disk().create(op, "a/b/file", 4096); }));
    EXPECT_EQ(DiskErrc::exists, wait.run([&](auto& op) { world.disk().create(op, "a/b/file", 4096); }));
    EXPECT_EQ(DiskErrc::exists, wait.run([&](auto& op) { world.disk().create_growing(op, "a/b/file", 0); }));
    EXPECT_FALSE(std::filesystem::exists(directory.path() + "/a/b/file" + unfinished_suffix));
}

TEST(Disk, list_names_files_in_order_without_directories_and_unfinished_ones) {
    TempDirectory directory;
    TestWorld world(directory.fd());
    Waiter wait(world);
    EXPECT_EQ(DiskErrc::ok, wait.run([&](auto& op) { world.disk().list(op, "shard-1"); }));
    EXPECT_TRUE(wait.op.files.empty());
    for (const char* name : {"shard-1/b", "shard-1/a", "shard-1/below/c"}) {
        ASSERT_EQ(DiskErrc::ok, wait.run([&](auto& op) { world.disk().create(op, name, 4096); }));
    }
    std::ofstream(directory.path() + "/shard-1/z" + unfinished_suffix) << "half";
    ASSERT_EQ(DiskErrc::ok, wait.run([&](auto& op) { world.disk().list(op, "shard-1"); }));
    ASSERT_EQ(2U, wait.op.files.size());
    EXPECT_EQ("a", wait.op.files[0].name);
    EXPECT_EQ("b", wait.op.files[1].name);
    EXPECT_EQ(4096U, wait.op.files[1].bytes);
    EXPECT_EQ(0, remove_unfinished(directory.fd()));
    EXPECT_FALSE(std::filesystem::exists(directory.path() + "/shard-1/z" + unfinished_suffix));
    EXPECT_TRUE(std::filesystem::exists(directory.path() + "/shard-1/below/c"));
}

// What an ordinary user gets. Root passes every permission.
int as_ordinary_user(const std::function<int()>& call) {
    const pid_t child = fork();
    if (child == 0) {
        constexpr uid_t nobody = 65534;
        if (geteuid() == 0 && (setegid(nobody) != 0 || seteuid(nobody) != 0)) {
            _exit(255);
        }
        _exit(call());
    }
    int status = 0;
    EXPECT_EQ(child, waitpid(child, &status, 0));
    EXPECT_TRUE(WIFEXITED(status));
    return WEXITSTATUS(status);
}

TEST(Disk, a_file_that_cannot_be_looked_at_fails_the_list_and_is_named) {
    TempDirectory directory;
    std::filesystem::permissions(directory.path(), std::filesystem::perms::all);
    const std::string path = directory.path() + "/shard-0";
    std::filesystem::create_directory(path);
    std::ofstream(path + "/log-0000000000000001") << "x";
    // Names can be read, but nothing about them.
    std::filesystem::permissions(path, std::filesystem::perms{0444});
    EXPECT_EQ(EACCES, as_ordinary_user([&] {
        std::vector<env::FileInfo> files;
        const int error = list_files(directory.fd(), "shard-0", files);
        return files.size() == 1 && files[0].name == "log-0000000000000001" ? error : 254;
    }));
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
}

TEST(Disk, what_is_not_ours_in_the_data_directory_is_left_alone) {
    TempDirectory directory;
    std::filesystem::permissions(directory.path(), std::filesystem::perms::all);
    const std::string closed = directory.path() + "/lost+found";
    std::filesystem::create_directory(closed);
    std::ofstream(closed + "/inode" + unfinished_suffix) << "found";
    std::filesystem::permissions(closed, std::filesystem::perms::none);
    EXPECT_EQ(0, as_ordinary_user([&] { return remove_unfinished(directory.fd()); }));
    std::filesystem::permissions(closed, std::filesystem::perms::owner_all);
    EXPECT_EQ(0, remove_unfinished(directory.fd()));
    EXPECT_TRUE(std::filesystem::exists(closed + "/inode" + unfinished_suffix));
}

TEST(Disk, rename_replaces_and_remove_removes) {
    TempDirectory directory;
    TestWorld world(directory.fd());
    Waiter wait(world);
    ASSERT_EQ(DiskErrc::ok, wait.run([&](auto& op) { world.disk().create(op, "from", 8192); }));
    ASSERT_EQ(DiskErrc::ok, wait.run([&](auto& op) { world.disk().create(op, "to", 4096); }));
    ASSERT_EQ(DiskErrc::ok, wait.run([&](auto& op) { world.disk().rename(op, "from", "to"); }));
    ASSERT_EQ(DiskErrc::ok, wait.run([&](auto& op) { world.disk().open(op, "to"); }));
    EXPECT_EQ(8192U, wait.op.bytes);
    EXPECT_EQ(DiskErrc::not_found, wait.run([&](auto& op) { world.disk().rename(op, "from", "to"); }));
    ASSERT_EQ(DiskErrc::ok, wait.run([&](auto& op) { world.disk().remove(op, "to"); }));
    EXPECT_EQ(DiskErrc::not_found, wait.run([&](auto& op) { world.disk().remove(op, "to"); }));
}

TEST(Disk, small_files_are_replaced_whole) {
    TempDirectory directory;
    TestWorld world(directory.fd());
    Waiter wait(world);
    EXPECT_EQ(DiskErrc::not_found, wait.run([&](auto& op) { world.disk().read_whole(op, "d/small"); }));
    for (const std::string text : {"first", "second, longer", ""}) {
        ASSERT_EQ(DiskErrc::ok, wait.run([&](auto& op) { world.disk().replace_whole(op, "d/small", as_bytes(text)); }));
        ASSERT_EQ(DiskErrc::ok, wait.run([&](auto& op) { world.disk().read_whole(op, "d/small"); }));
        EXPECT_EQ(text, as_text(wait.op.content));
    }
}

TEST(Disk, a_growing_file_is_whole_after_sync_new) {
    TempDirectory directory;
    TestWorld world(directory.fd());
    Waiter wait(world);
    ASSERT_EQ(DiskErrc::ok, wait.run([&](auto& op) { world.disk().create_growing(op, "s/checkpoint", 1 << 20); }));
    EXPECT_EQ(0U, wait.op.bytes);
    const FileId file = wait.op.file;
    const AlignedBuffer data = filled(12288, 7);
    ASSERT_EQ(DiskErrc::ok,
              wait.run([&](auto& op) { world.disk().write(op, file, 0, data.span(), Durability::none); }));
    const auto blocks = [&] {
        struct stat status {};
        EXPECT_EQ(0, stat((directory.path() + "/s/checkpoint").c_str(), &status));
        return status.st_blocks * 512;
    };
    const auto set_aside = blocks();
    ASSERT_EQ(DiskErrc::ok, wait.run([&](auto& op) { world.disk().sync_new(op, file, "s/checkpoint"); }));
    EXPECT_LT(blocks(), 1 << 19) << "what was set aside and not needed is given back";
    EXPECT_TRUE(set_aside >= 1 << 20 || set_aside < 1 << 19) << "all of it, where the file system can";
    world.disk().close(file);
    ASSERT_EQ(DiskErrc::ok, wait.run([&](auto& op) { world.disk().open(op, "s/checkpoint"); }));
    EXPECT_EQ(12288U, wait.op.bytes);
}

// A limit on file size stands for a full disk: both are met at preallocation.
TEST(Disk, no_room_is_an_ordinary_answer_of_create) {
    TempDirectory directory;
    TestWorld world(directory.fd());
    Waiter wait(world);
    rlimit before{};
    ASSERT_EQ(0, getrlimit(RLIMIT_FSIZE, &before));
    signal(SIGXFSZ, SIG_IGN);
    const rlimit small{.rlim_cur = mib, .rlim_max = before.rlim_max};
    ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &small));
    const DiskErrc error = wait.run([&](auto& op) { world.disk().create(op, "large", 2 * mib); });
    ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &before));
    EXPECT_EQ(DiskErrc::no_space, error);
    EXPECT_TRUE(std::filesystem::is_empty(directory.path())) << "an unfinished file was left";
    EXPECT_EQ(DiskErrc::ok, wait.run([&](auto& op) { world.disk().create(op, "large", 2 * mib); }));
}

TEST(Disk, errors_of_the_kernel_keep_their_meaning) {
    EXPECT_EQ(DiskErrc::write_failed, write_error(EIO));
    EXPECT_EQ(DiskErrc::no_space, write_error(ENOSPC));
    EXPECT_EQ(DiskErrc::not_supported, write_error(EINVAL));
    EXPECT_EQ(DiskErrc::read_failed, read_error(EIO));
    EXPECT_EQ(DiskErrc::sync_failed, sync_error(ENOSPC));
    EXPECT_EQ(DiskErrc::sync_failed, sync_error(EIO));
    EXPECT_EQ(DiskErrc::no_space, name_error(EDQUOT));
    EXPECT_EQ(DiskErrc::access_denied, name_error(EROFS));
    EXPECT_EQ(DiskErrc::not_supported, name_error(EINVAL));
    EXPECT_EQ(DiskErrc::other, name_error(EIO));
    EXPECT_EQ(DiskErrc::read_failed, open_error(EIO));
    EXPECT_EQ(DiskErrc::not_found, open_error(ENOENT));
    EXPECT_EQ(DiskErrc::other, open_error(EMFILE));
    for (const auto table : {write_error, read_error, sync_error, name_error, open_error}) {
        EXPECT_EQ(DiskErrc::ok, table(0));
        EXPECT_NE(DiskErrc::ok, table(9999));
    }
}

TEST(Drain, waits_for_the_disk_and_runs_no_callback) {
    TempDirectory directory;
    TestWorld world(directory.fd());
    Waiter wait(world);
    ASSERT_EQ(DiskErrc::ok, wait.run([&](auto& op) { world.disk().create(op, "shard-0/log-1", mib); }));
    const AlignedBuffer data = filled(mib, 'x');
    int calls = 0;
    const auto count = [](DiskOperation& op) { (*static_cast<int*>(op.context))++; };
    DiskOperation write{count, &calls};
    DiskOperation create{count, &calls};
    world.disk().write(write, wait.op.file, 0, {data.data(), data.size()}, Durability::dsync);
    world.disk().create(create, "shard-0/log-2", mib);
    EXPECT_TRUE(world->drain());
    EXPECT_FALSE(write.in_flight);
    EXPECT_FALSE(create.in_flight);
    EXPECT_EQ(0, calls);
}

}  // namespace
}  // namespace ringfort::uring
