// What a log must hold: the plain history of each range, batch by batch. Compared with what recovery reports.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/prng.h"
#include "log_harness.h"

namespace ringfort::test {

struct ModelEntry {
    std::uint64_t term{0};
    std::string payload;
    bool operator==(const ModelEntry&) const = default;
};

struct ModelReplica {
    raft::HardState hard_state;
    std::uint64_t checkpoint_index{1};
    std::uint64_t checkpoint_term{1};
    std::map<std::uint64_t, ModelEntry> entries;
    bool operator==(const ModelReplica&) const = default;

    std::uint64_t last() const { return entries.empty() ? checkpoint_index : entries.rbegin()->first; }
    std::uint64_t last_term() const { return entries.empty() ? checkpoint_term : entries.rbegin()->second.term; }
};

using Model = std::map<std::uint64_t, ModelReplica>;

// Drives a harness with random records and keeps the model of every batch.
class ModelLog {
  public:
    LogHarness h;
    Model now;
    std::map<std::uint64_t, Model> by_batch;   // as of the end of each batch that was open
    std::size_t payload_bytes_max{300};
    std::uint64_t ranges{4};

    explicit ModelLog(std::uint64_t seed) : random(seed) {}
    Prng random;

    void act() {
        const std::uint64_t range = random.between(1, ranges);
        if (!now.contains(range)) {
            create(range);
        } else {
            change(range);
        }
        by_batch[h.log->open_batch()] = now;
    }

    // What recovery found, as a model. Payloads are read back through the log; ids and checksums are compared on the way.
    Model recovered(bool read_payloads) {
        Model out;
        for (const FoundReplica& f : h.found) {
            ModelReplica& r = out[f.replica.range.value];
            r.hard_state = f.replica.hard_state;
            if (!f.replica.damaged.empty() || f.replica.promises_in_doubt) {
                for (const auto& note : h.notes) {
                    std::fprintf(stderr, "%s\n", note.c_str());
                }
            }
            ASSERT(f.replica.checkpoint && f.replica.damaged.empty() && !f.replica.promises_in_doubt);
            r.checkpoint_index = f.replica.checkpoint->applied.index.value;
            r.checkpoint_term = f.replica.checkpoint->applied.term.value;
            for (const raft::Entry& entry : f.replica.entries) {
                r.entries[entry.id.index.value] = {entry.id.term.value, std::to_string(entry.checksum)};
            }
            if (read_payloads && !r.entries.empty()) {
                std::uint64_t index = r.entries.begin()->first;
                const auto texts = h.read(f.replica.range.value, index, r.last(), 64 * mib);
                ASSERT(texts.size() == r.entries.size());
                for (const std::string& text : texts) {
                    ASSERT(r.entries[index].payload == std::to_string(checksum(as_bytes(text))));
                    index++;
                }
            }
        }
        return out;
    }
    // The batch whose model is what was found; 0: none that may be.
    std::uint64_t match(std::uint64_t durable, bool read_payloads) {
        const Model found = recovered(read_payloads);
        std::uint64_t oldest_allowed = 0;
        for (const auto& [batch, model] : by_batch) {
            oldest_allowed = batch <= durable ? batch : oldest_allowed;
        }
        for (const auto& [batch, model] : by_batch) {
            if (batch >= oldest_allowed && with_checksums(model) == found) {
                return batch;
            }
        }
        return 0;
    }
    // Goes on from what was found.
    void go_on_from(std::uint64_t batch) {
        now = by_batch.at(batch);
        by_batch.clear();
        by_batch[h.log->durable()] = now;
    }

  private:
    static Model with_checksums(const Model& model) {
        Model out = model;
        for (auto& [range, replica] : out) {
            for (auto& [index, entry] : replica.entries) {
                entry.payload = std::to_string(checksum(as_bytes(entry.payload)));
            }
        }
        return out;
    }
    void create(std::uint64_t range) {
        h.create(range);
        ModelReplica& r = now[range];
        r.hard_state.term = Term(1);
        r.hard_state.incarnation = Incarnation(1);
    }
    void change(std::uint64_t range) {
        ModelReplica& r = now[range];
        const std::uint64_t what = random.below(100);
        if (what < 60) {
            append(range, r);
        } else if (what < 75) {
            r.hard_state.term = r.hard_state.term.next();
            r.hard_state.vote = NodeId(random.between(1, 3));
            h.log->append_hard_state(RangeId(range), r.hard_state);
        } else if (what < 83 && r.last() > r.checkpoint_index) {
            const std::uint64_t from = random.between(r.checkpoint_index + 1, r.last());
            h.log->append_truncate(RangeId(range), LogIndex(from));
            r.entries.erase(r.entries.lower_bound(from), r.entries.end());
            r.hard_state.term = r.hard_state.term.next();
            h.log->append_hard_state(RangeId(range), r.hard_state);
        } else if (what < 93 && r.last() > r.checkpoint_index) {
            checkpoint(range, r);
        } else if (what < 96) {
            const std::uint64_t at = r.last() + random.between(1, 20);
            h.log->append_snapshot_installed(RangeId(range), LogHarness::checkpoint_at(r.hard_state.term.value, at));
            r.entries.clear();
            r.checkpoint_index = at;
            r.checkpoint_term = r.hard_state.term.value;
        } else if (what < 98) {
            h.log->append_removed(RangeId(range));
            now.erase(range);
        }
    }
    void append(std::uint64_t range, ModelReplica& r) {
        for (std::uint64_t n = random.between(1, 4); n > 0; n--) {
            std::string payload(random.below(payload_bytes_max), ' ');
            for (char& c : payload) {
                c = static_cast<char>('a' + random.below(26));
            }
            if (!h.log->can_append(payload.size())) {
                return;
            }
            h.append(range, r.hard_state.term.value, r.last() + 1, payload);
            r.entries[r.last() + 1] = {r.hard_state.term.value, payload};
        }
    }
    void checkpoint(std::uint64_t range, ModelReplica& r) {
        const std::uint64_t at = random.between(r.checkpoint_index + 1, r.last());
        const std::uint64_t term = r.entries.at(at).term;
        h.checkpoint(range, term, at);
        r.entries.erase(r.entries.begin(), r.entries.upper_bound(at));
        r.checkpoint_index = at;
        r.checkpoint_term = term;
    }
};

}  // namespace ringfort::test
