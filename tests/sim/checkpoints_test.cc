// Checkpoints at their bounds and on bad days. No load but what the tests write.
#include <numeric>

#include "base/checksum.h"
#include "kv/store.h"
#include "quiet_cluster.h"
#include "shard/checkpoint_file.h"
#include "shard/scrub.h"

namespace ringfort::sim {
namespace {

RunOptions checkpoint_options(std::size_t nodes) {
    RunOptions out = no_load_nor_tails();
    out.nodes = nodes;
    out.shards = 1;
    out.checkpoint_log_bytes = 700 * kib;
    return out;
}

// The same commands, applied beside the cluster: how long the checkpoint's stream is.
class Mirror {
  public:
    api::Revision apply(const kv::CommandBody& body) {
        std::vector<std::byte> command(kv::command_bytes(body));
        kv::encode_command(command, {data_range, Generation(1), WallTime{}, 0, 0}, body);
        index_ = index_.next();
        store_.begin(command, checksum(command), index_, nullptr);
        for (WorkBudget budget; store_.step(budget) == kv::Step::more; budget = {}) {
        }
        return store_.revision();
    }
    std::size_t stream_bytes() {
        const auto writer = store_.open_checkpoint();
        std::vector<std::byte> piece(64 * kib);
        std::size_t sum = 0;
        for (;;) {
            WorkBudget budget;
            const auto given = writer->next(piece, budget);
            sum += given.bytes;
            if (given.step == kv::Step::done) {
                return sum;
            }
        }
    }

  private:
    kv::Store store_{{.range = data_range, .hash_seed = 1, .populate = nullptr}};
    LogIndex index_{};
};

class Checkpoints : public QuietCluster {
  protected:
    bool has_checkpoint(std::size_t node) {
        return std::ranges::any_of(s->node(node).media().names(), [](const std::string& name) {
            return name.find("/checkpoint-1-") != std::string::npos;
        });
    }
    testing::AssertionResult ask(const api::Operation& op) {
        clients[0]->ask(++id, op, 5s);
        const auto ended = answered(0, id);
        return ended && answer(0, id).error == api::Errc::ok ? testing::AssertionSuccess() : testing::AssertionFailure();
    }
    // By commands that change nothing.
    testing::AssertionResult grow_log_until_checkpoint() {
        const std::string value(50'000, 'y');
        const api::Compare never_so{.result = api::CompareResult::equal, .target = api::CompareTarget::value,
                                    .key = key, .range_end = {}, .number = 0, .value = value};
        for (int i = 0; i < 50 && !has_checkpoint(0); i++) {
            if (!ask(api::TxnRequest{.compare = {&never_so, 1}, .success = {}, .failure = {}})) {
                return testing::AssertionFailure() << "no answer";
            }
            s->simulation.run_for(50ms);
        }
        return has_checkpoint(0) ? testing::AssertionSuccess() : testing::AssertionFailure() << "no checkpoint";
    }
};

// Written twice over and compacted, so that there is more log than state.
std::vector<std::pair<std::string, std::size_t>> values_of(std::size_t last_bytes) {
    return {{"d00/a", 100'000}, {"d00/b", 100'000}, {"d00/c", last_bytes}};
}

std::size_t stream_bytes(std::size_t last_bytes) {
    Mirror mirror;
    mirror.apply(api::PutRequest{.key = "d00/key", .value = "v0"});
    api::Revision revision = 0;
    for (int round = 0; round < 2; round++) {
        for (const auto& [name, bytes] : values_of(last_bytes)) {
            const std::string value(bytes, 'x');
            revision = mirror.apply(api::PutRequest{.key = name, .value = value});
        }
    }
    mirror.apply(api::CompactRequest{.revision = revision, .physical = false});
    return mirror.stream_bytes();
}

// The last chunk is full: nothing follows it, not even an empty one.
TEST_F(Checkpoints, of_whole_chunks_is_written_and_loaded) {
    constexpr std::size_t wanted = shard::checkpoint_chunk_bytes;
    std::size_t last_bytes = 50'000;
    for (int attempt = 0; attempt < 10 && stream_bytes(last_bytes) != wanted; attempt++) {
        last_bytes += wanted - stream_bytes(last_bytes);
    }
    ASSERT_EQ(stream_bytes(last_bytes), wanted);
    ASSERT_TRUE(begin(checkpoint_options(1)));
    for (int round = 0; round < 2; round++) {
        for (const auto& [name, bytes] : values_of(last_bytes)) {
            ASSERT_TRUE(ask(api::PutRequest{.key = name, .value = std::string(bytes, 'x')}));
        }
    }
    ASSERT_FALSE(has_checkpoint(0));
    ASSERT_TRUE(ask(api::CompactRequest{.revision = 8, .physical = false}));
    ASSERT_TRUE(grow_log_until_checkpoint());
    s->simulation.run_for(2s);
    for (const std::string& name : s->node(0).media().names()) {
        if (name.find("/checkpoint-1-") != std::string::npos) {
            EXPECT_EQ(s->node(0).media().file(name)->bytes(), wanted);
        }
    }
    clients.clear();
    ASSERT_TRUE(s->kill_quietly(0));
    s->node(0).start();
    ASSERT_TRUE(s->run_until(10s, "it does not start", [&] { return s->node(0).ready(); }));
    clients.push_back(std::make_unique<RawClient>(s->cluster(), 0));
    clients[0]->greet();
    clients[0]->ask(++id, newest("d00/c"), 5s);
    ASSERT_TRUE(answered(0, id));
    EXPECT_EQ(answer(0, id).value.size(), last_bytes);
    good_end();
}

// Each takes memory for what is read ahead.
TEST_F(Checkpoints, of_many_ranges_are_loaded_some_at_a_time) {
    constexpr std::uint32_t domains = 24;
    constexpr std::size_t at_once = 16;
    RunOptions options = checkpoint_options(1);
    options.domains = domains;
    ASSERT_TRUE(begin(options));
    for (std::uint32_t domain = 0; domain < domains; domain++) {
        for (int i = 0; i < 10; i++) {
            const std::string name = domain_prefix(domain) + "x";
            ASSERT_TRUE(ask(api::PutRequest{.key = name, .value = std::string(100'000, 'x')}));
        }
        clients[0]->ask(++id, api::CompactRequest{.revision = 10, .physical = false}, 5s, false, DomainId(domain + 1));
        ASSERT_TRUE(answered(0, id));
    }
    s->simulation.run_for(5s);
    const auto count = [&](std::string_view of) {
        return static_cast<std::size_t>(std::ranges::count_if(
            s->node(0).media().names(), [&](const std::string& name) { return name.find(of) != std::string::npos; }));
    };
    ASSERT_GE(count("/checkpoint-"), domains);
    clients.clear();
    ASSERT_TRUE(s->kill_quietly(0));
    s->node(0).media().profile().read_latency = 100ms;
    s->node(0).start();
    std::size_t most = 0;
    ASSERT_TRUE(s->run_until(60s, "it does not start", [&] {
        const std::size_t logs = count("/log-");
        if (s->node(0).running() && s->node(0).open_files() > logs) {
            most = std::max(most, s->node(0).open_files() - logs);
        }
        return s->node(0).ready();
    }));
    EXPECT_GT(most, at_once / 2);
    EXPECT_LE(most, at_once);
    good_end();
}

// The directory is there before the second shard has read its log, and one of two ranges in that is still being loaded.
TEST_F(Checkpoints, of_other_ranges_may_load_for_long_and_answers_name_their_domain) {
    RunOptions options = checkpoint_options(1);
    options.shards = 2;
    options.domains = 4;
    options.checkpoint_log_bytes = 3 * mib;
    ASSERT_TRUE(begin(options));
    ASSERT_TRUE(ask(api::PutRequest{.key = "d03/key", .value = "v"}));
    for (int i = 0; i < 60; i++) {
        const std::string name = "d01/" + std::to_string(i);
        ASSERT_TRUE(ask(api::PutRequest{.key = name, .value = std::string(100'000, 'x')}));
    }
    s->simulation.run_for(5s);
    const auto has_file = [&](std::string_view of) {
        return std::ranges::any_of(s->node(0).media().names(),
                                   [&](const std::string& name) { return name.find(of) != std::string::npos; });
    };
    ASSERT_TRUE(has_file("/checkpoint-2-"));
    ASSERT_FALSE(has_file("/checkpoint-4-"));
    clients.clear();
    ASSERT_TRUE(s->kill_quietly(0));
    s->node(0).media().profile().read_latency = 100ms;
    s->node(0).start();
    api::RangeRequest request = newest("d03/key");
    request.serializable = true;
    do {
        ASSERT_FALSE(s->node(0).ready()) << "nothing was put to the test";
        clients.clear();
        clients.push_back(std::make_unique<RawClient>(s->cluster(), 0));
        clients[0]->greet();
        clients[0]->ask(++id, request, 5s);
        s->simulation.run_for(10ms);
    } while (answer(0, id).value != "v");
    EXPECT_FALSE(s->node(0).ready()) << "nothing was put to the test";
    EXPECT_EQ(answer(0, id).domain, DomainId(4));
    ASSERT_TRUE(s->run_until(60s, "it does not start", [&] { return s->node(0).ready(); }));
    good_end();
}

// What a follower has of the leader's log is gone there: it gets a snapshot.
class Behind : public Checkpoints {
  protected:
    testing::AssertionResult begin_behind(const RunOptions& options = checkpoint_options(3)) {
        if (const auto begun = begin(options); !begun) {
            return begun;
        }
        leader = s->leader();
        follower = s->follower();
        other = 3 - leader - follower;
        return testing::AssertionSuccess();
    }
    void isolate(std::size_t node) {
        for (std::size_t i = 0; i < s->nodes(); i++) {
            if (i != node) {
                s->block_both(i, node);
            }
        }
    }
    // Puts so many large values through the leader, over and over the same few keys, and compacts.
    testing::AssertionResult write(int count, int keys = 4) {
        for (int i = 0; i < count; i++) {
            const std::string name = "d00/fill" + std::to_string(i % keys);
            clients[leader]->ask(++id, api::PutRequest{.key = name, .value = std::string(100'000, 'x')}, 5s);
            if (!answered(leader, id) || answer(leader, id).error != api::Errc::ok) {
                return testing::AssertionFailure() << "no answer to a put";
            }
            revision++;
        }
        clients[leader]->ask(++id, api::CompactRequest{.revision = revision, .physical = false}, 5s, false, DomainId(1));
        return answered(leader, id);
    }
    // Of the follower.
    testing::AssertionResult write_until_checkpoint() {
        while (checkpoints(follower).empty()) {
            if (const auto written = write(4); !written) {
                return written;
            }
            s->simulation.run_for(500ms);
        }
        return testing::AssertionSuccess();
    }
    // The leader goes on without the follower, and forgets what that has not got.
    testing::AssertionResult leave_behind() {
        isolate(follower);
        for (int round = 0; round < 8; round++) {
            if (const auto written = write(4); !written) {
                return written;
            }
            s->simulation.run_for(500ms);
        }
        return testing::AssertionResult(checkpoints(leader).size() == 1 && checkpoints(other).size() == 1);
    }
    // Whatever is open beside the log was forgotten.
    testing::AssertionResult only_logs_are_open(std::size_t node) {
        const auto logs = static_cast<std::size_t>(
            std::ranges::count_if(s->node(node).media().names(), [](const std::string& name) {
                return name.find("/log-") != std::string::npos;
            }));
        const std::size_t open = s->node(node).open_files();
        return open <= logs ? testing::AssertionSuccess()
                            : testing::AssertionFailure() << open << " files are open, " << logs << " of the log";
    }
    std::vector<std::string> checkpoints(std::size_t node, std::string_view named = "/checkpoint-1-") {
        std::vector<std::string> out;
        for (const std::string& name : s->node(node).media().names()) {
            if (name.find(named) != std::string::npos) {
                out.push_back(name);
            }
        }
        return out;
    }

    bool said(std::size_t node, std::string_view text) {
        return std::ranges::any_of(s->node(node).log_lines(), [&](const SimLogSink::Line& line) {
            return line.text.find(text) != std::string::npos;
        });
    }

    std::size_t leader{0};
    std::size_t follower{0};
    std::size_t other{0};
    api::Revision revision{2};
};

TEST_F(Behind, what_the_leader_has_to_send_may_have_rotted_meanwhile) {
    ASSERT_TRUE(begin_behind());
    const auto damages = {+[](DiskFile& file) { file.flip_bit(9); }, +[](DiskFile& file) { file.spoil_sector(0); }};
    for (const auto damage : damages) {
        ASSERT_TRUE(leave_behind());
        const std::string name = checkpoints(leader).front();
        damage(*s->node(leader).media().file(name));
        s->cluster().network().unblock_all();
        ASSERT_TRUE(s->run_until(20s, "the follower gets nothing", [&] {
            return s->view(follower).applied == s->view(leader).applied;
        }));
        EXPECT_TRUE(said(leader, name + " cannot be sent"));
        ASSERT_EQ(s->leader(), leader);
    }
    good_end();
}

TEST_F(Behind, what_the_leader_has_to_send_is_not_sent_again_before_it_is_written_anew) {
    ASSERT_TRUE(begin_behind());
    ASSERT_TRUE(leave_behind());
    DiskMedia& media = s->node(leader).media();
    media.file(checkpoints(leader).front())->flip_bit(9);
    media.profile().capacity_bytes = media.used_bytes();
    s->cluster().network().unblock_all();
    s->simulation.run_for(15s);
    EXPECT_EQ(std::ranges::count_if(s->node(leader).log_lines(), [](const SimLogSink::Line& line) {
        return line.text.find("cannot be sent") != std::string::npos;
    }), 1);
    media.profile().capacity_bytes = 1ull << 40;
    ASSERT_TRUE(s->run_until(20s, "the follower gets nothing", [&] {
        return s->view(follower).applied == s->view(leader).applied;
    }));
    good_end();
}

// Its own checkpoint is named, and then a snapshot, before the first of the two is durable. The file that the log would
// name after a crash stays until the log names the other one.
TEST_F(Behind, a_checkpoint_stays_until_the_snapshot_that_replaces_it_is_named_durably) {
    ASSERT_TRUE(begin_behind());
    DiskProfile& disk = s->node(follower).media().profile();
    const DiskProfile fast = disk;
    disk.metadata_latency = 40s;   // of its checkpoint's making
    const LogIndex before = s->view(follower).applied;
    ASSERT_TRUE(write(12));
    ASSERT_TRUE(s->run_until(10s, "no checkpoint", [&] { return checkpoints(leader).size() == 1; }));
    const Instant begun = s->simulation.now();
    s->simulation.run_for(500ms);
    ASSERT_GT(s->view(follower).applied, before.plus(5));
    isolate(follower);
    disk = fast;
    const std::string first = checkpoints(leader).front();
    while (checkpoints(leader).front() == first) {
        ASSERT_TRUE(write(4));
    }
    s->simulation.run_for(1s);
    disk.sync_latency = 10s;
    ASSERT_TRUE(checkpoints(follower).empty());
    ASSERT_LT(s->simulation.now(), begun + 15s);
    ASSERT_TRUE(s->run_until(60s, "no own checkpoint", [&] { return !checkpoints(follower).empty(); }));
    const std::string own = checkpoints(follower).front();
    s->cluster().network().unblock_all();
    ASSERT_TRUE(s->run_until(15s, "no snapshot", [&] { return checkpoints(follower).size() == 2; }));
    const Instant end = s->simulation.now() + 60s;
    while (std::ranges::count(checkpoints(follower), own) == 1 && s->simulation.now() < end) {
        s->simulation.run_for(1ms);
    }
    ASSERT_LT(s->simulation.now(), end) << "it is never removed";
    clients.clear();
    s->node(follower).kill();
    s->simulation.run_for(30s);   // its writes end
    isolate(follower);
    disk = fast;
    s->node(follower).start();
    ASSERT_TRUE(s->run_until(10s, "it does not start", [&] { return s->view(follower).range == data_range; }));
    EXPECT_FALSE(s->view(follower).in_doubt);
    EXPECT_GT(s->view(follower).applied, before.plus(5));
    s->cluster().network().unblock_all();
    good_end();
}

// A flipped byte anywhere, a sector that cannot be read, a file that is gone: said in one line, and mended from the peers.
TEST_F(Behind, a_damaged_checkpoint_costs_its_replica_its_state_and_nobody_anything) {
    ASSERT_TRUE(begin_behind());
    ASSERT_TRUE(write_until_checkpoint());
    using Damage = void (*)(DiskFile&);
    const std::initializer_list<std::pair<Damage, std::string>> damages = {
        {[](DiskFile& file) { file.flip_bit(0); }, "is damaged"},
        {[](DiskFile& file) { file.flip_bit(file.bytes() * 4); }, "is damaged"},
        {[](DiskFile& file) { file.spoil_sector(file.bytes() / 2); }, "cannot be read"},
    };
    Incarnation last = s->view(follower).incarnation;
    for (const auto& [damage, what] : damages) {
        clients.clear();
        ASSERT_TRUE(s->kill_quietly(follower));
        const std::string name = checkpoints(follower).back();
        damage(*s->node(follower).media().file(name));
        s->node(follower).start();
        ASSERT_TRUE(s->run_until(20s, "it does not come back", [&] {
            const auto view = s->view(follower);
            return view.incarnation > last && !view.in_doubt && view.applied == s->view(s->leader()).applied;
        }));
        last = s->view(follower).incarnation;
        EXPECT_TRUE(said(follower, name + " " + what + ": the replica is rebuilt from its peers"));
        ASSERT_TRUE(s->run_until(20s, "it has no checkpoint again", [&] {
            return std::ranges::any_of(checkpoints(follower), [&](const std::string& one) { return one != name; });
        }));
        s->simulation.run_for(5s);
    }
    good_end();
}

// The disk may read it again, and until the replica is rebuilt it may be the last there is, over several starts.
TEST_F(Behind, a_checkpoint_that_the_disk_cannot_read_is_kept_until_there_is_another_one) {
    ASSERT_TRUE(begin_behind());
    ASSERT_TRUE(write_until_checkpoint());
    s->simulation.run_for(2s);
    const auto kept = [&] { return !checkpoints(follower, "/unread-checkpoint-1-").empty(); };
    clients.clear();
    ASSERT_TRUE(s->kill_quietly(follower));
    DiskFile& file = *s->node(follower).media().file(checkpoints(follower).back());
    file.spoil_sector(file.bytes() / 2);
    isolate(follower);
    for (int start = 0; start < 2; start++) {
        s->node(follower).start();
        ASSERT_TRUE(s->run_until(20s, "it does not start", [&] { return s->view(follower).in_doubt; }));
        s->simulation.run_for(2s);
        EXPECT_TRUE(kept()) << start;
        EXPECT_TRUE(checkpoints(follower).empty());
        ASSERT_TRUE(s->kill_quietly(follower));
    }
    s->cluster().network().unblock_all();
    s->node(follower).start();
    ASSERT_TRUE(s->run_until(30s, "the file stays", [&] { return !kept() && !checkpoints(follower).empty(); }));
    good_end();
}

TEST_F(Checkpoints, that_cannot_be_read_and_that_nobody_else_has_is_left_as_it_is) {
    ASSERT_TRUE(begin(checkpoint_options(1)));
    ASSERT_TRUE(grow_log_until_checkpoint());
    s->simulation.run_for(2s);
    clients.clear();
    ASSERT_TRUE(s->kill_quietly(0));
    DiskMedia& media = s->node(0).media();
    const DiskMedia::Copy copy = media.copy();
    for (const std::string& name : media.names()) {
        if (name.find("/checkpoint-1-") != std::string::npos) {
            media.file(name)->spoil_sector(0);
        }
    }
    s->cluster().expect_halt(0, env::Halt::refused);
    s->node(0).start();
    ASSERT_TRUE(s->run_until(20s, "it goes on", [&] { return !s->node(0).running() && media.quiet(); }));
    media.put_back(copy);   // the disk reads it again
    s->cluster().expect_no_halt(0);
    s->node(0).start();
    ASSERT_TRUE(s->run_until(20s, "it does not serve", [&] { return s->leader() < s->nodes(); }));
    good_end();
}

// A process at its bound of open files, say: on a majority at once the rebuilding would leave nobody to rebuild from.
TEST_F(Behind, a_checkpoint_that_cannot_be_opened_at_a_start_stays_and_the_node_does_not_serve) {
    ASSERT_TRUE(begin_behind());
    ASSERT_TRUE(write_until_checkpoint());
    s->simulation.run_for(2s);
    const Incarnation before = s->view(follower).incarnation;
    clients.clear();
    ASSERT_TRUE(s->kill_quietly(follower));
    SimNode& node = s->node(follower);
    const auto files = checkpoints(follower);
    node.media().profile().unopenable = "/checkpoint-";
    s->cluster().expect_halt(follower, env::Halt::refused);
    node.start();
    ASSERT_TRUE(s->run_until(20s, "it does not start", [&] { return node.running(); }));
    ASSERT_TRUE(s->run_until(20s, "it goes on", [&] { return !node.running(); }));
    ASSERT_TRUE(s->run_until(2s, "its disk does not rest", [&] { return node.media().quiet(); }));
    EXPECT_EQ(checkpoints(follower), files);
    node.media().profile().unopenable.clear();
    node.start();
    ASSERT_TRUE(s->run_until(20s, "it does not come back", [&] {
        return s->view(follower).applied == s->view(s->leader()).applied;
    }));
    EXPECT_EQ(s->view(follower).incarnation, before);
    good_end();
}

TEST_F(Checkpoints, that_is_damaged_and_that_nobody_else_has_ends_the_node) {
    ASSERT_TRUE(begin(checkpoint_options(1)));
    ASSERT_TRUE(grow_log_until_checkpoint());
    s->simulation.run_for(2s);
    clients.clear();
    ASSERT_TRUE(s->kill_quietly(0));
    for (const std::string& name : s->node(0).media().names()) {
        if (name.find("/checkpoint-1-") != std::string::npos) {
            s->node(0).media().file(name)->flip_bit(9);
        }
    }
    s->node(0).start();
    EXPECT_FALSE(s->simulation.run_for(10s)) << "it serves what is damaged";
    EXPECT_NE(s->simulation.problem().find("is damaged, and no other replicas can rebuild it"), std::string::npos)
        << s->simulation.problem();
}

TEST_F(Checkpoints, are_written_anew_and_smaller_when_most_of_the_data_was_deleted_and_compacted) {
    RunOptions options = checkpoint_options(1);
    options.checkpoint_slack_bytes = 64 * kib;
    ASSERT_TRUE(begin(options));
    for (int i = 0; i < 30; i++) {
        ASSERT_TRUE(ask(api::PutRequest{.key = "d00/fill" + std::to_string(i), .value = std::string(50'000, 'x')}));
    }
    const auto bytes = [&] {
        std::uint64_t sum = 0;
        for (const std::string& name : s->node(0).media().names()) {
            sum += name.find("/checkpoint-1-") != std::string::npos ? s->node(0).media().file(name)->bytes() : 0;
        }
        return sum;
    };
    ASSERT_TRUE(s->run_until(20s, "no checkpoint", [&] { return bytes() > 600 * kib; }));
    ASSERT_TRUE(ask(api::DeleteRangeRequest{.key = "d00/fill", .range_end = "d00/film"}));
    const api::Revision deleted = 1 + 1 + 30 + 1;   // the first put, thirty, and this
    ASSERT_TRUE(ask(api::CompactRequest{.revision = deleted, .physical = true}));
    EXPECT_TRUE(s->run_until(20s, "it is as large as before", [&] { return bytes() > 0 && bytes() < 100 * kib; }));
    good_end();
}

// Of one node: nobody else could give back what is lost.
class Scrubbed : public Checkpoints {
  protected:
    testing::AssertionResult found(std::string_view what) {
        return s->run_until(20s, "it is not found", [&] {
            return std::ranges::any_of(s->node(0).log_lines(), [&](const auto& line) {
                return line.text.find(what) != std::string::npos &&
                       line.text.find("a new checkpoint is written from the state in memory") != std::string::npos;
            });
        });
    }
    testing::AssertionResult renewed(const std::vector<std::string>& former) {
        const auto made = s->run_until(20s, "no new checkpoint", [&] {
            const auto now = files();
            return now.size() == 1 && now != former;
        });
        s->simulation.run_for(1s);   // until it is written, flushed and named, if the file alone is there
        return made;
    }
    std::vector<std::string> files() {
        std::vector<std::string> out = s->node(0).media().names();
        std::erase_if(out, [](const std::string& name) { return name.find("/checkpoint-1-") == std::string::npos; });
        return out;
    }
    void restart_and_read() {
        clients.clear();
        ASSERT_TRUE(s->kill_quietly(0));
        s->node(0).start();
        ASSERT_TRUE(s->run_until(20s, "it does not come back", [&] { return s->cluster().all_ready(); }));
        clients.push_back(std::make_unique<RawClient>(s->cluster(), 0));
        clients.back()->greet();
        s->simulation.run_for(100ms);
        const std::uint64_t read = get(0);
        ASSERT_TRUE(answered(0, read));
        EXPECT_EQ(answer(0, read).value, "v0");
        good_end();
    }
};

TEST_F(Scrubbed, a_checkpoint_that_rots_is_written_anew_although_nothing_was_written_since) {
    RunOptions options = checkpoint_options(1);
    options.scrub_interval = 2s;
    ASSERT_TRUE(begin(options));
    ASSERT_TRUE(grow_log_until_checkpoint());
    s->simulation.run_for(2s);
    for (const auto damage : {+[](DiskFile& file) { file.flip_bit(9); }, +[](DiskFile& file) { file.spoil_sector(0); }}) {
        const auto former = files();
        ASSERT_EQ(former.size(), 1u);
        damage(*s->node(0).media().file(former.front()));
        ASSERT_TRUE(found(former.front()));
        ASSERT_TRUE(renewed(former));
    }
    restart_and_read();
}

// The next pass would find it again: in an hour.
TEST_F(Scrubbed, a_checkpoint_that_rots_while_the_disk_is_full_is_written_anew_once_there_is_room) {
    RunOptions options = checkpoint_options(1);
    options.scrub_interval = 10s;
    ASSERT_TRUE(begin(options));
    ASSERT_TRUE(grow_log_until_checkpoint());
    s->simulation.run_for(2s);
    DiskMedia& media = s->node(0).media();
    for (const bool full : {false, true}) {
        const auto former = files();
        ASSERT_EQ(former.size(), 1u);
        media.file(former.front())->flip_bit(9);
        media.profile().capacity_bytes = full ? media.used_bytes() : 1ull << 40;
        ASSERT_TRUE(found(former.front()));
        s->simulation.run_for(500ms);
        ASSERT_EQ(files() == former, full);
        media.profile().capacity_bytes = 1ull << 40;
        const Instant room = s->simulation.now();
        ASSERT_TRUE(renewed(former));
        EXPECT_LE(s->simulation.now() - room, 5s) << "of which one is renewed()'s";
    }
    restart_and_read();
}

TEST_F(Scrubbed, a_checkpoint_that_rots_while_the_next_is_being_written_needs_no_third) {
    RunOptions options = checkpoint_options(1);
    options.scrub_interval = 1ms;
    ASSERT_TRUE(begin(options));
    ASSERT_TRUE(grow_log_until_checkpoint());
    s->simulation.run_for(2s);
    const auto former = files();
    ASSERT_EQ(former.size(), 1u);
    const std::string value(50'000, 'y');
    for (int i = 0; i < 20; i++) {
        clients[0]->ask(++id, api::PutRequest{.key = "d00/fill", .value = value}, 60s);
    }
    ASSERT_TRUE(s->run_until(20s, "no other checkpoint", [&] { return files().size() == 2; }));
    DiskProfile& disk = s->node(0).media().profile();
    const DiskProfile fast = disk;
    disk.sync_latency = 10s;   // until it is named durably
    s->node(0).media().file(former.front())->flip_bit(9);
    ASSERT_TRUE(found(former.front()));
    auto next = files();
    ASSERT_EQ(std::erase(next, former.front()), 1u);
    ASSERT_EQ(next.size(), 1u);
    disk = fast;
    ASSERT_TRUE(renewed(former));
    s->simulation.run_for(20s);
    EXPECT_EQ(files(), next);
    restart_and_read();
}

// As when the process is at its bound of open files.
TEST_F(Behind, a_checkpoint_that_cannot_be_opened_for_the_moment_is_not_damaged) {
    RunOptions options = checkpoint_options(3);
    options.scrub_interval = 100ms;
    ASSERT_TRUE(begin_behind(options));
    ASSERT_TRUE(leave_behind());
    const auto former = checkpoints(leader);
    s->node(leader).media().profile().unopenable = "/checkpoint-";
    s->cluster().network().unblock_all();
    s->simulation.run_for(10s);
    EXPECT_TRUE(said(leader, "it is not read this time"));
    EXPECT_TRUE(said(leader, "cannot be opened to be sent"));
    EXPECT_EQ(checkpoints(leader), former);
    s->node(leader).media().profile().unopenable.clear();
    ASSERT_TRUE(s->run_until(10s, "the follower gets nothing", [&] {
        return s->view(follower).applied == s->view(leader).applied;
    }));
    EXPECT_EQ(checkpoints(leader), former);
    good_end();
}

TEST_F(Scrubbed, what_is_read_is_a_piece_a_second_while_the_logs_flushes_are_slow) {
    RunOptions options = checkpoint_options(1);
    options.scrub_interval = 1ms;
    ASSERT_TRUE(begin(options));
    for (int i = 0; i < 30; i++) {
        ASSERT_TRUE(ask(api::PutRequest{.key = "d00/fill" + std::to_string(i), .value = std::string(50'000, 'x')}));
    }
    s->simulation.run_for(2s);
    ASSERT_EQ(files().size(), 1u);
    const auto reads_in = [&](Duration time) {
        const std::uint64_t before = s->node(0).media().counters().reads;
        s->simulation.run_for(time);
        return s->node(0).media().counters().reads - before;
    };
    EXPECT_GE(reads_in(5s), 5 * shard::Scrub::rate_max / shard::checkpoint_chunk_bytes / 2);
    DiskProfile& disk = s->node(0).media().profile();
    const DiskProfile fast = disk;
    disk.sync_latency = 10s;
    clients[0]->ask(++id, api::PutRequest{.key = key, .value = "v0"}, 20s);
    s->simulation.run_for(1s);
    const std::uint64_t slow = reads_in(3s);
    EXPECT_GE(slow, 2u) << "it goes on";
    EXPECT_LE(slow, 4u);
    disk = fast;
    ASSERT_TRUE(answered(0, id, 20s));
    good_end();
}

TEST_F(Scrubbed, old_entries_in_small_batches_are_read_no_faster_than_anything_else) {
    RunOptions options = checkpoint_options(1);
    options.scrub_interval = 1ms;
    options.checkpoint_log_bytes = 64 * mib;
    options.log_window_bytes = 1 * mib;
    ASSERT_TRUE(begin(options));
    for (int i = 0; i < 2500; i++) {
        ASSERT_TRUE(ask(api::PutRequest{.key = "d00/fill", .value = "of a batch of its own"}));
    }
    ASSERT_TRUE(files().empty());
    const DiskCounters& disk = s->node(0).media().counters();
    std::uint64_t most = 0;
    const std::uint64_t begin_bytes = disk.bytes_read;
    for (int second = 0; second < 10; second++) {
        const std::uint64_t before = disk.bytes_read;
        s->simulation.run_for(1s);
        most = std::max(most, disk.bytes_read - before);
    }
    EXPECT_GT(disk.bytes_read - begin_bytes, 10 * shard::Scrub::rate_max / 2);
    EXPECT_LE(most, shard::Scrub::rate_max + shard::checkpoint_chunk_bytes + limits::block_bytes);
    good_end();
}

TEST_F(Scrubbed, old_entries_that_rot_lie_behind_a_checkpoint_then) {
    RunOptions options = checkpoint_options(1);
    options.scrub_interval = 2s;
    options.checkpoint_log_bytes = 64 * mib;
    options.log_window_bytes = 1 * mib;
    ASSERT_TRUE(begin(options));
    for (int i = 0; i < 80; i++) {
        ASSERT_TRUE(ask(api::PutRequest{.key = "d00/fill", .value = std::string(50'000, 'x')}));
    }
    ASSERT_TRUE(files().empty());
    const auto names = s->node(0).media().names();
    const auto log = std::ranges::find_if(names, [](const auto& name) { return name.find("/log-") != std::string::npos; });
    ASSERT_TRUE(log != names.end());
    s->node(0).media().file(*log)->flip_bit(420'000 * 8);   // inside a value: a header would be read from its copy
    ASSERT_TRUE(found("cannot be read back"));
    ASSERT_TRUE(renewed({}));
    restart_and_read();
}

// A flush of the log that hangs leaves 4 MiB/s to all that is not the log.
TEST_F(Behind, a_snapshot_is_received_while_the_disk_is_slow_and_scrubbed_all_the_time) {
    RunOptions options = checkpoint_options(3);
    options.domains = 2;
    options.checkpoint_log_bytes = 5 * mib;
    options.scrub_interval = 1ms;
    ASSERT_TRUE(begin_behind(options));
    ASSERT_TRUE(write(60, 60));
    ASSERT_TRUE(s->run_until(20s, "no checkpoint to scrub", [&] { return !checkpoints(follower).empty(); }));
    const LogIndex before = s->view(follower).applied;
    isolate(follower);
    for (int round = 0; round < 3; round++) {
        ASSERT_TRUE(write(60, 60));
        s->simulation.run_for(2s);
    }
    s->cluster().network().unblock_all();
    ASSERT_TRUE(s->run_until(10s, "no snapshot comes", [&] { return checkpoints(follower).size() == 2; }));
    DiskProfile& disk = s->node(follower).media().profile();
    const DiskProfile fast = disk;
    disk.sync_latency = 60s;
    clients[leader]->ask(++id, api::PutRequest{.key = domain_prefix(1) + "x", .value = "flushed"}, 5s);
    // 6 MB are written and read back.
    EXPECT_TRUE(s->run_until(7s, "it is not installed", [&] { return s->view(follower).applied > before; }));
    disk = fast;
    s->simulation.run_for(60s);
    good_end();
}

// When the start looks for such files the next snapshot is on its way already.
TEST_F(Behind, a_snapshot_cut_short_by_a_crash_leaves_no_file_behind) {
    ASSERT_TRUE(begin_behind());
    ASSERT_TRUE(leave_behind());
    DiskProfile& disk = s->node(follower).media().profile();
    const DiskProfile fast = disk;
    disk.write_latency = 1s;
    s->cluster().network().unblock_all();
    ASSERT_TRUE(s->run_until(10s, "no snapshot comes", [&] { return !checkpoints(follower).empty(); }));
    const std::string cut_short = checkpoints(follower).front();
    clients.clear();
    ASSERT_TRUE(s->kill_quietly(follower));
    ASSERT_EQ(std::ranges::count(checkpoints(follower), cut_short), 1);
    disk = fast;
    disk.metadata_latency = 1s;
    s->node(follower).start();
    ASSERT_TRUE(s->run_until(60s, "it does not catch up", [&] {
        return s->view(follower).range == data_range && s->view(follower).applied == s->view(s->leader()).applied;
    }));
    s->simulation.run_for(10s);
    EXPECT_EQ(checkpoints(follower).size(), 1U);
    EXPECT_EQ(std::ranges::count(checkpoints(follower), cut_short), 0);
    good_end();
}

// A file that nobody knows any more keeps its space until the process ends.
TEST_F(Behind, a_file_opened_for_a_snapshot_that_was_given_up_meanwhile_is_closed) {
    for (const bool at_sender : {true, false}) {
        SCOPED_TRACE(at_sender);
        TearDown();
        revision = 2;
        ASSERT_TRUE(begin_behind());
        ASSERT_TRUE(leave_behind());
        const std::size_t slow = at_sender ? leader : follower;
        DiskProfile& disk = s->node(slow).media().profile();
        const DiskProfile fast = disk;
        disk.metadata_latency = 20s;
        s->cluster().network().unblock_all();
        s->simulation.run_for(3s);
        disk = fast;
        isolate(leader);
        s->simulation.run_for(40s);   // another one leads, and begins anew
        EXPECT_TRUE(only_logs_are_open(slow));
        s->cluster().network().unblock_all();
        s->simulation.run_for(5s);
        for (std::size_t node = 0; node < s->nodes(); node++) {
            EXPECT_TRUE(only_logs_are_open(node)) << node;
        }
        EXPECT_EQ(s->view(follower).applied, s->view(s->leader()).applied);
        good_end();
    }
}

}  // namespace
}  // namespace ringfort::sim
