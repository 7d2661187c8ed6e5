// The flags of put, get and del: the same on the command line and in a line of a transaction.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include <CLI/CLI.hpp>

#include "ringfort/types.h"

namespace ringctl {

// Wrong usage, in etcdctl's words where it has them.
struct UsageError {
    std::string text;
    bool bad_feature{false};    // a choice there is not, which etcdctl tells apart by its exit code
};
template <class T>
using Parsed = std::variant<T, UsageError>;

struct GetFlags {
    std::vector<std::string> arguments;      // key [range_end]
    bool prefix{false};
    bool from_key{false};
    std::int64_t revision{0};
    std::int64_t limit{0};
    std::string order;
    std::string sort_by;
    std::string consistency{"l"};
    bool keys_only{false};
    bool count_only{false};
    bool print_value_only{false};
    bool stream{false};
    std::int64_t min_mod_revision{0};
    std::int64_t max_mod_revision{0};
    std::int64_t min_create_revision{0};
    std::int64_t max_create_revision{0};

    void add_to(CLI::App& app);
    Parsed<ringfort::OpGet> to_op() const;
};

struct PutFlags {
    std::vector<std::string> arguments;      // key [value]
    std::string lease{"0"};                  // hexadecimal, as etcdctl has it
    bool prev_kv{false};
    bool ignore_value{false};
    bool ignore_lease{false};

    void add_to(CLI::App& app);
    // Without a value: `read_value` gives it (standard input); in a transaction there is none to give.
    Parsed<ringfort::OpPut> to_op(std::string (*read_value)()) const;
};

struct DeleteFlags {
    std::vector<std::string> arguments;      // key [range_end]
    bool prefix{false};
    bool from_key{false};
    bool prev_kv{false};
    bool range{false};

    void add_to(CLI::App& app);
    Parsed<ringfort::OpDelete> to_op() const;
};

struct WatchFlags {
    std::vector<std::string> arguments;      // key [range_end]
    bool prefix{false};
    bool from_key{false};
    bool prev_kv{false};
    bool progress_notify{false};
    bool interactive{false};
    std::int64_t revision{0};

    void add_to(CLI::App& app);
    struct Watched {
        std::string key;
        ringfort::WatchOptions options;
    };
    Parsed<Watched> to_watch() const;
};

}  // namespace ringctl
