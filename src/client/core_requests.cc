// The way of a request: encoded once, onto a connection or waiting for one, answered, tried again, or expired.
#include <algorithm>
#include <string>
#include <utility>

#include "base/assertion.h"
#include "base/bounds.h"
#include "base/mark.h"
#include "client/core_impl.h"

namespace ringfort::client {

namespace {

constexpr Duration retry_pause_first = 10ms;
constexpr Duration retry_pause_last = 100ms;
// Of a watch, which waits for as long as it takes: the many watches of a client together must not be a burden to nodes
// that look for a leader. The longest pause is half as long again.
constexpr Duration watch_pause_last = 1280ms;
// After so many redirects of one request it is left to the servers to forward it.
constexpr std::uint8_t redirects_max = 2;
constexpr std::uint32_t refused_index = UINT32_MAX;

bool nested_at_most(const api::TxnRequest& txn, std::size_t depth) {
    const auto fits = [depth](const api::RequestOp& op) {
        const auto* nested = std::get_if<api::TxnRequest>(&op.op);
        return nested == nullptr || nested_at_most(*nested, depth - 1);
    };
    return depth > 0 && std::ranges::all_of(txn.success, fits) && std::ranges::all_of(txn.failure, fits);
}

void count_up(std::uint8_t& counter) {
    counter = static_cast<std::uint8_t>(std::min(counter + 1, 255));
}

}  // namespace

api::Response error_response(api::Errc code, std::string_view detail) {
    api::ErrorInfo error;
    error.code = code;
    error.detail = detail;
    api::Response response;
    response.body = error;
    return response;
}

std::uint64_t Core::Impl::submit(const api::Request& request, Callback callback, void* context, Afresh afresh,
                                 Place place) {
    ASSERT(callback != nullptr);
    counters.requests++;
    const bool reserved = place == Place::reserved && reserved_count < options.reserved_max;
    const bool full = pending.count() - reserved_count >= options.in_flight_max;
    if (!reserved && (full || pending.frame_bytes() >= options.held_bytes_max)) {
        return refuse(callback, context, api::Errc::too_many_requests);
    }
    const auto* txn = std::get_if<api::TxnRequest>(&request.op);
    if (txn != nullptr && !nested_at_most(*txn, limits::txn_depth_max)) {
        return refuse(callback, context, api::Errc::too_deep);
    }
    const std::uint32_t index = pending.acquire();
    Pending& slot = pending[index];
    slot.callback = callback;
    slot.context = context;
    slot.afresh = afresh;
    slot.kind = wire::kind_of(request.op);
    slot.read = is_read(request.op);
    slot.reserved = reserved;
    reserved_count += reserved ? 1 : 0;
    watch_count += slot.kind == wire::ClientKind::watch ? 1 : 0;
    const Duration timeout = request.timeout > 0ns ? request.timeout : options.request_timeout;
    slot.deadline = current_time() + timeout;
    slot.timeout_ms = static_cast<std::uint32_t>(std::min<std::int64_t>(timeout / 1ms, UINT32_MAX));
    request_timers.set(index, slot.deadline);

    const std::uint64_t token = pending.token_of(index);
    Connection* connection = waiting.count == 0 ? pick(no_connection) : nullptr;
    wire::OutBuffer& out = connection != nullptr ? connection->out() : scratch;
    const std::size_t start = out.pending_bytes();
    bool encoded = false;
    if (request.timeout == timeout && (request.redirect || !options.follow_leader)) {
        encoded = wire::encode_request(token, request, out);
    } else {
        api::Request completed = request;
        completed.timeout = timeout;
        completed.redirect = request.redirect || options.follow_leader;
        encoded = wire::encode_request(token, completed, out);
    }
    if (!encoded) {
        release(index);
        return refuse(callback, context, api::Errc::request_too_large);
    }
    const std::size_t frame_bytes = out.pending_bytes() - start;
    pending.keep_frame(index, {out.at(start), frame_bytes});
    if (connection != nullptr && frame_bytes <= connection->frame_bytes_max()) {
        attach(index, *connection);
        return token;
    }
    // Too large for this server is found, and answered, by place() in the next turn.
    out.truncate(start);
    slot.waiting = true;
    pending.append(waiting, index);
    return token;
}

// Answered by the next turn: a callback never runs inside of submit().
std::uint64_t Core::Impl::refuse(Callback callback, void* context, api::Errc code) {
    // Tokens of refusals count up in the generation half, with an index no request has.
    const std::uint64_t token = (++refused_tokens << 32) | refused_index;
    refused.push_back({token, callback, context, code});
    return token;
}

void Core::Impl::cancel(std::uint64_t token) {
    const std::uint32_t index = pending.find(token);
    if (index == no_request) {
        const auto same = [token](const Refused& one) { return one.token == token; };
        std::erase_if(refused, same);
        for (Refused& one : refused_now) {
            one.callback = same(one) ? nullptr : one.callback;
        }
        return;
    }
    detach(index);
    release(index);
}

void Core::Impl::release(std::uint32_t index) {
    const Pending& slot = pending[index];
    reserved_count -= slot.reserved ? 1 : 0;
    watch_count -= slot.kind == wire::ClientKind::watch ? 1 : 0;
    ASSERT(reserved_count <= options.reserved_max && watch_count <= pending.count());
    request_timers.clear(index);
    pending.release(index);
}

bool Core::Impl::has_room(const Connection& connection) const {
    const std::size_t most = options.requests_per_connection_max;
    return connection.ready() && !connection.retiring && connection.has_place() &&
           (most == 0 || connection.unanswered < most);
}

Connection* Core::Impl::pick(std::uint32_t avoid) {
    if (ready_count == 0) {
        return nullptr;
    }
    const auto count = static_cast<std::uint32_t>(connections.size());
    if (options.requests_per_connection_max > 0 && answered_last < count && answered_last != avoid &&
        has_room(*connections[answered_last])) {
        return connections[answered_last].get();
    }
    Connection* last_choice = nullptr;
    for (std::uint32_t step = 0; step < count; step++) {
        pick_next = pick_next + 1 < count ? pick_next + 1 : 0;
        Connection& connection = *connections[pick_next];
        if (!has_room(connection)) {
            continue;
        }
        if (connection.number() != avoid) {
            return &connection;
        }
        last_choice = &connection;
    }
    return last_choice;
}

Connection* Core::Impl::pick_endpoint(std::uint32_t endpoint) {
    const auto count = static_cast<std::uint32_t>(connections.size());
    for (std::uint32_t step = 0; step < count; step++) {
        pick_next = pick_next + 1 < count ? pick_next + 1 : 0;
        Connection& connection = *connections[pick_next];
        if (connection.endpoint == endpoint && has_room(connection)) {
            return &connection;
        }
    }
    return nullptr;
}

void Core::Impl::route(std::uint32_t index) {
    Connection* connection = waiting.count == 0 ? pick(pending[index].avoid) : nullptr;
    if (connection != nullptr) {
        place(index, *connection);
        return;
    }
    pending[index].waiting = true;
    pending.append(waiting, index);
}

bool Core::Impl::place(std::uint32_t index, Connection& connection) {
    Pending& slot = pending[index];
    ASSERT(slot.connection == no_connection && !slot.waiting);
    if (slot.frame.size() > connection.frame_bytes_max()) {
        complete_with(index, api::Errc::request_too_large, {});
        return false;
    }
    connection.out().append(slot.frame);
    attach(index, connection);
    return true;
}

void Core::Impl::attach(std::uint32_t index, Connection& connection) {
    Pending& slot = pending[index];
    slot.connection = connection.number();
    slot.epoch = connection.epoch();
    slot.first_frame_due = slot.kind == wire::ClientKind::watch;
    pending.append(connection.requests, index);
    connection.unanswered++;
    connection.note_appended();
}

void Core::Impl::pump() {
    while (waiting.count > 0) {
        const std::uint32_t index = waiting.first;
        Connection* connection = pick(pending[index].avoid);
        if (connection == nullptr) {
            return;
        }
        detach(index);
        place(index, *connection);
    }
}

void Core::Impl::detach(std::uint32_t index) {
    Pending& slot = pending[index];
    if (slot.waiting) {
        pending.remove(waiting, index);
        slot.waiting = false;
        return;
    }
    if (slot.connection == no_connection) {
        return;
    }
    Connection& connection = *connections[slot.connection];
    pending.remove(connection.requests, index);
    slot.connection = no_connection;
    connection.watches_open -= slot.kind == wire::ClientKind::watch && slot.pieces_seen ? 1 : 0;
    if (std::exchange(slot.first_frame_due, false) && connection.ready()) {
        connection.watches_left.push_back(pending.token_of(index));
    }
    // A long reply nobody waits for any more is stopped at its source.
    if (connection.ready() && slot.reply_open) {
        stop_at_source(connection, pending.token_of(index));
    }
}

void Core::Impl::stop_at_source(Connection& connection, std::uint64_t token) {
    if (connection.cancelled_last != token) {
        connection.cancelled_last = token;
        wire::encode_cancel(token, connection.out());
        connection.note_appended();
    }
}

void Core::Impl::grant(std::uint64_t token, std::uint32_t bytes, bool progress) {
    const std::uint32_t index = pending.find(token);
    if (index == no_request || !pending[index].reply_open) {
        return;   // over, or going on with credit of its own
    }
    Pending& slot = pending[index];
    ASSERT(slot.kind == wire::ClientKind::watch);
    slot.credit_due_bytes += bytes;
    Connection& connection = *connections[slot.connection];
    if (connection.ready() && (progress || slot.credit_due_bytes >= options.reply_credit_bytes / 2)) {
        wire::encode_credit(token, wire::CreditGrant{slot.credit_due_bytes, progress}, connection.out());
        connection.note_appended();
        slot.credit_due_bytes = 0;
    }
}

bool Core::Impl::reencode(std::uint32_t index, bool ask_redirect) {
    Pending& slot = pending[index];
    if (slot.pieces_seen) {
        ASSERT(slot.afresh != nullptr);
        slot.pieces_seen = false;
        slot.reply_open = false;
        slot.credit_due_bytes = 0;
        MARK("long reply begins afresh");
        slot.afresh(slot.context);
    }
    retry_arena.reset();
    const Bytes body = Bytes(slot.frame).subspan(limits::frame_header_bytes);
    auto request = wire::decode_request(slot.kind, body, retry_arena);
    if (!request) {
        // Over a bound that only decoding checks: every server would say the same.
        complete_with(index, request.error(), {});
        return false;
    }
    request->redirect = ask_redirect;
    request->timeout = std::max<Duration>(slot.deadline - now, 1ms);
    ASSERT(scratch.pending_bytes() == 0);
    const bool encoded = wire::encode_request(pending.token_of(index), *request, scratch);
    ASSERT(encoded);   // it differs in numbers only
    // The old frame is read until here.
    pending.keep_frame(index, {scratch.at(0), scratch.pending_bytes()});
    scratch.truncate(0);
    counters.retries++;
    return true;
}

void Core::Impl::complete(std::uint32_t index, const api::Response& response) {
    const Pending& slot = pending[index];
    const Callback callback = slot.callback;
    void* const context = slot.context;
    const std::uint64_t token = pending.token_of(index);
    detach(index);
    release(index);
    callback(context, token, response);
}

void Core::Impl::complete_with(std::uint32_t index, api::Errc code, std::string_view detail) {
    complete(index, error_response(code, detail));
}

void Core::Impl::rest(std::uint32_t index) {
    Pending& slot = pending[index];
    ASSERT(slot.connection == no_connection && !slot.waiting);
    const bool watch = slot.kind == wire::ClientKind::watch;
    const Duration last = watch ? watch_pause_last : retry_pause_last;
    const Instant next_try = now + pause_before(slot.attempts, retry_pause_first, last, prng);
    if (watch) {
        // Its deadline is that of a try: one that began anew with it would forget how often it asked.
        slot.deadline = next_try + std::chrono::milliseconds(slot.timeout_ms);
    }
    request_timers.set(index, std::min(slot.deadline, next_try));
}

void Core::Impl::on_timer(std::uint32_t index) {
    Pending& slot = pending[index];
    // A callback of this turn may have ended the request, and another one may have its place by now.
    if (slot.callback == nullptr || request_timers.is_set(index)) {
        return;
    }
    if (slot.deadline <= now) {
        expire(index);
        return;
    }
    ASSERT(slot.connection == no_connection && !slot.waiting);
    request_timers.set(index, slot.deadline);
    if (reencode(index, options.follow_leader && slot.redirects < redirects_max)) {
        route(index);
    }
}

void Core::Impl::expire(std::uint32_t index) {
    Pending& slot = pending[index];
    const bool left = slot.connection != no_connection && slot.epoch < connections[slot.connection]->epoch();
    if (left) {
        complete_with(index, api::Errc::timed_out, "no answer before the request's deadline");
        return;
    }
    if (slot.connection != no_connection) {
        // Still in our buffer, behind a send the network does not take: what is not sent cannot be taken out of
        // the middle, so the outcome is open.
        MARK("request expires unsent");
        complete_with(index, api::Errc::timed_out, "not sent before the request's deadline");
        return;
    }
    const std::string reasons = endpoints.describe();
    complete_with(index, slot.last_error != api::Errc::ok ? slot.last_error : api::Errc::no_leader,
                  reasons.empty() ? "no connection took the request before its deadline" : reasons);
}

void Core::Impl::refuse_waiting(api::Errc code) {
    // Callbacks may submit again: only those that wait now.
    for (std::uint32_t count = waiting.count; count > 0 && waiting.count > 0; count--) {
        const std::string reasons = endpoints.describe();
        complete_with(waiting.first, code, reasons);
    }
}

void Core::Impl::on_frame(Connection& connection, const wire::FrameReader::Frame& frame) {
    connection.received_at = now;
    connection.heard = false;
    connection.pinged = false;
    const wire::FrameHeader& header = frame.header;
    if (header.request_id == ping_request_id) {
        connection.carried_epoch = std::max(connection.carried_epoch, connection.pinged_epoch);
        connection.pings_unanswered -= connection.pings_unanswered > 0 ? 1 : 0;
        return;
    }
    frame_length = header.length;
    answered_last = connection.number();
    std::uint32_t index = pending.find(header.request_id);
    index = index != no_request && pending[index].connection == connection.number() ? index : no_request;
    free_place(connection, header, index);
    if (index == no_request) {
        on_unwanted_piece(connection, header);
        return;   // cancelled or expired
    }
    connection.carried_epoch = std::max(connection.carried_epoch, pending[index].epoch);
    if (header.kind != static_cast<std::uint8_t>(pending[index].kind)) {
        connection.fail({.protocol_error = true, .text = "a reply of another kind than its request"});
        return;
    }
    reply_arena.reset();
    const auto response = wire::decode_response(pending[index].kind, header.flags, frame.body, reply_arena);
    if (!response) {
        connection.fail({.protocol_error = true, .text = wire::to_string(response.error())});
        return;
    }
    if (!response->ok()) {
        on_error(connection, index, *response);
    } else if (response->more_frames) {
        on_piece(connection, index, *response, header.length);
    } else {
        pending[index].reply_open = false;
        complete(index, *response);
    }
    retire_if_done(connection);
}

// As the server counts: a watch has its place until its first frame, other requests have theirs until their last.
void Core::Impl::free_place(Connection& connection, const wire::FrameHeader& header, std::uint32_t index) {
    bool frees = (header.flags & wire::flag_more) == 0;
    if (header.kind == static_cast<std::uint8_t>(wire::ClientKind::watch)) {
        frees = index != no_request ? std::exchange(pending[index].first_frame_due, false)
                                    : std::erase(connection.watches_left, header.request_id) > 0;
    }
    connection.unanswered -= frees && connection.unanswered > 0 ? 1 : 0;
}

// Nobody waited any more when the first piece of a long reply came: the server is told, else it waits for its credit.
void Core::Impl::on_unwanted_piece(Connection& connection, const wire::FrameHeader& header) {
    const auto kind = static_cast<wire::ClientKind>(header.kind);
    if ((header.flags & wire::flag_more) != 0 && (kind == wire::ClientKind::range || kind == wire::ClientKind::watch)) {
        MARK("unwanted long reply is cancelled");
        stop_at_source(connection, header.request_id);
    }
}

void Core::Impl::on_piece(Connection& connection, std::uint32_t index, const api::Response& response,
                          std::uint32_t frame_bytes) {
    Pending& slot = pending[index];
    const bool watch = slot.kind == wire::ClientKind::watch;
    if (slot.kind != wire::ClientKind::range && !watch) {
        connection.fail({.protocol_error = true, .text = "a reply in pieces to a request that has none"});
        return;
    }
    if (watch && !slot.pieces_seen) {
        connection.watches_open++;
        slot.deadline = never;
        request_timers.clear(index);
    }
    slot.pieces_seen = true;
    slot.reply_open = true;
    if (!watch && options.pieces_renew_deadline && slot.afresh == nullptr) {
        slot.deadline = now + std::chrono::milliseconds(slot.timeout_ms);
        request_timers.set(index, slot.deadline);
    }
    const std::uint64_t token = pending.token_of(index);
    slot.callback(slot.context, token, response);
    // The callback may have cancelled it.
    if (pending.find(token) == no_request || !connection.ready() || watch) {
        return;   // of a watch the caller says when it has dealt with it
    }
    slot.credit_due_bytes += frame_bytes;
    if (slot.credit_due_bytes >= options.reply_credit_bytes / 2) {
        wire::encode_credit(token, slot.credit_due_bytes, connection.out());
        connection.note_appended();
        slot.credit_due_bytes = 0;
    }
}

void Core::Impl::on_error(Connection& connection, std::uint32_t index, const api::Response& response) {
    Pending& slot = pending[index];
    const auto& error = std::get<api::ErrorInfo>(response.body);
    slot.reply_open = false;
    switch (after_error(error.code, {.read = slot.read, .handed_out = slot.handed_out()})) {
        case Verdict::give_up: complete(index, response); return;
        case Verdict::follow: follow(connection, index, error); return;
        case Verdict::elsewhere:
        case Verdict::later: break;
    }
    count_up(slot.attempts);
    slot.last_error = error.code;
    slot.avoid = connection.number();
    detach(index);
    if (after_error(error.code, {.read = slot.read}) == Verdict::elsewhere) {
        leave(connection);
    } else if (error.code == api::Errc::no_leader && !in_no_hurry(connection, slot)) {
        // The node may be the only one that hears none, and serves nothing.
        move_towards(connection, lot_among_others(connection.endpoint));
    }
    // `elsewhere` too rests when it comes again: all nodes may be stopping.
    if (slot.attempts == 1 && after_error(error.code, {.read = slot.read}) == Verdict::elsewhere) {
        MARK("request tried at another node");
        if (reencode(index, options.follow_leader)) {
            route(index);
        }
        return;
    }
    rest(index);
}

// Of a watch that has seen a round of nodes: they too may hear no leader, and each move is a connection made anew.
bool Core::Impl::in_no_hurry(const Connection& connection, const Pending& slot) const {
    return slot.kind == wire::ClientKind::watch && slot.attempts > endpoints.count() &&
           connection.moved_at + watch_pause_last > now;
}

void Core::Impl::follow(Connection& connection, std::uint32_t index, const api::ErrorInfo& error) {
    Pending& slot = pending[index];
    counters.redirects++;
    count_up(slot.redirects);
    slot.last_error = error.code;
    slot.avoid = connection.number();
    detach(index);
    const auto endpoint = endpoints.learn(error.leader_address);
    if (slot.redirects > redirects_max) {
        MARK("redirected in a circle");
        count_up(slot.attempts);
        rest(index);
        return;
    }
    Connection* target = endpoint ? pick_endpoint(*endpoint) : nullptr;
    // Without a connection to the leader the servers forward it: faster than to connect first.
    if (!reencode(index, target != nullptr && slot.redirects < redirects_max)) {
        return;
    }
    if (target != nullptr) {
        place(index, *target);
    } else {
        route(index);
    }
    if (endpoint) {
        move_towards_leader(connection, *endpoint);
    }
}

}  // namespace ringfort::client
