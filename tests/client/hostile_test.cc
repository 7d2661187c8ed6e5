// Servers that are wrong, broken or somebody else: the client stays whole, and every request gets one answer in time.
#include <gtest/gtest.h>

#include <map>

#include "base/prng.h"
#include "core_script.h"

namespace ringfort::client::test {
namespace {

std::string reply_bytes(const Seen& seen, const api::Response& response) {
    wire::OutBuffer out;
    EXPECT_TRUE(wire::encode_response(seen.id, seen.kind, response, out));
    return std::string(as_text({out.at(0), out.pending_bytes()}));
}

api::Response put_response() {
    api::Response response;
    response.header.revision = 3;
    response.body = api::Result(api::PutResponse{});
    return response;
}

TEST(ClientHostile, a_broken_frame_costs_the_connection_and_is_counted) {
    using Break = std::function<void(std::string&)>;
    const std::vector<std::pair<const char*, Break>> cases{
        {"length zero", [](std::string& frame) { frame[0] = 0; }},
        {"length not a multiple of 8", [](std::string& frame) { frame[0] = static_cast<char>(frame[0] + 1); }},
        {"length over all bounds", [](std::string& frame) { frame[3] = 0x7f; }},
        {"reserved bytes", [](std::string& frame) { frame[6] = 1; }},
        {"another kind than the request's", [](std::string& frame) { frame[4] = 2; }},
        {"a kind nobody knows", [](std::string& frame) { frame[4] = 99; }},
        {"a root outside of the body", [](std::string& frame) { frame[16] = 0x7f; frame[17] = 0x7f; }},
        {"a body of ones", [](std::string& frame) { std::fill(frame.begin() + 16, frame.end(), '\xff'); }},
    };
    for (const auto& [name, destroy] : cases) {
        CoreScript script;
        Link& link = script.greet();
        const std::uint64_t write = script.put("k");
        const std::uint64_t read = script.get("k");
        std::string frame = reply_bytes(script.arrived(link).front(), put_response());
        destroy(frame);
        script.deliver(link, frame);
        EXPECT_TRUE(link.closed) << name;
        EXPECT_EQ(script.core->counters().protocol_errors, 1U) << name;
        EXPECT_EQ(script.answer(write).error, api::Errc::connection_lost) << name;
        EXPECT_NE(script.answer(write).detail, "") << name;
        EXPECT_EQ(script.answer(read).count, 0U) << name << ": reads go elsewhere";
    }
}

TEST(ClientHostile, why_a_server_ends_a_connection_stands_in_the_errors_of_its_requests) {
    CoreScript script;
    Link& link = script.greet();
    const std::uint64_t token = script.put("k");
    script.only(link);
    script.refuse_hello(link, api::Errc::malformed_request, "frame 7 makes no sense");
    EXPECT_TRUE(link.closed);
    EXPECT_EQ(script.answer(token).error, api::Errc::connection_lost);
    EXPECT_EQ(script.answer(token).detail, "frame 7 makes no sense");
}

TEST(ClientHostile, garbage_in_the_place_of_a_goodbye_costs_the_connection) {
    CoreScript script;
    Link& link = script.greet();
    std::string frame(24, '\0');
    frame[0] = 24;
    frame[4] = 1;
    frame[5] = wire::flag_error;
    script.deliver(link, frame);
    EXPECT_TRUE(link.closed);
    EXPECT_EQ(script.core->counters().protocol_errors, 1U);
}

TEST(ClientHostile, an_error_code_that_the_agreed_version_does_not_have_is_a_protocol_error) {
    CoreScript script;
    Link& link = script.greet();
    const std::uint64_t token = script.put("k");
    api::Response response;
    response.body =
        api::ErrorInfo{.code = api::Errc::unsupported_version, .detail = "from the future", .leader_address = {}};
    std::string frame = reply_bytes(script.only(link), response);
    const std::string known("\x31\0", 2);   // 49; no other field of the frame has it
    const std::size_t at = frame.find(known, 16);
    ASSERT_NE(at, std::string::npos);
    frame[at] = 0x67;
    frame[at + 1] = 0x12;
    script.deliver(link, frame);
    EXPECT_EQ(script.answer(token).error, api::Errc::connection_lost);
    EXPECT_TRUE(link.closed);
    EXPECT_EQ(script.core->counters().protocol_errors, 1U);
}

TEST(ClientHostile, half_a_frame_for_ever_ends_in_the_silence_rule) {
    CoreScript script;
    Link& link = script.greet();
    const std::uint64_t token = script.put("k", "v", 20s);
    const std::string frame = reply_bytes(script.only(link), put_response());
    script.deliver(link, frame.substr(0, frame.size() - 1));
    script.pass(3300ms);
    EXPECT_TRUE(link.closed);
    EXPECT_EQ(script.answer(token).error, api::Errc::connection_lost);
}

TEST(ClientHostile, flipped_bits_anywhere_in_a_reply_never_break_the_client) {
    for (std::uint64_t seed = 0; seed < 400; seed++) {
        CoreScript script;
        Prng prng(seed);
        Link& link = script.greet();
        const std::uint64_t token = script.get("k", 50ms);
        const Seen seen = script.only(link);
        const api::KeyValue kv{.key = "key", .create_revision = 1, .mod_revision = 2, .version = 1, .value = "value"};
        api::RangeResponse range;
        range.kvs = {&kv, 1};
        range.count = 1;
        api::Response response;
        response.body = api::Result(range);
        std::string frame = reply_bytes(seen, response);
        for (std::uint64_t flips = prng.between(1, 8); flips > 0; flips--) {
            char& byte = frame[prng.below(frame.size())];
            byte = static_cast<char>(byte ^ (1 << prng.below(8)));
        }
        script.deliver(link, frame);
        script.pass(60ms);
        EXPECT_EQ(script.answer(token).count, 1U) << seed;
    }
}

// Whole runs of chance: connections come and go, answers are right, wrong, late, double or missing. Whatever happens,
// each request is answered once and by its deadline, a write is handed to the network once only unless the server said
// that it did not happen, and an acknowledged write was received by a server.
struct Chaos {
    explicit Chaos(std::uint64_t seed) : prng(seed), script(options(prng)) {}

    static CoreOptions options(Prng& prng) {
        CoreOptions options = CoreScript::three();
        options.connections = prng.between(1, 4);
        options.in_flight_max = prng.between(4, 40);
        options.follow_leader = prng.one_in(2);
        options.dial_timeout = 50ms;
        options.keepalive_time = 40ms;
        return options;
    }

    void run() {
        for (int step = 0; step < 600; step++) {
            if (prng.one_in(3)) {
                submit();
            }
            for (std::size_t i = 0; i < script.network.link_count(); i++) {
                Link& link = script.network.link(i);
                if (!link.closed && !link.connected && prng.one_in(2)) {
                    dial(link);
                } else if (!link.closed && link.connected) {
                    serve(link);
                }
            }
            script.pass(std::chrono::microseconds(prng.between(1, 3000)));
        }
        script.pass(600ms);
        check();
    }

    void submit() {
        const std::string key = "k" + std::to_string(tokens.size());
        const Duration timeout = std::chrono::milliseconds(prng.between(1, 500));
        tokens.push_back(prng.one_in(2) ? script.put(key, "v", timeout) : script.get(key, timeout));
        if (prng.one_in(20)) {
            const std::uint64_t token = tokens[prng.below(tokens.size())];
            script.core->cancel(token);
            cancelled[token] = true;
        }
    }

    void dial(Link& link) {
        if (prng.one_in(3)) {
            script.network.refuse(link);
            return;
        }
        script.network.accept(link);
        wire::OutBuffer out;
        wire::ClientHelloReply hello;
        hello.requests_max = static_cast<std::uint32_t>(prng.between(1, 20));
        wire::encode_client_hello_reply(hello, out);
        if (prng.one_in(10)) {
            script.deliver(link, "no hello of ours");
        } else if (!prng.one_in(10)) {
            script.turn(2);
            script.network.deliver(link, {out.at(0), out.pending_bytes()});
        }
        script.turn();
        link.hold_sends = prng.one_in(10);
    }

    void serve(Link& link) {
        for (Seen& seen : script.arrived(link)) {
            if (!seen.request) {
                continue;
            }
            if (std::holds_alternative<api::PutRequest>(seen.request->op)) {
                received[seen.key()]++;
            }
            open.push_back(std::move(seen));
        }
        if (prng.one_in(4) && !open.empty()) {
            const std::size_t at = prng.below(open.size());
            answer(open[at]);
            if (!prng.one_in(10)) {
                open.erase(open.begin() + static_cast<std::ptrdiff_t>(at));   // else once more
            }
        }
        if (prng.one_in(150)) {
            script.deliver(link, std::string(prng.between(1, 100), static_cast<char>(prng.below(256))));
        } else if (prng.one_in(60)) {
            script.network.break_off(link, prng.one_in(2) ? env::CloseReason::reset : env::CloseReason::peer_closed);
        }
    }

    void answer(const Seen& seen) {
        if (seen.link->closed) {
            return;
        }
        const bool write = std::holds_alternative<api::PutRequest>(seen.request->op);
        switch (prng.below(8)) {
            case 0: refuse(seen, api::Errc::no_leader); return;
            case 1: refuse(seen, api::Errc::stopped); return;
            case 2: refuse(seen, api::Errc::not_leader); return;
            case 3: script.reply_error(seen, api::Errc::leader_changed); return;
            default: break;
        }
        if (write) {
            script.reply_put(seen, 1);
        } else if (seen.kind == wire::ClientKind::range) {
            script.reply_range(seen, {seen.key()}, prng.one_in(3));
        } else {
            api::Response status;
            status.body = api::Result(api::StatusResponse{});
            script.reply(seen, status);
        }
    }

    void refuse(const Seen& seen, api::Errc code) {
        allowed_again[seen.key()]++;
        script.reply_error(seen, code, prng.one_in(2) ? "b:2" : "z:9");
    }

    void check() {
        EXPECT_EQ(script.core->pending(), 0U);
        for (std::size_t i = 0; i < tokens.size(); i++) {
            const Answer& answer = script.answer(tokens[i]);
            EXPECT_LE(answer.count, 1U);
            EXPECT_TRUE(answer.count == 1 || cancelled[tokens[i]]);
            const std::string key = "k" + std::to_string(i);
            EXPECT_LE(received[key], 1 + allowed_again[key]) << key;
            if (answer.count == 1 && answer.error == api::Errc::ok && answer.revision == 1) {
                EXPECT_GE(received[key], 1) << key;
            }
        }
    }

    Prng prng;
    CoreScript script;
    std::vector<std::uint64_t> tokens;
    std::map<std::uint64_t, bool> cancelled;
    std::map<std::string, int> received;
    std::map<std::string, int> allowed_again;
    std::vector<Seen> open;
};

TEST(ClientHostile, in_whole_runs_of_chance_every_request_is_answered_once_and_no_write_is_doubled) {
    for (std::uint64_t seed = 0; seed < 40 && !testing::Test::HasFailure(); seed++) {
        SCOPED_TRACE(seed);
        Chaos chaos(seed);
        chaos.run();
    }
}

TEST(ClientHostile, the_same_seed_gives_the_same_run) {
    std::vector<std::string> runs;
    for (int i = 0; i < 2; i++) {
        Chaos chaos(5);
        chaos.run();
        std::string run;
        for (std::size_t link = 0; link < chaos.script.network.link_count(); link++) {
            run += as_text(chaos.script.network.link(link).arrived);
        }
        runs.push_back(std::move(run));
    }
    EXPECT_EQ(runs[0], runs[1]);
    EXPECT_FALSE(runs[0].empty());
}

}  // namespace
}  // namespace ringfort::client::test
