#include "sim/checkers/entry_book.h"

#include <algorithm>
#include <bit>

#include "base/assertion.h"

namespace ringfort::sim {

namespace {

// Where every range begins.
constexpr raft::EntryId founding{Term(1), LogIndex(1)};

std::string name(RangeId range, raft::EntryId id) {
    return "range " + std::to_string(range.value) + ", entry " + std::to_string(id.index.value) + " of term " +
           std::to_string(id.term.value);
}

}  // namespace

std::string EntryBook::on_founded(RangeId range, raft::EntryId state) {
    Range& book = ranges_[range];
    if (!book.first) {
        book.first = state.index;
        book.committed.push_back({state.term, 0});
    }
    const auto known = committed_term(range, state.index);
    return known == state.term ? std::string{} : name(range, state) + ": the range was founded twice";
}

std::string EntryBook::check_same(RangeId range, const StoredEntry& entry, const Version& known) {
    if (known.checksum != entry.checksum) {
        return name(range, entry.id) + " is not the same in every log: two payloads";
    }
    if (known.before && entry.before && known.before != entry.before) {
        return name(range, entry.id) + " follows an entry of term " + std::to_string(known.before.value) +
               " in one log, and of term " + std::to_string(entry.before.value) + " in another";
    }
    return {};
}

std::string EntryBook::on_durable(std::size_t node, RangeId range, const StoredEntry& entry, bool counts) {
    ASSERT(node < nodes_max && entry.id.index > LogIndex(0));
    Range& book = ranges_[range];
    if (!book.first) {
        return name(range, entry.id) + ": a log of a range that was never founded";
    }
    if (entry.id.index <= book.through()) {
        return on_old(book, range, entry);
    }
    const std::uint64_t place = distance(book.through(), entry.id.index) - 1;
    if (place >= book.open.size()) {
        book.open.resize(place + 1);
    }
    auto& versions = book.open[place];
    auto found = std::ranges::find(versions, entry.id.term, &Version::term);
    if (found == versions.end()) {
        versions.push_back({entry.id.term, entry.before, entry.checksum, 0});
        found = std::prev(versions.end());
    }
    found->before = found->before ? found->before : entry.before;
    (counts ? found->nodes : found->doubtful) |= 1u << node;
    return check_same(range, entry, *found);
}

void EntryBook::on_fence(std::size_t node, RangeId range, raft::EntryId fence) {
    ASSERT(node < nodes_max);
    ranges_[range].fences[node] = fence;
}

void EntryBook::on_move(std::size_t node) {
    ASSERT(node < nodes_max);
    moved_ |= 1u << node;
}

// A fence before the entry, in the same log, is committed if the entry is; whether rightly is asked when its turn comes.
std::size_t EntryBook::durable_on(const Range& book, const Version& version, LogIndex index) const {
    std::uint32_t nodes = version.nodes | moved_;
    for (std::size_t node = 0; node < nodes_max; node++) {
        const raft::EntryId fence = book.fences[node];
        if (fence.index > LogIndex{} && fence.index < index && fence.term <= version.term) {
            nodes |= version.doubtful & 1u << node;
        }
    }
    return static_cast<std::size_t>(std::popcount(nodes));
}

// If no log says what it follows, the newest that was found there.
Term EntryBook::before(const Range& book, const Version& version, LogIndex index) {
    const LogIndex former = index.prev();
    if (version.before || former <= book.through()) {
        return version.before ? version.before : book.committed.back().term;
    }
    const auto& versions = book.open[distance(book.through(), former) - 1];
    return versions.empty() ? Term{} : versions.back().term;
}

std::string EntryBook::on_old(Range& book, RangeId range, const StoredEntry& entry) {
    if (entry.id.index < book.first) {
        return {};
    }
    const std::uint64_t place = distance(book.first, entry.id.index);
    const Committed& committed = book.committed[place];
    if (committed.term == entry.id.term && place > 0) {
        return check_same(range, entry, {committed.term, book.committed[place - 1].term, committed.checksum, 0});
    }
    const auto [known, added] =
        book.stale.emplace(entry.id, Version{entry.id.term, entry.before, entry.checksum, 0});
    return check_same(range, entry, known->second);
}

std::string EntryBook::on_commit(RangeId range, raft::EntryId id) {
    Range& book = ranges_[range];
    if (!book.first && id == founding) {
        return {};   // it stands for no entry, and is on its way to the disks
    }
    if (!book.first) {
        return name(range, id) + " is called committed in a range that was never founded";
    }
    if (id.index <= book.through()) {
        const auto known = committed_term(range, id.index);
        return !known || *known == id.term ? std::string{}
                                           : name(range, id) + " is called committed, where one of term " +
                                                 std::to_string(known->value) + " was";
    }
    // From the newest back to what was committed before, by the term that each entry follows.
    std::vector<Term> terms(distance(book.through(), id.index));
    Term term = id.term;
    for (std::size_t i = terms.size(); i > 0; i--) {
        const raft::EntryId at{term, book.through().plus(i)};
        const std::vector<Version> none;
        const auto& versions = i <= book.open.size() ? book.open[i - 1] : none;
        const auto found = std::ranges::find(versions, term, &Version::term);
        if (found == versions.end()) {
            return name(range, at) + " is called committed, and no node's disk ever had it";
        }
        const std::size_t durable = durable_on(book, *found, at.index);
        if (durable < quorum_) {
            return name(range, at) + " is called committed, and was never durable on more than " + std::to_string(durable) +
                   " nodes that count";
        }
        terms[i - 1] = term;
        term = before(book, *found, at.index);
    }
    if (term != book.committed.back().term) {
        return name(range, id) + " is called committed, and its log has an entry of term " + std::to_string(term.value) +
               " where one of term " + std::to_string(book.committed.back().term.value) + " was committed";
    }
    settle(book, terms);
    return {};
}

// The next entries, of these terms, are committed; what else was found at their indices is stale.
void EntryBook::settle(Range& book, const std::vector<Term>& terms) {
    for (const Term term : terms) {
        const LogIndex index = book.through().next();
        for (const Version& version : book.open.front()) {
            if (version.term == term) {
                book.committed.push_back({version.term, version.checksum});
            } else {
                book.stale.emplace(raft::EntryId{version.term, index}, version);
            }
        }
        book.open.pop_front();
    }
}

std::string EntryBook::on_lost(std::size_t node, RangeId range, raft::EntryId id) const {
    if (committed_term(range, id.index) != id.term) {
        return {};
    }
    return name(range, id) + " was committed, and is gone from the log of node " + std::to_string(node + 1);
}

std::string EntryBook::on_covered(RangeId range, raft::EntryId id) const {
    const auto known = committed_term(range, id.index);
    if (known == id.term) {
        return {};
    }
    return name(range, id) + (known ? ": a checkpoint stands for another entry than was committed"
                                    : ": a checkpoint stands for what was never committed");
}

std::string EntryBook::on_leader(RangeId range, Term term, std::optional<Term> term_at) const {
    const LogIndex index = committed(range);
    const auto known = committed_term(range, index);
    if (!known || *known > term || term_at == known) {
        return {};   // one of an older term than what is committed need not have it, and can commit nothing
    }
    return name(range, {*known, index}) + " was committed, and the leader of term " + std::to_string(term.value) +
           (term_at ? " has one of term " + std::to_string(term_at->value) : " has none");
}

LogIndex EntryBook::committed(RangeId range) const {
    const auto found = ranges_.find(range);
    return found == ranges_.end() || !found->second.first ? LogIndex{} : found->second.through();
}

std::optional<Term> EntryBook::committed_term(RangeId range, LogIndex index) const {
    const auto found = ranges_.find(range);
    if (found == ranges_.end() || !found->second.first || index < found->second.first ||
        index > found->second.through()) {
        return std::nullopt;
    }
    return found->second.committed[distance(found->second.first, index)].term;
}

}  // namespace ringfort::sim
