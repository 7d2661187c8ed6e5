// URLs as etcd writes them: http://host:port. The scheme is a habit; what is spoken is not HTTP.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "server/options.h"

namespace ringfort::server {

// The error is the end of a sentence: why this text is refused.
Result<Url, std::string> parse_url(std::string_view text);
// Comma-separated, at least one.
Result<std::vector<Url>, std::string> parse_urls(std::string_view text);
// 0.0.0.0 or [::]: an address to listen on, not one to be reached at.
bool is_wildcard(const Url& url);
// Splits at commas; empty parts are kept. An empty text has no parts.
std::vector<std::string_view> split_list(std::string_view text);

}  // namespace ringfort::server
