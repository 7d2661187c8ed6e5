// A raft message that waits: it owns whatever it views, its entries and its fetch items.
#pragma once

#include <span>
#include <vector>

#include "raft/types.h"

namespace ringfort::shard {

class OwnedMessage {
  public:
    explicit OwnedMessage(const raft::Message& message)
        : message_(message), entries_(message.entries.begin(), message.entries.end()),
          items_(message.fetch.begin(), message.fetch.end()) {
        payloads_.reserve(entries_.size());
        for (raft::Entry& entry : entries_) {
            payloads_.emplace_back(entry.payload.begin(), entry.payload.end());
            entry.payload = payloads_.back();
        }
    }
    OwnedMessage(OwnedMessage&&) = default;
    OwnedMessage& operator=(OwnedMessage&&) = default;
    OwnedMessage(const OwnedMessage&) = delete;
    OwnedMessage& operator=(const OwnedMessage&) = delete;

    // Its views hold as long as this object does.
    raft::Message view() const {
        raft::Message message = message_;
        message.entries = entries_;
        message.fetch = items_;
        return message;
    }

  private:
    raft::Message message_;
    std::vector<raft::Entry> entries_;
    std::vector<raft::FetchItem> items_;
    std::vector<std::vector<std::byte>> payloads_;   // what entries_ view
};

}  // namespace ringfort::shard
