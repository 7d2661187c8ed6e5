#include "text.h"

#include <array>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

namespace ringctl {

namespace {

// Length of the valid UTF-8 sequence of a printable character at the front; 0: none.
std::size_t printable_sequence(std::string_view text) {
    const auto byte = [&text](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
    const auto follows = [&byte](std::size_t i) { return (byte(i) & 0xc0U) == 0x80U; };
    const unsigned first = byte(0);
    if (first >= 0xc2 && first <= 0xdf && follows(1)) {
        const unsigned code = (first & 0x1fU) << 6 | (byte(1) & 0x3fU);
        return code >= 0xa1 && code != 0xad ? 2 : 0;   // not the second control block, nor soft hyphen
    }
    if (first >= 0xe0 && first <= 0xef && follows(1) && follows(2)) {
        const unsigned code = (first & 0xfU) << 12 | (byte(1) & 0x3fU) << 6 | (byte(2) & 0x3fU);
        const bool surrogate = code >= 0xd800 && code <= 0xdfff;
        const bool space_or_mark = code >= 0x2000 && code <= 0x200f;
        return code >= 0x800 && !surrogate && !space_or_mark && code != 0xfeff && code < 0xfff0 ? 3 : 0;
    }
    if (first >= 0xf0 && first <= 0xf4 && follows(1) && follows(2) && follows(3)) {
        const unsigned code =
            (first & 7U) << 18 | (byte(1) & 0x3fU) << 12 | (byte(2) & 0x3fU) << 6 | (byte(3) & 0x3fU);
        return code >= 0x10000 && code <= 0x10ffff ? 4 : 0;
    }
    return 0;
}

constexpr std::string_view escape_letters = "abfnrtv\\\"'";
constexpr std::string_view escape_values = "\a\b\f\n\r\t\v\\\"'";

void append_utf8(std::string& out, std::uint32_t code) {
    if (code < 0x80) {
        out += static_cast<char>(code);
    } else if (code < 0x800) {
        out += static_cast<char>(0xc0 | code >> 6);
        out += static_cast<char>(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        out += static_cast<char>(0xe0 | code >> 12);
        out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
        out += static_cast<char>(0x80 | (code & 0x3f));
    } else {
        out += static_cast<char>(0xf0 | code >> 18);
        out += static_cast<char>(0x80 | (code >> 12 & 0x3f));
        out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
        out += static_cast<char>(0x80 | (code & 0x3f));
    }
}

// A number of exactly `digits` digits at the front, removed.
std::optional<std::uint32_t> take_digits(std::string_view& text, std::size_t digits, int base) {
    std::uint32_t code = 0;
    if (text.size() < digits) {
        return std::nullopt;
    }
    const auto parsed = std::from_chars(text.data(), text.data() + digits, code, base);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + digits) {
        return std::nullopt;
    }
    text.remove_prefix(digits);
    return code;
}

// Behind a backslash: reads one escape, removes it, appends what it means.
bool take_escape(std::string_view& text, std::string& out) {
    if (text.empty()) {
        return false;
    }
    const char letter = text.front();
    const std::size_t simple = escape_letters.find(letter);
    if (simple != std::string_view::npos) {
        out += escape_values[simple];
        text.remove_prefix(1);
        return true;
    }
    if (letter >= '0' && letter <= '7') {
        const auto code = take_digits(text, 3, 8);
        if (!code || *code > 255) {
            return false;
        }
        out += static_cast<char>(*code);
        return true;
    }
    const std::size_t digits = letter == 'x' ? 2 : letter == 'u' ? 4 : letter == 'U' ? 8 : 0;
    text.remove_prefix(1);
    const auto code = digits == 0 ? std::nullopt : take_digits(text, digits, 16);
    if (!code || *code > 0x10ffff) {
        return false;
    }
    if (digits == 2) {
        out += static_cast<char>(*code);
    } else {
        append_utf8(out, *code);
    }
    return true;
}

}  // namespace

std::string in_quotes(std::string_view text) {
    std::string out = "\"";
    while (!text.empty()) {
        const char one = text.front();
        const std::size_t simple = one == '\'' ? std::string_view::npos : escape_values.find(one);
        const std::size_t sequence = printable_sequence(text);
        if (simple != std::string_view::npos) {
            out += '\\';
            out += escape_letters[simple];
        } else if (one >= ' ' && one <= '~') {
            out += one;
        } else if (sequence > 0) {
            out += text.substr(0, sequence);
            text.remove_prefix(sequence - 1);
        } else {
            out += fmt::format("\\x{:02x}", static_cast<unsigned char>(one));
        }
        text.remove_prefix(1);
    }
    return out + '"';
}

std::optional<std::string> take_quoted(std::string_view& text) {
    std::string out;
    if (text.empty() || (text.front() != '"' && text.front() != '`')) {
        return std::nullopt;
    }
    const char quote = text.front();
    text.remove_prefix(1);
    while (!text.empty()) {
        const char one = text.front();
        text.remove_prefix(1);
        if (one == quote) {
            return out;
        }
        if (one == '\\' && quote == '"') {
            if (!take_escape(text, out)) {
                return std::nullopt;
            }
        } else {
            out += one;
        }
    }
    return std::nullopt;
}

std::string base64(std::string_view bytes) {
    constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        const std::size_t have = std::min<std::size_t>(3, bytes.size() - at);
        std::uint32_t group = 0;
        for (std::size_t i = 0; i < 3; i++) {
            group = group << 8 | (i < have ? static_cast<unsigned char>(bytes[at + i]) : 0U);
        }
        for (std::size_t i = 0; i < 4; i++) {
            out += i <= have ? alphabet[group >> (18 - 6 * i) & 63] : '=';
        }
    }
    return out;
}

std::string hex_escaped(std::string_view bytes) {
    std::string out;
    for (const char one : bytes) {
        out += fmt::format("\\x{:02x}", static_cast<unsigned char>(one));
    }
    return out;
}

std::string hex_number(std::uint64_t number) {
    return fmt::format("{:x}", number);
}

std::optional<std::int64_t> parse_duration_ms(std::string_view text) {
    if (text == "0") {
        return 0;
    }
    static constexpr std::array<std::pair<std::string_view, double>, 6> units{
        {{"ms", 1.0}, {"us", 1e-3}, {"ns", 1e-6}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}}};
    double total = 0;
    while (!text.empty()) {
        double number = 0;
        const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
        if (parsed.ec != std::errc() || number < 0) {
            return std::nullopt;
        }
        text.remove_prefix(static_cast<std::size_t>(parsed.ptr - text.data()));
        bool found = false;
        for (const auto& [unit, factor] : units) {
            if (!found && text.substr(0, unit.size()) == unit) {
                total += number * factor;
                text.remove_prefix(unit.size());
                found = true;
            }
        }
        if (!found) {
            return std::nullopt;
        }
    }
    const bool sane = total > 0 && total < 1e12;
    return sane ? std::optional(static_cast<std::int64_t>(std::ceil(total))) : std::nullopt;
}

std::string duration_text(std::int64_t ns) {
    const auto number = [](double value) { return fmt::format("{:.9g}", value); };
    const auto value = static_cast<double>(ns);
    if (ns < 1000) {
        return fmt::format("{}ns", ns);
    }
    if (ns < 1'000'000) {
        return number(value / 1e3) + "\u00b5s";
    }
    return ns < 1'000'000'000 ? number(value / 1e6) + "ms" : number(value / 1e9) + "s";
}

std::string size_text(std::uint64_t bytes) {
    static constexpr std::array<std::string_view, 7> units{"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    while (value >= 1000 && unit + 1 < units.size()) {
        value /= 1000;
        unit++;
    }
    const double rounded = std::floor(value * 10 + 0.5) / 10;
    return rounded < 10 && unit > 0 ? fmt::format("{:.1f} {}", rounded, units[unit])
                                    : fmt::format("{:.0f} {}", rounded, units[unit]);
}

std::optional<std::vector<std::string>> split_words(std::string_view line) {
    std::vector<std::string> words;
    constexpr std::string_view blanks = " \t\r\n";
    while (true) {
        line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
        if (line.empty()) {
            return words;
        }
        if (line.front() == '"') {
            auto word = take_quoted(line);
            if (!word) {
                return std::nullopt;
            }
            words.push_back(std::move(*word));
        } else if (line.front() == '\'') {
            const std::size_t end = line.find('\'', 1);
            if (end == std::string_view::npos) {
                return std::nullopt;
            }
            words.emplace_back(line.substr(1, end - 1));
            line.remove_prefix(end + 1);
        } else {
            const std::size_t end = std::min(line.find_first_of(blanks), line.size());
            words.emplace_back(line.substr(0, end));
            line.remove_prefix(end);
        }
    }
}

}  // namespace ringctl
