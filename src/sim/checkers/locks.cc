#include "sim/checkers/locks.h"

#include <algorithm>

namespace ringfort::sim {

namespace {

std::string describe(const LockClaim& claim) {
    return "client " + std::to_string(claim.client) + " with " + claim.key + ", token " + std::to_string(claim.token) +
           ", from " + std::to_string(claim.from.ns / 1000) + " us to " +
           (claim.until == never ? "the end" : std::to_string(claim.until.ns / 1000) + " us") + ", seen at revision " +
           std::to_string(claim.seen_at);
}

std::string describe(const RecordedKv* first) {
    return first == nullptr ? "nobody is first" : "the first is " + first->key + ", created at " +
                                                      std::to_string(first->create_revision);
}

std::string check_turns(const LockRecords& records, const LockLines& lines) {
    for (const LockClaim& claim : records.claims) {
        const RecordedKv* first = lines.first(claim.name, claim.seen_at);
        const bool known = claim.seen_at <= records.account_through;
        if (known && (first == nullptr || first->key != claim.key || first->create_revision != claim.token)) {
            return "it was not the turn of " + describe(claim) + ": " + describe(first);
        }
    }
    return {};
}

std::string check_one_at_a_time(const LockRecords& records, Duration slack) {
    std::map<std::string, std::vector<const LockClaim*>> by_name;
    for (const LockClaim& claim : records.claims) {
        by_name[claim.name].push_back(&claim);   // in the order of time
    }
    for (const auto& [name, claims] : by_name) {
        for (std::size_t i = 1; i < claims.size(); i++) {
            const LockClaim &before = *claims[i - 1], &after = *claims[i];
            if (after.from + slack < before.until) {
                return "two had the turn at a time: " + describe(before) + "; " + describe(after);
            }
            if (after.token <= before.token) {
                return "turns out of order: " + describe(before) + "; " + describe(after);
            }
        }
    }
    return {};
}

std::string check_guards(const LockRecords& records, const LockLines& lines,
                         const std::deque<RecordedOperation>& operations) {
    for (const GuardedAction& action : records.actions) {
        const RecordedOperation& operation = operations[action.operation];
        if (operation.outcome != Outcome::ok || !operation.succeeded ||
            operation.header.revision > records.account_through) {
            continue;
        }
        const RecordedKv* first = lines.first(action.name, operation.header.revision - 1);
        if (first == nullptr || first->key != action.key || first->create_revision != action.token) {
            return "a write happened outside of its turn: " + describe(first) + "\n  " + describe(operation);
        }
    }
    return {};
}

std::string check_absences(const LockRecords& records) {
    std::map<std::string, std::vector<const LockChange*>> created;
    for (const LockChange& change : records.account) {
        if (!change.removal && change.kv.create_revision == change.revision) {
            created[change.kv.key].push_back(&change);
        }
    }
    for (const LockAbsence& absence : records.absences) {
        const auto& changes = created[absence.key];
        const auto is_ghost = [&](const LockChange* change) {
            return change->revision > absence.left_at && change->told < absence.until;
        };
        const auto ghost = std::ranges::find_if(changes, is_ghost);
        if (ghost != changes.end()) {
            return absence.key + " stands in line from revision " + std::to_string((*ghost)->revision) +
                   " on, for one who had left at revision " + std::to_string(absence.left_at);
        }
    }
    return {};
}

std::string check_proclamations(const LockRecords& records, const LockLines& lines) {
    for (const Proclamation& said : records.proclamations) {
        const RecordedKv* first = lines.first(said.name, said.revision);
        const bool known = said.revision <= records.account_through;
        if (known && (first == nullptr || first->key != said.key || first->mod_revision != said.revision ||
                      first->value != said.value)) {
            return said.key + " proclaimed " + said.value + " at revision " + std::to_string(said.revision) + ": " +
                   describe(first);
        }
    }
    return {};
}

// From the first that it was told on, all that came.
std::string check_tale(const LeaderTale& tale, const LockLines& lines, api::Revision through) {
    const std::string who = "observer of client " + std::to_string(tale.client) + ": ";
    const auto& firsts = lines.history(tale.name);
    const auto is_next = [&](const LockLines::First& one) {
        return !one.kv.key.empty() && one.from > tale.told.front().revision && one.from <= through;
    };
    auto next = firsts.begin();
    for (std::size_t i = 0; i < tale.told.size(); i++) {
        const LeaderTale::Told& told = tale.told[i];
        if (told.revision > through) {
            return {};
        }
        const RecordedKv* first = lines.first(tale.name, told.revision);
        if (first == nullptr || *first != told.leader) {
            return who + "told of " + told.leader.key + "=" + told.leader.value + " at revision " +
                   std::to_string(told.revision) + ": " + describe(first);
        }
        if (i == 0) {
            continue;
        }
        next = std::find_if(next, firsts.end(), is_next);
        if (next == firsts.end() || next->from != told.revision) {
            return who + "told of " + told.leader.key + "=" + told.leader.value + " at revision " +
                   std::to_string(told.revision) + ", and the next leader is of revision " +
                   (next == firsts.end() ? "none" : std::to_string(next->from));
        }
        ++next;
    }
    next = tale.told.empty() ? firsts.end() : std::find_if(next, firsts.end(), is_next);
    return next == firsts.end() || next->from > tale.through
               ? std::string{}
               : who + "not told of " + next->kv.key + " at revision " + std::to_string(next->from);
}

}  // namespace

std::string LockLines::read(const std::vector<LockChange>& account) {
    for (; read_ < account.size(); read_++) {
        if (std::string wrong = take(account[read_]); !wrong.empty()) {
            return wrong;
        }
    }
    return {};
}

std::string LockLines::take(const LockChange& change) {
    const std::size_t slash = change.kv.key.rfind('/');
    if (change.kv.key.find_first_not_of("0123456789abcdef", slash + 1) != std::string::npos) {
        return {};   // a mark of one who left in doubt: in no line
    }
    const std::string name = change.kv.key.substr(0, slash);
    auto& line = lines_[name];
    if (change.removal) {
        line.erase(change.kv.key);
    } else {
        const auto before = line.find(change.kv.key);
        const api::Revision created = before == line.end() ? change.revision : before->second.create_revision;
        if (change.kv.create_revision != created) {
            return change.kv.key + " was created at " + std::to_string(created) + ", and is said at revision " +
                   std::to_string(change.revision) + " to be of " + std::to_string(change.kv.create_revision);
        }
        line[change.kv.key] = change.kv;
    }
    const auto least = std::ranges::min_element(line, {}, [](const auto& one) { return one.second.create_revision; });
    const RecordedKv first = least == line.end() ? RecordedKv{} : least->second;
    auto& firsts = firsts_[name];
    if (firsts.empty() ? !first.key.empty() : firsts.back().kv != first) {
        firsts.push_back({change.revision, first});
    }
    return {};
}

const RecordedKv* LockLines::first(const std::string& name, api::Revision at) const {
    const auto& firsts = history(name);
    const auto behind = std::ranges::upper_bound(firsts, at, {}, &First::from);
    return behind == firsts.begin() || std::prev(behind)->kv.key.empty() ? nullptr : &std::prev(behind)->kv;
}

const std::vector<LockLines::First>& LockLines::history(const std::string& name) const {
    static const std::vector<First> none;
    const auto at = firsts_.find(name);
    return at == firsts_.end() ? none : at->second;
}

std::string check_locks(const LockRecords& records, const std::deque<RecordedOperation>& operations, Duration slack) {
    LockLines lines;
    std::string wrong = lines.read(records.account);
    const auto check = [&wrong](auto&& look) { wrong = wrong.empty() ? look() : wrong; };
    check([&] { return check_turns(records, lines); });
    check([&] { return check_one_at_a_time(records, slack); });
    check([&] { return check_guards(records, lines, operations); });
    check([&] { return check_proclamations(records, lines); });
    check([&] { return check_absences(records); });
    for (const LeaderTale& tale : records.tales) {
        check([&] { return check_tale(tale, lines, records.account_through); });
    }
    return wrong;
}

}  // namespace ringfort::sim
