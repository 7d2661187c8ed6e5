// A watch of the client: what several requests one after the other tell, as one: revision by revision, each whole, without
// a gap and without a repeat, over lost connections and nodes.
//
// It goes on where it was: behind the last revision it was told whole, or a mark. What it had of a revision that was cut off
// is forgotten. It ends when it is cancelled here, when what it needs is compacted, or with an error that another try would
// meet again. Pure; runs on a Core.
//
// Back-pressure: a reader says with done() which bytes it has dealt with, and a server sends no more than
// CoreOptions::reply_credit_bytes beyond. Frames of a revision that is not whole yet count as dealt with: a revision of any
// size arrives, at the price of holding it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "client/core.h"

namespace ringfort::client {

struct WatchNews {
    enum class Kind : std::uint8_t {
        created,    // once, with the first answer
        resumed,    // it was interrupted, and goes on
        revision,   // the events of one revision
        mark,       // everything up to `revision` has been told
        ended,      // the last news
    };
    Kind kind{};
    api::ResponseHeader header{};            // of the last frame
    api::Revision revision{0};
    std::span<const api::Event> events{};    // valid during the call
    std::uint64_t bytes{0};                  // to be given back with done()
    std::uint64_t token{0};                  // likewise
    // Of `ended`: ok: cancelled by the server, which says why. compact_revision: where a watch may begin.
    api::Errc error{api::Errc::ok};
    api::Revision compact_revision{0};
    std::string_view reason{};
};

class Watch {
  public:
    using Reader = void (*)(void* context, const WatchNews& news);

    Watch(Core& core, const api::WatchRequest& request, std::optional<DomainId> domain, Reader reader, void* context);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

    // Asks. Not in the constructor: news may come before it returns to who keeps it.
    void start();
    // The reader has dealt with that news. Not needed for news of 0 bytes.
    void done(std::uint64_t token, std::uint64_t bytes) { core_.grant(token, static_cast<std::uint32_t>(bytes)); }
    // A mark, soon.
    void ask_mark();
    // No more news. Idempotent.
    void stop();
    bool ended() const { return ended_; }
    bool created() const { return created_; }
    // The first revision it was not told whole.
    api::Revision next() const { return next_; }

  private:
    static void on_response(void* context, std::uint64_t token, const api::Response& response);
    void on_frame(const api::Response& response);
    void on_created(const api::Response& response);
    void on_events(const api::Response& response, const api::WatchResponse& watch);
    void on_error(const api::Response& response);
    void end(const api::Response& response, api::Errc code, const api::WatchResponse* last);
    void keep(const api::WatchResponse& watch);
    void forget_part();

    Core& core_;
    std::string key_, range_end_;
    api::WatchRequest request_;
    std::optional<DomainId> domain_;
    Reader reader_;
    void* context_;
    std::uint64_t token_{0};         // 0: not asked
    api::Revision next_;
    bool created_{false};            // ever
    bool open_{false};               // by the request under way
    bool mark_wanted_{false};
    bool ended_{false};
    // The revision of which not everything has come.
    Arena arena_{4096};
    std::vector<api::Event> part_;
};

}  // namespace ringfort::client
