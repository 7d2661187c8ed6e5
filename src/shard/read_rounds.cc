#include "shard/read_rounds.h"

#include <algorithm>

#include "shard/peer_links.h"
#include "shard/replica.h"
#include "shard/replicas.h"
#include "shard/router.h"

namespace ringfort::shard {

namespace {

constexpr std::size_t rounds_out_max = 2;
constexpr std::size_t reads_per_round_max = 64 * 1024;
constexpr std::size_t round_bytes_max = 64 * mib;
constexpr std::size_t expiries_per_turn = 1024;
// A round without an answer is sent anew under a new id.
constexpr Duration resend_after = 500ms;

}  // namespace

ReadRounds::ReadRounds(Context& context)
    : context_(context), nonce_(context.prng.next()), open_(std::make_unique<Round>()) {}

std::unique_ptr<ReadRounds::Round> ReadRounds::fresh_round() {
    if (spare_.empty()) {
        return std::make_unique<Round>();
    }
    auto round = std::move(spare_.back());
    spare_.pop_back();
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

api::Errc ReadRounds::add(Replica& replica, const PendingRead& read) {
    if (open_->reads >= reads_per_round_max || open_->arena.used_bytes() + read.body.size() > round_bytes_max) {
        return api::Errc::too_many_requests;
    }
    section_of(*open_, replica).reads.push_back(copy_of(read));
    open_->reads++;
    return api::Errc::ok;
}

// In the open round's memory.
PendingRead ReadRounds::copy_of(const PendingRead& read) {
    Arena& arena = open_->arena;
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

void ReadRounds::run() {
    if (context_.halted) {
        return;
    }
    for (const auto& round : out_) {
        if (context_.now - round->sent_at >= resend_after) {
            send(*round, Which::all_unconfirmed);
        } else if (std::any_of(round->sections.begin(), round->sections.end(),
                               [](const Section& s) { return !s.sent && !s.reads.empty(); })) {
            send(*round, Which::unsent);
        }
    }
    if (open_->reads > 0 && out_.size() < rounds_out_max) {
        out_.push_back(std::move(open_));
        open_ = fresh_round();
        send(*out_.back(), Which::all_unconfirmed);
    }
    for (std::size_t i = 0; i < out_.size(); i++) {
        serve(*out_[i]);
    }
    while (!out_.empty() && out_.front()->reads == 0) {
        auto done = std::move(out_.front());
        out_.pop_front();
        done->arena.reset();
        done->sections.clear();
        spare_.push_back(std::move(done));
    }
}

// Whether the section can be part of the message that leaves now.
bool ReadRounds::prepare(Section& section) {
    section.confirmed_by.clear();
    section.confirmed = false;
    section.sent = false;
    if (section.reads.empty()) {
        return false;
    }
    const auto index = section.replica->raft().read_index();
    if (!index) {
        return false;
    }
    section.term = section.replica->raft().term();
    section.index = *index;
    section.sent = true;
    section.confirmed = section.replica->raft().is_quorum(section.confirmed_by);
    return !section.confirmed;
}

void ReadRounds::send(Round& round, Which which) {
    const std::array<std::uint64_t, 2> id = {nonce_, next_round_++};
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

void ReadRounds::serve(Round& round) {
    for (Section& section : round.sections) {
        if (section.reads.empty()) {
            continue;
        }
        Replica& replica = *section.replica;
        if (!replica.raft().is_leader() || (section.sent && replica.raft().term() != section.term)) {
            round.reads -= section.reads.size();
            reroute(section);
            continue;
        }
        if (!section.confirmed || replica.applied() < section.index) {
            continue;
        }
        round.reads -= section.reads.size();
        for (const PendingRead& read : section.reads) {
            if (read.origin.kind != OriginKind::none) {
                context_.router->serve_read(replica, read);
            }
        }
        section.reads.clear();
    }
}

// The leadership these reads counted on is gone: they start again, perhaps at another node.
void ReadRounds::reroute(Section& section) {
    std::vector<PendingRead> reads;
    reads.swap(section.reads);
    for (const PendingRead& read : reads) {
        if (read.origin.kind != OriginKind::none) {
            context_.router->route_again(read.origin, read.body, read.deadline, read.credit);
        }
    }
}

void ReadRounds::on_round(Link& link, const wire::ReadRound& round) {
    confirmed_.clear();
    for (const wire::ReadRoundItem& item : round.items) {
        Replica* replica = context_.replicas->find(item.range);
        if (replica != nullptr && replica->raft().term() <= item.term && !replica->raft().in_doubt()) {
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
        for (std::size_t i = 0; i < section.reads.size() && answers_left > 0; i++) {
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
            for (const PendingRead& read : section.reads) {
                if (read.origin.kind != OriginKind::none) {
                    context_.router->answer_error(read.origin, code, "", section.replica->header());
                }
            }
            section.reads.clear();
        }
        round.reads = 0;
    };
    for (const auto& round : out_) {
        fail_round(*round);
    }
    fail_round(*open_);
}

}  // namespace ringfort::shard
