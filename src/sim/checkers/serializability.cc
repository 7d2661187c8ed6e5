#include "sim/checkers/serializability.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "base/assertion.h"
#include "sim/checkers/kv_model.h"

namespace ringfort::sim {

namespace {

// What the search may visit of the model for each of its steps: an interval of thousands of keys takes as long as hundreds
// of puts.
constexpr std::uint64_t keys_per_step = 32;

std::string answered_and_expected(const RecordedOperation& operation, const KvModel::Execution& expected) {
    RecordedOperation wanted = operation;
    wanted.succeeded = expected.succeeded;
    wanted.results = expected.results;
    return describe(operation) + "\n  expected: " + describe(wanted);
}

class Search {
  public:
    Search(std::span<const RecordedOperation* const> operations, const SearchAids& aids, std::uint64_t steps_max)
        : operations_(operations), ends_(aids.ends), steps_max_(steps_max), witness_(aids.witness) {}

    SerializabilityReport run() {
        collect();
        if (report_.violation.empty()) {
            check_real_time();
        }
        if (report_.violation.empty()) {
            replay();
        }
        return report_;
    }
    const KvModel& model() const { return model_; }

  private:
    struct Unknown {
        const RecordedOperation* operation;
        api::Revision floor;      // it stands behind this revision: that one was answered before it was invoked
        api::Revision home{0};    // a value it writes was seen as of this revision: it can stand nowhere else
        api::Revision ceiling{INT64_MAX};   // it stands no later
        bool used{false};
    };
    // One revision that was replayed.
    struct Frame {
        bool gap;
        std::size_t candidate;   // of a gap: into unknown_
    };

    void collect();
    void note_seen(const RecordedOperation& operation);
    void find_homes();
    void add_expiries();
    void add_expiry(api::LeaseId lease, Instant not_before, api::Revision floor, api::Revision ceiling);
    std::map<api::LeaseId, Instant> leases_with_keys() const;
    bool end_was_seen(api::LeaseId lease) const;
    bool disturbs(api::Revision revision) const;
    // Where it is counted once it has a place.
    std::uint64_t& placed(const Unknown& unknown) {
        const RecordedOperation& operation = *unknown.operation;
        const bool end = operation.outcome == Outcome::ok || operation.number == UINT64_MAX;   // of a lease
        return end ? report_.lease_ends : report_.unknown_placed;
    }
    void check_real_time();
    void replay();
    bool try_gap(api::Revision revision, std::size_t first);
    bool try_acknowledged(api::Revision revision, const RecordedOperation& operation);
    bool backtrack();
    bool agrees(api::Revision revision);
    // `why`: says it. Asked only when no replay came as far before: a search fails a million times, and texts are long.
    template <class Why>
    void fail_at(api::Revision revision, Why why) {
        if (revision > deepest_) {
            deepest_ = revision;
            deepest_why_ = why();
        }
    }

    std::span<const RecordedOperation* const> operations_;
    const std::span<const LeaseEnd>* ends_;
    std::uint64_t steps_max_;
    const Witness* witness_;
    SerializabilityReport report_;
    KvModel model_;
    api::Revision last_{1};                                            // the highest revision anybody saw
    std::map<api::Revision, const RecordedOperation*> writes_;         // acknowledged, by revision
    std::multimap<api::Revision, const RecordedOperation*> reads_;     // what changed nothing, by revision
    std::multimap<api::Revision, RecordedKv> seen_;                    // by mod_revision, from all answers
    // By key: it was seen as of the first revision in a state of the second, so nothing touched it in between.
    std::map<std::string, std::map<api::Revision, api::Revision>> untouched_;
    std::vector<Unknown> unknown_;
    std::deque<RecordedOperation> expiries_;                           // that may have happened: nobody asked for them
    std::multimap<api::Revision, const RecordedOperation*> revoked_;   // acknowledged, by revision
    std::vector<Frame> frames_;                                        // frames_[i] made revision i + 2
    api::Revision deepest_{0};
    std::string deepest_why_;
};

void Search::collect() {
    for (const auto* operation : operations_) {
        if (operation->outcome == Outcome::unknown || operation->outcome == Outcome::pending) {
            if (operation->may_modify() && !end_was_seen(operation->about_lease())) {
                unknown_.push_back({operation, 1});
                report_.unknown++;
            }
            continue;
        }
        if (operation->outcome == Outcome::failed) {
            continue;
        }
        const api::Revision revision = operation->header.revision;
        if (revision < (operation->modified() ? 2 : 1)) {
            report_.violation = "an answer of a revision that never was:\n  " + describe(*operation);
            return;
        }
        last_ = std::max(last_, revision);
        note_seen(*operation);
        if (operation->about_lease() != 0) {
            // Of keys only a revocation says something, and not whether there were any: if so, it made this revision.
            report_.reads++;
            if (operation->success[0].kind == StepKind::revoke) {
                unknown_.push_back({operation, 1, revision});
                revoked_.emplace(revision, operation);
            }
            continue;
        }
        if (operation->modified()) {
            report_.writes++;
            const auto [other, added] = writes_.emplace(revision, operation);
            if (!added) {
                report_.violation = "two writes made one revision:\n  " + describe(*other->second) + "\n  " +
                                    describe(*operation);
                return;
            }
        } else {
            report_.reads++;
            reads_.emplace(revision, operation);
        }
    }
    last_ = std::max(last_, witness_ != nullptr ? witness_->newest() : 0);
    for (const RecordedKv& kv : witness_ != nullptr ? witness_->seen() : std::span<const RecordedKv>()) {
        const auto [first, end] = seen_.equal_range(kv.mod_revision);
        if (std::none_of(first, end, [&](const auto& one) { return one.second == kv; })) {
            seen_.emplace(kv.mod_revision, kv);
            last_ = std::max(last_, kv.mod_revision);
        }
    }
    find_homes();
    add_expiries();
    // What has its place comes before what may stand anywhere.
    std::ranges::stable_sort(unknown_, {}, [](const Unknown& unknown) {
        return std::pair(unknown.home == 0, unknown.ceiling == INT64_MAX);
    });
}

// That is placed as such, whoever asked for it. (One that came and went within a turn nobody saw.)
bool Search::end_was_seen(api::LeaseId lease) const {
    return ends_ != nullptr && std::ranges::any_of(*ends_, [&](const LeaseEnd& end) { return end.lease == lease; });
}

void Search::add_expiry(api::LeaseId lease, Instant not_before, api::Revision floor, api::Revision ceiling) {
    StepRequest step{StepKind::revoke, {}, {}, {}, false, 0, 0};
    step.lease = lease;
    RecordedOperation& expiry = expiries_.emplace_back();
    expiry.number = UINT64_MAX;
    expiry.invoked = not_before;
    expiry.outcome = Outcome::unknown;
    expiry.success.push_back(std::move(step));
    unknown_.push_back({.operation = &expiry, .floor = floor, .home = 0, .ceiling = ceiling, .used = false});
}

// With the time until which each lives at least: acknowledged grants and keep-alives count from when they were asked for.
// Clocks may run fast, but not by a tenth.
std::map<api::LeaseId, Instant> Search::leases_with_keys() const {
    std::map<api::LeaseId, Instant> ends;
    for (const auto* operation : operations_) {
        for (const auto* branch : {&operation->success, &operation->failure}) {
            for (const StepRequest& step : *branch) {
                if (step.kind == StepKind::put && step.lease != 0) {
                    ends.emplace(step.lease, Instant{0});
                }
            }
        }
    }
    for (const auto* operation : operations_) {
        const auto found = ends.find(operation->about_lease());
        const bool lives = found != ends.end() && operation->outcome == Outcome::ok && !operation->results.empty() &&
                           operation->success[0].kind != StepKind::time_to_live && operation->results[0].ttl > 0;
        if (lives) {
            const Duration least = Duration(std::chrono::seconds(operation->results[0].ttl)) * 9 / 10;
            found->second = std::max(found->second, operation->invoked + least);
        }
    }
    return ends;
}

// A lease whose time is over takes its keys along, once.
void Search::add_expiries() {
    const auto leases = leases_with_keys();
    if (ends_ == nullptr) {
        for (const auto& [lease, end] : leases) {
            add_expiry(lease, end, 1, INT64_MAX);
        }
        return;
    }
    for (const LeaseEnd& end : *ends_) {
        const bool revoked = std::ranges::any_of(revoked_, [&](const auto& item) {
            return item.second->success[0].lease == end.lease;
        });
        if (leases.contains(end.lease) && !revoked) {
            add_expiry(end.lease, Instant{0}, end.after, end.by);   // perhaps somebody revoked it without an answer
        }
    }
}

void Search::note_seen(const RecordedOperation& operation) {
    const auto& steps = operation.branch();
    for (std::size_t i = 0; i < operation.results.size(); i++) {
        // What a write tells is of the state before it, or its own work.
        api::Revision of = operation.header.revision - (operation.modified() ? 1 : 0);
        of = i < steps.size() && steps[i].kind == StepKind::range && steps[i].revision > 0 ? steps[i].revision : of;
        const bool whole = i >= steps.size() || !steps[i].arrangement.keys_only;
        for (const auto& kv : operation.results[i].kvs) {
            if (whole) {
                seen_.emplace(kv.mod_revision, kv);
            }
            last_ = std::max(last_, kv.mod_revision);
            api::Revision& through = untouched_[kv.key][kv.mod_revision];
            through = std::max(through, of);
        }
    }
}

void Search::find_homes() {
    std::map<std::string, std::size_t> by_value;
    std::set<std::string> kept;   // keys whose value another put may have kept
    for (std::size_t i = 0; i < unknown_.size(); i++) {
        for (const auto* branch : {&unknown_[i].operation->success, &unknown_[i].operation->failure}) {
            for (const StepRequest& step : *branch) {
                if (step.kind == StepKind::put && step.ignore_value) {
                    kept.insert(step.key);
                } else if (step.kind == StepKind::put) {
                    by_value.emplace(step.value, i);
                }
            }
        }
    }
    for (const auto& [revision, kv] : seen_) {
        if (const auto found = by_value.find(kv.value); found != by_value.end()) {
            Unknown& written_by = unknown_[found->second];
            written_by.ceiling = std::min(written_by.ceiling, revision);
            // An acknowledged write of this revision is none of the unknown: it kept the value.
            if (!writes_.contains(revision) && !kept.contains(kv.key)) {
                written_by.home = revision;
            }
        }
    }
}

// The model's newest revision touches a key that an answer shows untouched by it.
bool Search::disturbs(api::Revision revision) const {
    return std::ranges::any_of(model_.touched(), [&](const std::string& key) {
        const auto found = untouched_.find(key);
        if (found == untouched_.end()) {
            return false;
        }
        const auto next = found->second.lower_bound(revision);
        return next != found->second.begin() && std::prev(next)->second >= revision;
    });
}

// Sweeps over invocations in the order of time with the highest revision answered before each.
void Search::check_real_time() {
    std::vector<const RecordedOperation*> by_invocation;
    std::vector<const RecordedOperation*> by_answer;
    for (const RecordedOperation& expiry : expiries_) {
        by_invocation.push_back(&expiry);
    }
    for (const auto* operation : operations_) {
        by_invocation.push_back(operation);
        if (operation->outcome == Outcome::ok) {
            by_answer.push_back(operation);
        }
    }
    const auto number = [](const RecordedOperation* o) { return o->number; };
    std::sort(by_invocation.begin(), by_invocation.end(), [&](auto* a, auto* b) {
        return std::pair(a->invoked, number(a)) < std::pair(b->invoked, number(b));
    });
    std::sort(by_answer.begin(), by_answer.end(), [&](auto* a, auto* b) {
        return std::pair(a->completed, number(a)) < std::pair(b->completed, number(b));
    });
    std::map<const RecordedOperation*, std::size_t> unknown_place;
    for (std::size_t i = 0; i < unknown_.size(); i++) {
        unknown_place[unknown_[i].operation] = i;
    }
    const RecordedOperation* highest = nullptr;
    std::size_t answered = 0;
    for (const auto* operation : by_invocation) {
        for (; answered < by_answer.size() && by_answer[answered]->completed < operation->invoked; answered++) {
            if (highest == nullptr || by_answer[answered]->header.revision > highest->header.revision) {
                highest = by_answer[answered];
            }
        }
        const api::Revision floor = highest == nullptr ? 1 : highest->header.revision;
        if (const auto unknown = unknown_place.find(operation); unknown != unknown_place.end()) {
            unknown_[unknown->second].floor = std::max(unknown_[unknown->second].floor, floor);
        }
        if (operation->outcome != Outcome::ok || operation->serializable) {
            continue;
        }
        const api::Revision lowest = operation->modified() ? floor + 1 : floor;
        if (highest != nullptr && operation->header.revision < lowest) {
            report_.violation = "an answer is older than one that was given before it was asked:\n  " + describe(*highest) +
                                "\n  " + describe(*operation);
            return;
        }
    }
}

// Everything that was told about this revision is true in the model.
bool Search::agrees(api::Revision revision) {
    const auto [first_seen, end_seen] = seen_.equal_range(revision);
    for (auto it = first_seen; it != end_seen; ++it) {
        const RecordedKv* kv = model_.find(it->second.key, revision);
        if (kv == nullptr || *kv != it->second) {
            fail_at(revision, [&] {
                return "an answer shows " + it->second.key + "=" + it->second.value.substr(0, 40) + " of revision " +
                       std::to_string(revision) + ", which the replay does not have";
            });
            return false;
        }
    }
    const auto [first_revoked, end_revoked] = revoked_.equal_range(revision);
    for (auto it = first_revoked; it != end_revoked; ++it) {
        if (model_.holds_keys(it->second->success[0].lease)) {
            fail_at(revision,
                    [&] { return "keys are still there of a lease that was revoked:\n  " + describe(*it->second); });
            return false;
        }
    }
    const auto [first_read, end_read] = reads_.equal_range(revision);
    for (auto it = first_read; it != end_read; ++it) {
        const auto expected = model_.read(*it->second, revision);
        if (expected.modified || expected.succeeded != it->second->succeeded || expected.results != it->second->results) {
            fail_at(revision, [&] {
                return "this answer is not true at its revision:\n  " + answered_and_expected(*it->second, expected);
            });
            return false;
        }
    }
    if (witness_ != nullptr && revision > 1) {
        if (std::string why = witness_->contradiction(model_, writes_.contains(revision)); !why.empty()) {
            fail_at(revision, [&] { return why; });
            return false;
        }
    }
    return true;
}

bool Search::try_acknowledged(api::Revision revision, const RecordedOperation& operation) {
    report_.steps++;
    const auto made = model_.execute(operation);
    if (!made.modified || made.succeeded != operation.succeeded || made.results != operation.results) {
        fail_at(revision, [&] {
            return "this write's answer does not follow from the state before it:\n  " +
                   answered_and_expected(operation, made);
        });
        if (made.modified) {
            model_.undo();
        }
        return false;
    }
    if (!agrees(revision)) {
        model_.undo();
        return false;
    }
    frames_.push_back({false, 0});
    return true;
}

bool Search::try_gap(api::Revision revision, std::size_t first) {
    for (std::size_t i = first; i < unknown_.size(); i++) {
        Unknown& unknown = unknown_[i];
        if (unknown.used || unknown.floor >= revision || unknown.ceiling < revision ||
            (unknown.home > 0 && unknown.home != revision)) {
            continue;
        }
        report_.steps++;
        if (!model_.execute(*unknown.operation).modified) {
            continue;
        }
        if (!disturbs(revision) && agrees(revision)) {
            unknown.used = true;
            placed(unknown)++;
            frames_.push_back({true, i});
            return true;
        }
        model_.undo();
    }
    fail_at(revision, [&] {
        std::string seen;
        const auto [first_seen, end_seen] = seen_.equal_range(revision);
        for (auto it = first_seen; it != end_seen; ++it) {
            seen += " (seen: " + it->second.key + "=" + it->second.value.substr(0, 40) + ")";
        }
        return "no operation explains revision " + std::to_string(revision) + seen;
    });
    return false;
}

// Takes back revisions until another choice at a gap was found.
bool Search::backtrack() {
    while (!frames_.empty()) {
        const Frame frame = frames_.back();
        frames_.pop_back();
        model_.undo();
        if (frame.gap) {
            unknown_[frame.candidate].used = false;
            placed(unknown_[frame.candidate])--;
            if (try_gap(model_.revision() + 1, frame.candidate + 1)) {
                return true;
            }
        }
    }
    return false;
}

void Search::replay() {
    if (!agrees(1)) {
        report_.violation = deepest_why_;
        return;
    }
    while (model_.revision() < last_) {
        if (report_.steps > steps_max_ || model_.keys_visited() > steps_max_ * keys_per_step) {
            report_.inconclusive = true;
            return;
        }
        const api::Revision next = model_.revision() + 1;
        const auto write = writes_.find(next);
        const bool placed = write != writes_.end() ? try_acknowledged(next, *write->second) : try_gap(next, 0);
        if (!placed && !backtrack()) {
            report_.violation = deepest_why_;
            return;
        }
    }
}

}  // namespace

SerializabilityReport check_serializability(std::span<const RecordedOperation* const> operations,
                                            std::uint64_t steps_max) {
    return check_serializability(operations, SearchAids{}, steps_max);
}

SerializabilityReport check_serializability(std::span<const RecordedOperation* const> operations,
                                            std::span<const LeaseEnd> ends, std::uint64_t steps_max) {
    return check_serializability(operations, SearchAids{.ends = &ends}, steps_max);
}

SerializabilityReport check_serializability(std::span<const RecordedOperation* const> operations, const SearchAids& aids,
                                            std::uint64_t steps_max) {
    Search search(operations, aids, steps_max);
    SerializabilityReport report = search.run();
    if (aids.model != nullptr) {
        *aids.model = search.model();
    }
    return report;
}

}  // namespace ringfort::sim
