#include <sys/file.h>
#include <sys/wait.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "base/aligned_buffer.h"
#include "uring/data_directory.h"
#include "uring/file_calls.h"
#include "world_fixture.h"

namespace ringfort::uring {
namespace {

using Kind = StartFaultKind;

DirectoryOptions options_for(const std::string& path) {
    DirectoryOptions options;
    options.path = path;
    options.cluster = ClusterId(0xc1);
    options.node = NodeId(0xd1);
    options.shard_count_fresh = 3;
    options.lock_patience = 0ns;
    return options;
}

Kind refusal(const DirectoryOptions& options) {
    const auto opened = DataDirectory::open(options);
    EXPECT_FALSE(opened);
    if (opened) {
        return {};
    }
    EXPECT_NE(std::string::npos, opened.error().sentence.find(options.path)) << opened.error().sentence;
    EXPECT_EQ(std::string::npos, opened.error().sentence.find('\n'));
    return opened.error().kind;
}

TEST(DataDirectory, a_fresh_one_gets_an_identity_and_keeps_it) {
    TempDirectory directory;
    const DirectoryOptions options = options_for(directory.path() + "/deep/node");
    Identity first;
    {
        const auto opened = DataDirectory::open(options);
        ASSERT_TRUE(opened) << opened.error().sentence;
        EXPECT_TRUE(opened->fresh());
        first = opened->identity();
        EXPECT_TRUE(first.instance);
        EXPECT_EQ(3U, first.shard_count);
    }
    const auto again = DataDirectory::open(options);
    ASSERT_TRUE(again);
    EXPECT_FALSE(again->fresh());
    EXPECT_EQ(first, again->identity());
}

TEST(DataDirectory, refuses_what_is_not_its_own) {
    TempDirectory directory;
    const DirectoryOptions options = options_for(directory.path());
    ASSERT_TRUE(DataDirectory::open(options));
    DirectoryOptions other = options;
    other.cluster = ClusterId(0xc2);
    EXPECT_EQ(Kind::other_cluster, refusal(other));
    other = options;
    other.node = NodeId(0xd2);
    EXPECT_EQ(Kind::other_node, refusal(other));
}

TEST(DataDirectory, keeps_its_shard_count_until_the_identity_file_is_replaced) {
    TempDirectory directory;
    DirectoryOptions options = options_for(directory.path());
    ASSERT_TRUE(DataDirectory::open(options));
    options.shard_count = 2;
    for (const char* name : {"shard-0", "shard-1", "shard-2", "shard-7"}) {
        std::filesystem::create_directory(directory.path() + "/" + name);
        std::ofstream(directory.path() + "/" + name + "/log-0000000000000001") << "x";
    }
    {
        const auto opened = DataDirectory::open(options);
        ASSERT_TRUE(opened);
        EXPECT_EQ(3U, opened->identity().shard_count);
        ASSERT_TRUE(opened->remove_retired_shards());
        EXPECT_TRUE(std::filesystem::exists(directory.path() + "/shard-2"));
        EXPECT_FALSE(std::filesystem::exists(directory.path() + "/shard-7"));
        std::ofstream(directory.path() + "/" + DataDirectory::identity_file) << opened->identity_with(2);
    }
    const auto opened = DataDirectory::open(options);
    ASSERT_TRUE(opened);
    EXPECT_EQ(2U, opened->identity().shard_count);
    EXPECT_FALSE(opened->fresh());
    ASSERT_TRUE(opened->remove_retired_shards());
    EXPECT_TRUE(std::filesystem::exists(directory.path() + "/shard-1"));
    EXPECT_FALSE(std::filesystem::exists(directory.path() + "/shard-2"));
}

TEST(DataDirectory, refuses_newer_formats_damage_and_lost_identities) {
    TempDirectory directory;
    const DirectoryOptions options = options_for(directory.path());
    ASSERT_TRUE(DataDirectory::open(options));
    const std::string file = directory.path() + "/identity";
    std::ofstream(file) << "ringfort identity\nformat 2\nwhatever comes\n";
    EXPECT_EQ(Kind::newer_format, refusal(options));
    std::ofstream(file) << "";
    EXPECT_EQ(Kind::identity_damaged, refusal(options));
    std::filesystem::remove(file);
    std::filesystem::create_directory(directory.path() + "/shard-0");
    EXPECT_EQ(Kind::identity_damaged, refusal(options)) << "promises were made here once";
}

TEST(DataDirectory, is_not_fresh_where_a_shard_cannot_be_looked_at) {
    TempDirectory directory;
    std::filesystem::create_symlink("shard-0", directory.path() + "/shard-0");
    EXPECT_EQ(Kind::directory_unusable, refusal(options_for(directory.path())));
    EXPECT_FALSE(std::filesystem::exists(directory.path() + "/" + DataDirectory::identity_file));
}

TEST(DataDirectory, existing_state_needs_former_data) {
    TempDirectory directory;
    DirectoryOptions options = options_for(directory.path());
    options.fresh_allowed = false;
    EXPECT_EQ(Kind::no_former_start, refusal(options));
}

TEST(DataDirectory, refuses_tmpfs_by_name) {
    const std::string path = "/dev/shm/ringfort-directory-test-" + std::to_string(getpid());
    const auto opened = DataDirectory::open(options_for(path));
    std::filesystem::remove_all(path);
    ASSERT_FALSE(opened);
    EXPECT_EQ(Kind::unsupported_filesystem, opened.error().kind);
    EXPECT_NE(std::string::npos, opened.error().sentence.find("tmpfs")) << opened.error().sentence;
}

TEST(DataDirectory, refuses_a_path_that_is_no_directory) {
    TempDirectory directory;
    std::ofstream(directory.path() + "/file") << "x";
    EXPECT_EQ(Kind::directory_unusable, refusal(options_for(directory.path() + "/file")));
    EXPECT_EQ(Kind::directory_unusable, refusal(options_for(directory.path() + "/file/below")));
}

TEST(DataDirectory, unfinished_files_are_gone_after_open) {
    TempDirectory directory;
    const std::string left = directory.path() + "/shard-1/log" + unfinished_suffix;
    ASSERT_TRUE(DataDirectory::open(options_for(directory.path())));
    std::filesystem::create_directory(directory.path() + "/shard-1");
    std::ofstream(left) << "half";
    ASSERT_TRUE(DataDirectory::open(options_for(directory.path())));
    EXPECT_FALSE(std::filesystem::exists(left));
}

TEST(DataDirectory, a_second_process_is_refused_and_one_that_waits_gets_in) {
    TempDirectory directory;
    DirectoryOptions options = options_for(directory.path());
    auto first = DataDirectory::open(options);
    ASSERT_TRUE(first);
    EXPECT_EQ(Kind::directory_in_use, refusal(options));
    options.lock_patience = 10s;
    int told = 0;
    std::thread releasing;
    options.on_wait = [&](const std::string& sentence) {
        told++;
        EXPECT_NE(std::string::npos, sentence.find("waiting"));
        releasing = std::thread([&] { const DataDirectory ended = std::move(*first); });
    };
    EXPECT_TRUE(DataDirectory::open(options));
    releasing.join();
    EXPECT_EQ(1, told);
}

// The child holds the lock in a ring as well and has writes in flight when it is killed.
TEST(DataDirectory, the_lock_of_a_killed_process_comes_free) {
    TempDirectory directory;
    int ready[2];
    ASSERT_EQ(0, pipe(ready));
    const pid_t child = fork();
    if (child == 0) {
        auto opened = DataDirectory::open(options_for(directory.path()));
        auto ring = Ring::create({});
        if (!opened || !ring || !(*ring)->register_file(opened->lock_fd())) {
            _exit(1);
        }
        OpenedFile file;
        if (create_zeroed(opened->fd(), "scratch", mib, file) != 0) {
            _exit(2);
        }
        const AlignedBuffer data(mib);
        Completion ignored([](Completion&, int, std::uint32_t) {}, nullptr);
        for (int i = 0; i < 32; i++) {
            io_uring_prep_write((*ring)->next_request(&ignored), file.fd, data.data(), mib, 0);
        }
        (*ring)->submit();
        if (write(ready[1], "x", 1) != 1) {
            _exit(3);
        }
        pause();
    }
    char byte = 0;
    ASSERT_EQ(1, read(ready[0], &byte, 1));
    EXPECT_EQ(Kind::directory_in_use, refusal(options_for(directory.path())));
    ASSERT_EQ(0, kill(child, SIGKILL));
    DirectoryOptions options = options_for(directory.path());
    options.lock_patience = 10s;
    EXPECT_TRUE(DataDirectory::open(options));
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status));
    close(ready[0]);
    close(ready[1]);
}

TEST(Identity, every_flipped_byte_and_every_cut_is_noticed) {
    Identity identity;
    identity.instance = InstanceId(0x1234'5678'9abc'def0);
    identity.cluster = ClusterId(7);
    identity.node = NodeId(8);
    identity.shard_count = 256;
    identity.incarnation = Incarnation(9);
    const std::string text = encode_identity(identity);
    ASSERT_TRUE(decode_identity(text));
    EXPECT_EQ(identity, *decode_identity(text));
    for (std::size_t i = 0; i < text.size(); i++) {
        EXPECT_FALSE(decode_identity(text.substr(0, i))) << i;
        for (int bit = 0; bit < 8; bit++) {
            std::string flipped = text;
            flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
            const auto decoded = decode_identity(flipped);
            // A hex digit in the other case says the same in the last line, which no checksum covers.
            EXPECT_TRUE(!decoded || (*decoded == identity && bit == 5)) << i << " " << flipped;
        }
    }
    EXPECT_FALSE(decode_identity(text + "more\n"));
}

}  // namespace
}  // namespace ringfort::uring
