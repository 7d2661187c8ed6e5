#include "history.h"

#include <cinttypes>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <sstream>

#include "options.h"

namespace ringload {

namespace {

constexpr const char* outcome_names[] = {"ok", "definite", "indefinite", "redirect"};

std::optional<WriteOutcome> outcome_named(std::string_view name) {
    for (std::size_t i = 0; i < std::size(outcome_names); i++) {
        if (name == outcome_names[i]) {
            return static_cast<WriteOutcome>(i);
        }
    }
    return std::nullopt;
}

// Takes the next word of a line.
std::string_view take_word(std::string_view& line) {
    const std::size_t end = std::min(line.find(' '), line.size());
    const std::string_view word = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    return word;
}

template <class Number>
bool take_number(std::string_view& line, Number& number) {
    const std::string_view word = take_word(line);
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    return error == std::errc() && end == word.data() + word.size() && !word.empty();
}

bool parse_write(std::string_view line, Write& write) {
    if (!take_number(line, write.key) || !take_number(line, write.sequence)) {
        return false;
    }
    const auto outcome = outcome_named(take_word(line));
    if (!outcome || !take_number(line, write.revision) || !take_number(line, write.domain) || !line.empty()) {
        return false;
    }
    write.outcome = *outcome;
    return true;
}

bool parse_head(const std::string& first, const std::string& second, History& history) {
    std::istringstream words(second);
    std::string hash, keys, key_bytes, value_bytes, prefix;
    words >> hash >> keys >> history.keys >> key_bytes >> history.key_bytes >> value_bytes >> history.value_bytes >>
        prefix;
    if (!words || first != "# ringload history 1" || keys != "keys" || prefix != "prefix") {
        return false;
    }
    std::getline(words, history.prefix);
    if (!history.prefix.empty()) {
        history.prefix.erase(0, 1);
    }
    return true;
}

}  // namespace

WriteOutcome outcome_of(ringfort::api::Errc code) {
    if (code == ringfort::api::Errc::ok) {
        return WriteOutcome::ok;
    }
    if (!ringfort::api::known_error(static_cast<std::uint16_t>(code))) {
        return WriteOutcome::indefinite;
    }
    switch (ringfort::api::error_class(code)) {
        case ringfort::api::ErrorClass::definite: return WriteOutcome::definite;
        case ringfort::api::ErrorClass::indefinite: return WriteOutcome::indefinite;
        case ringfort::api::ErrorClass::redirect: return WriteOutcome::redirect;
    }
    return WriteOutcome::indefinite;
}

HistoryWriter::~HistoryWriter() {
    if (file_ != nullptr) {
        std::fclose(file_);
    }
}

bool HistoryWriter::open(const Options& options) {
    file_ = std::fopen(options.history.c_str(), "w");
    if (file_ == nullptr) {
        return false;
    }
    std::fprintf(file_, "# ringload history 1\n# keys %llu key_bytes %zu value_bytes %zu prefix %s\n",
                 static_cast<unsigned long long>(options.keys), options.key_bytes, options.value_bytes,
                 options.prefix.c_str());
    return true;
}

void HistoryWriter::record(const Write& write) {
    std::fprintf(file_, "%" PRIu64 " %" PRIu64 " %s %" PRId64 " %" PRIu64 "\n", std::uint64_t{write.key},
                 std::uint64_t{write.sequence}, outcome_names[static_cast<std::size_t>(write.outcome)],
                 std::int64_t{write.revision}, std::uint64_t{write.domain});
}

bool HistoryWriter::finish() {
    const bool written = std::ferror(file_) == 0;
    const bool closed = std::fclose(file_) == 0;
    file_ = nullptr;
    return written && closed;
}

std::optional<History> read_history(const std::string& path, std::string& problem) {
    std::ifstream file(path);
    if (!file) {
        problem = path + ": " + std::strerror(errno);
        return std::nullopt;
    }
    History history;
    std::string first, second, line;
    std::getline(file, first);
    std::getline(file, second);
    if (!parse_head(first, second, history)) {
        problem = path + " is no history of ringload";
        return std::nullopt;
    }
    while (std::getline(file, line)) {
        if (file.eof()) {
            break;   // no newline at its end: torn
        }
        Write write;
        if (!parse_write(line, write) || write.key >= history.keys) {
            problem = path + ": line " + std::to_string(history.writes.size() + 3) + " cannot be read";
            return std::nullopt;
        }
        history.writes.push_back(write);
    }
    return history;
}

}  // namespace ringload
