// Whole numbers on a command line. CLI11's own conversion takes the nearest number that fits instead of one that does not,
// -1 for the largest, and 010 for eight.
#pragma once

#include <charconv>
#include <limits>
#include <string>
#include <type_traits>

#include <CLI/CLI.hpp>

namespace ringfort::tools {

// An option that takes a decimal number from `least` to `most`, and leaves `value` as it is when it is not given.
template <class T>
CLI::Option* add_number(CLI::App& app, const std::string& names, T& value, const std::string& help,
                        std::type_identity_t<T> least = std::numeric_limits<T>::min(),
                        std::type_identity_t<T> most = std::numeric_limits<T>::max()) {
    const auto take = [&value, names, least, most](const std::string& text) {
        const char* const end = text.data() + text.size();
        T number{};
        const auto parsed = std::from_chars(text.data(), end, number);
        if (parsed.ec != std::errc() || parsed.ptr != end || number < least || number > most) {
            throw CLI::ValidationError(names.substr(0, names.find(',')) + " must be a whole number from " +
                                       std::to_string(least) + " to " + std::to_string(most) + ", not \"" + text + "\"");
        }
        value = number;
    };
    return app.add_option_function<std::string>(names, take, help)
        ->type_name(std::is_signed_v<T> ? "INT" : "UINT")
        ->default_str(std::to_string(value));
}

}  // namespace ringfort::tools
