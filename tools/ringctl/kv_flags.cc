#include "kv_flags.h"

#include <charconv>
#include <map>
#include <optional>

#include "number_option.h"

namespace ringctl {

using ringfort::OpDelete;
using ringfort::OpGet;
using ringfort::OpPut;
using ringfort::tools::add_number;

namespace {

constexpr const char* both_prefix_and_from_key =
    "`--prefix` and `--from-key` cannot be set at the same time, choose one";
constexpr const char* no_value = "put command needs 1 argument and input from stdin or 2 arguments";
constexpr const char* too_many_with_prefix =
    "too many arguments, only accept one argument when `--prefix` or `--from-key` is set";

// The key and range_end of arguments and the two flags. An empty key stands for the smallest there is.
struct Keys {
    std::string key;
    std::string range_end;
};
Parsed<Keys> keys_of(const std::vector<std::string>& arguments, bool prefix, bool from_key) {
    if (prefix && from_key) {
        return UsageError{both_prefix_and_from_key};
    }
    if (arguments.size() > 1 && (prefix || from_key)) {
        return UsageError{too_many_with_prefix};
    }
    Keys keys{arguments[0], arguments.size() > 1 ? arguments[1] : std::string()};
    if (prefix) {
        keys.range_end = ringfort::prefix_end(keys.key);
    }
    if (from_key) {
        keys.range_end = ringfort::from_key_end();
    }
    if ((prefix || from_key) && keys.key.empty()) {
        keys.key = std::string(1, '\0');
        keys.range_end = ringfort::from_key_end();
    }
    return keys;
}

// The words of a command, as they are: a list that may grow would have "[1,2]" taken apart as the parser's own syntax for
// lists. It wants, but does not insist on, one word more than there can be: so that "--" may stand behind a key, and one
// word too many is ours to refuse.
void add_words(CLI::App& app, std::vector<std::string>& words, const std::string& help) {
    constexpr int words_wanted = 3;
    app.add_option("key", words, help)
        ->type_name("")
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->expected(words_wanted, CLI::detail::expected_max_vector_size)
        ->allow_extra_args(false);
}

std::string upper(std::string text) {
    for (char& one : text) {
        one = one >= 'a' && one <= 'z' ? static_cast<char>(one - 'a' + 'A') : one;
    }
    return text;
}

}  // namespace

void GetFlags::add_to(CLI::App& app) {
    add_words(app, arguments, "the key, or the first key and the end of a range [key, range_end)");
    app.add_flag("--prefix", prefix, "get keys with matching prefix");
    app.add_flag("--from-key", from_key, "get keys that are greater than or equal to the given key");
    add_number(app, "--rev", revision, "the revision to read at (0: the newest)");
    add_number(app, "--limit", limit, "at most so many keys (0: all)");
    app.add_option("--order", order, "order of results: ASCEND or DESCEND (default ASCEND)");
    app.add_option("--sort-by", sort_by, "sort target: CREATE, KEY, MODIFY, VALUE or VERSION");
    app.add_option("--consistency", consistency, "linearizable (l) or serializable (s: from this node, maybe stale)");
    app.add_flag("--keys-only", keys_only, "get only the keys");
    app.add_flag("--count-only", count_only, "get only the count (with -w fields or json)");
    app.add_flag("--print-value-only", print_value_only, "only write values (with -w simple)");
    app.add_flag("--stream", stream, "write results as they come, in constant memory");
    add_number(app, "--min-mod-rev", min_mod_revision, "only keys modified at or after this revision");
    add_number(app, "--max-mod-rev", max_mod_revision, "only keys modified at or before this revision");
    add_number(app, "--min-create-rev", min_create_revision, "only keys created at or after this revision");
    add_number(app, "--max-create-rev", max_create_revision, "only keys created at or before this revision");
}

Parsed<OpGet> GetFlags::to_op() const {
    if (arguments.empty() || arguments.size() > 2) {
        return UsageError{"get command needs one argument as key and an optional argument as range_end"};
    }
    if (keys_only && count_only) {
        return UsageError{"`--keys-only` and `--count-only` cannot be set at the same time, choose one"};
    }
    auto keys = keys_of(arguments, prefix, from_key);
    if (auto* error = std::get_if<UsageError>(&keys)) {
        return *error;
    }
    OpGet op;
    op.key = std::get<Keys>(keys).key;
    op.options.range_end = std::get<Keys>(keys).range_end;
    if (consistency == "s" || consistency == "l") {
        op.options.serializable = consistency == "s";
    } else {
        return UsageError{"unknown consistency flag \"" + consistency + "\"", true};
    }
    static const std::map<std::string, ringfort::SortOrder> orders{
        {"", ringfort::SortOrder::none}, {"ASCEND", ringfort::SortOrder::ascend}, {"DESCEND", ringfort::SortOrder::descend}};
    static const std::map<std::string, ringfort::SortTarget> targets{{"", ringfort::SortTarget::key},
                                                                     {"KEY", ringfort::SortTarget::key},
                                                                     {"CREATE", ringfort::SortTarget::create},
                                                                     {"MODIFY", ringfort::SortTarget::mod},
                                                                     {"VALUE", ringfort::SortTarget::value},
                                                                     {"VERSION", ringfort::SortTarget::version}};
    const auto found_order = orders.find(upper(order));
    if (found_order == orders.end()) {
        return UsageError{"bad sort order " + order, true};
    }
    const auto found_target = targets.find(upper(sort_by));
    if (found_target == targets.end()) {
        return UsageError{"bad sort target " + sort_by, true};
    }
    op.options.sort_order = found_order->second;
    op.options.sort_target = found_target->second;
    // Another target than the key means an order: ascending, if none is named.
    if (op.options.sort_target != ringfort::SortTarget::key && op.options.sort_order == ringfort::SortOrder::none) {
        op.options.sort_order = ringfort::SortOrder::ascend;
    }
    op.options.revision = revision;
    op.options.limit = limit;
    op.options.keys_only = keys_only;
    op.options.count_only = count_only;
    op.options.min_mod_revision = min_mod_revision;
    op.options.max_mod_revision = max_mod_revision;
    op.options.min_create_revision = min_create_revision;
    op.options.max_create_revision = max_create_revision;
    return op;
}

void PutFlags::add_to(CLI::App& app) {
    add_words(app, arguments, "the key, and the value (without one it is read from standard input)");
    app.add_option("--lease", lease, "lease id (hexadecimal) to attach to the key");
    app.add_flag("--prev-kv", prev_kv, "return the previous key-value pair");
    app.add_flag("--ignore-value", ignore_value, "update the key and keep its value");
    app.add_flag("--ignore-lease", ignore_lease, "update the key and keep its lease");
}

Parsed<OpPut> PutFlags::to_op(std::string (*read_value)()) const {
    OpPut op;
    if (arguments.empty()) {
        return UsageError{no_value};
    }
    if (ignore_value && arguments.size() > 1) {
        return UsageError{"put command needs only 1 argument when 'ignore-value' is set"};
    }
    if (arguments.size() > 2) {
        return UsageError{"too many arguments: quote a value with blanks"};
    }
    op.key = arguments[0];
    const char* const end = lease.data() + lease.size();
    const auto parsed = std::from_chars(lease.data(), end, op.options.lease, 16);
    if (parsed.ec != std::errc() || parsed.ptr != end) {
        return UsageError{"bad lease ID (" + lease + "), expecting ID in Hex"};
    }
    op.options.prev_kv = prev_kv;
    op.options.ignore_value = ignore_value;
    op.options.ignore_lease = ignore_lease;
    if (ignore_value) {
        return op;
    }
    if (arguments.size() == 2) {
        op.value = arguments[1];
    } else if (read_value != nullptr) {
        op.value = read_value();
        if (op.value.empty()) {
            return UsageError{std::string(no_value) + "; an empty value is written \"\""};
        }
    } else {
        return UsageError{"put in a transaction needs a key and a value"};
    }
    return op;
}

void DeleteFlags::add_to(CLI::App& app) {
    add_words(app, arguments, "the key, or the first key and the end of a range [key, range_end)");
    app.add_flag("--prefix", prefix, "delete keys with matching prefix");
    app.add_flag("--from-key", from_key, "delete keys that are greater than or equal to the given key");
    app.add_flag("--prev-kv", prev_kv, "return deleted key-value pairs");
    app.add_flag("--range", range, "delete a range: says that the second argument is meant");
}

Parsed<OpDelete> DeleteFlags::to_op() const {
    if (arguments.empty() || arguments.size() > 2) {
        return UsageError{"del command needs one argument as key and an optional argument as range_end"};
    }
    if (range && arguments.size() != 2) {
        return UsageError{"`--range` needs a key and a range_end"};
    }
    auto keys = keys_of(arguments, prefix, from_key);
    if (auto* error = std::get_if<UsageError>(&keys)) {
        return *error;
    }
    OpDelete op;
    op.key = std::get<Keys>(keys).key;
    op.options.range_end = std::get<Keys>(keys).range_end;
    op.options.prev_kv = prev_kv;
    return op;
}

void WatchFlags::add_to(CLI::App& app) {
    add_words(app, arguments, "the key, or the first key and the end of a range [key, range_end)");
    app.add_flag("-i,--interactive", interactive, "read watch and progress commands from standard input");
    app.add_flag("--prefix", prefix, "watch keys with matching prefix");
    app.add_flag("--from-key", from_key, "watch keys that are greater than or equal to the given key");
    add_number(app, "--rev", revision, "the revision to begin at (0: what comes from now on)");
    app.add_flag("--prev-kv", prev_kv, "get the pair as it was before each event");
    app.add_flag("--progress-notify", progress_notify, "get marks from the server now and then");
}

Parsed<WatchFlags::Watched> WatchFlags::to_watch() const {
    if (arguments.empty() || arguments.size() > 2) {
        return UsageError{"watch command needs one argument as key and an optional argument as range_end"};
    }
    auto keys = keys_of(arguments, prefix, from_key);
    if (auto* error = std::get_if<UsageError>(&keys)) {
        return *error;
    }
    Watched out;
    out.key = std::get<Keys>(keys).key;
    out.options.range_end = std::get<Keys>(keys).range_end;
    out.options.start_revision = revision;
    out.options.prev_kv = prev_kv;
    out.options.progress_notify = progress_notify;
    return out;
}

}  // namespace ringctl
