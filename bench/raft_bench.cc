// What Raft costs a put: a group of three in one thread, each turn proposes a batch, replicates it and commits it. Disks are
// instant and payloads empty, so nothing but the core is measured. Per item: one entry, on the leader and both followers.
#include <benchmark/benchmark.h>

#include <array>
#include <deque>
#include <memory>
#include <vector>

#include "base/assertion.h"
#include "raft/raft.h"

using namespace ringfort;

namespace {

constexpr std::uint32_t payload_bytes = 300;
constexpr std::uint64_t keep_entries = 1 << 16;

class Group {
  public:
    Group() {
        raft::InitialState initial;
        initial.hard_state.term = Term(1);
        initial.hard_state.commit = LogIndex(1);
        initial.snapshot = {Term(1), LogIndex(1)};
        initial.snapshot_configuration.voters = {NodeId(1), NodeId(2), NodeId(3)};
        for (std::uint64_t id = 1; id <= nodes_.size(); id++) {
            raft::Options options;
            options.range = RangeId(1);
            options.self = NodeId(id);
            nodes_[id - 1] = std::make_unique<raft::Raft>(options, initial);
        }
        step(0, raft::ElectionDue{.force = true});
        turn();
        turn();
        ASSERT(leader().is_leader());
    }

    raft::Raft& leader() { return *nodes_[0]; }

    void propose(std::size_t count) {
        for (std::size_t i = 0; i < count; i++) {
            ASSERT(leader().propose({raft::EntryKind::command, payload_bytes, 7}, effects_).has_value());
        }
        collect(0);
    }
    // Until nobody has anything to say.
    void turn() {
        for (;;) {
            for (std::size_t node = 0; node < nodes_.size(); node++) {
                nodes_[node]->flush(effects_);
                collect(node);
                step(node, raft::Durable{nodes_[node]->last(), nodes_[node]->term()});
            }
            if (messages_.empty()) {
                return;
            }
            deliver();   // what was delivered is answered at the receiver's next flush
        }
    }
    // What checkpoints do: memory of terms stays bounded.
    void compact() {
        for (const auto& node : nodes_) {
            if (node->appliable().value > node->snapshot().index.value + keep_entries) {
                node->compact(node->appliable(), node->configuration());
            }
        }
    }

  private:
    void step(std::size_t node, const raft::Event& event) {
        nodes_[node]->step(event, effects_);
        collect(node);
    }
    void collect(std::size_t) {
        for (const auto& messages : {&effects_.send_now, &effects_.send_when_durable}) {
            messages_.insert(messages_.end(), messages->begin(), messages->end());
        }
        effects_.clear();
    }
    void deliver() {
        for (std::size_t count = messages_.size(); count > 0; count--) {
            raft::Message message = messages_.front();
            messages_.pop_front();
            entries_.clear();
            for (std::uint32_t i = 1; i <= message.entry_count; i++) {
                entries_.push_back({{message.term, message.prev.index.plus(i)}, raft::EntryKind::command, 7, {}});
            }
            message.entries = entries_;
            step(message.to.value - 1, raft::MessageReceived{&message});
        }
    }

    std::array<std::unique_ptr<raft::Raft>, 3> nodes_;
    raft::Effects effects_;
    std::deque<raft::Message> messages_;
    std::vector<raft::Entry> entries_;
};

void replicate(benchmark::State& state) {
    Group group;
    const auto batch = static_cast<std::size_t>(state.range(0));
    for (auto _ : state) {
        group.propose(batch);
        group.turn();
        group.compact();
    }
    ASSERT(group.leader().commit() == group.leader().last().index);
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(batch));
}
BENCHMARK(replicate)->Arg(1)->Arg(16)->Arg(64)->Arg(256);

}  // namespace
