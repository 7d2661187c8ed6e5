// Everything a request can be answered with instead of a result. Numbers are on the wire: append only.
// Texts are etcd's where etcd has the case: its users' clients match on them.
#pragma once

#include <cstdint>
#include <string_view>

namespace ringfort::api {

enum class Errc : std::uint16_t {
    ok = 0,
    // -- the request is wrong
    empty_key = 1,
    key_not_found = 2,
    value_provided = 3,
    lease_provided = 4,
    too_many_ops = 5,
    duplicate_key = 6,
    invalid_sort_option = 7,
    request_too_large = 8,
    malformed_request = 9,         // bytes that do not decode; the connection is closed after it
    unsupported_request = 10,      // a kind, or a field of it, that this version does not serve
    too_deep = 11,                 // transactions nested deeper than limits::txn_depth_max
    crosses_domains = 12,          // keys of more than one domain; `detail` names the boundary
    domain_required = 13,          // several domains and the request names none
    domain_not_found = 14,
    lease_ttl_too_large = 15,
    // -- the request does not fit the state
    compacted = 20,
    future_revision = 21,
    lease_not_found = 22,
    no_space = 23,                 // memory limit (--quota-backend-bytes), or no disk space for the log
    too_many_requests = 24,        // a bound of this node or connection is reached
    member_not_found = 25,
    bad_leader_transferee = 26,
    not_leader = 27,               // redirect: `leader` in the error names where to go, 0 if unknown
    stale_route = 28,              // redirect: the range's generation moved on
    lease_exists = 29,
    // -- the cluster cannot now
    no_leader = 40,                // definite: never proposed
    leader_changed = 41,           // indefinite for writes
    timed_out = 42,                // indefinite for writes
    stopped = 43,                  // the node is stopping; definite: refused at the door
    unhealthy = 44,                // the node has stopped serving (its log failed)
    connection_lost = 45,          // made by clients: indefinite if the request had left
    cancelled = 46,                // made by clients: the caller gave up
    corrupt = 47,                  // a range is damaged beyond what this cluster can repair; `detail` names it
    cluster_id_mismatch = 48,
    unsupported_version = 49,
};

// What the caller knows about a write after the error.
enum class ErrorClass : std::uint8_t {
    definite = 0,    // it did not happen and never will
    indefinite = 1,  // it may have happened, or may still happen
    redirect = 2,    // it did not happen; ask where the error says
};

ErrorClass error_class(Errc code);
// etcd's text with its prefix ("etcdserver: key is not provided"), or ours with the prefix "ringfort: ".
std::string_view error_text(Errc code);
// The gRPC status etcd uses for it (grpc::StatusCode numbers).
std::uint8_t grpc_code(Errc code);
// The enumerator's name, for logs and JSON.
std::string_view error_name(Errc code);
// Whether the number is one of the enumerators.
bool known_error(std::uint16_t code);

}  // namespace ringfort::api
