// Memory of sends that were in flight when their connection was closed: kept until the kernel has let go of it.
#pragma once

#include <utility>
#include <vector>

#include "env/network.h"
#include "wire/out_buffer.h"

namespace ringfort::shard {

class RetiredSends {
  public:
    explicit RetiredSends(env::Network& network) : network_(network) {}

    // Takes the buffer if its connection still sends from it.
    void keep(env::ConnectionId connection, wire::OutBuffer&& buffer) {
        if (network_.send_in_flight(connection)) {
            kept_.emplace_back(connection, std::move(buffer));
        }
    }
    void collect() {
        std::erase_if(kept_, [this](const auto& item) { return !network_.send_in_flight(item.first); });
    }

  private:
    env::Network& network_;
    std::vector<std::pair<env::ConnectionId, wire::OutBuffer>> kept_;
};

}  // namespace ringfort::shard
