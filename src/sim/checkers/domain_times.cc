#include "sim/checkers/domain_times.h"

#include <algorithm>

namespace ringfort::sim {

namespace {

StepKind kind_of(const RecordedOperation& operation) {
    return operation.transaction || operation.success.empty() ? StepKind::put : operation.success[0].kind;
}

// Whether its answer says that something was committed for it.
bool was_committed(const RecordedOperation& operation) {
    const StepKind kind = kind_of(operation);
    return operation.modified() || kind == StepKind::grant || kind == StepKind::keep_alive || kind == StepKind::revoke;
}

}  // namespace

bool is_confirmed(const RecordedOperation& operation) {
    const StepKind kind = kind_of(operation);
    return operation.outcome == Outcome::ok && !operation.serializable && kind != StepKind::hash &&
           kind != StepKind::compact && kind != StepKind::disarm;
}

DomainTimes::DomainTimes(std::span<const RecordedOperation* const> operations,
                         std::span<const RecordedWatch* const> watches) {
    for (const auto* operation : operations) {
        if (operation->outcome == Outcome::ok) {
            heard_.push_back({operation->header.revision, operation->completed});
        }
        if (is_confirmed(*operation)) {
            not_yet_.push_back({operation->header.revision, operation->invoked});
        }
    }
    for (const RecordedWatch* watch : watches) {
        for (const WatchTold& told : watch->told) {
            if (told.revision > 0 && told.kind != WatchTold::Kind::ended) {
                heard_.push_back({told.revision, told.at});
            }
        }
    }
    std::ranges::sort(heard_, {}, &At::revision);
    for (std::size_t i = heard_.size(); i-- > 1;) {
        heard_[i - 1].time = std::min(heard_[i - 1].time, heard_[i].time);
    }
    std::ranges::sort(not_yet_, {}, &At::revision);
    for (std::size_t i = 1; i < not_yet_.size(); i++) {
        not_yet_[i].time = std::max(not_yet_[i].time, not_yet_[i - 1].time);
    }
    find_stalls(operations);
    find_terms(operations);
}

// Once nobody writes any more, what reads are told is all there is.
void DomainTimes::find_stalls(std::span<const RecordedOperation* const> operations) {
    std::vector<Instant> commits, reads;
    for (const auto* operation : operations) {
        if (is_confirmed(*operation)) {
            (was_committed(*operation) ? commits : reads).push_back(operation->completed);
        }
    }
    std::ranges::sort(commits);
    std::ranges::sort(reads);
    const auto later = std::ranges::upper_bound(reads, commits.empty() ? Instant{0} : commits.back());
    commits.insert(commits.end(), later, reads.end());
    for (std::size_t i = 1; i < commits.size(); i++) {
        if (commits[i] - commits[i - 1] > stall_min) {
            stalls_.push_back({commits[i - 1], commits[i]});
        }
    }
}

void DomainTimes::find_terms(std::span<const RecordedOperation* const> operations) {
    std::vector<TermAt> all;
    for (const auto* operation : operations) {
        if (operation->outcome == Outcome::ok) {
            all.push_back({operation->completed, operation->header.raft_term.value});
        }
    }
    std::ranges::sort(all, {}, &TermAt::time);
    for (const TermAt& one : all) {
        if (terms_.empty() || one.term > terms_.back().term) {
            terms_.push_back(one);
        }
    }
}

Instant DomainTimes::heard_of(api::Revision revision) const {
    const auto found = std::ranges::lower_bound(heard_, revision, {}, &At::revision);
    return found == heard_.end() ? never : found->time;
}

Instant DomainTimes::not_yet(api::Revision revision) const {
    const auto behind = std::ranges::lower_bound(not_yet_, revision, {}, &At::revision);
    return behind == not_yet_.begin() ? Instant{0} : std::prev(behind)->time;
}

Duration DomainTimes::stalled(Instant from, Instant to) const {
    Duration sum{0};
    const auto first = std::ranges::lower_bound(stalls_, from, {}, &Stall::end);
    for (auto it = first; it != stalls_.end() && it->begin < to; ++it) {
        sum += std::min(to, it->end) - std::max(from, it->begin);
    }
    return sum;
}

std::int64_t DomainTimes::terms(Instant from, Instant to) const {
    const auto known_by = [&](Instant time) -> std::uint64_t {
        const auto behind = std::ranges::upper_bound(terms_, time, {}, &TermAt::time);
        return behind == terms_.begin() ? (terms_.empty() ? 0 : terms_.front().term) : std::prev(behind)->term;
    };
    return from < to ? static_cast<std::int64_t>(known_by(to) - known_by(from)) : 0;
}

}  // namespace ringfort::sim
