#include "shard/read_rounds.h"

#include <algorithm>

#include "base/mark.h"
#include "base/mutant.h"
#include "shard/peer_links.h"
#include "shard/replica.h"
#include "shard/replicas.h"
#include "shard/router.h"

namespace ringfort::shard {

namespace {

constexpr std::size_t rounds_out_max = 2;
constexpr std::size_t expiries_per_turn = 1024;
// A round without an answer is sent anew under a new id.
constexpr Duration resend_after = 500ms;

}  // namespace

ReadRounds::ReadRounds(Context& context)
    : context_(context), nonce_(context.prng.next()) {
    open_ = fresh_round();
}

std::unique_ptr<ReadRounds::Round> ReadRounds::fresh_round() {
    if (spare_.empty()) {
        spare_.push_back(std::make_unique<Round>());
    }
    auto round = std::move(spare_.back());
    spare_.pop_back();
    round->number = ++rounds_opened_;
    return round;
}

ReadRounds::Section& ReadRounds::section_of(Round& round, Replica& replica) {
    for (Section& section : round.sections) {
        if (section.replica == &replica) {
            return section;
        }
    }
    round.sections.emplace_back();
    round.sections.back().replica = &replica;
    return round.sections.back();
}

void ReadRounds::list_pools(PoolList& out) const {
    const ShardBounds& bounds = context_.config.bounds;
    out.push_back({"read rounds", out_.size(), rounds_out_max});
    out.push_back({"reads and questions in the open read round", open_->waiting, bounds.round_reads});
    out.push_back({"bytes of read rounds", held_bytes(),
                   (rounds_out_max + 1) * (bounds.round_bytes + limits::decoded_bytes_max + bounds.round_reads * kib)});
    out.push_back({"cancels of reads in rounds", cancels_.size(), EarlyCancels::count_max});
}

api::Errc ReadRounds::add(Replica& replica, const PendingRead& read) {
    const ShardBounds& bounds = context_.config.bounds;
    if (open_->waiting >= bounds.round_reads || open_->arena.used_bytes() + read.body.size() > bounds.round_bytes) {
        return api::Errc::too_many_requests;
    }
    cancels_.take(read.origin);
    Round& round = MUTANT(read_joins_sent_round) && !out_.empty() ? *out_.back() : *open_;
    section_of(round, replica).reads.push_back(copy_of(read, round.arena));
    round.waiting++;
    return api::Errc::ok;
}

void ReadRounds::on_cancel(const Origin& origin) {
    if (!idle()) {
        cancels_.note(origin);
    }
}

PendingRead copy_of(const PendingRead& read, Arena& arena) {
    PendingRead copy = read;
    std::byte* body = arena.allocate(read.body.size(), 8);
    std::copy(read.body.begin(), read.body.end(), body);
    copy.body = {body, read.body.size()};
    if (read.request != nullptr) {
        auto* request = arena.make<api::RangeRequest>();
        *request = *read.request;
        request->key = arena.copy(request->key);
        request->range_end = arena.copy(request->range_end);
        copy.request = request;
    }
    return copy;
}

std::size_t ReadRounds::held_bytes() const {
    std::size_t bytes = open_->arena.used_bytes();
    for (const auto& round : out_) {
        bytes += round->arena.used_bytes();
    }
    return bytes;
}

bool ReadRounds::run() {
    if (context_.halted) {
        return false;
    }
    for (const auto& round : out_) {
        if (context_.now - round->sent_at >= resend_after) {
            send(*round, Which::all_unconfirmed);
        } else if (std::any_of(round->sections.begin(), round->sections.end(),
                               [](const Section& s) { return !s.sent && s.waiting() > 0; })) {
            send(*round, Which::unsent);
        }
    }
    if (open_->waiting > 0 && out_.size() < rounds_out_max) {
        out_.push_back(std::move(open_));
        open_ = fresh_round();
        send(*out_.back(), Which::all_unconfirmed);
    }
    PartBudget budget(context_.work, TurnPart::read_rounds);
    for (std::size_t i = 0; i < out_.size() && !budget.spent(); i++) {
        serve(*out_[i], budget);
    }
    send_answers();
    while (!out_.empty() && out_.front()->waiting == 0) {
        auto done = std::move(out_.front());
        out_.pop_front();
        done->arena.reset();
        done->sections.clear();
        done->first = 0;
        spare_.push_back(std::move(done));
    }
    if (idle()) {
        cancels_.clear();
    }
    cancels_.forget(out_.empty() ? open_->number : out_.front()->number, rounds_opened_);
    return budget.spent();
}

// Whether the section can be part of the message that leaves now.
bool ReadRounds::prepare(Section& section) {
    section.confirmed_by.clear();
    section.confirmed = false;
    section.sent = false;
    if (section.waiting() == 0) {
        return false;
    }
    const auto index = section.replica->raft().read_index();
    if (!index) {
        MARK("read waits for the first commit of the term");
        return false;
    }
    section.term = section.replica->raft().term();
    section.index = *index;
    section.sent = true;
    section.confirmed = section.replica->raft().is_quorum(section.confirmed_by) || MUTANT(leader_asks_nobody);
    return !section.confirmed;
}

void ReadRounds::send(Round& round, Which which) {
    const std::array<std::uint64_t, 2> id = {nonce_, MUTANT(round_id_reused) ? 0 : next_round_++};
    if (which == Which::all_unconfirmed) {
        round.sent_at = context_.now;
    }
    items_.clear();
    for (Section& section : round.sections) {
        if (section.sent && (section.confirmed || which == Which::unsent)) {
            continue;
        }
        if (prepare(section)) {
            section.id = id;
            items_.push_back({section.replica->range(), section.term});
        }
    }
    if (items_.empty()) {
        return;
    }
    const wire::ReadRound message{id, items_};
    context_.links->for_each_up([&](Link& link) { link.send(message, wire::LinkClass::control); });
}

void ReadRounds::serve(Round& round, WorkBudget& budget) {
    const std::size_t count = round.sections.size();
    const std::size_t first = round.first;
    for (std::size_t i = 0; i < count; i++) {
        const std::size_t at = (first + i) % count;
        Section& section = round.sections[at];
        if (section.waiting() == 0) {
            continue;
        }
        const raft::Raft& raft = section.replica->raft();
        const bool led = raft.is_leader() && (!section.sent || raft.term() == section.term);
        if (section.confirmed || !led) {
            answer_questions(round, section, led);
        }
        // An index that was confirmed stays good, whoever leads now.
        bool through = true;
        if (section.confirmed && (section.replica->applied() >= section.index || MUTANT(reads_before_applied))) {
            through = serve_reads(round, section, budget);
        } else if (!led) {
            through = reroute(round, section, budget);
        }
        if (!through) {
            round.first = at + 1;   // the others begin next time
            return;
        }
    }
}

// Whether somebody still waits for it, now that its turn has come.
bool ReadRounds::waits(const PendingRead& read, const Section& section) {
    if (read.origin.kind != OriginKind::none && cancels_.take(read.origin)) {
        context_.router->answer_error(read.origin, api::Errc::cancelled, "", section.replica->header());
        return false;
    }
    return read.origin.kind != OriginKind::none;
}

// false: there is more to do than the budget permits.
bool ReadRounds::serve_reads(Round& round, Section& section, WorkBudget& budget) {
    for (; section.done < section.reads.size() && !budget.spent(); section.done++) {
        const PendingRead& read = section.reads[section.done];
        round.waiting--;
        if (waits(read, section)) {
            context_.router->serve_read(*section.replica, read, budget);
        }
    }
    return section.done == section.reads.size();
}

// The leadership these reads counted on is gone: they start again, perhaps at another node. false: as above.
bool ReadRounds::reroute(Round& round, Section& section, WorkBudget& budget) {
    MARK("reads start again: leadership is gone");
    for (; section.done < section.reads.size() && !budget.spent(); section.done++) {
        const PendingRead& read = section.reads[section.done];
        round.waiting--;
        if (waits(read, section)) {
            budget.take(1, static_cast<std::int64_t>(read.body.size()));
            context_.router->route_again(read.origin, read.body, read.deadline, read.credit);
        }
    }
    return section.done == section.reads.size();
}

void ReadRounds::on_round(Link& link, const wire::ReadRound& round) {
    confirmed_.clear();
    for (const wire::ReadRoundItem& item : round.items) {
        Replica* replica = context_.replicas->find(item.range);
        if (replica == nullptr || (replica->raft().in_doubt() && !MUTANT(doubtful_confirms_reads))) {
            continue;
        }
        if (replica->raft().term() <= item.term || MUTANT(round_ignores_term)) {
            confirmed_.push_back(item.range);
        }
    }
    link.send(wire::ReadRoundAnswer{round.round, confirmed_}, wire::LinkClass::control);
}

void ReadRounds::on_answer(NodeId from, const wire::ReadRoundAnswer& answer) {
    for (const auto& round : out_) {
        for (Section& section : round->sections) {
            if (section.id != answer.round || !section.sent || section.confirmed) {
                continue;
            }
            const RangeId range = section.replica->range();
            if (std::find(answer.confirmed.begin(), answer.confirmed.end(), range) == answer.confirmed.end() ||
                std::find(section.confirmed_by.begin(), section.confirmed_by.end(), from) !=
                    section.confirmed_by.end()) {
                continue;
            }
            section.confirmed_by.push_back(from);
            section.confirmed = section.replica->raft().is_quorum(section.confirmed_by);
        }
    }
}

// Why the commit index here, in term T, covers every write that was acknowledged, or seen by a read, before the follower's
// question left at time t: such a write was committed in some term T'.
//   T' = T: it was committed here, before t, and the commit index never falls.
//   T' < T: it is in this leader's log (leader completeness), below the first entry of T; and one of those is committed,
//           or read_index() says nothing.
//   T' > T: a leader of T' was elected before t, by a quorum, each member of which was in a term above T from then on.
//           But the asker was in T when it asked, this node is in T now, and neither is in doubt, that is, has forgotten.
//           If the two are a quorum, every other one has one of them: there was no such leader.
// So the question is in itself the confirmation that Raft thesis 6.4 asks for (step 2). Where the two are no quorum (five
// voters) it waits for a round, like a read of this node: the index is that of the moment the round leaves, after t.
void ReadRounds::on_read_index(Link& link, const wire::ReadIndex& question) {
    if (context_.halted) {
        return;
    }
    const std::array<NodeId, 1> asker = {link.node()};
    answer_items_.clear();
    for (const wire::ReadRoundItem& item : question.items) {
        Replica* replica = context_.replicas->find(item.range);
        const bool leads = replica != nullptr && replica->raft().is_leader() && replica->raft().term() == item.term;
        const auto index = leads ? replica->raft().read_index() : std::nullopt;
        if (index && (replica->raft().is_quorum(asker) || MUTANT(asker_is_quorum))) {
            answer_items_.push_back({item.range, item.term, *index});
        } else if (leads && open_->waiting < context_.config.bounds.round_reads) {
            section_of(*open_, *replica).questions.push_back({link.id(), question.round, item.term});
            open_->waiting++;
        } else {
            answer_items_.push_back({item.range, item.term, LogIndex()});
        }
    }
    if (!answer_items_.empty()) {
        link.send(wire::ReadIndexAnswer{question.round, answer_items_}, wire::LinkClass::control);
    }
}

// They need not wait for what is applied here.
void ReadRounds::answer_questions(Round& round, Section& section, bool led) {
    for (const Question& question : section.questions) {
        const bool good = led && section.confirmed && question.term == section.term;
        answers_.push_back({question, {section.replica->range(), question.term, good ? section.index : LogIndex()}});
    }
    round.waiting -= section.questions.size();
    section.questions.clear();
}

void ReadRounds::send_answers() {
    const auto key_of = [](const QuestionAnswer& answer) { return std::pair(answer.question.link, answer.question.round); };
    std::stable_sort(answers_.begin(), answers_.end(),
                     [&](const QuestionAnswer& a, const QuestionAnswer& b) { return key_of(a) < key_of(b); });
    for (auto first = answers_.begin(); first != answers_.end();) {
        answer_items_.clear();
        auto last = first;
        for (; last != answers_.end() && key_of(*last) == key_of(*first); ++last) {
            answer_items_.push_back(last->item);
        }
        Link* link = context_.links->find(first->question.link);
        if (link != nullptr) {
            link->send(wire::ReadIndexAnswer{first->question.round, answer_items_}, wire::LinkClass::control);
        }
        first = last;
    }
    answers_.clear();
}

void ReadRounds::on_peer_back() {
    for (const auto& round : out_) {
        round->sent_at = Instant{INT64_MIN / 2};
    }
}

void ReadRounds::expire(Instant now) {
    std::size_t answers_left = expiries_per_turn;
    for (const auto& round : out_) {
        expire_round(*round, now, answers_left);
    }
    expire_round(*open_, now, answers_left);
    if (answers_left == 0) {
        context_.want_timers(now);   // there may be more
    }
}

void ReadRounds::expire_round(Round& round, Instant now, std::size_t& answers_left) {
    for (Section& section : round.sections) {
        for (std::size_t i = section.done; i < section.reads.size() && answers_left > 0; i++) {
            PendingRead& read = section.reads[i];
            if (read.origin.kind != OriginKind::none && read.deadline <= now) {
                answers_left--;
                context_.router->answer_error(read.origin, api::Errc::timed_out, "", section.replica->header());
                read.origin.kind = OriginKind::none;
            }
        }
    }
}

void ReadRounds::fail_all(api::Errc code) {
    const auto fail_round = [&](Round& round) {
        for (Section& section : round.sections) {
            for (; section.done < section.reads.size(); section.done++) {
                const PendingRead& read = section.reads[section.done];
                if (read.origin.kind != OriginKind::none) {
                    context_.router->answer_error(read.origin, code, "", section.replica->header());
                }
            }
            section.questions.clear();   // the asker finds its way when this node is gone
        }
        round.waiting = 0;
    };
    for (const auto& round : out_) {
        fail_round(*round);
    }
    fail_round(*open_);
}

}  // namespace ringfort::shard
