// Any bytes as a checkpoint: loading is total, and what loads is a store that works and writes the same checkpoint again.
//
// Input: one byte of switches. By switch 1 the rest is the stream as it stands. Else it is the stream of items without
// the end: it is cut into blocks with right checksums and gets the end that fits, so that the items lie and not the
// frame.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/assertion.h"
#include "base/checksum.h"
#include "kv/checkpoint_format.h"
#include "kv/store.h"

using namespace ringfort;
using namespace ringfort::kv::checkpoint;

namespace {

class Framer {
  public:
    void block(Bytes payload) {
        const std::uint64_t sum = checksum(payload, number_);
        std::byte head[block_head_bytes];
        store(head, static_cast<std::uint32_t>(payload.size()));
        store(head + 4, number_++);
        store(head + 8, sum);
        out.insert(out.end(), head, head + sizeof(head));
        out.insert(out.end(), payload.begin(), payload.end());
        content_ = chain_content(content_, sum);
    }
    void end(std::uint64_t keys, std::uint64_t versions) {
        std::byte fields[end_bytes];
        fields[0] = static_cast<std::byte>(ItemKind::end);
        store(fields + 1, keys);
        store(fields + 9, versions);
        store(fields + 17, content_);
        block(fields);
    }

    std::vector<std::byte> out;

  private:
    std::uint32_t number_{0};
    std::uint64_t content_{0};
};

struct Counts {
    std::uint64_t keys{0};
    std::uint64_t versions{0};
};

// Of a well-formed list of items; of any other whatever comes out.
Counts count_items(Bytes items) {
    Counts out;
    std::size_t at = std::min(head_bytes, items.size());
    while (at < items.size()) {
        const auto kind = static_cast<ItemKind>(items[at]);
        if (kind == ItemKind::leases || kind == ItemKind::lease || kind == ItemKind::alarm) {
            at += kind == ItemKind::leases ? leases_bytes : kind == ItemKind::lease ? lease_bytes : alarm_item_bytes;
            continue;
        }
        const bool key = kind == ItemKind::key;
        const std::size_t fixed = key ? key_fixed_bytes : version_fixed_bytes;
        if ((!key && kind != ItemKind::version) || items.size() - at < fixed) {
            break;
        }
        at += fixed + load<std::uint32_t>(items.data() + at + fixed - 4);
        (key ? out.keys : out.versions)++;
    }
    return out;
}

std::vector<std::byte> framed(Bytes items, std::size_t block_bytes) {
    Framer framer;
    for (std::size_t at = 0; at < items.size(); at += block_bytes) {
        framer.block(items.subspan(at, std::min(block_bytes, items.size() - at)));
    }
    const Counts counts = count_items(items);
    framer.end(counts.keys, counts.versions);
    return framer.out;
}

bool load_into(kv::Store& store, Bytes stream) {
    const auto reader = store.load_checkpoint();
    while (!stream.empty()) {
        WorkBudget budget{3, 64};
        std::size_t consumed = 0;
        if (!reader->feed(stream.first(std::min<std::size_t>(stream.size(), 100)), budget, consumed)) {
            return false;
        }
        stream = stream.subspan(consumed);
    }
    return reader->finish();
}

std::vector<std::byte> written(kv::Store& store) {
    const auto writer = store.open_checkpoint();
    std::vector<std::byte> out;
    for (;;) {
        std::byte piece[4096];
        WorkBudget budget{16, 1024};
        const auto [bytes, step] = writer->next(piece, budget);
        out.insert(out.end(), piece, piece + bytes);
        if (step == kv::Step::done) {
            return out;
        }
    }
}

void use(kv::Store& store) {
    const kv::CommandBody bodies[] = {api::PutRequest{.key = "a", .value = "v"},
                                      api::DeleteRangeRequest{.key = "b", .range_end = "k"},
                                      api::CompactRequest{store.revision(), false}};
    LogIndex index = store.applied();
    for (const kv::CommandBody& body : bodies) {
        std::vector<std::byte> bytes(kv::command_bytes(body));
        kv::encode_command(bytes, {}, body);
        index = index.next();
        store.begin(bytes, checksum(bytes), index, nullptr);
        WorkBudget budget{2, 64};
        while (store.step(budget) == kv::Step::more) {
            budget = {2, 64};
        }
    }
    while (store.compaction_pending()) {
        WorkBudget budget{2, 64};
        store.compact_step(budget);
    }
    store.check_invariants();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const Bytes rest = Bytes(reinterpret_cast<const std::byte*>(data), size).subspan(1);
    std::vector<std::byte> stream(rest.begin(), rest.end());
    if ((data[0] & 1) == 0) {
        stream = framed(rest, std::size_t{data[0]} * 4 + 8);
    }
    kv::Store loaded({RangeId(1), 1});
    if (!load_into(loaded, stream)) {
        return 0;
    }
    loaded.check_invariants();
    const std::vector<std::byte> once = written(loaded);
    kv::Store again({RangeId(1), 2});
    ASSERT(load_into(again, once));
    ASSERT(written(again) == once);
    ASSERT(again.hash() == loaded.hash() && again.key_count() == loaded.key_count());
    use(loaded);
    return 0;
}
