// Damaged entries: the payload is lost, the id is known, and so is the checksum, unless the place where it stood was lost
// as well while the node ran. Then the id alone says which entry it is: in a term only its one leader gives out indices,
// each once, so that logs that agree in (term, index) agree in the entry (Raft 5.3, Log Matching). The promises of such a
// replica hold: it votes with its true last entry and acknowledges; it applies, and as a leader sends, nothing past the
// damage until a peer has given the payload back.
//
// Dropping: if a quorum answers that it never had the entry, it was not committed, and it will not be by an older
// leader, because who answers has taken this leader's term and refuses older ones. (A replica in doubt may have
// forgotten: it cannot say never.) The leader then gives up its log from there on. Not as the leader of this term,
// though: followers may hold its entries of this term at the same places. It steps down, truncates, and stands again in
// a new term.
#include <algorithm>

#include "base/assertion.h"
#include "base/mark.h"
#include "base/mutant.h"
#include "raft/core.h"
#include "raft/quorum.h"

namespace ringfort::raft {
namespace {

constexpr std::size_t fetch_items_max = 16;

}  // namespace

void Core::maybe_fetch(Effects& out) {
    const bool all_found = std::all_of(damage.begin(), damage.end(), [](const DamagedEntry& entry) { return entry.found; });
    if (bool(search.outstanding) || all_found) {
        return;
    }
    const NodeId node = whom_to_ask();
    if (!node) {
        maybe_give_way(out);
        return;
    }
    if (search.passing != node) {
        search.passing = node;
        search.asked_through = LogIndex{};
    }
    std::vector<FetchItem> items;
    for (auto entry = damage.after(search.asked_through); entry != damage.end() && items.size() < fetch_items_max; ++entry) {
        if (!entry->found) {
            items.push_back({.id = entry->id, .checksum = entry->checksum.value_or(0), .result = FetchResult::never});
        }
    }
    if (items.empty()) {
        MARK("a peer was asked for every damaged entry");
        search.asked.push_back(node);  // it was asked for everything
        maybe_fetch(out);
        return;
    }
    search.outstanding = node;
    search.question = search.question.next();
    out.own_fetch_items.push_back(std::move(items));
    Message message = make(MessageType::fetch, node);
    message.prev.index = search.question;
    message.fetch = out.own_fetch_items.back();
    send_when_durable(message, out);
}

// A follower asks its leader first, then like a leader everybody: also the voters of the time, whom a later configuration
// may have left out. They may be the only ones to have the entry.
NodeId Core::whom_to_ask() const {
    if (!leader_alive()) {
        return NodeId{};
    }
    if (leader != options.self && !search.has_asked(leader)) {
        return leader;
    }
    const auto concerns = [&](const Progress& peer) {
        return peer.member || std::any_of(damage.begin(), damage.end(), [&](const DamagedEntry& entry) {
                   return configurations.at(entry.id.index).is_voter(peer.node);
               });
    };
    for (const Progress& peer : peers) {
        if (peer.alive && concerns(peer) && !search.has_asked(peer.node)) {
            return peer.node;
        }
    }
    return NodeId{};
}

void Core::on_fetch(const Message& message, Effects& out) {
    std::vector<FetchItem> items;
    std::uint32_t have_count = 0;
    bool needs_snapshot = false;
    for (FetchItem item : message.fetch.first(std::min(message.fetch.size(), fetch_items_max))) {
        item.result = lookup(item);
        have_count += item.result == FetchResult::have ? 1 : 0;
        needs_snapshot = needs_snapshot || item.result == FetchResult::compacted;
        items.push_back(item);
    }
    out.own_fetch_items.push_back(std::move(items));
    Message response = make(MessageType::fetch_response, message.from);
    response.prev.index = message.prev.index;
    response.fetch = out.own_fetch_items.back();
    response.entry_count = have_count;
    send_when_durable(response, out);
    Progress* peer = peers.find(message.from);
    if (role == Role::leader && needs_snapshot && peer != nullptr && peer->member && peer->state != Replication::snapshot) {
        MARK("damaged entry is compacted at the leader");
        out.need_snapshot.push_back(peer->node);   // beside the entries, which it can take all the while
    }
}

FetchResult Core::lookup(const FetchItem& item) {
    if (item.id.index <= log.snapshot().index) {
        return FetchResult::compacted;
    }
    if (log.holds(item.id)) {
        return damage.find(item.id.index) == nullptr ? FetchResult::have : FetchResult::damaged;
    }
    return hard_state.in_doubt ? FetchResult::damaged : FetchResult::never;
}

void Core::on_fetch_response(const Message& message, Effects& out) {
    // A late answer, or a repeated one, says nothing of what is sought now; what it brings is welcome all the same.
    const bool awaited = message.from == search.outstanding && message.prev.index == search.question;
    for (const FetchItem& item : message.fetch) {
        DamagedEntry* entry = damage.find(item.id.index);
        if (entry == nullptr || entry->id != item.id || entry->checksum.value_or(0) != item.checksum || entry->found ||
            (!awaited && item.result != FetchResult::have)) {
            continue;
        }
        switch (item.result) {
            case FetchResult::have: take_found(*entry, message, out); break;
            case FetchResult::never:
                if (message.counts && std::find(entry->never.begin(), entry->never.end(), message.from) ==
                                          entry->never.end()) {
                    entry->never.push_back(message.from);
                }
                break;
            case FetchResult::damaged: break;
            case FetchResult::compacted: search.compacted.push_back(message.from); break;
        }
    }
    if (!awaited) {
        return;
    }
    search.outstanding = NodeId{};
    if (message.fetch.empty()) {
        search.asked.push_back(message.from);
    } else {
        search.asked_through = std::max(search.asked_through, message.fetch.back().id.index);
    }
    maybe_drop_damaged(out);
}

void Core::take_found(DamagedEntry& damaged, const Message& message, Effects& out) {
    for (const Entry& entry : message.entries) {
        const bool differs = damaged.checksum && (entry.checksum != *damaged.checksum || entry.kind != damaged.kind);
        if (entry.id != damaged.id || differs) {
            continue;
        }
        if (entry.kind == EntryKind::config && !decode(entry.payload, damaged.configuration)) {
            return;
        }
        if (entry.kind == EntryKind::fence && !decode(entry.payload, damaged.fence)) {
            return;
        }
        damaged.kind = entry.kind;
        damaged.found = true;
        MARK("damaged entry found at a peer");
        out.repaired.push_back(entry);
        return;
    }
}

// The answer may have found no room in this log when it came, or its sender none to send it.
void Core::on(const FetchOverdue&, Effects&) {
    if (bool(search.outstanding) && search.overdue == search.question) {
        MARK("question for damaged entries is asked again");
        search.ask_again(search.outstanding);
    } else if (search.overdue == search.question) {
        MARK("everybody is asked for damaged entries again");
        search.clear();   // what came of their answers, a snapshot on its way perhaps, may have failed
    }
    search.overdue = search.question;
}

void Core::on(const EntryLost& event, Effects&) {
    if (event.id.index <= log.snapshot().index || !log.holds(event.id) || damage.find(event.id.index) != nullptr) {
        return;  // overwritten or compacted since, or known
    }
    MARK("entry lost while running");
    damage.add({.id = event.id, .checksum = event.checksum, .kind = event.kind, .known = true, .found = false,
                .configuration = {}, .fence = {}, .never = {}});
    search.clear();
}

void Core::on(const EntryRepaired& event, Effects& out) {
    const DamagedEntry* entry = damage.find(event.index);
    if (entry == nullptr) {
        return;  // overwritten or compacted since
    }
    ASSERT(entry->found);
    if (entry->kind == EntryKind::config) {
        MARK("damaged configuration repaired");
        configurations.insert(event.index, entry->configuration);
        sync_configuration(out);
    } else if (entry->kind == EntryKind::fence) {
        MARK("damaged fence repaired");
        fences.insert(event.index, entry->fence);
    }
    const LogIndex before = appliable();
    damage.erase(event.index);
    if (appliable() > before) {
        out.committed = true;
    }
    appends_due = true;
    maybe_end_doubt(out);
}

void Core::maybe_drop_damaged(Effects& out) {
    if (role != Role::leader) {
        return;
    }
    LogIndex from{};
    for (const DamagedEntry& entry : damage) {
        const auto says_never = [&](NodeId node) {
            return std::find(entry.never.begin(), entry.never.end(), node) != entry.never.end();
        };
        const bool never = is_quorum(configurations.current(), says_never) &&
                           is_quorum(configurations.at(entry.id.index), says_never);
        if (entry.id.index > hard_state.commit && (never || (MUTANT(one_never_drops) && !entry.never.empty()))) {
            from = entry.id.index;
            break;
        }
    }
    if (!from) {
        return;
    }
    MARK("damaged entries dropped: a quorum never had them");
    become_follower(hard_state.term, NodeId{}, out);
    truncate(from, out);
    if (may_campaign()) {
        start_election(false, out);
    }
}

// Everybody was asked, and some have the entry only in their checkpoints: led by one of them, this replica gets a
// snapshot. By the farthest: a lesser one might need entries that cannot be read here before it can take over.
void Core::maybe_give_way(Effects& out) {
    if (role != Role::leader || bool(transferee)) {
        return;
    }
    const Progress* best = nullptr;
    for (const NodeId node : search.compacted) {
        const Progress* peer = peers.find(node);
        const bool eligible = configurations.current().is_voter(node) && peer->alive && peer->counted();
        if (eligible && (best == nullptr || peer->match > best->match)) {
            best = peer;
        }
    }
    if (best != nullptr) {
        MARK("leader gives way to whoever has a checkpoint");
        on(TransferLeadership{.target = best->node}, out);
    }
}

}  // namespace ringfort::raft
