#include "shard/streams.h"

#include <algorithm>

#include "shard/replica.h"
#include "shard/router.h"
#include "shard/sessions.h"

namespace ringfort::shard {

namespace {

constexpr std::size_t streams_max = 1024;
// What waits at the connection before a stream over it pauses.
constexpr std::size_t backlog_max = 1 * mib;
// A stream whose reader takes nothing gives its pin back.
constexpr Duration idle_max = 30s;
constexpr std::int64_t credit_max = 64 * static_cast<std::int64_t>(mib);
constexpr std::int64_t forwarded_credit_bytes = 1 * static_cast<std::int64_t>(mib);

}  // namespace

Streams::Streams(Context& context) : context_(context) {}
Streams::~Streams() = default;

void Streams::open(Replica& replica, const Origin& origin, const api::RangeRequest& request) {
    if (streams_.size() >= streams_max) {
        context_.router->answer_error(origin, api::Errc::too_many_requests, "", replica.header());
        return;
    }
    auto stream = std::make_unique<Stream>();
    stream->origin = origin;
    stream->replica = &replica;
    stream->key = request.key;
    stream->range_end = request.range_end;
    stream->request = request;
    stream->request.key = stream->key;
    stream->request.range_end = stream->range_end;
    auto read = replica.store()->open_range(stream->request);
    if (!read) {
        context_.router->answer_error(origin, read.error(), "", replica.header());
        return;
    }
    stream->read = std::move(*read);
    stream->header = replica.header();
    stream->idle_since = context_.now;
    stream->credit_bytes = forwarded_credit_bytes;
    if (origin.kind == OriginKind::session) {
        if (const Session* session = context_.sessions->find(origin.place)) {
            stream->credit_bytes = session->credit_bytes();
        }
    }
    WorkBudget budget;
    while (!stream->done && send_piece(*stream, budget)) {
    }
    if (!stream->done) {
        streams_.push_back(std::move(stream));
    }
}

bool Streams::send_piece(Stream& stream, WorkBudget& budget) {
    if (budget.spent() || stream.credit_bytes <= 0 || context_.router->backlog_bytes(stream.origin) > backlog_max) {
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
    std::int64_t bytes = 0;
    for (const api::KeyValue& kv : piece.kvs) {
        bytes += static_cast<std::int64_t>(kv.key.size() + kv.value.size() + 64);
    }
    response.body = api::Result(piece);
    stream.credit_bytes -= bytes;
    stream.idle_since = context_.now;
    stream.done = step == kv::Step::done;
    context_.router->send_response(stream.origin, response);
    return true;
}

bool Streams::run() {
    bool more = false;
    WorkBudget budget;
    for (std::size_t i = 0; i < streams_.size(); i++) {
        Stream& stream = *streams_[(next_ + i) % streams_.size()];
        while (!stream.done && send_piece(stream, budget)) {
        }
        more |= !stream.done && stream.credit_bytes > 0 &&
                context_.router->backlog_bytes(stream.origin) <= backlog_max;
        if (budget.spent()) {
            more = true;
            break;
        }
    }
    next_++;
    std::erase_if(streams_, [](const auto& stream) { return stream->done; });
    return more;
}

Streams::Stream* Streams::find(const Origin& origin) {
    for (const auto& stream : streams_) {
        const Origin& of = stream->origin;
        if (of.kind == origin.kind && of.place == origin.place && of.token == origin.token) {
            return stream.get();
        }
    }
    return nullptr;
}

void Streams::on_credit(const Origin& origin, std::uint64_t bytes) {
    if (Stream* stream = find(origin)) {
        const auto granted = static_cast<std::int64_t>(std::min<std::uint64_t>(bytes, credit_max));
        stream->credit_bytes = std::min<std::int64_t>(stream->credit_bytes + granted, credit_max);
    }
}

void Streams::on_cancel(const Origin& origin) {
    if (Stream* stream = find(origin)) {
        context_.router->answer_error(stream->origin, api::Errc::cancelled, "", stream->replica->header());
        stream->done = true;
    }
}

void Streams::on_origin_gone(OriginKind kind, std::uint64_t place) {
    for (const auto& stream : streams_) {
        if (stream->origin.kind == kind && stream->origin.place == place) {
            stream->origin.kind = OriginKind::none;
            stream->done = true;
        }
    }
}

void Streams::on_store_replaced(Replica& replica) {
    for (const auto& stream : streams_) {
        if (stream->replica == &replica && !stream->done) {
            context_.router->answer_error(stream->origin, api::Errc::compacted, "the replica was rebuilt",
                                          replica.header());
            stream->done = true;
        }
    }
    std::erase_if(streams_, [](const auto& stream) { return stream->done; });
}

void Streams::on_timers(Instant now) {
    for (const auto& stream : streams_) {
        if (!stream->done && now - stream->idle_since >= idle_max) {
            // etcd's users know this answer from reading too slowly past a compaction.
            context_.router->answer_error(stream->origin, api::Errc::compacted, "the reply was not read in time",
                                          stream->replica->header());
            stream->done = true;
        }
    }
    std::erase_if(streams_, [](const auto& stream) { return stream->done; });
}

void Streams::fail_all(api::Errc code) {
    for (const auto& stream : streams_) {
        if (!stream->done) {
            context_.router->answer_error(stream->origin, code, "", stream->replica->header());
        }
    }
    streams_.clear();
}

}  // namespace ringfort::shard
