// Transactions as etcdctl reads them: compares, then what to do if they hold, then what to do otherwise; one a line, a
// blank line ends each block.
//
//   mod("key1") > "0"
//   value("key2") = "x"
//
//   put key1 "overwrote key1"
//
//   get key1
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "kv_flags.h"
#include "ringfort/types.h"

namespace ringctl {

Parsed<ringfort::Compare> parse_compare(std::string_view line);
Parsed<ringfort::Op> parse_request(std::string_view line);

// `next_line` gives lines without their newline, and nothing at the end of input, which must not come within a block.
// `on_block` is told what the lines to come are (prompts).
Parsed<ringfort::Txn> parse_txn(const std::function<std::optional<std::string>()>& next_line,
                                const std::function<void(std::string_view)>& on_block);

}  // namespace ringctl
