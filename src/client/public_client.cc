// The public library's calls, synchronous and asynchronous.
#include <algorithm>

#include "api/key_range.h"
#include "base/assertion.h"
#include "client/endpoint_table.h"
#include "client/public_client_impl.h"
#include "ringfort/client.h"

namespace ringfort {

using client::Call;
using client::CallOf;
using client::from_ms;
using client::GetCall;

// ---------------------------------------------------------------------------------------------- asynchronous

namespace {

template <class Reply, class ApiReply>
std::unique_ptr<Call> make_call(api::Operation op, std::int64_t timeout_ms, Client::Callback<Reply> done) {
    auto call = std::make_unique<CallOf<Reply, ApiReply>>(std::move(done));
    call->request.op = op;
    call->request.timeout = from_ms(timeout_ms);
    return call;
}

// 0: none is named.
void set_domain(api::Request& request, std::uint64_t domain) {
    if (domain != 0) {
        request.domain = DomainId(domain);
    }
}

}  // namespace

void Client::put_async(std::string_view key, std::string_view value, const PutOptions& options,
                       Callback<PutReply> done) {
    auto call = std::make_unique<CallOf<PutReply, api::PutResponse>>(std::move(done));
    call->request.op = client::to_api(key, value, options, call->arena);
    call->request.timeout = from_ms(options.timeout_ms);
    impl_->start(std::move(call));
}

void Client::get_async(std::string_view key, const GetOptions& options, Callback<GetReply> done) {
    stream_async(key, options, {}, std::move(done));
}

void Client::stream_async(std::string_view key, const GetOptions& options, PieceCallback piece,
                          Callback<GetReply> done) {
    auto call = std::make_unique<GetCall>(std::move(piece), std::move(done));
    call->request.op = client::to_api(key, options, call->arena);
    call->request.timeout = from_ms(options.timeout_ms);
    impl_->start(std::move(call));
}

void Client::del_async(std::string_view key, const DeleteOptions& options, Callback<DeleteReply> done) {
    auto call = std::make_unique<CallOf<DeleteReply, api::DeleteRangeResponse>>(std::move(done));
    call->request.op = client::to_api(key, options, call->arena);
    call->request.timeout = from_ms(options.timeout_ms);
    impl_->start(std::move(call));
}

void Client::txn_async(const Txn& txn, const CallOptions& options, Callback<TxnReply> done) {
    auto call = std::make_unique<CallOf<TxnReply, api::TxnResponse>>(std::move(done));
    call->request.op = client::to_api(txn, call->arena);
    call->request.timeout = from_ms(options.timeout_ms);
    impl_->start(std::move(call));
}

void Client::compact_async(std::int64_t revision, const CompactOptions& options, Callback<CompactReply> done) {
    auto call = make_call<CompactReply, api::CompactResponse>(
        api::CompactRequest{.revision = revision, .physical = options.physical}, options.timeout_ms, std::move(done));
    set_domain(call->request, options.domain);
    impl_->start(std::move(call));
}

void Client::status_async(const CallOptions& options, Callback<StatusReply> done) {
    impl_->start(make_call<StatusReply, api::StatusResponse>(api::StatusRequest{}, options.timeout_ms,
                                                             std::move(done)));
}

void Client::hash_kv_async(std::int64_t revision, const HashOptions& options, Callback<HashKvReply> done) {
    auto call = make_call<HashKvReply, api::HashKvResponse>(api::HashKvRequest{.revision = revision},
                                                            options.timeout_ms, std::move(done));
    set_domain(call->request, options.domain);
    impl_->start(std::move(call));
}

static std::unique_ptr<Call> make_alarm_call(const api::AlarmRequest& request, const AlarmOptions& options,
                                             Client::Callback<AlarmReply> done) {
    auto call = make_call<AlarmReply, api::AlarmResponse>(request, options.timeout_ms, std::move(done));
    set_domain(call->request, options.domain);
    return call;
}

void Client::alarm_list_async(const AlarmOptions& options, Callback<AlarmReply> done) {
    impl_->start(make_alarm_call({}, options, std::move(done)));
}

void Client::alarm_disarm_async(const Alarm& alarm, const AlarmOptions& options, Callback<AlarmReply> done) {
    const api::AlarmRequest request{.action = api::AlarmAction::deactivate,
                                    .member = NodeId(alarm.member_id),
                                    .alarm = static_cast<api::AlarmType>(alarm.type)};
    impl_->start(make_alarm_call(request, options, std::move(done)));
}

void Client::member_list_async(bool linearizable, const CallOptions& options, Callback<MemberListReply> done) {
    impl_->start(make_call<MemberListReply, api::MemberListResponse>(
        api::MemberListRequest{.linearizable = linearizable}, options.timeout_ms, std::move(done)));
}

void Client::move_leader_async(std::uint64_t target_member, const CallOptions& options,
                               Callback<MoveLeaderReply> done) {
    api::MoveLeaderRequest request;
    request.target = NodeId(target_member);
    impl_->start(make_call<MoveLeaderReply, api::MoveLeaderResponse>(request, options.timeout_ms, std::move(done)));
}

// ---------------------------------------------------------------------------------------------- leases

namespace {

template <class Reply, class ApiReply>
std::unique_ptr<Call> make_lease_call(api::Operation op, const LeaseOptions& options, Client::Callback<Reply> done) {
    auto call = make_call<Reply, ApiReply>(std::move(op), options.timeout_ms, std::move(done));
    set_domain(call->request, options.domain);
    return call;
}

std::unique_ptr<Call> make_keep_alive(const std::vector<std::int64_t>& ids, const LeaseOptions& options,
                                      Client::Callback<LeaseKeepAliveReply> done) {
    auto call = make_lease_call<LeaseKeepAliveReply, api::LeaseKeepAliveResponse>(api::LeaseKeepAliveRequest{}, options,
                                                                                  std::move(done));
    const auto copy = call->arena.make_array<api::LeaseId>(ids.size());
    std::copy(ids.begin(), ids.end(), copy.begin());
    call->request.op = api::LeaseKeepAliveRequest{copy};
    return call;
}

template <class Reply, class ApiReply, class Rest>
std::unique_ptr<Call> make_parts_call(const LeaseOptions& options, Rest rest, Client::Callback<Reply> done) {
    auto call = std::make_unique<client::PartsCall<Reply, ApiReply>>(std::move(rest), std::move(done));
    call->request.timeout = from_ms(options.timeout_ms);
    set_domain(call->request, options.domain);
    return call;
}

}  // namespace

void Client::lease_grant_async(std::int64_t ttl, std::int64_t id, const LeaseOptions& options,
                               Callback<LeaseGrantReply> done) {
    const auto note_asked = [asked = impl_->clock.now(), done = std::move(done)](Outcome<LeaseGrantReply> reply) {
        if (reply) {
            reply->asked_ns = asked.ns;
        }
        done(std::move(reply));
    };
    impl_->start(make_lease_call<LeaseGrantReply, api::LeaseGrantResponse>(
        api::LeaseGrantRequest{.ttl = ttl, .id = id}, options, note_asked));
}

void Client::lease_revoke_async(std::int64_t id, const LeaseOptions& options, Callback<LeaseRevokeReply> done) {
    impl_->revoke(id, options, std::move(done));
}

void Client::Impl::revoke(std::int64_t id, const LeaseOptions& options, Callback<LeaseRevokeReply> done) {
    start(make_lease_call<LeaseRevokeReply, api::LeaseRevokeResponse>(api::LeaseRevokeRequest{.id = id}, options,
                                                                      std::move(done)));
}

void Client::lease_keep_alive_async(const std::vector<std::int64_t>& ids, const LeaseOptions& options,
                                    Callback<LeaseKeepAliveReply> done) {
    impl_->start(make_keep_alive(ids, options, std::move(done)));
}

void Client::lease_time_to_live_async(std::int64_t id, bool keys, const LeaseOptions& options,
                                      Callback<LeaseTimeToLiveReply> done) {
    if (keys) {
        impl_->list_lease_keys(id, options, std::make_shared<LeaseTimeToLiveReply>(), std::move(done));
        return;
    }
    impl_->start(make_lease_call<LeaseTimeToLiveReply, api::LeaseTimeToLiveResponse>(
        api::LeaseTimeToLiveRequest{.id = id, .keys = false, .from_key = {}}, options, std::move(done)));
}

void Client::lease_list_async(const LeaseOptions& options, Callback<LeaseListReply> done) {
    impl_->list_leases(options, std::make_shared<LeaseListReply>(), std::move(done));
}

void Client::Impl::list_leases(const LeaseOptions& options, std::shared_ptr<LeaseListReply> so_far,
                               Callback<LeaseListReply> done) {
    const auto rest = [this, options, so_far, done](LeaseListReply& part, bool more) {
        so_far->ids.insert(so_far->ids.end(), part.ids.begin(), part.ids.end());
        if (more) {
            list_leases(options, so_far, done);
            return true;
        }
        part.ids = std::move(so_far->ids);
        return false;
    };
    auto call = make_parts_call<LeaseListReply, api::LeaseListResponse>(options, rest, done);
    call->request.op = api::LeaseListRequest{.has_after = !so_far->ids.empty(),
                                             .after = so_far->ids.empty() ? 0 : so_far->ids.back()};
    start(std::move(call));
}

void Client::Impl::list_lease_keys(std::int64_t id, const LeaseOptions& options,
                                   std::shared_ptr<LeaseTimeToLiveReply> so_far,
                                   Callback<LeaseTimeToLiveReply> done) {
    const auto rest = [this, id, options, so_far, done](LeaseTimeToLiveReply& part, bool more) {
        so_far->keys.insert(so_far->keys.end(), part.keys.begin(), part.keys.end());
        if (more) {
            list_lease_keys(id, options, so_far, done);
            return true;
        }
        part.keys = std::move(so_far->keys);
        return false;
    };
    auto call = make_parts_call<LeaseTimeToLiveReply, api::LeaseTimeToLiveResponse>(options, rest, done);
    const std::string from = so_far->keys.empty() ? std::string() : so_far->keys.back() + '\0';
    call->request.op = api::LeaseTimeToLiveRequest{.id = id, .keys = true, .from_key = call->arena.copy(from)};
    start(std::move(call));
}

void Client::Impl::renew() {
    kept.run(clock.now(), [this](const std::vector<std::int64_t>& ids, const LeaseOptions& options) {
        const auto on_answer = [this, domain = options.domain, ids,
                                asked = clock.now()](const Outcome<LeaseKeepAliveReply>& reply) {
            kept.on_answer(domain, ids, asked, clock.now(), reply);
        };
        submit(make_keep_alive(ids, options, on_answer), client::Core::Place::reserved);
    });
}

void Client::keep_alive(const LeaseGrantReply& lease, const LeaseOptions& options, std::function<void()> lost) {
    impl_->keep_alive(lease, options, std::move(lost), {});
}

void Client::Impl::keep_alive(const LeaseGrantReply& lease, const LeaseOptions& options, std::function<void()> lost,
                              client::KeptLeases::Lives lives) {
    const Instant asked = lease.asked_ns != 0 ? Instant{lease.asked_ns} : clock.now();
    kept.add({options.domain, lease.id}, lease.ttl, options.timeout_ms, asked, std::move(lost), std::move(lives));
    if (!on_own_thread()) {
        network.wake();
    }
}

void Client::stop_keeping_alive(std::int64_t id, std::uint64_t domain) {
    impl_->kept.remove({domain, id});
}

// ---------------------------------------------------------------------------------------------- synchronous

// Starts the call with `start(callback)` and waits for its answer.
template <class T, class Start>
static Outcome<T> wait_for(Client::Impl& impl, Start start) {
    client::Waiter<T> waiter;
    start([&waiter](Outcome<T> result) { waiter.answer(std::move(result)); });
    client::wait_for(impl, waiter, -1);
    return std::move(*waiter.outcome);
}

Outcome<PutReply> Client::put(std::string_view key, std::string_view value, const PutOptions& options) {
    return wait_for<PutReply>(*impl_, [&](auto done) { put_async(key, value, options, std::move(done)); });
}
Outcome<GetReply> Client::get(std::string_view key, const GetOptions& options) {
    return wait_for<GetReply>(*impl_, [&](auto done) { get_async(key, options, std::move(done)); });
}
Outcome<GetReply> Client::stream(std::string_view key, const GetOptions& options, const PieceCallback& piece) {
    return wait_for<GetReply>(*impl_, [&](auto done) { stream_async(key, options, piece, std::move(done)); });
}
Outcome<DeleteReply> Client::del(std::string_view key, const DeleteOptions& options) {
    return wait_for<DeleteReply>(*impl_, [&](auto done) { del_async(key, options, std::move(done)); });
}
Outcome<TxnReply> Client::txn(const Txn& txn, const CallOptions& options) {
    return wait_for<TxnReply>(*impl_, [&](auto done) { txn_async(txn, options, std::move(done)); });
}
Outcome<CompactReply> Client::compact(std::int64_t revision, const CompactOptions& options) {
    return wait_for<CompactReply>(*impl_, [&](auto done) { compact_async(revision, options, std::move(done)); });
}
Outcome<StatusReply> Client::status(const CallOptions& options) {
    return wait_for<StatusReply>(*impl_, [&](auto done) { status_async(options, std::move(done)); });
}
Outcome<HashKvReply> Client::hash_kv(std::int64_t revision, const HashOptions& options) {
    return wait_for<HashKvReply>(*impl_, [&](auto done) { hash_kv_async(revision, options, std::move(done)); });
}
Outcome<AlarmReply> Client::alarm_list(const AlarmOptions& options) {
    return wait_for<AlarmReply>(*impl_, [&](auto done) { alarm_list_async(options, std::move(done)); });
}
Outcome<AlarmReply> Client::alarm_disarm(const Alarm& alarm, const AlarmOptions& options) {
    return wait_for<AlarmReply>(*impl_, [&](auto done) { alarm_disarm_async(alarm, options, std::move(done)); });
}
Outcome<MemberListReply> Client::member_list(bool linearizable, const CallOptions& options) {
    return wait_for<MemberListReply>(*impl_, [&](auto done) {
        member_list_async(linearizable, options, std::move(done));
    });
}
Outcome<MoveLeaderReply> Client::move_leader(std::uint64_t target_member, const CallOptions& options) {
    return wait_for<MoveLeaderReply>(*impl_, [&](auto done) {
        move_leader_async(target_member, options, std::move(done));
    });
}

Outcome<LeaseGrantReply> Client::lease_grant(std::int64_t ttl, std::int64_t id, const LeaseOptions& options) {
    return wait_for<LeaseGrantReply>(*impl_, [&](auto done) { lease_grant_async(ttl, id, options, std::move(done)); });
}
Outcome<LeaseRevokeReply> Client::lease_revoke(std::int64_t id, const LeaseOptions& options) {
    return wait_for<LeaseRevokeReply>(*impl_, [&](auto done) { lease_revoke_async(id, options, std::move(done)); });
}
Outcome<LeaseKeepAliveReply> Client::lease_keep_alive(const std::vector<std::int64_t>& ids,
                                                      const LeaseOptions& options) {
    return wait_for<LeaseKeepAliveReply>(*impl_, [&](auto done) { lease_keep_alive_async(ids, options, std::move(done)); });
}
Outcome<LeaseTimeToLiveReply> Client::lease_time_to_live(std::int64_t id, bool keys, const LeaseOptions& options) {
    return wait_for<LeaseTimeToLiveReply>(*impl_, [&](auto done) {
        lease_time_to_live_async(id, keys, options, std::move(done));
    });
}
Outcome<LeaseListReply> Client::lease_list(const LeaseOptions& options) {
    return wait_for<LeaseListReply>(*impl_, [&](auto done) { lease_list_async(options, std::move(done)); });
}

// ---------------------------------------------------------------------------------------------- watches

Watcher::Watcher(Client& client, std::uint64_t id) : owner_(client.impl_.get()), id_(id) {}

Watcher::Watcher(Watcher&& other) noexcept { *this = std::move(other); }
Watcher& Watcher::operator=(Watcher&& other) noexcept {
    if (this != &other) {
        cancel();
        state_ = std::exchange(other.state_, nullptr);
        owner_ = other.owner_;
        id_ = other.id_;
    }
    return *this;
}
Watcher::~Watcher() { cancel(); }

void Watcher::cancel() {
    if (state_ != nullptr) {
        static_cast<Client::Impl*>(owner_)->cancel_watch(id_);
    }
    state_ = nullptr;
}

void Watcher::request_progress() {
    if (state_ != nullptr) {
        static_cast<Client::Impl*>(owner_)->request_progress(id_);
    }
}

Outcome<WatchReply> Watcher::next(std::int64_t timeout_ms) {
    auto& impl = *static_cast<Client::Impl*>(owner_);
    if (state_ == nullptr) {
        return impl.invalid ? impl.not_an_endpoint() : client::watch_cancelled();
    }
    auto& watch = *static_cast<client::PublicWatch*>(state_);
    return client::next_of(impl, watch.inbox(), timeout_ms, [&impl, id = id_](std::uint64_t token, std::uint64_t bytes) {
        if (client::PublicWatch* still = impl.find_watch(id)) {
            still->done(token, bytes);
        }
    });
}

Watcher Client::watch(std::string_view key, const WatchOptions& options) {
    Watcher watcher(*this, 0);
    if (impl_->core) {
        auto made = impl_->make_watch(key, options, {});
        watcher.state_ = made.get();
        watcher.id_ = made->id();
        impl_->start_watch(std::move(made));
    }
    return watcher;
}

std::uint64_t Client::watch_async(std::string_view key, const WatchOptions& options, WatchCallback on_reply) {
    if (!impl_->core) {
        on_reply(impl_->not_an_endpoint());
        return 0;
    }
    auto made = impl_->make_watch(key, options, std::move(on_reply));
    const std::uint64_t id = made->id();
    impl_->start_watch(std::move(made));
    return id;
}

void Client::cancel_watch(std::uint64_t id) {
    impl_->cancel_watch(id);
}

void Client::request_progress(std::uint64_t id) {
    impl_->request_progress(id);
}

// ---------------------------------------------------------------------------------------------- the rest

Client::Client(const ClientOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

std::size_t Client::poll(std::int64_t timeout_ms) {
    ASSERT(impl_->threading == Threading::polled);
    return impl_->poll(timeout_ms);
}

std::optional<std::string> Client::invalid_endpoint() const {
    return impl_->invalid;
}

std::optional<std::string> normalize_endpoint(std::string_view endpoint) {
    constexpr std::string_view scheme = "http://";
    if (endpoint.substr(0, scheme.size()) == scheme) {
        endpoint.remove_prefix(scheme.size());
    }
    if (!endpoint.empty() && endpoint.back() == '/') {
        endpoint.remove_suffix(1);
    }
    const auto address = client::parse_address(endpoint);
    if (!address || address->host.find('/') != std::string::npos) {
        return std::nullopt;
    }
    return std::string(endpoint);
}

std::string prefix_end(std::string_view prefix) {
    return api::prefix_end(prefix);
}

std::string_view error_name(ErrorCode code) {
    static constexpr std::pair<ErrorCode, std::string_view> own[] = {{ErrorCode::locked, "locked"},
                                                                     {ErrorCode::session_lost, "session_lost"},
                                                                     {ErrorCode::not_held, "not_held"},
                                                                     {ErrorCode::not_elected, "not_elected"},
                                                                     {ErrorCode::no_elected, "no_elected"}};
    if (const auto* at = std::ranges::find(own, code, [](const auto& one) { return one.first; }); at != std::end(own)) {
        return at->second;
    }
    const auto number = static_cast<std::uint16_t>(code);
    return api::known_error(number) ? api::error_name(static_cast<api::Errc>(number)) : "unknown";
}

std::string_view version() {
    return RINGFORT_VERSION;
}

// The public numbers are the protocol's.
static_assert(static_cast<int>(ErrorCode::stale_route) == static_cast<int>(api::Errc::stale_route));
static_assert(static_cast<int>(ErrorCode::unsupported_version) == static_cast<int>(api::Errc::unsupported_version));
static_assert(static_cast<int>(ErrorCode::too_many_requests) == static_cast<int>(api::Errc::too_many_requests));
static_assert(static_cast<int>(ErrorCode::lease_exists) == static_cast<int>(api::Errc::lease_exists));
static_assert(static_cast<int>(ErrorCode::lease_ttl_too_large) == static_cast<int>(api::Errc::lease_ttl_too_large));
static_assert(static_cast<int>(ErrorCode::lease_not_found) == static_cast<int>(api::Errc::lease_not_found));

}  // namespace ringfort
