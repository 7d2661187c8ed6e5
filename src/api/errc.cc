#include "api/errc.h"

#include "base/assertion.h"

namespace ringfort::api {

namespace {

struct Row {
    Errc code;
    ErrorClass error_class;
    std::uint8_t grpc;
    std::string_view name;
    std::string_view text;
};

constexpr std::uint8_t grpc_ok = 0, grpc_cancelled = 1, grpc_invalid = 3, grpc_not_found = 5,
                       grpc_exhausted = 8, grpc_precondition = 9, grpc_out_of_range = 11, grpc_unimplemented = 12,
                       grpc_unavailable = 14, grpc_data_loss = 15;

constexpr auto definite = ErrorClass::definite;
constexpr auto indefinite = ErrorClass::indefinite;
constexpr auto redirect = ErrorClass::redirect;

constexpr Row rows[] = {
    {Errc::ok, definite, grpc_ok, "ok", ""},
    {Errc::empty_key, definite, grpc_invalid, "empty_key", "etcdserver: key is not provided"},
    {Errc::key_not_found, definite, grpc_invalid, "key_not_found", "etcdserver: key not found"},
    {Errc::value_provided, definite, grpc_invalid, "value_provided", "etcdserver: value is provided"},
    {Errc::lease_provided, definite, grpc_invalid, "lease_provided", "etcdserver: lease is provided"},
    {Errc::too_many_ops, definite, grpc_invalid, "too_many_ops",
     "etcdserver: too many operations in txn request"},
    {Errc::duplicate_key, definite, grpc_invalid, "duplicate_key",
     "etcdserver: duplicate key given in txn request"},
    {Errc::invalid_sort_option, definite, grpc_invalid, "invalid_sort_option", "etcdserver: invalid sort option"},
    {Errc::request_too_large, definite, grpc_invalid, "request_too_large", "etcdserver: request is too large"},
    {Errc::malformed_request, definite, grpc_invalid, "malformed_request", "ringfort: request cannot be decoded"},
    {Errc::unsupported_request, definite, grpc_unimplemented, "unsupported_request",
     "ringfort: request is not served by this version"},
    {Errc::too_deep, definite, grpc_invalid, "too_deep", "ringfort: transactions are nested too deeply"},
    {Errc::crosses_domains, definite, grpc_invalid, "crosses_domains",
     "ringfort: request touches keys of more than one domain"},
    {Errc::domain_required, definite, grpc_invalid, "domain_required",
     "ringfort: the cluster has several domains: name one"},
    {Errc::domain_not_found, definite, grpc_not_found, "domain_not_found", "ringfort: domain not found"},
    {Errc::lease_ttl_too_large, definite, grpc_out_of_range, "lease_ttl_too_large", "etcdserver: too large lease TTL"},
    {Errc::compacted, definite, grpc_out_of_range, "compacted",
     "etcdserver: mvcc: required revision has been compacted"},
    {Errc::future_revision, definite, grpc_out_of_range, "future_revision",
     "etcdserver: mvcc: required revision is a future revision"},
    {Errc::lease_not_found, definite, grpc_not_found, "lease_not_found", "etcdserver: requested lease not found"},
    {Errc::no_space, definite, grpc_exhausted, "no_space", "etcdserver: mvcc: database space exceeded"},
    {Errc::too_many_requests, definite, grpc_exhausted, "too_many_requests", "etcdserver: too many requests"},
    {Errc::member_not_found, definite, grpc_not_found, "member_not_found", "etcdserver: member not found"},
    {Errc::bad_leader_transferee, definite, grpc_precondition, "bad_leader_transferee",
     "etcdserver: bad leader transferee"},
    {Errc::not_leader, redirect, grpc_precondition, "not_leader", "etcdserver: not leader"},
    {Errc::stale_route, redirect, grpc_unavailable, "stale_route", "ringfort: the range has changed: ask again"},
    {Errc::lease_exists, definite, grpc_precondition, "lease_exists", "etcdserver: lease already exists"},
    {Errc::no_leader, definite, grpc_unavailable, "no_leader", "etcdserver: no leader"},
    {Errc::leader_changed, indefinite, grpc_unavailable, "leader_changed", "etcdserver: leader changed"},
    {Errc::timed_out, indefinite, grpc_unavailable, "timed_out", "etcdserver: request timed out"},
    {Errc::stopped, definite, grpc_unavailable, "stopped", "etcdserver: server stopped"},
    {Errc::unhealthy, definite, grpc_unavailable, "unhealthy", "ringfort: this node has stopped serving"},
    {Errc::connection_lost, indefinite, grpc_unavailable, "connection_lost", "ringfort: connection lost"},
    {Errc::cancelled, indefinite, grpc_cancelled, "cancelled", "etcdserver: request canceled"},
    {Errc::corrupt, definite, grpc_data_loss, "corrupt", "etcdserver: corrupt cluster"},
    {Errc::cluster_id_mismatch, definite, grpc_precondition, "cluster_id_mismatch",
     "etcdserver: cluster ID mismatch"},
    {Errc::unsupported_version, definite, grpc_precondition, "unsupported_version",
     "ringfort: protocol version is not supported"},
};

const Row* find(Errc code) {
    for (const Row& row : rows) {
        if (row.code == code) {
            return &row;
        }
    }
    return nullptr;
}

const Row& row_of(Errc code) {
    const Row* row = find(code);
    ASSERT(row != nullptr);
    return *row;
}

}  // namespace

ErrorClass error_class(Errc code) {
    return row_of(code).error_class;
}
std::string_view error_text(Errc code) {
    return row_of(code).text;
}
std::uint8_t grpc_code(Errc code) {
    return row_of(code).grpc;
}
std::string_view error_name(Errc code) {
    return row_of(code).name;
}
bool known_error(std::uint16_t code) {
    return find(static_cast<Errc>(code)) != nullptr;
}

}  // namespace ringfort::api
