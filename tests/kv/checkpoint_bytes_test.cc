// The bytes of a checkpoint follow from the state it is cut from: not from steps, not from what goes on meanwhile, and
// not from how the writer finds what it writes.
#include "base/prng.h"
#include "kv/checkpoint_format.h"
#include "store_driver.h"

namespace ringfort::kv {
namespace {

std::string key_of(std::uint64_t number) {
    std::string key(1 + number % 40, 'k');
    return key + std::to_string(number);
}

// Chains of all lengths, one of them longer than any group of versions looked at together; removals, values that fill
// blocks, and compactions that mostly have not given back what they may.
void fill(Driver& driver, std::uint64_t seed) {
    Prng prng(seed);
    const std::string bytes(200'000, 'x');
    const auto value = [&] { return std::string_view(bytes).substr(0, prng.below(400)); };
    for (std::uint64_t i = 0; i < 2000; i++) {
        driver.put(key_of(i), value());
    }
    for (std::uint64_t i = 0; i < 6000; i++) {
        driver.put(key_of(77), value().substr(0, 60));
        driver.put(key_of(prng.below(80)), value());
        if (prng.one_in(20)) {
            driver.remove(key_of(prng.below(i < 3000 ? 80 : 2000)));
        }
        if (prng.one_in(1500)) {
            driver.put(key_of(prng.below(2000)), bytes);
        }
        if (prng.one_in(2000)) {
            const auto revision = static_cast<std::uint64_t>(driver.store.revision());
            driver.compact(static_cast<api::Revision>(prng.below(revision)));
            WorkBudget budget{200, 1 << 20};
            driver.store.compact_step(budget);
        }
    }
}

template <class Between>
std::vector<std::byte> written(Store& store, Prng prng, Between between) {
    auto writer = store.open_checkpoint();
    std::vector<std::byte> out;
    for (std::vector<std::byte> piece(150'000);;) {
        WorkBudget budget;
        budget.keys = static_cast<std::int64_t>(prng.between(1, 700));
        budget.bytes = static_cast<std::int64_t>(prng.between(1, 100'000));
        const MutableBytes room = MutableBytes(piece).first(prng.between(1, piece.size()));
        const auto [bytes, step] = writer->next(room, budget);
        out.insert(out.end(), room.begin(), room.begin() + static_cast<std::ptrdiff_t>(bytes));
        if (step == Step::done) {
            return out;
        }
        between();
    }
}

TEST(CheckpointBytes, are_what_they_always_were) {
    constexpr std::uint64_t known[] = {9993004595525811622u, 2695746359343568986u, 9135298619003148374u};
    for (std::uint64_t seed = 0; seed < std::size(known); seed++) {
        Driver driver;
        fill(driver, seed);
        if (seed == 2) {
            EXPECT_GT(driver.store.revision() - driver.store.compact_revision(), 6 * 1024);   // every other one is its
        }
        const auto bytes = written(driver.store, Prng(seed), [] {});
        EXPECT_EQ(checksum(bytes), known[seed]) << bytes.size();
    }
}

TEST(CheckpointBytes, are_the_same_while_commands_and_compaction_go_on) {
    for (std::uint64_t seed = 0; seed < 3; seed++) {
        Driver driver;
        fill(driver, seed);
        const auto quiet = written(driver.store, Prng(seed), [] {});
        Prng prng(seed);
        std::uint64_t number = 0;
        const auto busy = written(driver.store, Prng(seed + 1), [&] {
            driver.put(key_of(prng.below(2000)), "overwritten");
            driver.put(key_of(2000 + number++), "new");
            driver.remove(key_of(prng.below(2000)));
            if (number % 10 == 0) {
                driver.remove("k" + std::to_string(prng.below(10)), "k" + std::to_string(prng.below(10)));
            }
            driver.compact(driver.store.revision());
            driver.forget_all();
        });
        EXPECT_GT(number, 30u);
        EXPECT_EQ(busy == quiet, true);
        driver.store.check_invariants();
    }
}

}  // namespace
}  // namespace ringfort::kv
