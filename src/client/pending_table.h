// The requests submitted and not yet answered, in one table made at construction. Each is either waiting for a
// connection, on one, or resting before its next try; it stands in exactly one list (or none while it rests).
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/instant.h"
#include "client/core.h"
#include "wire/client_codec.h"

namespace ringfort::client {

inline constexpr std::uint32_t no_request = UINT32_MAX;
inline constexpr std::uint32_t no_connection = UINT32_MAX;

struct Pending {
    Core::Callback callback{nullptr};     // null: the slot is free
    void* context{nullptr};
    Core::Afresh afresh{nullptr};
    Instant deadline{};
    // Invariant: while on a connection, the bytes were handed to send if the connection's epoch is greater.
    std::uint64_t epoch{0};
    std::uint32_t generation{0};
    std::uint32_t prev{no_request};
    std::uint32_t next{no_request};
    std::uint32_t connection{no_connection};
    std::uint32_t avoid{no_connection};   // where it failed last
    std::uint32_t credit_due_bytes{0};    // consumed of a long reply and not yet granted anew
    std::uint32_t timeout_ms{0};          // as asked for; saturates
    wire::ClientKind kind{wire::ClientKind::range};
    std::uint8_t attempts{0};             // tries that were answered with an error; saturates
    std::uint8_t redirects{0};            // saturates
    bool read{false};
    bool reserved{false};                 // does not count against the ordinary bound
    bool pieces_seen{false};              // the callback has seen a part of this try's reply
    bool reply_open{false};               // the server has begun a reply of several frames; of a watch: it is created
    api::Errc last_error{api::Errc::ok};  // that invited another try
    bool first_frame_due{false};          // of a watch: it counts among its connection's unanswered
    bool waiting{false};                  // in the list of those that need a connection
    std::vector<std::byte> frame;         // as encoded, for the next try

    // A part of the reply is where it cannot be taken back.
    bool handed_out() const { return pieces_seen && afresh == nullptr; }
};

// A list of requests linked through their table.
struct PendingList {
    std::uint32_t first{no_request};
    std::uint32_t last{no_request};
    std::uint32_t count{0};
};

class PendingTable {
  public:
    explicit PendingTable(std::size_t capacity);

    bool full() const { return free_.empty(); }
    std::size_t count() const { return slots_.size() - free_.size(); }
    std::size_t frame_bytes() const { return frame_bytes_; }
    // Requires: !full().
    std::uint32_t acquire();
    void release(std::uint32_t index);
    Pending& operator[](std::uint32_t index) { return slots_[index]; }

    std::uint64_t token_of(std::uint32_t index) const {
        return (std::uint64_t{slots_[index].generation} << 32) | index;
    }
    // no_request if the token's request is not there any more.
    std::uint32_t find(std::uint64_t token) const;
    void keep_frame(std::uint32_t index, Bytes frame);

    void append(PendingList& list, std::uint32_t index);
    void remove(PendingList& list, std::uint32_t index);

  private:
    // Larger frames give their memory back when the request is done.
    static constexpr std::size_t frame_keep_bytes_max = 16 * kib;

    std::vector<Pending> slots_;
    std::vector<std::uint32_t> free_;
    std::size_t frame_bytes_{0};          // sum of the frames kept
};

}  // namespace ringfort::client
