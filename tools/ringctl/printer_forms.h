// The forms behind make_printer().
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "printer.h"

namespace ringctl {

std::unique_ptr<Printer> make_json_printer(const PrintOptions& options);
std::unique_ptr<Printer> make_fields_printer(const PrintOptions& options);
std::string joined(const std::vector<std::string>& texts, std::string_view between);

}  // namespace ringctl
