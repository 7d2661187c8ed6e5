// Who has the turn among those who stand in line for a name, as it changes: the leader of an election, and what it
// proclaims. Told in the order of revisions, each once: every one, but for those compacted before they could be read.
//
// Reads the line once, and then watches it; once more if what it has not seen is compacted. Pure; runs on a Core.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "client/contender.h"
#include "client/watch.h"

namespace ringfort::client {

struct LeaderNews {
    api::ResponseHeader header{};    // its revision: when it was so
    api::KeyValue leader{};          // valid during the call
    std::uint64_t token{0};          // of bytes to be given back with done(), if they are not 0
    std::uint64_t bytes{0};
    // Not ok: the last news. Another try would meet it again.
    api::Errc error{api::Errc::ok};
    std::string_view detail{};
};

class LeaderWatch {
  public:
    // The reader may destroy this.
    using Reader = void (*)(void* context, const LeaderNews& news);
    LeaderWatch(Core& core, std::string_view name, Reader reader, void* context);
    ~LeaderWatch();
    LeaderWatch(const LeaderWatch&) = delete;
    LeaderWatch& operator=(const LeaderWatch&) = delete;

    void start() { read(); }
    // The reader has dealt with that news.
    void done(std::uint64_t token, std::uint64_t bytes) { core_.grant(token, static_cast<std::uint32_t>(bytes)); }
    // The first revision of which it has not told everything; 0: nobody knows yet.
    api::Revision next() const { return watch_ != nullptr ? watch_->next() : next_; }

  private:
    struct Place {
        api::Revision create{0};
        api::Revision mod{0};
        std::int64_t version{0};
        api::LeaseId lease{0};
        std::string value;
    };
    void read();
    void rest();
    void rest_or_end(api::Errc code, std::string_view detail);
    void go_on();
    static void on_response(void* context, std::uint64_t token, const api::Response& response);
    static void begin_afresh(void* context) { static_cast<LeaderWatch*>(context)->line_.clear(); }
    static void on_alarm(void* context) { static_cast<LeaderWatch*>(context)->go_on(); }
    static void on_watch(void* context, const WatchNews& news);
    void on_read(const api::Response& response);
    void watch_from(api::Revision revision);
    void on_revision(const WatchNews& news);
    void tell(LeaderNews news);
    void put(const api::KeyValue& kv);

    Core& core_;
    const LineKeys keys_;
    const Reader reader_;
    void* const context_;
    std::map<std::string, Place, std::less<>> line_;   // by key
    std::string told_key_;                             // of the last leader told, as of told_mod_
    api::Revision told_mod_{0};
    std::uint64_t token_{0};                           // of the read under way
    api::Revision next_{0};                            // where to watch on while there is no watch; 0: read first
    std::unique_ptr<Watch> watch_;
};

}  // namespace ringfort::client
