#include "core_script.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/assertion.h"

namespace ringfort::client::test {

std::string Seen::key() const {
    if (!request) {
        return {};
    }
    if (const auto* range = std::get_if<api::RangeRequest>(&request->op)) {
        return std::string(range->key);
    }
    if (const auto* watch = std::get_if<api::WatchRequest>(&request->op)) {
        return std::string(watch->key);
    }
    const auto* put = std::get_if<api::PutRequest>(&request->op);
    return put != nullptr ? std::string(put->key) : std::string();
}

CoreOptions CoreScript::three() {
    CoreOptions options;
    options.endpoints = {{"a", 1}, {"b", 2}, {"c", 3}};
    return options;
}

CoreScript::CoreScript(CoreOptions options) {
    if (options.endpoints.empty()) {
        options.endpoints = three().endpoints;
    }
    options.keepalive_time = 1s;   // the scripts' times are counted by it
    core = std::make_unique<Core>(network, clock, 7, options);
}

void CoreScript::turn(int times) {
    for (int i = 0; i < times; i++) {
        core->turn();
    }
}

void CoreScript::pass(Duration time) {
    while (time > 0ns) {
        const Duration step = std::min<Duration>(time, 1ms);
        clock.advance(step);
        time -= step;
        core->turn();
    }
}

std::uint64_t CoreScript::get(std::string_view key, Duration timeout) {
    api::Request request;
    request.op = api::RangeRequest{.key = key, .range_end = {}};
    request.timeout = timeout;
    return submit(request);
}

std::uint64_t CoreScript::put(std::string_view key, std::string_view value, Duration timeout) {
    return submit(put_request(key, value, timeout));
}

api::Request CoreScript::put_request(std::string_view key, std::string_view value, Duration timeout) {
    api::Request request;
    request.op = api::PutRequest{.key = key, .value = value};
    request.timeout = timeout;
    return request;
}

std::uint64_t CoreScript::submit(const api::Request& request, Core::Place place) {
    return core->submit(request, &CoreScript::on_response, this, nullptr, place);
}

std::size_t CoreScript::answered() const {
    std::size_t count = 0;
    for (const auto& [token, answer] : answers_) {
        count += answer.count;
    }
    return count;
}

void CoreScript::on_response(void* context, std::uint64_t token, const api::Response& response) {
    auto& self = *static_cast<CoreScript*>(context);
    Answer& answer = self.answers_[token];
    EXPECT_EQ(answer.count, 0U) << "answered after its last frame";
    if (const auto* error = std::get_if<api::ErrorInfo>(&response.body)) {
        answer.error = error->code;
        answer.detail = error->detail;
    } else if (const auto* range = std::get_if<api::RangeResponse>(&std::get<api::Result>(response.body))) {
        for (const api::KeyValue& kv : range->kvs) {
            answer.keys.emplace_back(kv.key);
        }
    }
    answer.revision = response.header.revision;
    (response.more_frames ? answer.pieces : answer.count)++;
    const auto& hook = response.more_frames ? self.on_piece : self.on_answer;
    if (hook) {
        hook(token);
    }
}

Link& CoreScript::greet(const wire::ClientHelloReply& reply) {
    turn();
    Link& link = network.newest();
    greet(link, reply);
    return link;
}

void CoreScript::greet(Link& link, const wire::ClientHelloReply& reply) {
    network.accept(link);
    turn(2);
    wire::OutBuffer out;
    wire::encode_client_hello_reply(reply, out);
    network.deliver(link, {out.at(0), out.pending_bytes()});
    turn();
    arrived(link);
}

Link& CoreScript::greet_quietly() {
    turn();
    Link& link = network.newest();
    network.accept(link);
    arrived(link);
    wire::OutBuffer out;
    wire::encode_client_hello_reply({}, out);
    network.deliver(link, {out.at(0), out.pending_bytes()});
    turn();
    return link;
}

std::vector<Seen> CoreScript::arrived(Link& link) {
    // Sends are told as done, and what waits behind them leaves.
    turn(2);
    std::size_t& at = read_bytes_[&link];
    if (at == 0 && link.arrived.size() >= wire::preamble_bytes) {
        const auto preamble = wire::decode_preamble({link.arrived.data(), wire::preamble_bytes}, wire::PeerRole::client);
        EXPECT_TRUE(preamble);
        at = wire::preamble_bytes;
    }
    std::vector<Seen> seen;
    while (at + limits::frame_header_bytes <= link.arrived.size()) {
        const auto header = wire::decode_frame_header(link.arrived.data() + at, limits::frame_bytes_max);
        EXPECT_TRUE(header);
        if (!header || at + header->length > link.arrived.size()) {
            break;
        }
        Seen& one = seen.emplace_back();
        one.kind = static_cast<wire::ClientKind>(header->kind);
        one.id = header->request_id;
        one.link = &link;
        one.arena = std::make_unique<Arena>(1024);
        one.body.assign(link.arrived.begin() + static_cast<std::ptrdiff_t>(at + limits::frame_header_bytes),
                        link.arrived.begin() + static_cast<std::ptrdiff_t>(at + header->length));
        at += header->length;
        if (one.kind == wire::ClientKind::hello) {
            const auto hello = wire::decode_client_hello(one.body);
            EXPECT_TRUE(hello);
            one.hello = hello ? *hello : wire::ClientHello();
        } else if (one.kind == wire::ClientKind::credit) {
            const auto credit = wire::decode_credit(one.body);
            EXPECT_TRUE(credit);
            one.credit_bytes = credit ? credit->bytes : 0;
        } else if (one.kind != wire::ClientKind::cancel) {
            const auto request = wire::decode_request(one.kind, one.body, *one.arena);
            EXPECT_TRUE(request);
            if (request) {
                one.request = *request;
            }
        }
    }
    return seen;
}

Seen CoreScript::only(Link& link) {
    auto seen = arrived(link);
    EXPECT_EQ(seen.size(), 1U);
    return seen.empty() ? Seen() : std::move(seen.front());
}

void CoreScript::reply(const Seen& seen, const api::Response& response) {
    ASSERT_NE(seen.link, nullptr);
    wire::OutBuffer out;
    ASSERT_TRUE(wire::encode_response(seen.id, seen.kind, response, out));
    network.deliver(*seen.link, {out.at(0), out.pending_bytes()});
    turn();
}

void CoreScript::reply_put(const Seen& seen, api::Revision revision) {
    api::Response response;
    response.header.revision = revision;
    response.body = api::Result(api::PutResponse{});
    reply(seen, response);
}

void CoreScript::reply_range(const Seen& seen, const std::vector<std::string>& keys, bool more_frames) {
    std::vector<api::KeyValue> kvs;
    for (const std::string& key : keys) {
        kvs.push_back({.key = key, .mod_revision = 1, .value = "v"});
    }
    api::RangeResponse range;
    range.kvs = kvs;
    range.count = static_cast<std::int64_t>(keys.size());
    api::Response response;
    response.body = api::Result(range);
    response.more_frames = more_frames;
    reply(seen, response);
}

void CoreScript::reply_error(const Seen& seen, api::Errc code, std::string_view leader_address,
                             std::string_view detail) {
    api::Response response;
    response.body = api::ErrorInfo{.code = code, .detail = detail, .leader_address = leader_address};
    reply(seen, response);
}

void CoreScript::deliver(Link& link, std::string_view bytes) {
    network.deliver(link, as_bytes(bytes));
    turn();
}

void CoreScript::refuse_hello(Link& link, api::Errc code, std::string_view detail) {
    api::Response response;
    response.body = api::ErrorInfo{.code = code, .detail = detail, .leader_address = {}};
    wire::OutBuffer out;
    ASSERT_TRUE(wire::encode_response(0, wire::ClientKind::hello, response, out));
    network.deliver(link, {out.at(0), out.pending_bytes()});
    turn();
}

}  // namespace ringfort::client::test
