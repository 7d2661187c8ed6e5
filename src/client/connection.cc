#include "client/connection.h"

#include <string>

#include "base/assertion.h"
#include "base/bounds.h"

namespace ringfort::client {

namespace {

std::string_view text_of(env::CloseReason reason) {
    switch (reason) {
        case env::CloseReason::peer_closed: return "closed by the server";
        case env::CloseReason::reset: return "connection reset";
        case env::CloseReason::refused: return "cannot connect: refused, unreachable, or no such host";
        case env::CloseReason::no_resources: return "no descriptors or buffers left";
    }
    return "closed";
}

}  // namespace

Connection::Connection(env::Network& network, ConnectionOwner& owner, const CoreOptions& options,
                       std::uint32_t number)
    : network_(network), owner_(owner), options_(options), number_(number) {}

Connection::~Connection() {
    if (state_ != State::down) {
        go_down();
    }
}

void Connection::start(const env::Address& address) {
    ASSERT(state_ == State::down && requests.count == 0);
    reader_ = std::make_unique<wire::FrameReader>(limits::frame_bytes_max);
    state_ = State::connecting;
    retiring = false;
    pinged = false;
    heard = false;
    unanswered = 0;
    watches_left.clear();
    watches_open = 0;
    cancelled_last = 0;
    id_ = network_.connect(address, env::ConnectionClass::client, *this);
}

void Connection::on_connected() {
    ASSERT(state_ == State::connecting);
    state_ = State::greeting;
    wire::encode_preamble(out_.extend(wire::preamble_bytes), {.role = wire::PeerRole::client});
    wire::ClientHello hello;
    hello.cluster_id = options_.cluster_id;
    hello.client_name = options_.name;
    hello.reply_credit_bytes = options_.reply_credit_bytes;
    wire::encode_client_hello(hello, out_);
    note_appended();
}

std::size_t Connection::frame_bytes_max() const {
    return greeting_.frame_bytes_max != 0 ? greeting_.frame_bytes_max : limits::frame_bytes_max;
}
std::size_t Connection::requests_max() const {
    return greeting_.requests_max != 0 ? greeting_.requests_max : limits::requests_per_connection_max;
}

void Connection::note_appended() {
    if (!queued_for_flush && !out_.sending()) {
        owner_.on_sendable(*this);
    }
}

void Connection::flush() {
    if (state_ == State::down || out_.sending() || out_.pending_bytes() == 0) {
        return;
    }
    epoch_++;
    network_.send(id_, out_.start_send());
}

void Connection::on_sent() {
    out_.send_done();
    if (out_.pending_bytes() > 0) {
        note_appended();
    }
}

void Connection::on_received(Bytes bytes) {
    ASSERT(state_ == State::greeting || state_ == State::ready);
    heard = true;
    reader_->feed(bytes);
    while (state_ != State::down) {
        const auto next = reader_->next();
        if (!next) {
            fail({.protocol_error = true, .text = wire::to_string(next.error())});
            return;
        }
        if (!*next) {
            return;
        }
        const bool hello = (*next)->header.kind == static_cast<std::uint8_t>(wire::ClientKind::hello);
        const bool refusal = hello && ((*next)->header.flags & wire::flag_error) != 0;
        if (refusal) {
            read_refusal(**next);
        } else if (hello != (state_ == State::greeting)) {
            fail({.protocol_error = true, .text = hello ? "a second hello" : "the server's first frame is no hello"});
        } else if (hello) {
            read_greeting(**next);
        } else {
            owner_.on_frame(*this, **next);
        }
    }
}

// A server's word about the whole connection: it stops, or closes at once and says why.
void Connection::read_refusal(const wire::FrameReader::Frame& frame) {
    arena_.reset();
    const auto response = wire::decode_response(wire::ClientKind::hello, frame.header.flags, frame.body, arena_);
    if (!response || response->ok()) {
        fail({.protocol_error = true, .text = "the server's hello cannot be read"});
        return;
    }
    const auto& error = std::get<api::ErrorInfo>(response->body);
    if (state_ == State::ready && error.code == api::Errc::stopped) {
        owner_.on_goodbye(*this);
        return;
    }
    const std::string text(error.detail.empty() ? api::error_text(error.code) : error.detail);
    // A stopping node, or one at its connection bound, may take us later; the others will not.
    const bool lasting = error.code == api::Errc::cluster_id_mismatch || error.code == api::Errc::unsupported_version;
    fail({.refusal = lasting ? error.code : api::Errc::ok, .text = text});
}

void Connection::read_greeting(const wire::FrameReader::Frame& frame) {
    const auto reply = wire::decode_client_hello_reply(frame.body);
    if (!reply) {
        fail({.protocol_error = true, .text = "the server's hello cannot be read"});
        return;
    }
    if (options_.cluster_id && reply->cluster_id != options_.cluster_id) {
        fail({.refusal = api::Errc::cluster_id_mismatch, .text = api::error_text(api::Errc::cluster_id_mismatch)});
        return;
    }
    greeting_ = *reply;
    greeting_.server_version = {};
    state_ = State::ready;
    owner_.on_ready(*this);
}

void Connection::on_closed(env::CloseReason reason) {
    const bool was_ready = state_ == State::ready;
    ASSERT(state_ != State::down);
    id_ = 0;
    go_down();
    owner_.on_down(*this, was_ready, {.text = text_of(reason)});
}

void Connection::fail(const DownReason& reason) {
    ASSERT(state_ != State::down);
    const bool was_ready = state_ == State::ready;
    go_down();
    owner_.on_down(*this, was_ready, reason);
}

void Connection::go_down() {
    if (id_ != 0) {
        network_.close(id_);
        if (out_.sending() && network_.send_in_flight(id_)) {
            held_.push_back({id_, std::move(out_)});
        }
        id_ = 0;
    }
    out_ = wire::OutBuffer();
    state_ = State::down;
}

bool Connection::reap() {
    std::erase_if(held_, [this](const Held& held) { return !network_.send_in_flight(held.id); });
    return !held_.empty();
}

}  // namespace ringfort::client
