#include "sim/checkers/watch.h"

#include <algorithm>
#include <iterator>

namespace ringfort::sim {

namespace {

// What the watch has to be told of a revision.
std::vector<RecordedEvent> expected(const RecordedWatch& watch, const KvModel& model, api::Revision at) {
    std::vector<RecordedEvent> out;
    for (const std::string& key : model.touched(at)) {
        if (!watch.covers(key)) {
            continue;
        }
        const RecordedKv* now = model.find(key, at);
        const RecordedKv* before = model.find(key, at - 1);
        if (now == nullptr ? watch.no_delete : watch.no_put) {
            continue;
        }
        RecordedEvent event;
        event.removal = now == nullptr;
        if (now != nullptr) {
            event.kv = *now;
        } else {
            event.kv.key = key;
            event.kv.mod_revision = at;
        }
        event.has_prev = before != nullptr;
        event.prev = before != nullptr ? *before : RecordedKv{};
        out.push_back(std::move(event));
    }
    return out;
}

std::string check_prev(const RecordedWatch& watch, api::Revision compacted_max, api::Revision at, const RecordedEvent& event,
                       const RecordedEvent& wanted) {
    if (!event.has_prev) {
        const bool may_be_gone = compacted_max >= at;
        return !watch.prev_kv || !wanted.has_prev || may_be_gone ? std::string()
                                                                  : "true: no prev_kv of " + event.kv.key;
    }
    if (!watch.prev_kv) {
        return "filtered: prev_kv was not asked for";
    }
    return wanted.has_prev && event.prev == wanted.prev ? std::string() : "true: prev_kv of " + event.kv.key;
}

// `compacted_max`: the highest compaction that may have happened.
std::string check_events(const RecordedWatch& watch, const KvModel& model, api::Revision compacted_max,
                         const WatchTold& told) {
    const api::Revision at = told.revision;
    const std::vector<RecordedEvent>& events = told.events;
    const std::vector<RecordedEvent> wanted = expected(watch, model, at);
    const std::string where = " at revision " + std::to_string(at);
    for (const RecordedEvent& event : events) {
        const bool asked = watch.covers(event.kv.key) && !(event.removal ? watch.no_delete : watch.no_put);
        if (!asked) {
            return "filtered: " + event.kv.key + " was not asked for" + where;
        }
    }
    if (events.size() != wanted.size()) {
        return "atomic: " + std::to_string(events.size()) + " of " + std::to_string(wanted.size()) + " changes are told" +
               where;
    }
    for (std::size_t i = 0; i < events.size(); i++) {
        if (events[i].kv.key != wanted[i].kv.key) {
            return "atomic: changes in another order" + where;
        }
        if (events[i].removal != wanted[i].removal || !(events[i].kv == wanted[i].kv)) {
            return "true: " + events[i].kv.key + " is told otherwise than it was written" + where;
        }
        if (std::string broken = check_prev(watch, compacted_max, at, events[i], wanted[i]); !broken.empty()) {
            return broken + where;
        }
    }
    return {};
}

class WatchJudge {
  public:
    WatchJudge(const RecordedWatch& watch, const WatchTruth& truth) : watch_(watch), truth_(truth) {}

    std::string run() {
        next_ = watch_.start_revision;
        for (const WatchTold& told : watch_.told) {
            std::string broken = check(told);
            if (!broken.empty()) {
                return broken + "\n  " + describe(watch_);
            }
            resumed_ = told.kind == WatchTold::Kind::resumed || (resumed_ && told.kind == WatchTold::Kind::mark);
        }
        if (watch_.due > 0) {
            if (const std::string broken = check_gap(watch_.due, "reliable: it was never told"); !broken.empty()) {
                return broken + "\n  " + describe(watch_);
            }
        }
        return {};
    }

  private:
    api::Revision newest() const { return truth_.model->revision(); }

    std::string check(const WatchTold& told) {
        switch (told.kind) {
            case WatchTold::Kind::created:
                next_ = watch_.start_revision > 0 ? watch_.start_revision : told.revision + 1;
                return {};
            case WatchTold::Kind::resumed: return {};
            case WatchTold::Kind::revision: return check_revision(told);
            case WatchTold::Kind::mark: {
                std::string broken = check_gap(told.revision, "bookmarkable: a mark runs ahead of");
                next_ = std::max(next_, told.revision + 1);
                return broken;
            }
            case WatchTold::Kind::ended: return check_end(told);
        }
        return "unknown";
    }

    std::string check_revision(const WatchTold& told) {
        const api::Revision at = told.revision;
        if (at > newest() || at < 2) {
            return "true: revision " + std::to_string(at) + " was never made";
        }
        if (at < next_) {
            const std::string name = resumed_ ? "resumable" : at == last_ ? "unique" : "ordered";
            return name + ": revision " + std::to_string(at) + " is told where " + std::to_string(next_) + " is due";
        }
        const std::string left_out = resumed_ ? "resumable: left out" : "reliable: left out";
        if (std::string broken = check_gap(at - 1, left_out); !broken.empty()) {
            return broken;
        }
        next_ = at + 1;
        last_ = at;
        return check_events(watch_, *truth_.model, truth_.compacted_max, told);
    }

    // Nothing it should have been told lies between what is due and `through`.
    std::string check_gap(api::Revision through, const std::string& name) {
        for (api::Revision at = std::max<api::Revision>(next_, 2); at <= std::min(through, newest()); at++) {
            if (!expected(watch_, *truth_.model, at).empty()) {
                return name + " revision " + std::to_string(at);
            }
        }
        return {};
    }

    std::string check_end(const WatchTold& told) const {
        if (told.compact_revision == 0) {
            return told.error == api::Errc::ok ? "reliable: cancelled, and nothing was compacted" : "";
        }
        if (next_ >= told.compact_revision) {
            return "compaction: cancelled, though it needs revision " + std::to_string(next_) + " and " +
                   std::to_string(told.compact_revision) + " is kept";
        }
        // Where keys left with the compaction, or may have before a checkpoint was loaded, what a watch may begin at is one
        // higher.
        if (told.compact_revision > truth_.compacted_max + 1) {
            return "compaction: nobody asked for one as far as " + std::to_string(told.compact_revision);
        }
        return {};
    }

    const RecordedWatch& watch_;
    const WatchTruth& truth_;
    api::Revision next_{0};      // the first revision it was not told
    api::Revision last_{0};      // told with events
    bool resumed_{false};        // nothing was told since
};

}  // namespace

std::string check_watch(const RecordedWatch& watch, const WatchTruth& truth) { return WatchJudge(watch, truth).run(); }

// ---------------------------------------------------------------------------------------------- the witness

WatchWitness::WatchWitness(std::span<const RecordedWatch* const> watches) {
    for (const RecordedWatch* watch : watches) {
        Silences& silences = silences_.emplace_back(Silences{watch, {}});
        api::Revision next = watch->start_revision;
        const auto silent_through = [&](api::Revision last) {
            if (next > 0 && next <= last) {
                silences.all.push_back({next, last});
            }
            next = std::max(next, last + 1);
        };
        for (const WatchTold& told : watch->told) {
            switch (told.kind) {
                case WatchTold::Kind::created: next = next > 0 ? next : told.revision + 1; break;
                case WatchTold::Kind::revision:
                    silent_through(told.revision - 1);
                    next = told.revision + 1;
                    told_.emplace(told.revision, Told{watch, &told});
                    for (const RecordedEvent& event : told.events) {
                        if (!event.removal) {
                            seen_.push_back(event.kv);
                        }
                        if (event.has_prev) {
                            seen_.push_back(event.prev);
                        }
                    }
                    break;
                case WatchTold::Kind::mark: silent_through(told.revision); break;
                case WatchTold::Kind::resumed:
                case WatchTold::Kind::ended: break;
            }
        }
    }
}

bool WatchWitness::Silences::hold(api::Revision revision) const {
    const auto behind = std::ranges::upper_bound(all, revision, {}, &Silence::first);
    return behind != all.begin() && std::prev(behind)->last >= revision;
}

std::string WatchWitness::contradiction(const KvModel& model, bool acknowledged) const {
    const api::Revision at = model.revision();
    const auto [first, end] = told_.equal_range(at);
    for (auto it = first; it != end; ++it) {
        // Whether prev_kv may be missing is the judge's business.
        const std::string broken = check_events(*it->second.watch, model, at, *it->second.told);
        if (!broken.empty()) {
            return "a watch was told otherwise: " + broken;
        }
    }
    if (acknowledged) {
        return {};
    }
    for (const Silences& silences : silences_) {
        if (silences.hold(at) && !expected(*silences.watch, model, at).empty()) {
            return "a watch was told nothing of revision " + std::to_string(at);
        }
    }
    return {};
}

std::string describe(const RecordedWatch& watch) {
    const bool endless = watch.range_end == std::string_view("\0", 1);
    std::string out = "watch #" + std::to_string(watch.number) + " of client " + std::to_string(watch.client) + " on " +
                      watch.key + (watch.range_end.empty() ? "" : "..") + (endless ? "" : watch.range_end) + " from " +
                      std::to_string(watch.start_revision) + (watch.prev_kv ? " prev_kv" : "") +
                      (watch.no_put ? " no_put" : "") + (watch.no_delete ? " no_delete" : "") +
                      (watch.require_leader ? " require_leader" : "") +
                      (watch.progress_notify ? " progress_notify" : "") + ":";
    constexpr std::size_t lines_max = 40;
    const std::size_t first = watch.told.size() > lines_max ? watch.told.size() - lines_max : 0;
    for (std::size_t i = first; i < watch.told.size(); i++) {
        const WatchTold& told = watch.told[i];
        static constexpr std::string_view names[] = {"created at", "resumed at", "revision", "mark", "ended"};
        out += "\n    " + std::to_string(told.at.ns / 1000) + " us " +
               std::string(names[static_cast<std::size_t>(told.kind)]) + " " + std::to_string(told.revision);
        for (const RecordedEvent& event : told.events) {
            out += (event.removal ? " removed " : " ") + event.kv.key +
                   (event.removal ? "" : "=" + event.kv.value.substr(0, 24));
        }
        if (told.kind == WatchTold::Kind::ended) {
            out += told.compact_revision > 0 ? ", compacted " + std::to_string(told.compact_revision)
                                             : " " + std::string(api::error_name(told.error));
        }
    }
    return out;
}

}  // namespace ringfort::sim
