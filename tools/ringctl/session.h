// What every command shares: the global flags, the connection to the cluster, and the ways to end.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "printer.h"
#include "ringfort/client.h"

namespace ringctl {

// etcdctl's.
enum class Exit : int {
    success = 0,
    error = 1,
    invalid_input = 3,
    bad_feature = 4,
    interrupted = 5,
    bad_arguments = 128
};

struct Globals {
    std::vector<std::string> endpoints{"127.0.0.1:2379"};
    std::string dial_timeout{"2s"};
    std::string command_timeout{"5s"};
    std::string write_out{"simple"};
    bool insecure_transport{true};
    bool hex{false};
    bool debug{false};
    std::vector<std::string> program;   // of a watch what stands behind "--", of a lock the command
};

class Session {
  public:
    // Ends the process on flags that make no sense.
    explicit Session(const Globals& globals);

    const Globals& globals() const { return globals_; }
    const std::vector<std::string>& endpoints() const { return globals_.endpoints; }
    std::int64_t command_timeout_ms() const { return command_timeout_ms_; }
    Form form() const { return form_; }
    std::unique_ptr<Printer> printer() const { return printer_with(false); }
    std::unique_ptr<Printer> printer_with(bool value_only) const;
    PrintOptions print_options(bool value_only) const;

    // Of all endpoints; made when first asked for.
    ringfort::Client& client();
    // Of these alone. Any thread may ask for its own.
    ringfort::Client client_of(const std::vector<std::string>& endpoints) const;
    // Likewise of all endpoints, with so many connections and requests in flight.
    ringfort::Client client_with(std::size_t connections) const;
    // With a thread of its own: what comes unasked arrives while others are asked.
    ringfort::Client watching_client() const { return background_client_of(globals_.endpoints); }
    ringfort::Client background_client_of(const std::vector<std::string>& endpoints) const;
    // The client addresses of all members, instead of the given endpoints. Ends the process if nobody knows them.
    std::vector<std::string> cluster_endpoints();

  private:
    ringfort::ClientOptions client_options(std::vector<std::string> endpoints) const;

    Globals globals_;
    Form form_{Form::simple};
    std::int64_t dial_timeout_ms_{0};
    std::int64_t command_timeout_ms_{0};
    std::optional<ringfort::Client> client_;
};

// To standard output, whole; or the end.
void print(const std::string& text);
// False: it could not be written, and errno says why.
bool try_print(const std::string& text);
[[noreturn]] void fail_to_print(int why);
[[noreturn]] void fail(Exit code, const std::string& why);
enum class Effect : std::uint8_t { read, write };
// Of a write it is told whether it may have happened all the same.
[[noreturn]] void fail(const ringfort::Error& error, Effect effect);

// The end, if the output form has none for keys and values.
void must_print_keys(const Session& session);

// The value, or the end.
template <class T>
T must(ringfort::Outcome<T> outcome, Effect effect = Effect::read) {
    if (!outcome) {
        fail(outcome.error(), effect);
    }
    return std::move(*outcome);
}

}  // namespace ringctl
