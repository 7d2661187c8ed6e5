// Power cuts: whatever of the unsynced writes survives, what was reported durable is found again, and what is found is
// the log as it was at the end of some batch.
#include <gtest/gtest.h>

#include "log_model.h"

namespace ringfort::test {
namespace {

// Every subset of the sectors that hold anything of the batches in flight, at every point of their way to durability.
// Three batches are in flight: with dsync each may be durable before the one ahead of it.
void every_subset(env::Durability recipe) {
    for (std::size_t completed = 0; completed <= 4; completed++) {
        ModelLog m(7);
        m.h.options.segment_bytes = 64 * kib;
        m.h.options.window_bytes = 256 * kib;
        m.h.disk.recipe = recipe;
        m.h.start();
        m.h.create(1);
        m.now[1].hard_state.term = Term(1);
        m.now[1].hard_state.incarnation = Incarnation(1);
        m.by_batch[m.h.log->open_batch()] = m.now;
        m.h.settle();
        m.h.wait(20ms);
        m.h.settle();
        m.h.disk.manual = true;
        for (std::uint64_t i = 2; i <= 4; i++) {
            const std::string payload(i * 150, static_cast<char>('a' + i));
            m.h.append(1, 1, i, payload);
            m.now[1].entries[i] = {1, payload};
            m.by_batch[m.h.log->open_batch()] = m.now;
            m.h.log->close_batch(m.h.clock.at);
        }
        for (std::size_t i = 0; i < completed && m.h.disk.pending() > 0; i++) {
            m.h.disk.complete(m.h.disk.pending() - 1);  // the newest first
        }
        const std::uint64_t durable = m.h.log->durable();
        // Sectors with anything in them, over all unsynced writes.
        std::vector<std::tuple<std::string, std::size_t, std::size_t>> sectors;
        for (const auto& [name, file] : m.h.disk.files) {
            for (std::size_t w = 0; w < file->unsynced.size(); w++) {
                for (std::size_t s = 0; s < file->unsynced[w].bytes.size() / 512; s++) {
                    const auto begin = file->unsynced[w].bytes.begin() + static_cast<std::ptrdiff_t>(s * 512);
                    if (std::any_of(begin, begin + 512, [](std::byte b) { return b != std::byte{}; })) {
                        sectors.emplace_back(name, w, s);
                    }
                }
            }
        }
        ASSERT_LE(sectors.size(), 10U);
        std::vector<std::map<std::string, MemoryDisk::Content>> images;
        for (std::uint64_t subset = 0; subset < (1ULL << sectors.size()); subset++) {
            images.push_back(m.h.disk.after_crash([&](const std::string& name, std::size_t w, std::size_t s) {
                const auto at = std::find(sectors.begin(), sectors.end(), std::tuple(name, w, s));
                return at != sectors.end() && ((subset >> (at - sectors.begin())) & 1) != 0;
            }));
        }
        for (const auto& image : images) {
            m.h.restart_from(image);
            ASSERT_NE(m.match(durable, false), 0U) << "completed " << completed;
            // And again, after a second power cut right behind the start.
            const auto found = m.recovered(false);
            m.h.crash_and_start();
            ASSERT_EQ(m.recovered(true), found);
        }
    }
}

TEST(LogCrash, every_subset_of_surviving_sectors_gives_a_true_log_with_dsync) {
    every_subset(env::Durability::dsync);
}
TEST(LogCrash, every_subset_of_surviving_sectors_gives_a_true_log_with_sync) { every_subset(env::Durability::none); }

// Long random histories with many power cuts, segments in rapid rotation, recipes changing from batch to batch,
// completions out of order, and starts that are cut off themselves.
void random_history(std::uint64_t seed) {
    ModelLog m(seed);
    Prng& random = m.random;
    m.h.options.segment_bytes = 64 * kib * random.between(1, 3);
    m.h.options.window_bytes = 256 * kib;
    m.h.options.log_bytes_goal = 64 * kib * random.between(1, 40);
    m.payload_bytes_max = random.between(2, 2500);
    m.h.start();
    m.by_batch[m.h.log->durable()] = m.now;
    for (int life = 0; life < 8; life++) {
        m.h.disk.manual = true;
        for (std::uint64_t step = random.between(0, 400); step > 0; step--) {
            for (std::uint64_t n = random.below(6); n > 0; n--) {
                m.act();
            }
            if (random.one_in(3)) {
                m.h.disk.recipe = random.one_in(2) ? env::Durability::dsync : env::Durability::none;
            }
            for (std::uint64_t n = random.below(6); n > 0 && m.h.disk.pending() > 0; n--) {
                m.h.disk.complete(random.below(std::min<std::size_t>(m.h.disk.pending(), 3)));
            }
            m.h.log->close_batch(m.h.clock.at);
            m.h.wait(random.one_in(10) ? Duration(12ms) : Duration(100us));
        }
        ASSERT_TRUE(m.h.failure.empty());
        const std::uint64_t durable = m.h.log->durable();
        const std::uint64_t keep_of_ten = random.below(11);
        const auto crash = [&] {
            return m.h.disk.after_crash(
                [&](const std::string&, std::size_t, std::size_t) { return random.below(10) < keep_of_ten; });
        };
        auto image = crash();
        for (std::uint64_t n = random.below(3); n > 0; n--) {  // starts that do not get far
            m.h.begin_restart(image);
            m.h.disk.manual = true;
            for (std::uint64_t i = random.below(60); i > 0 && !m.h.recovered; i--) {
                if (m.h.disk.pending() > 0) {
                    m.h.disk.complete(0);
                }
                m.h.log->close_batch(m.h.clock.at);
            }
            image = crash();
        }
        m.h.restart_from(image);
        const std::uint64_t batch = m.match(durable, true);
        ASSERT_NE(batch, 0U) << "seed " << seed << " life " << life << " durable " << durable;
        m.go_on_from(batch);
    }
}

TEST(LogCrash, random_histories_survive_power_cuts) {
    for (std::uint64_t seed = 1; seed <= 30; seed++) {
        random_history(seed);
        if (HasFatalFailure()) {
            return;
        }
    }
}

}  // namespace
}  // namespace ringfort::test
