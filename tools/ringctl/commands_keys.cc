#include <charconv>
#include <cstdio>
#include <memory>

#include "commands.h"
#include "kv_flags.h"
#include "number_option.h"

namespace ringctl {

namespace {

std::string read_stdin() {
    std::string text;
    char buffer[65536];
    std::size_t got = 0;
    while ((got = std::fread(buffer, 1, sizeof(buffer), stdin)) > 0) {
        text.append(buffer, got);
    }
    if (std::ferror(stdin) != 0) {
        fail(Exit::bad_arguments, "standard input cannot be read");
    }
    return text;
}

template <class T>
T must_parse(Parsed<T> parsed) {
    if (const auto* error = std::get_if<UsageError>(&parsed)) {
        fail(error->bad_feature ? Exit::bad_feature : Exit::bad_arguments, error->text);
    }
    return std::move(std::get<T>(parsed));
}

void run_put(Session& session, const PutFlags& flags) {
    must_print_keys(session);
    const ringfort::OpPut op = must_parse(flags.to_op(&read_stdin));
    print(session.printer()->put(must(session.client().put(op.key, op.value, op.options), Effect::write)));
}

// Written as it comes: a range of any size in constant memory.
void run_streamed_get(Session& session, const ringfort::OpGet& op, bool value_only) {
    if (session.form() != Form::simple) {
        fail(Exit::bad_arguments, "`--stream` is only for `--write-out=simple`");
    }
    const PrintOptions options = session.print_options(value_only);
    const auto write = [&options](std::vector<ringfort::KeyValue> kvs) {
        std::string text;
        for (const ringfort::KeyValue& kv : kvs) {
            text += simple_pair(kv, options);
        }
        print(text);
        return true;
    };
    must(session.client().stream(op.key, op.options, write));
}

void run_get(Session& session, const GetFlags& flags) {
    must_print_keys(session);
    const ringfort::OpGet op = must_parse(flags.to_op());
    if (flags.count_only && session.form() == Form::simple) {
        fail(Exit::bad_arguments, "`--count-only` is only for `--write-out=fields` and `--write-out=json`");
    }
    if (flags.print_value_only && session.form() != Form::simple) {
        fail(Exit::bad_arguments, "`--print-value-only` is only for `--write-out=simple`");
    }
    if (flags.stream) {
        run_streamed_get(session, op, flags.print_value_only);
        return;
    }
    print(session.printer_with(flags.print_value_only)->get(must(session.client().get(op.key, op.options))));
}

std::int64_t must_revision(const std::string& text) {
    std::int64_t revision = 0;
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, revision);
    if (parsed.ec != std::errc() || parsed.ptr != end) {
        fail(Exit::bad_arguments, "bad revision (" + text + "), expecting a decimal number");
    }
    return revision;
}

void run_delete(Session& session, const DeleteFlags& flags) {
    must_print_keys(session);
    const ringfort::OpDelete op = must_parse(flags.to_op());
    print(session.printer()->del(must(session.client().del(op.key, op.options), Effect::write)));
}

}  // namespace

void add_key_commands(CLI::App& app, Commands& commands) {
    auto put = std::make_shared<PutFlags>();
    CLI::App* command = app.add_subcommand("put", "Puts the given key into the store");
    put->add_to(*command);
    command->footer("Examples:\n  ringctl put hello world\n  ringctl put config < file\n"
                    "  ringctl put -- -key-with-a-dash value\n  ringctl put hello --ignore-value --lease 1a2b");
    commands.push_back({command, [put](Session& session) { run_put(session, *put); }});

    auto get = std::make_shared<GetFlags>();
    command = app.add_subcommand("get", "Gets the key or a range of keys");
    get->add_to(*command);
    command->footer("Examples:\n  ringctl get hello\n  ringctl get app/ --prefix --keys-only\n"
                    "  ringctl get a m --limit 10 --order DESCEND\n  ringctl get hello --rev 7 -w json\n"
                    "  ringctl get \"\" --prefix --count-only -w fields");
    commands.push_back({command, [get](Session& session) { run_get(session, *get); }});

    auto del = std::make_shared<DeleteFlags>();
    command = app.add_subcommand("del", "Removes the specified key or range of keys [key, range_end)");
    del->add_to(*command);
    command->footer("Examples:\n  ringctl del hello\n  ringctl del app/ --prefix --prev-kv\n  ringctl del a m --range");
    commands.push_back({command, [del](Session& session) { run_delete(session, *del); }});

    struct CompactFlags {
        std::string revision;
        bool physical{false};
        std::uint64_t domain{0};
    };
    auto compact = std::make_shared<CompactFlags>();
    command = app.add_subcommand("compaction", "Forgets what was overwritten or deleted before the given revision");
    command->add_option("revision", compact->revision, "the revision to compact to")->required()->type_name("");
    command->add_flag("--physical", compact->physical, "wait until the space is free on the answering node");
    ringfort::tools::add_number(*command, "--domain", compact->domain,
                                "whose revision it is, where the cluster has several domains");
    command->footer("Example:\n  ringctl compaction 1234");
    commands.push_back({command, [compact](Session& session) {
                            const ringfort::CompactOptions options{.physical = compact->physical, .domain = compact->domain};
                            const std::int64_t revision = must_revision(compact->revision);
                            must(session.client().compact(revision, options), Effect::write);
                            print("compacted revision " + std::to_string(revision) + "\n");
                        }});
}

}  // namespace ringctl
