// Linearizable reads without a log entry (Raft thesis 6.4), in rounds for all ranges of the shard at once.
//
// Reads that arrive while a round is out wait for the next one. A round is one message to each follower's shard with an
// id that never repeats, not even over restarts, and a list of (range, term); the answer lists the ranges for which that
// node knows no higher term. A range whose own configuration has its quorum together serves the round's reads once the
// state machine has applied the index that was committed when the round was sent.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <vector>

#include "api/types.h"
#include "base/arena.h"
#include "base/work_budget.h"
#include "shard/context.h"
#include "shard/early_cancels.h"
#include "shard/origin.h"
#include "shard/pool_view.h"
#include "wire/peer_codec.h"

namespace ringfort::shard {

class Link;
class Replica;

// A read that waits.
struct PendingRead {
    Origin origin{};
    const api::RangeRequest* request{nullptr};   // null: a member list, or a read about leases
    Bytes body;                                  // the request as it came
    Instant deadline{};
    std::int64_t credit{0};                      // bytes of a long reply that the origin takes at once
};

// With all it points to in the arena.
PendingRead copy_of(const PendingRead& read, Arena& arena);

class ReadRounds {
  public:
    explicit ReadRounds(Context& context);

    // Joins the round now open. Copies what `read` points to.
    api::Errc add(Replica& replica, const PendingRead& read);
    // As FollowerReads::on_cancel().
    void on_cancel(const Origin& origin);
    // Memory of reads that wait.
    std::size_t held_bytes() const;
    void list_pools(PoolList& out) const;

    void on_round(Link& link, const wire::ReadRound& round);
    void on_answer(NodeId from, const wire::ReadRoundAnswer& answer);
    // A follower with reads of its own asks up to where it has to have applied: answered at once or with a round.
    void on_read_index(Link& link, const wire::ReadIndex& question);
    // A link came back: answers on their way were lost, so what is unconfirmed is asked anew at the end of the turn.
    void on_peer_back();

    // End of turn: sends the open round if reads wait and none is out; serves what is confirmed and applied, some of it.
    // true: there is more to do at once.
    bool run();
    void expire(Instant now);
    bool idle() const { return out_.empty() && open_->sections.empty(); }
    void fail_all(api::Errc code);

  private:
    // What a follower wants to know.
    struct Question {
        std::uint64_t link{0};
        std::array<std::uint64_t, 2> round{};
        Term term{};
    };
    // The reads of one range in a round.
    struct Section {
        Replica* replica{nullptr};
        std::array<std::uint64_t, 2> id{};   // of the message that carried it last
        Term term{};
        LogIndex index{};               // serve when applied >= index
        bool sent{false};               // the round's message carried it
        bool confirmed{false};
        std::vector<NodeId> confirmed_by;
        std::vector<PendingRead> reads;
        std::size_t done{0};            // of the reads, from the front
        std::vector<Question> questions;
        std::size_t waiting() const { return reads.size() - done + questions.size(); }
    };
    struct Round {
        std::uint64_t number{0};        // as it was opened
        Arena arena{256 * 1024};
        std::vector<Section> sections;
        std::size_t waiting{0};         // Invariant: the sum over sections
        std::size_t first{0};           // section whose turn it is
        Instant sent_at{};
    };
    struct QuestionAnswer {
        Question question;
        wire::ReadIndexAnswerItem item;
    };

    enum class Which : std::uint8_t { unsent, all_unconfirmed };
    void send(Round& round, Which which);
    bool prepare(Section& section);
    void serve(Round& round, WorkBudget& budget);
    bool waits(const PendingRead& read, const Section& section);
    void answer_questions(Round& round, Section& section, bool led);
    void send_answers();
    bool serve_reads(Round& round, Section& section, WorkBudget& budget);
    bool reroute(Round& round, Section& section, WorkBudget& budget);
    void expire_round(Round& round, Instant now, std::size_t& answers_left);
    Section& section_of(Round& round, Replica& replica);
    std::unique_ptr<Round> fresh_round();

    Context& context_;
    const std::uint64_t nonce_;         // of this start: drawn from the environment's seed
    std::uint64_t next_round_{1};
    std::uint64_t rounds_opened_{0};
    std::unique_ptr<Round> open_;
    std::deque<std::unique_ptr<Round>> out_;
    std::vector<std::unique_ptr<Round>> spare_;
    EarlyCancels cancels_;   // of reads that wait
    std::vector<wire::ReadRoundItem> items_;
    std::vector<RangeId> confirmed_;
    std::vector<QuestionAnswer> answers_;
    std::vector<wire::ReadIndexAnswerItem> answer_items_;
};

}  // namespace ringfort::shard
