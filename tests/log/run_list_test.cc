#include "log/run_list.h"

#include <gtest/gtest.h>

#include <map>

#include "base/prng.h"

namespace ringfort::test {
namespace {

// Against a plain map from index to (sequence, batch); bytes dropped and kept always add up to bytes put in.
TEST(RunList, agrees_with_a_map_under_random_changes) {
    Prng random(3);
    for (int round = 0; round < 200; round++) {
        log::RunList list;
        std::map<std::uint64_t, std::pair<std::uint64_t, std::uint64_t>> model;
        std::uint64_t sequence = 0;
        std::uint64_t batch = 0;
        std::uint64_t in = 0;
        std::uint64_t out = 0;
        const auto dropped = [&](const log::EntryRun& run) { out += run.payload_bytes; };
        for (int step = 0; step < 60; step++) {
            const std::uint64_t last = model.empty() ? 10 : model.rbegin()->first;
            batch++;
            log::EntryRun run;
            run.place.sequence = batch;
            run.term = 1;
            run.sequence = sequence;
            run.count = static_cast<std::uint32_t>(random.between(1, 5));
            run.payload_bytes = static_cast<std::uint32_t>(random.below(1000));
            const std::uint64_t what = random.below(10);
            if (what < 5) {
                run.first = last + 1;
                list.append(run);
                in += run.payload_bytes;
            } else if (what < 7) {
                const std::uint64_t from = random.between(last > 10 ? last - 10 : 1, last + 1);
                list.truncate(from, dropped);
                model.erase(model.lower_bound(from), model.end());
                continue;
            } else if (what < 8) {
                const std::uint64_t through = random.between(1, last);
                list.trim(through, dropped);
                model.erase(model.begin(), model.upper_bound(through));
                continue;
            } else {
                run.first = random.between(1, last + 1);
                list.replace(run, dropped);
                in += run.payload_bytes;
            }
            for (std::uint64_t i = 0; i < run.count; i++) {
                model[run.first + i] = {sequence + i, batch};
            }
            sequence += run.count;
            std::uint64_t kept = 0;
            std::size_t entries = 0;
            for (const log::EntryRun& r : list) {
                kept += r.payload_bytes;
                entries += r.count;
            }
            ASSERT_EQ(kept + out, in);
            ASSERT_EQ(entries, model.size());
            for (std::uint64_t i = 1; i <= last + 6; i++) {
                const log::EntryRun* found = list.find(i);
                ASSERT_EQ(found != nullptr, model.contains(i)) << i;
                if (found != nullptr) {
                    ASSERT_EQ(found->sequence + (i - found->first), model[i].first);
                    ASSERT_EQ(found->place.sequence, model[i].second);
                }
            }
        }
    }
}

}  // namespace
}  // namespace ringfort::test
