// What the answers and watches of one domain say about when its revisions were made, and about its bad times.
#pragma once

#include <span>
#include <vector>

#include "sim/history.h"
#include "sim/watch_record.h"

namespace ringfort::sim {

class DomainTimes {
  public:
    // A time without a commit counts as a stall if it is longer than this.
    static constexpr Duration stall_min{500'000'000};

    DomainTimes(std::span<const RecordedOperation* const> operations, std::span<const RecordedWatch* const> watches);

    // When somebody had heard of this revision or a later one for the first time: it was made before. never: nobody had.
    Instant heard_of(api::Revision revision) const;
    // When somebody asked, for the last time, and was then answered from before this revision: it was made later.
    Instant not_yet(api::Revision revision) const;
    // How much of [from, to] was stalls: nobody was acknowledged anything that takes a majority.
    Duration stalled(Instant from, Instant to) const;
    // Terms that began in [from, to], as answers tell.
    std::int64_t terms(Instant from, Instant to) const;

  private:
    struct At {
        api::Revision revision;
        Instant time;
    };
    struct Stall {
        Instant begin, end;
    };
    struct TermAt {
        Instant time;
        std::uint64_t term;
    };
    void find_stalls(std::span<const RecordedOperation* const> operations);
    void find_terms(std::span<const RecordedOperation* const> operations);

    std::vector<At> heard_;      // by revision; times rise with it
    std::vector<At> not_yet_;    // by revision: the latest question answered from this one or an earlier one
    std::vector<Stall> stalls_;
    std::vector<TermAt> terms_;  // both rise
};

// Asked of a majority and answered: no read that may be stale, and nothing about one replica.
bool is_confirmed(const RecordedOperation& operation);

}  // namespace ringfort::sim
