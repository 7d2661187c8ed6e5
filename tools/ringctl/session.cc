#include "session.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "text.h"

namespace ringctl {

namespace {

std::optional<Form> form_named(const std::string& name) {
    if (name == "simple") {
        return Form::simple;
    }
    if (name == "table") {
        return Form::table;
    }
    if (name == "json") {
        return Form::json;
    }
    return name == "fields" ? std::optional(Form::fields) : std::nullopt;
}

std::int64_t must_duration(const char* flag, const std::string& text) {
    const auto duration = parse_duration_ms(text);
    if (!duration || *duration <= 0) {
        fail(Exit::bad_arguments, std::string(flag) + ": \"" + text + "\" is no duration; 5s, 500ms and 1m30s are");
    }
    return *duration;
}

}  // namespace

Session::Session(const Globals& globals) : globals_(globals) {
    const auto form = form_named(globals.write_out);
    if (!form) {
        fail(Exit::bad_feature, "unknown output format \"" + globals.write_out + "\": simple, table, json or fields");
    }
    form_ = *form;
    if (!globals.insecure_transport) {
        fail(Exit::bad_feature, "`--insecure-transport=false`: this version speaks no TLS");
    }
    dial_timeout_ms_ = must_duration("--dial-timeout", globals.dial_timeout);
    command_timeout_ms_ = must_duration("--command-timeout", globals.command_timeout);
    for (const std::string& endpoint : globals.endpoints) {
        if (!ringfort::normalize_endpoint(endpoint)) {
            fail(Exit::bad_arguments, "not an endpoint: \"" + endpoint + "\"; host:port or http://host:port is one" +
                                          (endpoint.starts_with("https:") ? " (this version speaks no TLS)" : ""));
        }
    }
    if (globals.endpoints.empty()) {
        fail(Exit::bad_arguments, "no endpoint is given");
    }
    if (globals.debug) {
        std::fprintf(stderr, "ringctl %s, endpoints:", std::string(ringfort::version()).c_str());
        for (const std::string& endpoint : globals.endpoints) {
            std::fprintf(stderr, " %s", endpoint.c_str());
        }
        std::fprintf(stderr, "; dial timeout %lld ms, command timeout %lld ms\n",
                     static_cast<long long>(dial_timeout_ms_), static_cast<long long>(command_timeout_ms_));
    }
}

PrintOptions Session::print_options(bool value_only) const {
    return {.form = form_, .hex = globals_.hex, .value_only = value_only};
}

std::unique_ptr<Printer> Session::printer_with(bool value_only) const {
    return make_printer(print_options(value_only));
}

ringfort::ClientOptions Session::client_options(std::vector<std::string> endpoints) const {
    ringfort::ClientOptions options;
    options.endpoints = std::move(endpoints);
    options.dial_timeout_ms = dial_timeout_ms_;
    options.request_timeout_ms = command_timeout_ms_;
    options.name = "ringctl";
    // One request at a time: no thread needed.
    options.threading = ringfort::Threading::polled;
    return options;
}

ringfort::Client& Session::client() {
    if (!client_) {
        client_.emplace(client_options(globals_.endpoints));
    }
    return *client_;
}

ringfort::Client Session::client_of(const std::vector<std::string>& endpoints) const {
    return ringfort::Client(client_options(endpoints));
}

ringfort::Client Session::client_with(std::size_t connections) const {
    ringfort::ClientOptions options = client_options(globals_.endpoints);
    options.connections = connections;
    return ringfort::Client(options);
}

ringfort::Client Session::background_client_of(const std::vector<std::string>& endpoints) const {
    ringfort::ClientOptions options = client_options(endpoints);
    options.threading = ringfort::Threading::background;
    return ringfort::Client(options);
}

std::vector<std::string> Session::cluster_endpoints() {
    std::vector<std::string> endpoints;
    // From the asked node's own state: it is to work when the cluster does not.
    for (const ringfort::Member& member : must(client().member_list(false)).members) {
        endpoints.insert(endpoints.end(), member.client_urls.begin(), member.client_urls.end());
    }
    return endpoints;
}

void must_print_keys(const Session& session) {
    if (!session.printer()->prints_keys()) {
        fail(Exit::bad_feature, "table not supported as output format");
    }
}

void print(const std::string& text) {
    if (!try_print(text)) {
        fail_to_print(errno);
    }
}

bool try_print(const std::string& text) {
    return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
}

void fail_to_print(int why) {
    if (why == EPIPE) {
        std::exit(static_cast<int>(Exit::error));   // whoever read has seen enough, as `head` has
    }
    fail(Exit::error, std::string("standard output cannot be written: ") + std::strerror(why));
}

void fail(Exit code, const std::string& why) {
    std::fflush(stdout);
    std::fprintf(stderr, "Error: %s\n", why.c_str());
    std::exit(static_cast<int>(code));
}

void fail(const ringfort::Error& error, Effect effect) {
    std::string text = error.text();
    if (effect == Effect::write && error.error_class == ringfort::ErrorClass::indefinite) {
        text += "; it may have been carried out all the same";
    }
    fail(Exit::error, text);
}

}  // namespace ringctl
