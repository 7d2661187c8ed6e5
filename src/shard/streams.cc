#include "shard/streams.h"

#include <algorithm>

#include "base/mark.h"
#include "shard/read_rounds.h"
#include "shard/replica.h"
#include "shard/request_extent.h"
#include "shard/router.h"
#include "shard/sessions.h"
#include "wire/range_reply.h"

namespace ringfort::shard {

namespace {

// A stream whose reader takes nothing gives its pin back.
constexpr Duration idle_max = 30s;
constexpr Duration look_interval = 50ms;
constexpr std::int64_t credit_max = 64 * static_cast<std::int64_t>(mib);

std::array<std::uint64_t, 3> key_of(const Origin& origin) {
    return {static_cast<std::uint64_t>(origin.kind), origin.place, origin.token};
}

}  // namespace

Streams::Streams(Context& context) : context_(context), held_reads_(context) {}
Streams::~Streams() = default;

// ------------------------------------------------------------------------------------------------ begin

void Streams::list_pools(PoolList& out) const {
    out.push_back({"long replies", streams_.size(), context_.config.bounds.streams});
    out.push_back({"long replies not begun", unopened_.size(), context_.config.bounds.unopened_streams});
    out.push_back({"reads held back", held_reads_.count(), context_.config.bounds.held_reads});
    out.push_back({"bytes of reads held back", held_reads_.held_bytes(), context_.config.bounds.held_read_bytes});
    // One alone may be of any size.
    const auto sorted = std::ranges::count_if(streams_, [](const auto& stream) { return stream->sort_bytes > 0; });
    out.push_back({"bytes of references being sorted", sort_bytes_,
                   sorted > 1 ? context_.config.bounds.sort_bytes : UINT64_MAX});
}

void Streams::open(Replica& replica, const PendingRead& read) {
    if (is_point_get(*read.request)) {
        hold(replica, read.origin, *read.request, read.deadline);
        return;
    }
    if (unopened_.size() >= context_.config.bounds.unopened_streams) {
        context_.router->answer_error(read.origin, api::Errc::too_many_requests, "", replica.header());
        return;
    }
    auto stream = std::make_unique<Stream>();
    stream->origin = read.origin;
    stream->replica = &replica;
    stream->key = read.request->key;
    stream->range_end = read.request->range_end;
    stream->request = *read.request;
    stream->request.key = stream->key;
    stream->request.range_end = stream->range_end;
    stream->deadline = read.deadline;
    stream->credit_bytes = read.credit;
    if (open_budget_.spent() || !unopened_.empty()) {
        enlist(*stream);
        unopened_.push_back(std::move(stream));
        return;
    }
    start(*stream);
    if (!stream->done) {
        enlist(*stream);
        streams_.push_back(std::move(stream));
    }
}

void Streams::hold(Replica& replica, const Origin& origin, const HeldReads::Question& question, Instant deadline) {
    if (!held_reads_.add(replica, origin, question, deadline)) {
        context_.router->answer_error(origin, api::Errc::too_many_requests, "", replica.header());
    }
}

// Pins, and sends what may be sent at once.
void Streams::start(Stream& stream) {
    if (stream.replica->out_of_service()) {
        end(stream, api::Errc::unhealthy, out_of_service_text);
        return;
    }
    auto read = stream.replica->store()->open_range(stream.request);
    if (!read) {
        end(stream, read.error().code, read.error().detail);
        return;
    }
    const std::size_t sort_bytes = (*read)->held_bytes();
    if (sort_bytes > 0 && sort_bytes_ > 0 && sort_bytes_ + sort_bytes > context_.config.bounds.sort_bytes) {
        end(stream, api::Errc::too_many_requests, "too much is being sorted at a time");
        return;
    }
    stream.sort_bytes = sort_bytes;
    sort_bytes_ += sort_bytes;
    stream.read = std::move(*read);
    stream.header = stream.replica->header();
    stream.pinned_bytes = stream.replica->store()->live_bytes();
    open_budget_.take(1, 0);
    while (!stream.done && send_piece(stream, open_budget_)) {
    }
    if (!stream.done && streams_.size() >= context_.config.bounds.streams) {
        end(stream, api::Errc::too_many_requests, "too many long replies at a time");
    }
}

void Streams::start_unopened() {
    while (!unopened_.empty() && !open_budget_.spent()) {
        auto stream = std::move(unopened_.front());
        unopened_.pop_front();
        if (!stream->done && context_.now >= stream->deadline) {
            end(*stream, api::Errc::timed_out, "");
        } else if (!stream->done) {
            start(*stream);
        }
        if (stream->done) {
            delist(*stream);
        } else {
            streams_.push_back(std::move(stream));
        }
    }
}

// ------------------------------------------------------------------------------------------------ go on

bool Streams::blocked(const Stream& stream) const {
    return stream.credit_bytes <= 0 || !context_.router->takes_answers(stream.origin);
}

bool Streams::send_piece(Stream& stream, WorkBudget& budget) {
    if (budget.spent() || blocked(stream)) {
        return false;
    }
    context_.answer_arena.reset();
    api::RangeResponse piece;
    const kv::Step step = stream.read->step(budget, limits::reply_piece_bytes, context_.answer_arena, piece);
    if (step == kv::Step::more && piece.kvs.empty()) {
        return false;   // the budget went into walking
    }
    api::Response response;
    response.header = stream.header;
    response.more_frames = step == kv::Step::more;
    response.body = api::Result(piece);
    stream.credit_bytes -= static_cast<std::int64_t>(wire::range_reply_bytes(piece));
    stream.blocked_since = never;
    stream.began = true;
    if (step == kv::Step::done) {
        set_done(stream);
    }
    context_.router->send_response(stream.origin, response);
    return true;
}

bool Streams::run() {
    bool more = false;
    PartBudget budget(context_.work, TurnPart::long_replies);
    const std::size_t first = next_;
    for (std::size_t i = 0; i < streams_.size(); i++) {
        const std::size_t at = (first + i) % streams_.size();
        Stream& stream = *streams_[at];
        while (!stream.done && send_piece(stream, budget)) {
        }
        more |= !stream.done && !blocked(stream);
        if (budget.spent()) {
            next_ = at + 1;
            more = true;
            break;
        }
    }
    start_unopened();
    more |= !unopened_.empty();
    context_.work.note(TurnPart::opened_replies, open_budget_);
    open_budget_ = {};
    PartBudget held_budget(context_.work, TurnPart::held_reads);
    more |= held_reads_.run(held_budget);
    erase_done();
    return more;
}

void Streams::on_credit(const Origin& origin, std::uint64_t bytes) {
    if (Stream* stream = find(origin)) {
        const auto granted = static_cast<std::int64_t>(std::min<std::uint64_t>(bytes, credit_max));
        stream->credit_bytes = std::min<std::int64_t>(stream->credit_bytes + granted, credit_max);
    }
}

// ------------------------------------------------------------------------------------------------ end

void Streams::set_done(Stream& stream) {
    stream.done = true;
    any_done_ = true;
    sort_bytes_ -= stream.sort_bytes;
    stream.sort_bytes = 0;
    stream.read.reset();
}

void Streams::end(Stream& stream, api::Errc code, std::string_view detail) {
    set_done(stream);
    context_.router->answer_error(stream.origin, code, detail, stream.replica->header());
}

void Streams::erase_done() {
    if (!any_done_) {
        return;
    }
    any_done_ = false;
    std::erase_if(streams_, [this](const auto& stream) {
        if (stream->done) {
            delist(*stream);
        }
        return stream->done;
    });
    next_ = streams_.empty() ? 0 : next_ % streams_.size();
}

bool Streams::on_cancel(const Origin& origin) {
    Stream* stream = find(origin);
    if (stream != nullptr && !stream->done) {
        end(*stream, api::Errc::cancelled, "");
    }
    return stream != nullptr;
}

void Streams::on_origin_gone(OriginKind kind, std::uint64_t place) {
    held_reads_.on_origin_gone(kind, place);
    for_each([&](Stream& stream) {
        if (!stream.done && stream.origin.kind == kind && stream.origin.place == place) {
            set_done(stream);
        }
    });
}

void Streams::on_store_replaced(Replica& replica) {
    for_each([&](Stream& stream) {
        if (!stream.done && stream.replica == &replica && stream.read != nullptr) {
            end(stream, api::Errc::compacted, "the replica was rebuilt");
        }
    });
}

void Streams::on_timers(Instant now) {
    for (const auto& stream : streams_) {
        if (!stream->done) {
            look_at(*stream, now);
        }
    }
    erase_done();
}

void Streams::look_at(Stream& stream, Instant now) {
    if (!stream.began && now >= stream.deadline) {
        end(stream, api::Errc::timed_out, "");
        return;
    }
    if (overstays(stream, now)) {
        MARK("a long reply is in compaction's way for too long");
        end(stream, api::Errc::compacted, "the reply was not read in time");
        return;
    }
    if (!blocked(stream)) {
        stream.blocked_since = never;
        return;
    }
    stream.blocked_since = std::min(stream.blocked_since, now);
    if (now - stream.blocked_since >= idle_max) {
        // etcd's users know this answer from reading too slowly past a compaction.
        end(stream, api::Errc::compacted, "the reply was not read in time");
    }
}

// What has been written since is the most that its pin keeps: changes are forgotten in their order.
bool Streams::overstays(Stream& stream, Instant now) const {
    const kv::Store& store = *stream.replica->store();
    if (stream.read->revision() >= store.compact_revision()) {
        return false;
    }
    stream.overtaken_since = std::min(stream.overtaken_since, now);
    const ShardBounds& bounds = context_.config.bounds;
    return now - stream.overtaken_since >= bounds.stream_pin_time ||
           store.live_bytes() > stream.pinned_bytes + bounds.stream_pin_bytes;
}

Instant Streams::next_deadline() const {
    return streams_.empty() && held_reads_.count() == 0 ? never : context_.now + look_interval;
}

void Streams::fail_all(api::Errc code) {
    held_reads_.fail_all(code);
    for_each([&](Stream& stream) {
        if (!stream.done) {
            end(stream, code, "");
        }
    });
}

// ------------------------------------------------------------------------------------------------ lists

template <class F>
void Streams::for_each(F&& f) {
    for (const auto& stream : streams_) {
        f(*stream);
    }
    for (const auto& stream : unopened_) {
        f(*stream);
    }
}

void Streams::enlist(Stream& stream) {
    by_origin_.emplace(key_of(stream.origin), &stream);
}

// Of two with the same origin, which only a client makes that breaks the rules, the first is listed.
void Streams::delist(const Stream& stream) {
    const auto at = by_origin_.find(key_of(stream.origin));
    if (at != by_origin_.end() && at->second == &stream) {
        by_origin_.erase(at);
    }
}

Streams::Stream* Streams::find(const Origin& origin) const {
    const auto at = by_origin_.find(key_of(origin));
    return at != by_origin_.end() ? at->second : nullptr;
}

}  // namespace ringfort::shard
