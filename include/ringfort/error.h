// Errors of the Ringfort client: a code, what it means for a write, and a text for people. Nothing is thrown.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace ringfort {

// Numbers below 1000 are the protocol's; others of those come only with a protocol version that this library does not speak.
enum class ErrorCode : std::uint16_t {
    ok = 0,
    empty_key = 1,
    key_not_found = 2,
    value_provided = 3,
    lease_provided = 4,
    too_many_ops = 5,
    duplicate_key = 6,
    invalid_sort_option = 7,
    request_too_large = 8,
    malformed_request = 9,
    unsupported_request = 10,
    too_deep = 11,
    crosses_domains = 12,
    domain_required = 13,
    domain_not_found = 14,
    lease_ttl_too_large = 15,
    compacted = 20,
    future_revision = 21,
    lease_not_found = 22,
    no_space = 23,
    too_many_requests = 24,
    member_not_found = 25,
    bad_leader_transferee = 26,
    not_leader = 27,
    stale_route = 28,
    lease_exists = 29,
    no_leader = 40,
    leader_changed = 41,
    timed_out = 42,
    stopped = 43,
    unhealthy = 44,
    connection_lost = 45,
    cancelled = 46,
    corrupt = 47,
    cluster_id_mismatch = 48,
    unsupported_version = 49,
    // Of ringfort/concurrency.h.
    locked = 1000,
    session_lost = 1001,
    not_held = 1002,
    not_elected = 1003,
    no_elected = 1004,
};

// What is known about a write after the error. Of a read only that there is no answer.
enum class ErrorClass : std::uint8_t {
    definite = 0,    // it did not happen and never will: may be tried again
    indefinite = 1,  // it may have happened, or may still happen: read before you write again
    redirect = 2,    // it did not happen; another node would have taken it
};

struct Error {
    ErrorCode code{ErrorCode::ok};
    ErrorClass error_class{ErrorClass::definite};
    std::string message{};         // etcd's text where etcd has the case
    std::string detail{};          // more, or empty

    // "etcdserver: no leader (127.0.0.1:2379: no connection within the dial timeout)"
    std::string text() const { return detail.empty() ? message : message + " (" + detail + ")"; }
};

// The enumerator's name, for logs.
std::string_view error_name(ErrorCode code);

// A value, or the error that stands in its place.
//
//     auto got = client.get("k");
//     if (!got) { log(got.error().text()); return; }
//     use(got->kvs);
template <class T>
class [[nodiscard]] Outcome {
  public:
    Outcome(T value) : value_(std::move(value)) {}
    Outcome(Error error) : error_(std::move(error)) {}

    explicit operator bool() const { return value_.has_value(); }
    bool ok() const { return value_.has_value(); }
    // Requires: ok().
    T& operator*() { return *value_; }
    const T& operator*() const { return *value_; }
    T* operator->() { return &*value_; }
    const T* operator->() const { return &*value_; }
    // Code `ok` if there is a value.
    const Error& error() const { return error_; }

  private:
    std::optional<T> value_;
    Error error_;
};

}  // namespace ringfort
