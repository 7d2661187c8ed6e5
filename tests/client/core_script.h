// A core on the scripted network, and the words its tests are written in.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/core.h"
#include "scripted_network.h"
#include "wire/client_codec.h"

namespace ringfort::client::test {

using Link = ScriptedNetwork::Link;

// What became of a request.
struct Answer {
    std::size_t count{0};             // times the callback ran for the last frame: must end at 1
    std::size_t pieces{0};            // frames before the last
    api::Errc error{api::Errc::ok};
    std::string detail;
    api::Revision revision{0};
    std::vector<std::string> keys;    // of ranges, all pieces
};

// A frame the core sent, decoded.
struct Seen {
    wire::ClientKind kind{wire::ClientKind::hello};
    std::uint64_t id{0};
    Link* link{nullptr};
    std::vector<std::byte> body;
    std::unique_ptr<Arena> arena;
    std::optional<api::Request> request;   // of request kinds
    wire::ClientHello hello;
    std::uint32_t credit_bytes{0};

    std::string key() const;
};

class CoreScript {
  public:
    explicit CoreScript(CoreOptions options = {});
    // Three endpoints: a:1, b:2, c:3.
    static CoreOptions three();

    // ---- the core's side
    void turn(int times = 1);
    // Lets time pass in steps of at most a millisecond, with a turn after each.
    void pass(Duration time);
    std::uint64_t get(std::string_view key, Duration timeout = 0ns);
    std::uint64_t put(std::string_view key, std::string_view value = "v", Duration timeout = 0ns);
    std::uint64_t submit(const api::Request& request, Core::Place place = Core::Place::ordinary);
    static api::Request put_request(std::string_view key, std::string_view value = "v", Duration timeout = 0ns);
    const Answer& answer(std::uint64_t token) { return answers_[token]; }
    std::size_t answered() const;

    // ---- the server's side
    // Accepts the newest connection and greets it.
    Link& greet(const wire::ClientHelloReply& reply = {});
    void greet(Link& link, const wire::ClientHelloReply& reply);
    // Likewise, and what the core then sends is left to be looked at.
    Link& greet_quietly();
    // The frames that arrived on the link since the last call; the preamble is checked and left out.
    std::vector<Seen> arrived(Link& link);
    // The next request on the link. Requires: exactly one arrived since.
    Seen only(Link& link);
    void reply(const Seen& seen, const api::Response& response);
    void reply_put(const Seen& seen, api::Revision revision);
    // A piece or the whole of a range reply.
    void reply_range(const Seen& seen, const std::vector<std::string>& keys, bool more_frames = false);
    void reply_error(const Seen& seen, api::Errc code, std::string_view leader_address = {},
                     std::string_view detail = {});
    void deliver(Link& link, std::string_view bytes);
    // An error that concerns the whole connection.
    void refuse_hello(Link& link, api::Errc code, std::string_view detail = {});

    ManualClock clock;
    ScriptedNetwork network;
    std::unique_ptr<Core> core;
    // Called in the callback of the last frame.
    std::function<void(std::uint64_t token)> on_answer;
    std::function<void(std::uint64_t token)> on_piece;

  private:
    static void on_response(void* context, std::uint64_t token, const api::Response& response);

    std::map<std::uint64_t, Answer> answers_;
    std::map<Link*, std::size_t> read_bytes_;
};

}  // namespace ringfort::client::test
