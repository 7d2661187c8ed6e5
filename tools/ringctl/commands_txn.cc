#include <iostream>
#include <memory>

#include "commands.h"
#include "txn_parser.h"

namespace ringctl {

namespace {

void run_txn(Session& session, bool interactive) {
    if (!session.printer()->prints_keys()) {
        fail(Exit::bad_feature, "table not supported as output format");
    }
    const auto next_line = []() -> std::optional<std::string> {
        std::string line;
        if (!std::getline(std::cin, line)) {
            return std::nullopt;
        }
        return line;
    };
    const auto on_block = [interactive](std::string_view title) {
        if (interactive) {
            print(std::string(title) + "\n");
        }
    };
    auto parsed = parse_txn(next_line, on_block);
    if (const auto* error = std::get_if<UsageError>(&parsed)) {
        fail(Exit::invalid_input, error->text);
    }
    print(session.printer()->txn(must(session.client().txn(std::get<ringfort::Txn>(parsed)), Effect::write)));
}

}  // namespace

void add_txn_command(CLI::App& app, Commands& commands) {
    auto interactive = std::make_shared<bool>(false);
    CLI::App* command = app.add_subcommand("txn", "Processes all the requests in one transaction, read from standard input");
    command->add_flag("-i,--interactive", *interactive, "say what is to be typed");
    command->footer("Three blocks, each ended by a blank line: compares, requests if they hold, requests otherwise.\n"
                    "  compare: TARGET(\"key\") OP \"value\"; TARGET one of version, create, mod, value, lease; "
                    "OP one of = != > <\n"
                    "  request: put KEY VALUE, get KEY [END], del KEY [END], with the flags of those commands\n\n"
                    "Example:\n  ringctl txn <<'END'\n  mod(\"key1\") > \"0\"\n\n  put key1 \"overwrote key1\"\n\n"
                    "  put key1 \"created key1\"\n\n  END");
    commands.push_back({command, [interactive](Session& session) { run_txn(session, *interactive); }});
}

}  // namespace ringctl
