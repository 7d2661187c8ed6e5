// The addresses a client knows: those it was given, and leaders it was sent to. Remembers which of them failed lately.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/errc.h"
#include "base/instant.h"
#include "base/prng.h"
#include "env/network.h"

namespace ringfort::client {

// "host:port" or "[v6]:port"; nothing if it is not one.
std::optional<env::Address> parse_address(std::string_view text);

struct Endpoint {
    env::Address address;
    Instant retry_at{INT64_MIN};             // not tried before
    Instant move_at{INT64_MIN};              // no connection follows the leader here before
    std::uint32_t failures{0};               // in a row
    api::Errc refusal{api::Errc::ok};        // it answered, and will not have us: another cluster, another version
    std::string last_error;                  // for people
};

class EndpointTable {
  public:
    explicit EndpointTable(const std::vector<env::Address>& addresses);

    std::uint32_t count() const { return static_cast<std::uint32_t>(endpoints_.size()); }
    Endpoint& operator[](std::uint32_t index) { return endpoints_[index]; }
    const Endpoint& operator[](std::uint32_t index) const { return endpoints_[index]; }

    // Which one to try: the first, from `start` round, whose pause is over; else the one whose pause ends first.
    std::uint32_t choose(std::uint32_t start, Instant now) const;
    // The endpoint of an address a server named; learned if new. Nothing if it is no address or the table is full.
    std::optional<std::uint32_t> learn(std::string_view address);
    void succeeded(std::uint32_t index);
    // Failures that come together (many connections to one dead node) count once.
    void failed(std::uint32_t index, Instant now, Prng& prng, std::string_view why);
    // The refusal of all, if all refused; ok otherwise.
    api::Errc refused_by_all() const;
    // The newest reasons, for the detail of an error.
    std::string describe() const;

    static constexpr std::uint32_t endpoints_max = 64;

  private:
    std::vector<Endpoint> endpoints_;
};

}  // namespace ringfort::client
