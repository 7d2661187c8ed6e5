#include "sim/checkers/lease_promises.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "sim/checkers/domain_times.h"

namespace ringfort::sim {

namespace {

std::string when(Instant time) { return " at " + std::to_string(time.ns / 1000) + " us"; }

// What is known of one lease.
struct Life {
    const RecordedOperation* granted{nullptr};        // acknowledged
    std::vector<const RecordedOperation*> asked;      // grants and keep-alives that may have happened
    std::vector<const RecordedOperation*> revokes;    // that may have happened
    std::vector<const RecordedOperation*> there;      // answers that say that it is, or was used
    const RecordedOperation* denied{nullptr};         // the first answer that says that it is not, once it was granted
    api::Revision ended_at{0};                        // its keys went; 0: nobody was told
    std::int64_t ttl{0};
    bool revoked{false};                              // acknowledged
    bool renewed{false};                              // somebody asked for it
};

class LeaseBook {
  public:
    LeaseBook(std::span<const RecordedOperation* const> operations, std::span<const RecordedWatch* const> watches,
              const LeaseBounds& bounds)
        : operations_(operations), watches_(watches), bounds_(bounds), times_(operations, watches) {}

    LeaseReport run() {
        for (const auto* operation : operations_) {
            enter(*operation);
        }
        for (const auto* operation : operations_) {
            enter_denials(*operation);
        }
        find_ends();
        for (const auto& [id, life] : lives_) {
            const std::string broken = report_.violation.empty() ? check(id, life) : std::string();
            if (!broken.empty()) {
                report_.violation = "lease " + std::to_string(id) + " is " + broken;
            }
        }
        count();
        return report_;
    }

  private:
    void enter(const RecordedOperation& operation);
    void enter_denials(const RecordedOperation& operation);
    std::set<api::LeaseId> all_denied(const RecordedOperation& operation) const;
    void find_ends();
    void note_end(const WatchTold& told);
    bool may_be_asked(const std::string& key) const;
    std::string check(api::LeaseId id, const Life& life) const;
    std::string check_whole(api::LeaseId id) const;
    std::string check_early(const Life& life) const;
    std::string check_late(const Life& life) const;
    std::string check_back(const Life& life) const;
    void count();

    // Of what was asked before.
    Instant lives_until(const Life& life, Instant before, const RecordedOperation*& by) const;
    bool may_be_revoked(const Life& life, Instant before) const;

    std::span<const RecordedOperation* const> operations_;
    std::span<const RecordedWatch* const> watches_;
    const LeaseBounds bounds_;
    DomainTimes times_;
    LeaseReport report_;
    std::map<api::LeaseId, Life> lives_;
    std::set<api::Revision> acknowledged_;                       // revisions made by somebody who knows
    std::vector<const StepRequest*> unknown_removals_;           // steps of writes that may have happened
    std::map<api::LeaseId, std::set<api::Revision>> ends_;
};

void LeaseBook::enter(const RecordedOperation& operation) {
    if (operation.outcome == Outcome::failed) {
        return;
    }
    const bool ok = operation.outcome == Outcome::ok;
    if (ok && operation.modified()) {
        acknowledged_.insert(operation.header.revision);
    }
    for (const auto* branch : {&operation.success, &operation.failure}) {
        for (const StepRequest& step : *branch) {
            if (!ok && step.kind == StepKind::remove) {
                unknown_removals_.push_back(&step);
            }
            if (ok && branch == &operation.branch() && step.kind == StepKind::put && step.lease != 0) {
                lives_[step.lease].there.push_back(&operation);
            }
        }
    }
    const api::LeaseId id = operation.about_lease();
    if (id == 0) {
        return;
    }
    Life& life = lives_[id];
    const StepKind kind = operation.success[0].kind;
    const std::int64_t answered = ok && !operation.results.empty() ? operation.results[0].ttl : 0;
    if (kind == StepKind::revoke) {
        life.revokes.push_back(&operation);
        life.revoked = life.revoked || ok;
        return;
    }
    if (kind == StepKind::grant) {
        life.granted = ok ? &operation : life.granted;
        life.ttl = std::max(life.ttl, ok ? answered : operation.success[0].ttl);
    }
    life.renewed = life.renewed || kind == StepKind::keep_alive;
    if (kind != StepKind::time_to_live && (!ok || answered > 0)) {
        life.asked.push_back(&operation);
    }
    if (ok && (kind == StepKind::time_to_live ? answered >= 0 : answered > 0)) {
        life.there.push_back(&operation);
    }
}

// The leases of which this answer says that they are not there: of several it does not say which.
std::set<api::LeaseId> LeaseBook::all_denied(const RecordedOperation& operation) const {
    std::set<api::LeaseId> out;
    const bool ok = operation.outcome == Outcome::ok;
    if (operation.error == api::Errc::lease_not_found) {
        for (const auto* branch : {&operation.success, &operation.failure}) {
            for (const StepRequest& step : *branch) {
                out.insert(step.lease);
            }
        }
        out.erase(0);
    } else if (ok && operation.about_lease() != 0) {
        const StepKind kind = operation.success[0].kind;
        const std::int64_t ttl = operation.results[0].ttl;
        if ((kind == StepKind::keep_alive && ttl <= 0) || (kind == StepKind::time_to_live && ttl < 0)) {
            out.insert(operation.about_lease());
        }
    }
    return out;
}

void LeaseBook::enter_denials(const RecordedOperation& operation) {
    const std::set<api::LeaseId> denied = all_denied(operation);
    for (const api::LeaseId id : denied) {
        Life& life = lives_[id];
        const bool known = denied.size() == 1 && life.granted != nullptr && life.granted->completed < operation.invoked;
        if (known && (life.denied == nullptr || operation.completed < life.denied->completed)) {
            life.denied = &operation;
        }
    }
}

bool LeaseBook::may_be_asked(const std::string& key) const {
    return std::ranges::any_of(unknown_removals_, [&](const StepRequest* step) {
        const bool endless = step->range_end == std::string(1, '\0');
        return step->range_end.empty() ? key == step->key : key >= step->key && (endless || key < step->range_end);
    });
}

void LeaseBook::find_ends() {
    for (const RecordedWatch* watch : watches_) {
        for (const WatchTold& told : watch->told) {
            if (told.kind == WatchTold::Kind::revision && !acknowledged_.contains(told.revision)) {
                note_end(told);
            }
        }
    }
    for (const auto& [id, revisions] : ends_) {
        lives_[id].ended_at = *revisions.begin();
    }
}

void LeaseBook::note_end(const WatchTold& told) {
    for (const RecordedEvent& event : told.events) {
        if (event.removal && event.has_prev && event.prev.lease != 0 && !may_be_asked(event.kv.key)) {
            ends_[event.prev.lease].insert(told.revision);
        }
    }
}

Instant LeaseBook::lives_until(const Life& life, Instant before, const RecordedOperation*& by) const {
    constexpr std::int64_t whole_ppm = 1'000'000;
    Instant until{0};
    for (const auto* asked : life.asked) {
        if (asked->outcome != Outcome::ok || asked->invoked >= before) {
            continue;
        }
        const Duration least = Duration(std::chrono::seconds(asked->results[0].ttl)) / (whole_ppm + bounds_.drift_ppm_max) *
                               whole_ppm;
        if (asked->invoked + least > until) {
            until = asked->invoked + least;
            by = asked;
        }
    }
    return until;
}

bool LeaseBook::may_be_revoked(const Life& life, Instant before) const {
    return std::ranges::any_of(life.revokes, [&](const auto* revoke) { return revoke->invoked < before; });
}

std::string LeaseBook::check(api::LeaseId id, const Life& life) const {
    for (const auto& broken : {check_early(life), check_late(life), check_whole(id), check_back(life)}) {
        if (!broken.empty()) {
            return broken;
        }
    }
    return {};
}

std::string LeaseBook::check_whole(api::LeaseId id) const {
    const auto found = ends_.find(id);
    return found == ends_.end() || found->second.size() == 1
               ? std::string()
               : "not whole: its keys went at revision " + std::to_string(*found->second.begin()) + " and at " +
                     std::to_string(*found->second.rbegin());
}

std::string LeaseBook::check_early(const Life& life) const {
    const RecordedOperation* by = nullptr;
    const Instant heard = life.ended_at > 0 ? times_.heard_of(life.ended_at) : never;
    const Instant until = lives_until(life, heard, by);
    if (heard < until && !may_be_revoked(life, heard)) {
        return "early: it had ended" + when(heard) + " at revision " + std::to_string(life.ended_at) + ", before its time" +
               when(until) + ":\n  " + describe(*by);
    }
    if (life.denied == nullptr || may_be_revoked(life, life.denied->completed)) {
        return {};
    }
    const Instant lives = lives_until(life, life.denied->completed, by);
    return life.denied->completed >= lives ? std::string()
                                           : "early: it is not there before its time" + when(lives) + ":\n  " +
                                                 describe(*by) + "\n  " + describe(*life.denied);
}

std::string LeaseBook::check_late(const Life& life) const {
    const auto late_at = [&](Instant seen, const RecordedOperation* except) -> Instant {
        Instant over{0}, from{0};
        bool any = false;
        for (const auto* asked : life.asked) {
            if (asked == except || asked->invoked > seen) {
                continue;
            }
            any = true;
            const Instant end = asked->completed == never ? never : asked->completed + std::chrono::seconds(life.ttl);
            if (end >= over) {
                over = end;
                from = asked->invoked;
            }
        }
        const bool sure = any && over != never && life.granted != nullptr;
        if (!sure) {
            return Instant{0};
        }
        const Instant bound = over + (life.renewed ? bounds_.late_renewed : bounds_.late) + times_.stalled(from, seen) +
                              bounds_.leader_change * times_.terms(from, seen);
        return seen > bound ? bound : Instant{0};
    };
    for (const auto* there : life.there) {
        if (const Instant bound = late_at(there->invoked, there); bound > Instant{0}) {
            return "late: it was there after it had to end," + when(bound) + ":\n  " + describe(*there);
        }
    }
    const Instant not_yet = life.ended_at > 0 ? times_.not_yet(life.ended_at) : Instant{0};
    if (const Instant bound = late_at(not_yet, nullptr); bound > Instant{0}) {
        return "late: it ended at revision " + std::to_string(life.ended_at) + ", after" + when(not_yet) +
               ", and had to" + when(bound) + (life.granted != nullptr ? ":\n  " + describe(*life.granted) : "");
    }
    return {};
}

std::string LeaseBook::check_back(const Life& life) const {
    Instant gone = life.denied != nullptr ? life.denied->completed : never;
    gone = std::min(gone, life.ended_at > 0 ? times_.heard_of(life.ended_at) : never);
    api::Revision revoked_at = INT64_MAX;
    for (const auto* revoke : life.revokes) {
        if (revoke->outcome == Outcome::ok) {
            gone = std::min(gone, revoke->completed);
            revoked_at = std::min(revoked_at, revoke->header.revision);
        }
    }
    for (const auto* there : life.there) {
        const api::Revision end = std::min(revoked_at, life.ended_at > 0 ? life.ended_at : revoked_at);
        if (there->invoked > gone || (there->about_lease() == 0 && there->header.revision > end)) {
            return "back, after its end" + (gone == never ? std::string() : when(gone)) + ":\n  " + describe(*there);
        }
    }
    return {};
}

void LeaseBook::count() {
    for (const auto& [id, life] : lives_) {
        const bool ended = life.denied != nullptr || life.ended_at > 0;
        report_.granted += life.granted != nullptr ? 1u : 0u;
        report_.revoked += life.revoked ? 1u : 0u;
        report_.expired += ended && life.revokes.empty() ? 1u : 0u;
        report_.alive += life.granted != nullptr && !life.revoked && !ended ? 1u : 0u;
        report_.renewals += static_cast<std::uint64_t>(std::ranges::count_if(life.asked, [](const auto* asked) {
            return asked->outcome == Outcome::ok && asked->success[0].kind == StepKind::keep_alive;
        }));
    }
}

}  // namespace

LeaseReport check_lease_promises(std::span<const RecordedOperation* const> operations,
                                 std::span<const RecordedWatch* const> watches, const LeaseBounds& bounds) {
    return LeaseBook(operations, watches, bounds).run();
}

}  // namespace ringfort::sim
