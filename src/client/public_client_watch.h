// A watch of the public library: the core's watch, and where its replies wait for their reader.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "client/public_client_inbox.h"
#include "client/watch.h"
#include "ringfort/client.h"

namespace ringfort::client {

// Of one that was, or had its last reply taken.
Error watch_cancelled();

class PublicWatch {
  public:
    // `callback` empty: replies wait in the inbox. `answered`: counts replies. `over`: gets the id of one with a callback
    // that had its last reply.
    PublicWatch(Core& core, std::uint64_t& answered, std::vector<std::uint64_t>& over, std::uint64_t id,
                std::string_view key, const WatchOptions& options, Client::WatchCallback callback);

    std::uint64_t id() const { return id_; }
    // ---- on the client's thread
    Watch& watch() { return *watch_; }
    // Nothing comes any more; who waits is told.
    void close();
    void done(std::uint64_t token, std::uint64_t bytes) { watch_->done(token, bytes); }

    // ---- on any thread
    Inbox<WatchReply>& inbox() { return inbox_; }

  private:
    static void on_news(void* context, const WatchNews& news);
    void tell(Outcome<WatchReply> reply, std::uint64_t token, std::uint64_t bytes);

    std::uint64_t& answered_;
    std::vector<std::uint64_t>& over_ids_;
    const std::uint64_t id_;
    Client::WatchCallback callback_;
    std::optional<Watch> watch_;
    Inbox<WatchReply> inbox_;
};

}  // namespace ringfort::client
