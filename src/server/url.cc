#include "server/url.h"

#include <charconv>

#include <fmt/format.h>

namespace ringfort::server {

std::vector<std::string_view> split_list(std::string_view text) {
    std::vector<std::string_view> parts;
    while (!text.empty()) {
        const std::size_t comma = text.find(',');
        parts.push_back(text.substr(0, comma));
        if (comma == std::string_view::npos) {
            break;
        }
        text.remove_prefix(comma + 1);
        if (text.empty()) {
            parts.emplace_back();
        }
    }
    return parts;
}

Result<Url, std::string> parse_url(std::string_view text) {
    const auto refuse = [&](std::string_view why) { return failure(fmt::format("'{}' {}", text, why)); };
    if (text.starts_with("https://")) {
        return refuse("asks for TLS, which is not built: use http://");
    }
    if (text.starts_with("unix://") || text.starts_with("unixs://")) {
        return refuse("is a unix socket; ringfort listens on TCP only");
    }
    constexpr std::string_view scheme = "http://";
    if (!text.starts_with(scheme)) {
        return refuse("is no URL of the form http://host:port");
    }
    std::string_view rest = text.substr(scheme.size());
    if (rest.ends_with('/')) {
        rest.remove_suffix(1);
    }
    const std::size_t colon = rest.rfind(':');
    const bool bracketed = rest.starts_with('[');
    const std::size_t host_end = bracketed ? rest.find(']') : colon;
    if (colon == std::string_view::npos || host_end == std::string_view::npos ||
        (bracketed && host_end + 1 != colon)) {
        return refuse("has no port");
    }
    const std::string_view host = bracketed ? rest.substr(1, host_end - 1) : rest.substr(0, colon);
    const std::string_view port_text = rest.substr(colon + 1);
    if (host.empty() || host.find_first_of("/?#@ ") != std::string_view::npos ||
        (!bracketed && host.find(':') != std::string_view::npos)) {
        return refuse("has no usable host");
    }
    std::uint16_t port = 0;
    const auto [stop, error] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
    if (error != std::errc() || stop != port_text.data() + port_text.size() || port == 0) {
        return refuse("has no port between 1 and 65535");
    }
    return Url{.text = std::string(scheme) + std::string(rest), .address = {std::string(host), port}};
}

Result<std::vector<Url>, std::string> parse_urls(std::string_view text) {
    std::vector<Url> urls;
    for (const std::string_view part : split_list(text)) {
        TRY_ASSIGN(Url url, parse_url(part));
        urls.push_back(std::move(url));
    }
    if (urls.empty()) {
        return failure(std::string("is empty: at least one URL is needed"));
    }
    return urls;
}

bool is_wildcard(const Url& url) {
    return url.address.host == "0.0.0.0" || url.address.host == "::";
}

}  // namespace ringfort::server
