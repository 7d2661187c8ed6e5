// The three sources of options. The only file of src/ built with exceptions: CLI11 and yaml-cpp throw; nothing leaves
// this file but values.
#include <CLI/CLI.hpp>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <optional>

#include <fmt/format.h>

#include "server/flags.h"
#include "server/options.h"
#include "server/version.h"

namespace ringfort::server {
namespace {

OptionsFault unknown(std::string_view name, std::string_view shown) {
    const std::string_view why = refusal_of(name);
    if (why.empty()) {
        return {fmt::format("{} is not known; see ringfort --help", shown)};
    }
    return {fmt::format("{} is a flag of etcd that ringfort refuses: {}", shown, why)};
}

std::string environment_name(std::string_view flag) {
    std::string name = "RINGFORT_";
    for (const char c : flag) {
        name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }
    return name;
}

FlagValues read_environment(const std::vector<std::string>& environment, std::vector<std::string>& warnings) {
    FlagValues by_variable;
    for (const std::string& entry : environment) {
        const std::size_t equals = entry.find('=');
        if (entry.starts_with("RINGFORT_") && equals != std::string::npos) {
            by_variable[entry.substr(0, equals)] = entry.substr(equals + 1);
        }
    }
    FlagValues values;
    for (const Flag& flag : flags()) {
        if (const auto found = by_variable.find(environment_name(flag.name)); found != by_variable.end()) {
            values[std::string(flag.name)] = found->second;
            by_variable.erase(found);
        }
    }
    // Not refused: an orchestrator may set such names for reasons of its own.
    for (const auto& [variable, value] : by_variable) {
        warnings.push_back(fmt::format("environment variable {} is not known and has no effect", variable));
    }
    return values;
}

std::optional<std::string> scalar_text(const YAML::Node& node) {
    if (node.IsNull()) {
        return std::string();
    }
    if (node.IsScalar()) {
        return node.Scalar();
    }
    if (!node.IsSequence()) {
        return std::nullopt;
    }
    std::string joined;
    for (const YAML::Node& item : node) {
        if (!item.IsScalar()) {
            return std::nullopt;
        }
        joined += joined.empty() ? item.Scalar() : "," + item.Scalar();
    }
    return joined;
}

// Read here, not by the parser: given a directory it throws what is none of its exceptions, and loses memory.
std::optional<std::string> text_of_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::string text;
    for (char piece[4096]; in.read(piece, sizeof(piece)), in.gcount() > 0;) {
        text.append(piece, static_cast<std::size_t>(in.gcount()));
    }
    return in.is_open() && !in.bad() ? std::optional(text) : std::nullopt;
}

Result<FlagValues, OptionsFault> read_config_file(const std::string& path) {
    const auto file_text = text_of_file(path);
    if (!file_text) {
        return failure(OptionsFault{fmt::format("--config-file {} cannot be read", path)});
    }
    FlagValues values;
    try {
        const YAML::Node file = YAML::Load(*file_text);
        if (!file.IsMap() && !file.IsNull()) {
            return failure(OptionsFault{fmt::format("--config-file {}: keys and values are expected", path)});
        }
        for (const auto& entry : file) {
            const std::string key = entry.first.Scalar();
            if (find_flag(key) == nullptr || key == "config-file") {
                return failure(unknown(key, fmt::format("--config-file {}: {}", path, key)));
            }
            const auto text = scalar_text(entry.second);
            if (!text) {
                return failure(OptionsFault{
                    fmt::format("--config-file {}: {} must be one value or a list of values", path, key)});
            }
            if (!values.emplace(key, *text).second) {
                return failure(OptionsFault{fmt::format("--config-file {}: {} is set twice", path, key)});
            }
        }
    } catch (const YAML::Exception& e) {
        return failure(OptionsFault{fmt::format("--config-file {} is no YAML: {}", path, e.what())});
    }
    return values;
}

Result<CommandLine, OptionsFault> read_arguments(const std::vector<std::string>& arguments) {
    CommandLine line;
    CLI::App app("ringfort: a strongly consistent key-value store, every core a shard", "ringfort");
    app.get_formatter()->column_width(44);
    app.set_help_flag("-h,--help", "Print this and exit.");
    app.set_version_flag("--version", fmt::format("ringfort version: {}", version));
    app.allow_extras();
    app.footer("Each flag can also be set in the environment (RINGFORT_ and the flag in upper case, '-' as '_', as in "
               "RINGFORT_DATA_DIR)\nand in --config-file. A flag beats the environment, the environment beats the file.");
    for (const Flag& flag : flags()) {
        std::string help(flag.help);
        if (!flag.fallback.empty()) {
            help += fmt::format(" Default: {}", flag.fallback);
        }
        std::string& value = line.values[std::string(flag.name)];
        app.add_option(fmt::format("--{}", flag.name), value, help)
            ->group(std::string(flag.group))
            ->type_name(std::string(flag.value))
            ->multi_option_policy(CLI::MultiOptionPolicy::Throw);
    }
    try {
        // CLI11 takes them last first.
        app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
    } catch (const CLI::CallForHelp&) {
        line.errand = Errand::print_and_exit;
        line.text = app.help();
    } catch (const CLI::CallForVersion& version_asked) {
        line.errand = Errand::print_and_exit;
        line.text = std::string(version_asked.what()) + "\n";
    } catch (const CLI::ParseError& e) {
        return failure(OptionsFault{e.what()});
    }
    for (const std::string& extra : app.remaining()) {
        if (extra.starts_with("--")) {
            return failure(unknown(extra.substr(2, extra.find('=') - 2), extra.substr(0, extra.find('='))));
        }
        return failure(OptionsFault{fmt::format("'{}' is not expected: ringfort takes flags only", extra)});
    }
    for (const Flag& flag : flags()) {
        if (app.count(fmt::format("--{}", flag.name)) == 0) {
            line.values.erase(std::string(flag.name));
        }
    }
    return line;
}

}  // namespace

Result<CommandLine, OptionsFault> read_command_line(const std::vector<std::string>& arguments,
                                                    const std::vector<std::string>& environment) {
    TRY_ASSIGN(CommandLine line, read_arguments(arguments));
    if (line.errand != Errand::serve) {
        return line;
    }
    // merge() keeps what is there: the stronger source first.
    line.values.merge(read_environment(environment, line.warnings));
    if (const auto path = line.values.find("config-file"); path != line.values.end() && !path->second.empty()) {
        TRY_ASSIGN(FlagValues file, read_config_file(path->second));
        line.values.merge(file);
    }
    return line;
}

}  // namespace ringfort::server
