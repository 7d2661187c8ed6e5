#include "client/endpoint_table.h"

#include <algorithm>
#include <charconv>

#include "base/assertion.h"
#include "client/retry_policy.h"

namespace ringfort::client {

namespace {
constexpr Duration dial_pause_first = 20ms;
constexpr Duration dial_pause_last = 1s;
}  // namespace

std::optional<env::Address> parse_address(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos || colon == 0) {
        return std::nullopt;
    }
    std::string_view host = text.substr(0, colon);
    const std::string_view port_text = text.substr(colon + 1);
    if (host.front() == '[') {
        if (host.size() < 3 || host.back() != ']') {
            return std::nullopt;
        }
        host = host.substr(1, host.size() - 2);
    } else if (host.find(':') != std::string_view::npos) {
        return std::nullopt;   // an IPv6 address without brackets: which part is the port?
    }
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
    if (error != std::errc() || end != port_text.data() + port_text.size() || port == 0) {
        return std::nullopt;
    }
    return env::Address{std::string(host), port};
}

EndpointTable::EndpointTable(const std::vector<env::Address>& addresses) {
    ASSERT(!addresses.empty());
    for (const env::Address& address : addresses) {
        if (endpoints_.size() < endpoints_max) {
            endpoints_.emplace_back().address = address;
        }
    }
}

std::uint32_t EndpointTable::choose(std::uint32_t start, Instant now) const {
    std::uint32_t best = start % count();
    for (std::uint32_t step = 0; step < count(); step++) {
        const std::uint32_t index = (start + step) % count();
        if (endpoints_[index].retry_at <= now) {
            return index;
        }
        if (endpoints_[index].retry_at < endpoints_[best].retry_at) {
            best = index;
        }
    }
    return best;
}

std::optional<std::uint32_t> EndpointTable::learn(std::string_view text) {
    const std::optional<env::Address> address = parse_address(text);
    if (!address) {
        return std::nullopt;
    }
    for (std::uint32_t index = 0; index < count(); index++) {
        if (endpoints_[index].address == *address) {
            return index;
        }
    }
    if (count() == endpoints_max) {
        return std::nullopt;
    }
    endpoints_.emplace_back().address = *address;
    return count() - 1;
}

void EndpointTable::succeeded(std::uint32_t index) {
    Endpoint& endpoint = endpoints_[index];
    endpoint.failures = 0;
    endpoint.retry_at = {INT64_MIN};
    endpoint.move_at = {INT64_MIN};
    endpoint.refusal = api::Errc::ok;
    endpoint.last_error.clear();
}

void EndpointTable::failed(std::uint32_t index, Instant now, Prng& prng, std::string_view why) {
    Endpoint& endpoint = endpoints_[index];
    endpoint.last_error = why;
    if (endpoint.retry_at > now) {
        return;
    }
    endpoint.failures = std::min(endpoint.failures + 1, 1000U);
    endpoint.retry_at = now + pause_before(endpoint.failures, dial_pause_first, dial_pause_last, prng);
}

api::Errc EndpointTable::refused_by_all() const {
    for (const Endpoint& endpoint : endpoints_) {
        if (endpoint.refusal == api::Errc::ok) {
            return api::Errc::ok;
        }
    }
    return endpoints_.front().refusal;
}

std::string EndpointTable::describe() const {
    std::string text;
    for (const Endpoint& endpoint : endpoints_) {
        if (!endpoint.last_error.empty()) {
            text += text.empty() ? "" : "; ";
            text += endpoint.address.host + ":" + std::to_string(endpoint.address.port) + ": " + endpoint.last_error;
        }
    }
    return text;
}

}  // namespace ringfort::client
