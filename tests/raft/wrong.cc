// Planted mistakes: most as a hook between the core and who carries out its effects, the rest where their scope is used.
#include "base/assertion.h"
#include "inside.h"
#include "raft/quorum.h"
#include "replica_states.h"

namespace ringfort::raft {

namespace {

constexpr Wrong wrongs[] = {
    Wrong::commits_older_terms_by_count, Wrong::speaks_before_durable, Wrong::forgets_votes, Wrong::forgets_wipe,
    Wrong::counts_before_fence, Wrong::fence_need_not_be_committed, Wrong::reads_before_noop, Wrong::reads_unconfirmed,
};

void commit_by_count(Core& core, Effects& out) {
    if (core.role != Role::leader) {
        return;
    }
    const LogIndex index = quorum_index(core.configurations.current(), [&](NodeId node) {
        const Progress* peer = core.peers.find(node);
        return node == core.options.self ? core.durable : peer != nullptr && peer->counted() ? peer->match : LogIndex{};
    });
    if (index > core.hard_state.commit) {
        core.hard_state.commit = index;
        core.on_commit_moved(out);
    }
}

void speak_early(Core&, Effects& out) {
    out.send_now.insert(out.send_now.end(), out.send_when_durable.begin(), out.send_when_durable.end());
    out.send_when_durable.clear();
}

void end_doubt(Core& core, Effects& out) {
    if (core.hard_state.in_doubt) {
        core.hard_state.in_doubt = false;
        core.persist_hard_state(out);
    }
}

void end_doubt_at_leaders_word(Core& core, Effects& out) {
    if (bool(core.leader)) {
        end_doubt(core, out);
    }
}

void end_doubt_at_fence(Core& core, Effects& out) {
    if (core.fences.find(core.options.self, core.hard_state.incarnation, LogIndex{})) {
        end_doubt(core, out);
    }
}

}  // namespace

std::span<const Wrong> all_wrongs() { return wrongs; }

std::function<void(Core&, Effects&)> planted(Wrong wrong) {
    switch (wrong) {
        case Wrong::commits_older_terms_by_count: return commit_by_count;
        case Wrong::speaks_before_durable: return speak_early;
        case Wrong::counts_before_fence: return end_doubt_at_leaders_word;
        case Wrong::fence_need_not_be_committed: return end_doubt_at_fence;
        case Wrong::none:
        case Wrong::forgets_votes:
        case Wrong::forgets_wipe:
        case Wrong::reads_before_noop:
        case Wrong::reads_unconfirmed: return {};
    }
    UNREACHABLE();
}

std::string_view to_string(Wrong wrong) {
    switch (wrong) {
        case Wrong::none: return "none";
        case Wrong::commits_older_terms_by_count: return "commits_older_terms_by_count";
        case Wrong::speaks_before_durable: return "speaks_before_durable";
        case Wrong::forgets_votes: return "forgets_votes";
        case Wrong::forgets_wipe: return "forgets_wipe";
        case Wrong::counts_before_fence: return "counts_before_fence";
        case Wrong::fence_need_not_be_committed: return "fence_need_not_be_committed";
        case Wrong::reads_before_noop: return "reads_before_noop";
        case Wrong::reads_unconfirmed: return "reads_unconfirmed";
    }
    UNREACHABLE();
}

}  // namespace ringfort::raft
