// An observer of the public library: the core's watch of leaders, and where they wait for their reader.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "client/leader_watch.h"
#include "client/public_client_impl.h"
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
    struct Taken {
        Outcome<Leader> leader;
        std::uint64_t token{0};
        std::uint64_t bytes{0};   // to be given back with done(), if not 0
    };
    // Nothing: none is there.
    std::optional<Taken> take();
    // Waits until one is there, or so long; below 0 for ever.
    void wait(std::int64_t timeout_ms);
    Client::Impl& client() const { return client_; }

  private:
    static void on_news(void* context, const LeaderNews& news);
    void add(Taken one);

    Client::Impl& client_;
    const std::string name_;
    std::optional<LeaderWatch> watch_;
    bool abandoned_{false};

    std::mutex mutex_;                // guards the rest
    std::condition_variable there_;
    std::deque<Taken> waiting_;       // the last, an error, stays
};

}  // namespace ringfort::client
