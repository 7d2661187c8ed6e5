// Paths as prose, so that a test can be made of one.
#include "checker.h"
#include "explorer.h"

#include "base/assertion.h"

namespace ringfort::raft {

namespace {

std::string entries_text(const std::vector<StoredEntry>& entries) {
    std::string out;
    for (const StoredEntry& entry : entries) {
        out += " " + to_text(entry.id) + (entry.kind == EntryKind::command ? "" : " " + std::string(to_string(entry.kind)));
    }
    return out;
}

std::string log_text(const LogView& log) {
    std::string out = "[" + to_text(log.base) + "]";
    for (const LogItem& item : log.items) {
        out += " " + to_text(item.id) + (item.damaged ? "(lost)" : "");
    }
    return out;
}

}  // namespace

std::string to_text(const OwnedMessage& owned) {
    const Message& message = owned.message;
    std::string out = std::string(to_string(message.type)) + " of " + std::to_string(message.from.value) + " in term " +
                      std::to_string(message.term.value);
    if (bool(message.incarnation)) {
        out += ", incarnation " + std::to_string(message.incarnation.value);
    }
    switch (message.type) {
        case MessageType::append:
            return out + ": after " + to_text(message.prev) + entries_text(owned.entries) + ", commit " +
                   std::to_string(message.commit.value) + ", told " + std::to_string(message.hint.index.value);
        case MessageType::append_response:
        case MessageType::snapshot_response:
            return out + (message.reject ? ": rejects " + std::to_string(message.prev.index.value)
                                         : ": has " + std::to_string(message.match.value)) +
                   (message.counts ? "" : ", does not count");
        case MessageType::pre_vote:
        case MessageType::vote: return out + ": last entry " + to_text(message.prev);
        case MessageType::pre_vote_response:
        case MessageType::vote_response: return out + (message.reject ? ": no" : ": yes");
        case MessageType::fetch_response:
        case MessageType::fetch:
            for (const FetchItem& item : owned.fetch) {
                const char* results[] = {"?", "have", "never", "damaged", "compacted"};
                out += " " + to_text(item.id) +
                       (message.type == MessageType::fetch ? "" : " " + std::string(results[static_cast<int>(item.result)]));
            }
            return out;
        case MessageType::timeout_now:
        case MessageType::announce:
        case MessageType::resigned: return out;
    }
    UNREACHABLE();
}

std::string to_text(const Facts& facts) {
    std::string out = "node " + std::to_string(facts.id.value) + ": " + std::string(to_string(facts.role)) + ", term " +
                      std::to_string(facts.term.value) + ", log " + log_text(facts.log) + ", commit " +
                      std::to_string(facts.commit.value) + ", applied " + std::to_string(facts.applied.value);
    if (facts.batches_in_flight > 0) {
        out += ", on disk term " + std::to_string(facts.disk_state.term.value) + " log " + log_text(facts.disk);
    }
    if (bool(facts.disk_state.vote)) {
        out += ", voted for " + std::to_string(facts.disk_state.vote.value) + " in " +
               std::to_string(facts.disk_state.term.value);
    }
    if (bool(facts.incarnation)) {
        out += ", incarnation " + std::to_string(facts.incarnation.value) + (facts.in_doubt ? " in doubt" : "");
    }
    return out;
}

std::string Explorer::tell(const ClusterState& before, Action action) const {
    const std::string node = "node " + std::to_string(action.node + 1);
    const std::string argument = std::to_string(action.argument);
    switch (action.act) {
        case Act::deliver: {
            const Parcel& parcel = replicas_.parcel(action.argument);
            if (parcel.stream) {
                return node + " installs a snapshot of " + to_text(parcel.stream->checkpoint.applied) + " from " +
                       std::to_string(parcel.stream->from.value);
            }
            return node + " receives " + to_text(parcel.owned);
        }
        case Act::write_ends: return node + ": a write ends";
        case Act::elect: return node + " stands";
        case Act::propose: return node + " proposes";
        case Act::crash: {
            const std::size_t in_flight = replicas_.facts(before.replica[action.node]).batches_in_flight;
            return node + " crashes and restarts" +
                   (in_flight == 0 ? "" : ", " + argument + " of " + std::to_string(in_flight) + " writes done");
        }
        case Act::wipe: return node + " loses its store and restarts";
        case Act::forget: return node + " loses its hard state and all but " + argument + " entries, and restarts";
        case Act::damage: return node + " restarts and finds entry " + argument + " lost";
        case Act::rot: return node + " finds entry " + argument + " lost while it runs";
        case Act::transfer: return node + " is to hand over to " + std::to_string(action.argument + 1);
        case Act::change: return node + (action.argument == 0 ? " takes all three in" : " leaves out " + argument);
        case Act::checkpoint: return node + " makes a checkpoint";
        case Act::resign: return node + " hears that it reaches nobody";
        case Act::news: return node + " hears that " + std::to_string(action.argument + 1) + " is back";
        case Act::read: return node + " is asked for a linearizable read";
        case Act::follower_read: return node + " (no leader) is asked for a linearizable read and asks the leader";
        case Act::confirm: return node + " confirms the read's term";
    }
    UNREACHABLE();
}

}  // namespace ringfort::raft
