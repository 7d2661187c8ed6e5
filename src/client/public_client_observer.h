// An observer of the public library: the core's watch of leaders, and where they wait for their reader.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "client/leader_watch.h"
#include "client/public_client_impl.h"
#include "client/public_client_inbox.h"
#include "ringfort/concurrency.h"

namespace ringfort::client {

class PublicObserver final : public Resident {
  public:
    // On any thread.
    PublicObserver(Client::Impl& client, std::string_view name) : client_(client), name_(name) {}

    // ---- on the client's thread
    void start();
    void abandon();
    void close() override;
    bool over() const override { return abandoned_; }
    void done(std::uint64_t token, std::uint64_t bytes);

    // ---- on any thread
    Inbox<Leader>& inbox() { return inbox_; }
    Client::Impl& client() const { return client_; }

  private:
    static void on_news(void* context, const LeaderNews& news);

    Client::Impl& client_;
    const std::string name_;
    std::optional<LeaderWatch> watch_;
    bool abandoned_{false};
    Inbox<Leader> inbox_;
};

}  // namespace ringfort::client
