#include "txn_parser.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "text.h"

namespace ringctl {

using ringfort::Compare;
using ringfort::CompareResult;
using ringfort::CompareTarget;
using ringfort::Op;
using ringfort::Txn;

namespace {

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blanks = " \t\r\n";
    text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
    return text.substr(0, text.find_last_not_of(blanks) + 1);
}

UsageError malformed(std::string_view line, const std::string& why = {}) {
    return {"malformed comparison: " + std::string(line) + (why.empty() ? "" : " (" + why + ")")};
}

std::optional<CompareTarget> target_named(std::string_view name) {
    static const std::map<std::string_view, CompareTarget> targets{
        {"ver", CompareTarget::version}, {"version", CompareTarget::version}, {"c", CompareTarget::create},
        {"create", CompareTarget::create}, {"m", CompareTarget::mod},         {"mod", CompareTarget::mod},
        {"val", CompareTarget::value},   {"value", CompareTarget::value},     {"lease", CompareTarget::lease}};
    const auto found = targets.find(name);
    return found == targets.end() ? std::nullopt : std::optional(found->second);
}

std::optional<CompareResult> result_named(std::string_view name) {
    static const std::map<std::string_view, CompareResult> results{{"=", CompareResult::equal},
                                                                   {"!=", CompareResult::not_equal},
                                                                   {">", CompareResult::greater},
                                                                   {"<", CompareResult::less}};
    const auto found = results.find(name);
    return found == results.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace

Parsed<Compare> parse_compare(std::string_view line) {
    Compare compare;
    const std::size_t paren = line.find('(');
    if (paren == std::string_view::npos) {
        return malformed(line);
    }
    const auto target = target_named(trimmed(line.substr(0, paren)));
    if (!target) {
        return malformed(line, "unknown target " + std::string(trimmed(line.substr(0, paren))));
    }
    compare.target = *target;
    std::string_view rest = trimmed(line.substr(paren + 1));
    auto key = take_quoted(rest);
    rest = trimmed(rest);
    if (!key || rest.empty() || rest.front() != ')') {
        return malformed(line, "a key in double quotes and \")\" belong behind the target");
    }
    compare.key = std::move(*key);
    rest = trimmed(rest.substr(1));
    const std::size_t quote = rest.find_first_of("\"`");
    const auto result = result_named(trimmed(rest.substr(0, std::min(quote, rest.size()))));
    if (!result || quote == std::string_view::npos) {
        return malformed(line, "one of = != > < and a value in double quotes belong behind the key");
    }
    compare.result = *result;
    rest.remove_prefix(quote);
    auto value = take_quoted(rest);
    if (!value || !trimmed(rest).empty()) {
        return malformed(line, "one value in double quotes ends a comparison");
    }
    if (compare.target == CompareTarget::value) {
        compare.value = std::move(*value);
        return compare;
    }
    // Leases are written in hexadecimal everywhere.
    const int base = compare.target == CompareTarget::lease ? 16 : 10;
    const char* const end = value->data() + value->size();
    const auto parsed = std::from_chars(value->data(), end, compare.number, base);
    if (parsed.ec != std::errc() || parsed.ptr != end) {
        return malformed(line, "not a number: \"" + *value + "\"");
    }
    return compare;
}

namespace {

// Reads the words of a request line with the flags of its command. Empty: fine.
template <class Flags>
std::string read_flags(Flags& flags, std::vector<std::string> words) {
    CLI::App app;
    app.set_help_flag();
    flags.add_to(app);
    std::reverse(words.begin(), words.end());   // CLI11 takes them from the back
    try {
        app.parse(std::move(words));
    } catch (const CLI::ParseError& error) {
        return error.what();
    }
    return {};
}

template <class Operation>
Parsed<Op> widen(Parsed<Operation> parsed) {
    if (auto* error = std::get_if<UsageError>(&parsed)) {
        return std::move(*error);
    }
    return Op(std::move(std::get<Operation>(parsed)));
}

}  // namespace

Parsed<Op> parse_request(std::string_view line) {
    const auto invalid = [line](const std::string& why) {
        return UsageError{"invalid txn request: " + std::string(line) + (why.empty() ? "" : " (" + why + ")")};
    };
    auto words = split_words(line);
    if (!words) {
        return invalid("a quote is not closed");
    }
    if (words->size() < 2) {
        return invalid("");
    }
    const std::string command = words->front();
    words->erase(words->begin());
    if (command == "put") {
        PutFlags flags;
        const std::string problem = read_flags(flags, std::move(*words));
        return problem.empty() ? widen(flags.to_op(nullptr)) : invalid(problem);
    }
    if (command == "get") {
        GetFlags flags;
        const std::string problem = read_flags(flags, std::move(*words));
        return problem.empty() ? widen(flags.to_op()) : invalid(problem);
    }
    if (command == "del") {
        DeleteFlags flags;
        const std::string problem = read_flags(flags, std::move(*words));
        return problem.empty() ? widen(flags.to_op()) : invalid(problem);
    }
    return invalid("put, get or del is one");
}

namespace {

// What is cut short is not carried out: a comparison or a request may be missing.
UsageError ended_within(const std::string& block) {
    return {"the input ended within the " + block +
            ": compares, success requests and failure requests each end with a blank line"};
}

}  // namespace

Parsed<Txn> parse_txn(const std::function<std::optional<std::string>()>& next_line,
                      const std::function<void(std::string_view)>& on_block) {
    Txn txn;
    on_block("compares:");
    while (true) {
        const auto line = next_line();
        if (!line) {
            return ended_within("compares");
        }
        if (trimmed(*line).empty()) {
            break;
        }
        auto compare = parse_compare(trimmed(*line));
        if (auto* error = std::get_if<UsageError>(&compare)) {
            return *error;
        }
        txn.compares.push_back(std::get<Compare>(std::move(compare)));
    }
    for (auto [branch, title] : {std::pair(&txn.success, "success requests (get, put, del):"),
                                 std::pair(&txn.failure, "failure requests (get, put, del):")}) {
        on_block(title);
        while (true) {
            const auto line = next_line();
            if (!line) {
                return ended_within(branch == &txn.success ? "success requests" : "failure requests");
            }
            if (trimmed(*line).empty()) {
                break;
            }
            auto request = parse_request(trimmed(*line));
            if (auto* error = std::get_if<UsageError>(&request)) {
                return *error;
            }
            branch->push_back(std::get<Op>(std::move(request)));
        }
    }
    return txn;
}

}  // namespace ringctl
