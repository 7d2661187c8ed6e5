#include "shard/router.h"

#include <algorithm>

#include "api/key_range.h"
#include "base/mutant.h"
#include "shard/follower_reads.h"
#include "shard/forwards.h"
#include "shard/hash_walks.h"
#include "shard/lease_keeper.h"
#include "shard/log_queue.h"
#include "shard/mail.h"
#include "shard/peer_links.h"
#include "shard/read_rounds.h"
#include "shard/replica.h"
#include "shard/replicas.h"
#include "shard/request_extent.h"
#include "shard/sessions.h"
#include "shard/space_alarms.h"
#include "shard/streams.h"
#include "shard/watches.h"

namespace ringfort::shard {

namespace {

bool lists_alarms(const api::Operation& op) {
    const auto* alarm = std::get_if<api::AlarmRequest>(&op);
    return alarm != nullptr && alarm->action == api::AlarmAction::get;
}

// Whether its outcome is unknown when its answer is lost: twice is not once. Keeping a lease alive twice is.
bool is_write(const api::Operation& op) {
    if (std::holds_alternative<api::AlarmRequest>(op)) {
        return !lists_alarms(op);
    }
    return std::holds_alternative<api::PutRequest>(op) || std::holds_alternative<api::DeleteRangeRequest>(op) ||
           std::holds_alternative<api::TxnRequest>(op) || std::holds_alternative<api::CompactRequest>(op) ||
           std::holds_alternative<api::LeaseGrantRequest>(op) || std::holds_alternative<api::LeaseRevokeRequest>(op);
}

// Without a key: it names its domain.
bool names_domain(const api::Operation& op) {
    return std::holds_alternative<api::CompactRequest>(op) || std::holds_alternative<api::LeaseGrantRequest>(op) ||
           std::holds_alternative<api::LeaseRevokeRequest>(op) ||
           std::holds_alternative<api::LeaseKeepAliveRequest>(op) ||
           std::holds_alternative<api::LeaseTimeToLiveRequest>(op) ||
           std::holds_alternative<api::LeaseListRequest>(op) || std::holds_alternative<api::HashKvRequest>(op) ||
           std::holds_alternative<api::AlarmRequest>(op);
}

// It comes elsewhere under credit: an answer about leases in one piece, which is hardly larger than those of a range.
bool has_long_reply(const api::Operation& op) {
    const auto* read = std::get_if<api::RangeRequest>(&op);
    return (read != nullptr && !is_point_get(*read)) || std::holds_alternative<api::LeaseTimeToLiveRequest>(op) ||
           std::holds_alternative<api::LeaseListRequest>(op);
}

constexpr std::int64_t forwarded_credit_default = 1 * static_cast<std::int64_t>(mib);
// Answers that wait at the place they go to: above this reads wait.
constexpr std::size_t answers_backlog_max = 1 * mib;

}  // namespace

Router::Router(Context& context) : context_(context), node_requests_(context) {}

bool Router::accepting() const {
    // With a full disk waiting may not help: requests are taken, and those that need the log are refused. Where nothing is
    // led no write needs this log.
    return context_.log->can_append(context_.request_bytes() + kib) || !context_.log->has_space() ||
           !context_.replicas->lead_any();
}

// ------------------------------------------------------------------------------------------------ taking requests

bool Router::on_request(const Origin& origin, Bytes body) {
    Taken taken;
    taken.origin = origin;
    taken.body = body;
    if (const Session* session = context_.sessions->find(origin.place)) {
        taken.credit = session->credit_bytes();
    }
    take(taken);
    return true;
}

void Router::on_forwarded(Link& link, const wire::Forward& forward) {
    Taken taken;
    taken.origin = {OriginKind::link, static_cast<wire::ClientKind>(forward.kind), link.place(), forward.token};
    taken.body = forward.body;
    taken.deadline = context_.now + Duration(forward.timeout_ns);
    taken.credit = forward.reply_credit > 0 ? forward.reply_credit : forwarded_credit_default;
    taken.forwarded = true;
    take(taken);
}

void Router::on_mailed(ShardId from, env::Mail& mail) {
    Taken taken;
    taken.origin = {OriginKind::mail, static_cast<wire::ClientKind>(mail.words[1] & 0xff), from.value, mail.words[0]};
    taken.redirect = (mail.words[1] & 0x100) != 0;
    taken.credit = static_cast<std::int64_t>(mail.words[1] >> 32);
    taken.body = mail.buffer->bytes;
    taken.deadline = context_.now + Duration(static_cast<std::int64_t>(mail.words[3]));
    take(taken);
}

void Router::route_again(const Origin& origin, Bytes body, Instant deadline, std::int64_t credit) {
    if (is_gone(origin)) {
        return;
    }
    Taken taken;
    taken.origin = origin;
    taken.body = body;
    taken.deadline = deadline;
    taken.credit = credit;
    taken.forwarded = origin.kind == OriginKind::link;
    take(taken);
}

bool Router::take_queued(const QueuedWrite& write) {
    Taken taken;
    taken.origin = write.origin;
    taken.body = write.body;
    taken.deadline = write.deadline;
    taken.redirect = write.redirect;
    taken.forwarded = write.forwarded;
    taken.queued = true;
    no_room_ = false;
    take(taken);
    return !no_room_;
}

void Router::take(Taken taken) {
    const wire::ClientKind kind = taken.origin.request;
    if (context_.stopping || context_.halted) {
        answer_error(taken.origin, context_.halted ? api::Errc::unhealthy : api::Errc::stopped, "", {});
        return;
    }
    context_.request_arena.reset();
    const auto request = wire::decode_request(kind, taken.body, context_.request_arena);
    if (!request) {
        answer_error(taken.origin, request.error(), "", {});
        return;
    }
    taken.redirect |= request->redirect;
    if (taken.deadline == Instant{}) {
        const Duration wanted = request->timeout > Duration(0) ? request->timeout : context_.config.request_timeout;
        taken.deadline = context_.now + std::min<Duration>(wanted, 24h);
    }
    const kv::Settings& settings =
        context_.directory != nullptr ? context_.directory->state().settings : context_.config.settings;
    const api::Errc fault = kv::check_request(request->op, {settings.txn_ops, settings.request_bytes});
    if (fault != api::Errc::ok) {
        answer_error(taken.origin, fault, "", {});
        return;
    }
    if (std::holds_alternative<api::StatusRequest>(request->op) ||
        std::holds_alternative<api::MemberListRequest>(request->op) ||
        std::holds_alternative<api::MoveLeaderRequest>(request->op)) {
        take_node_request(taken, *request);
    } else {
        take_keyed(taken, *request);
    }
}

const kv::RangeRecord* Router::range_for(const Taken& taken, const api::Request& request) {
    const kv::Directory& directory = *context_.directory;
    if (names_domain(request.op)) {
        const auto& ranges = directory.state().ranges;
        if (!request.domain) {
            if (directory.state().domains.size() > 1) {
                answer_error(taken.origin, api::Errc::domain_required, "", {});
                return nullptr;
            }
            return &ranges.front();
        }
        for (const kv::RangeRecord& range : ranges) {
            if (range.domain == *request.domain || MUTANT(compacts_first_domain)) {
                return &range;
            }
        }
        answer_error(taken.origin, api::Errc::domain_not_found, "", {});
        return nullptr;
    }
    const Extent extent = extent_of(request.op);
    const kv::RangeRecord& range = directory.range_of(extent.first);
    if (!range.end.empty() && extent.reaches(range.end)) {
        // The one range of its domain ends before the request does.
        answer_error(taken.origin, api::Errc::crosses_domains, "a domain ends at key \"" + range.end + "\"", {});
        return nullptr;
    }
    return &range;
}

void Router::take_keyed(const Taken& taken, const api::Request& request) {
    if (context_.directory == nullptr || !context_.directory->bootstrapped()) {
        answer_error(taken.origin, api::Errc::no_leader, "the cluster is not bootstrapped yet", {});
        return;
    }
    const auto* watch = std::get_if<api::WatchRequest>(&request.op);
    if (watch != nullptr && taken.origin.kind != OriginKind::session) {
        answer_error(taken.origin, api::Errc::unsupported_request, "", {});   // it is served where it was asked for
        return;
    }
    if (watch != nullptr && context_.watches->refuse(taken.origin, *watch)) {
        return;
    }
    const kv::RangeRecord* range = range_for(taken, request);
    if (range == nullptr) {
        return;
    }
    const ShardId shard = shard_of(range->id, context_.config.shard_count);
    if (watch != nullptr && shard != context_.config.shard) {
        context_.watches->open_elsewhere(taken.origin, shard, taken.body, taken.credit);
        return;
    }
    if (shard != context_.config.shard) {
        if (taken.origin.kind != OriginKind::session) {
            answer_error(taken.origin, api::Errc::stale_route, "", {});
            return;
        }
        const Forwards::Request forward{taken.origin, range->id, is_write(request.op), taken.redirect,
                                        has_long_reply(request.op), taken.credit, taken.deadline};
        const api::Errc code = context_.forwards->add_mail(forward, shard, taken.body);
        if (code != api::Errc::ok) {
            answer_error(taken.origin, code, "", {});
        }
        return;
    }
    Replica* replica = context_.replicas->find(range->id);
    if (replica == nullptr) {
        answer_error(taken.origin, api::Errc::no_leader, "the range's replica is being made", {});
        return;
    }
    if (replica->out_of_service()) {
        take_out_of_service(taken, request, *replica);
    } else if (watch != nullptr) {
        context_.watches->open(taken.origin, *watch, *replica, taken.credit);
    } else if (const auto* read = std::get_if<api::RangeRequest>(&request.op)) {
        take_read(taken, request, *read, *replica);
    } else if (const auto* keep_alive = std::get_if<api::LeaseKeepAliveRequest>(&request.op)) {
        take_keep_alive(taken, request, *keep_alive, *replica);
    } else if (is_lease_read(taken.origin.request)) {
        take_lease_read(taken, request, *replica);
    } else if (lists_alarms(request.op)) {
        take_linearizable(taken, request, {taken.origin, nullptr, taken.body, taken.deadline, 0}, *replica);
    } else if (const auto* hash = std::get_if<api::HashKvRequest>(&request.op)) {
        context_.hash_walks->add(*replica, taken.origin, *hash, taken.deadline);
    } else {
        take_write(taken, request, *replica);
    }
}

// The state here is wrong. What need not be answered from it is answered elsewhere.
void Router::take_out_of_service(const Taken& taken, const api::Request& request, const Replica& replica) {
    const auto* read = std::get_if<api::RangeRequest>(&request.op);
    const bool answered_here = (read != nullptr && read->serializable) ||
                               std::holds_alternative<api::WatchRequest>(request.op) ||
                               std::holds_alternative<api::HashKvRequest>(request.op);
    if (answered_here) {
        answer_error(taken.origin, api::Errc::unhealthy, out_of_service_text, replica.header());
    } else {
        elsewhere(taken, replica.range(), request.op);
    }
}

void Router::take_read(const Taken& taken, const api::Request& request, const api::RangeRequest& range,
                       Replica& replica) {
    const PendingRead read{taken.origin, &range, taken.body, taken.deadline, taken.credit};
    if (range.serializable) {
        WorkBudget budget;   // one of its own: what may arrive in a turn is bounded elsewhere
        serve_read(replica, read, budget);
        return;
    }
    take_linearizable(taken, request, read, replica);
}

void Router::take_linearizable(const Taken& taken, const api::Request& request, const PendingRead& read,
                               Replica& replica) {
    if (replica.raft().is_leader()) {
        const api::Errc code = context_.rounds->add(replica, read);
        if (code != api::Errc::ok) {
            answer_error(taken.origin, code, "", replica.header());
        }
        return;
    }
    // One hop is the most, and whoever routes itself is told of the leader.
    const bool stays = !taken.forwarded && !taken.redirect && context_.follower_reads->add(replica, read);
    if (!stays) {
        elsewhere(taken, replica.range(), request.op);
    }
}

// Renewing twice is renewing: what is not taken here may be tried again.
void Router::take_keep_alive(const Taken& taken, const api::Request& request, const api::LeaseKeepAliveRequest& keep_alive,
                             Replica& replica) {
    if (!replica.raft().accepts_proposals()) {
        elsewhere(taken, replica.range(), request.op);
        return;
    }
    const api::Errc code = context_.leases->add(replica, taken.origin, keep_alive.ids, taken.deadline);
    if (code != api::Errc::ok) {
        answer_error(taken.origin, code, "", replica.header());
    }
}

// Only who leads knows the time.
void Router::take_lease_read(const Taken& taken, const api::Request& request, Replica& replica) {
    if (!replica.raft().is_leader()) {
        elsewhere(taken, replica.range(), request.op);
        return;
    }
    const api::Errc code = context_.rounds->add(replica, {taken.origin, nullptr, taken.body, taken.deadline, taken.credit});
    if (code != api::Errc::ok) {
        answer_error(taken.origin, code, "", replica.header());
    }
}

void Router::take_write(const Taken& taken, const api::Request& request, Replica& replica) {
    if (!replica.raft().accepts_proposals()) {
        elsewhere(taken, replica.range(), request.op);
        return;
    }
    const std::uint64_t added_bytes =
        kv::added_bytes(request.op, *replica.store(), replica.pending_command_bytes_max());
    if (added_bytes > 0 && !has_room_for(added_bytes, replica)) {
        answer_error(taken.origin, api::Errc::no_space, "", replica.header());
        return;
    }
    kv::CommandHeader header = replica.command_header();
    header.client = request.client;
    header.client_sequence = request.client_sequence;
    const bool about_lease = std::holds_alternative<api::LeaseGrantRequest>(request.op) ||
                             std::holds_alternative<api::LeaseRevokeRequest>(request.op);
    const kv::CommandBody body =
        about_lease ? context_.leases->command_of(request.op, replica) : command_body_of(request.op);
    // First come, first served: what waits has the room that comes.
    const bool others_wait = !taken.queued && taken.origin.kind != OriginKind::session && !context_.log_queue->empty();
    api::Errc code = others_wait ? api::Errc::too_many_requests
                                 : replica.propose(taken.origin, header, body, taken.deadline, added_bytes);
    if (code == api::Errc::too_many_requests && (others_wait || !context_.log->can_append(kv::command_bytes(body)))) {
        if (!context_.log->has_space()) {
            code = api::Errc::no_space;
        } else if (enqueue(taken)) {
            return;
        }
    }
    if (code != api::Errc::ok) {
        answer_error(taken.origin, code, "", replica.header());
    }
}

// The log is busy. Clients of this shard were asked to wait before; what others sent waits here.
bool Router::enqueue(const Taken& taken) {
    if (taken.queued) {
        no_room_ = true;
        return true;
    }
    QueuedWrite write{taken.origin, taken.deadline, taken.redirect, taken.forwarded, 0, {}};
    write.body.assign(taken.body.begin(), taken.body.end());
    return context_.log_queue->add(std::move(write));
}

// Asked for what adds to a store (kv::added_bytes()): what frees space, or changes nothing, goes on.
bool Router::has_room_for(std::uint64_t added_bytes, Replica& replica) {
    if (!replica.store()->alarms().empty()) {
        return false;
    }
    const kv::MemoryUse use{added_bytes, node_requests_.memory_bytes(), context_.config.memory_quota_bytes};
    if (kv::check_quota(use) != api::Errc::ok) {
        context_.space_alarms->on_refused(replica);
        return false;
    }
    return context_.log->has_space();
}

// The leader is not here. One hop is the most: what came from another node goes back with a redirect.
void Router::elsewhere(const Taken& taken, RangeId range, const api::Operation& op) {
    Replica* replica = context_.replicas->find(range);
    const NodeId leader = replica != nullptr ? replica->raft().leader() : NodeId();
    if (taken.forwarded || taken.redirect) {
        answer_error(taken.origin, api::Errc::not_leader, "", replica != nullptr ? replica->header() : api::ResponseHeader{},
                     leader == context_.config.self ? NodeId() : leader);
        return;
    }
    const api::Errc code =
        context_.forwards->add({taken.origin, range, is_write(op), taken.redirect, has_long_reply(op), taken.credit,
                                taken.deadline},
                               taken.body);
    if (code != api::Errc::ok) {
        answer_error(taken.origin, code, "", {});
    }
}

// ------------------------------------------------------------------------------------------------ reads

void Router::serve_read(Replica& replica, const PendingRead& read, WorkBudget& budget) {
    budget.take(1, 0);
    if (is_gone(read.origin)) {
        return;
    }
    if (replica.out_of_service()) {
        answer_error(read.origin, api::Errc::unhealthy, out_of_service_text, replica.header());
        return;
    }
    if (is_lease_read(read.origin.request)) {
        context_.leases->serve(replica, read, budget);
        return;
    }
    if (read.origin.request == wire::ClientKind::alarm) {
        answer(read.origin, replica.header(), api::AlarmResponse{replica.store()->alarms()});
        return;
    }
    if (read.request == nullptr) {
        Taken taken;
        taken.origin = read.origin;
        member_list(taken);
        return;
    }
    kv::Store& store = *replica.store();
    if (is_point_get(*read.request) && takes_answers(read.origin)) {
        const auto found = store.get(read.request->key);
        api::RangeResponse response;
        if (found) {
            response.kvs = {&*found, 1};
            response.count = 1;
            budget.take(0, static_cast<std::int64_t>(found->value.size()));
        }
        answer(read.origin, replica.header(), response);
        return;
    }
    context_.streams->open(replica, read);
}

void Router::pass_on(Replica& replica, const PendingRead& read) {
    if (is_gone(read.origin)) {
        return;
    }
    if (context_.now >= read.deadline) {
        answer_error(read.origin, api::Errc::timed_out, "", replica.header());
        return;
    }
    if (replica.raft().is_leader()) {
        route_again(read.origin, read.body, read.deadline, read.credit);
        return;
    }
    const bool long_reply = read.request != nullptr && !is_point_get(*read.request);
    const api::Errc code = context_.forwards->add(
        {read.origin, replica.range(), false, false, long_reply, read.credit, read.deadline}, read.body);
    if (code != api::Errc::ok) {
        answer_error(read.origin, code, "", replica.header());
    }
}

// ------------------------------------------------------------------------------------------------ answers

void Router::answer(const Origin& origin, const api::ResponseHeader& header, const api::Result& result) {
    api::Response response;
    response.header = header;
    response.body = result;
    send_response(origin, response);
}

void Router::answer_error(const Origin& origin, api::Errc code, std::string_view detail,
                          const api::ResponseHeader& header, NodeId leader) {
    ASSERT(code != api::Errc::ok);
    api::Response response;
    response.header = header;
    response.header.cluster_id = context_.config.cluster_id;
    response.header.member_id = context_.config.self;
    api::ErrorInfo error;
    error.code = code;
    error.detail = detail;
    error.leader = leader;
    if (leader) {
        error.leader_address = context_.links->client_address_of(leader);
    }
    response.body = error;
    send_response(origin, response);
}

void Router::send_response(const Origin& origin, const api::Response& response) {
    switch (origin.kind) {
        case OriginKind::none:
        case OriginKind::internal: return;
        case OriginKind::leases: context_.leases->on_outcome(origin, response); return;
        case OriginKind::session: context_.sessions->reply(origin, response); return;
        case OriginKind::link:
        case OriginKind::mail: break;
    }
    scratch_.truncate(0);
    const bool fits = wire::encode_response(origin.token, origin.request, response, scratch_);
    ASSERT(fits);   // answers are bounded (limits::answer_bytes_max), and ranges travel in pieces
    const auto header = wire::decode_frame_header(scratch_.at(0), limits::frame_bytes_max);
    ASSERT(header.has_value());
    relay_reply(origin, header->kind, header->flags,
                {scratch_.at(limits::frame_header_bytes), scratch_.pending_bytes() - limits::frame_header_bytes});
}

void Router::relay_reply(const Origin& origin, std::uint8_t kind, std::uint8_t flags, Bytes body) {
    switch (origin.kind) {
        case OriginKind::none:
        case OriginKind::internal:
        case OriginKind::leases: return;   // it asks its own shard only
        case OriginKind::session: context_.sessions->relay(origin, kind, flags, body); return;
        case OriginKind::link:
            if (Link* link = context_.links->find_origin(origin.place)) {
                link->send(wire::ForwardReply{origin.token, kind, flags, body}, wire::LinkClass::control);
            }
            return;
        case OriginKind::mail: {
            env::Mail mail;
            mail.kind = static_cast<std::uint32_t>(MailKind::reply);
            mail.words = {origin.token, kind | (std::uint64_t{flags} << 8), 0, 0};
            mail.buffer = std::make_unique<env::MailBuffer>();
            mail.buffer->owner = context_.config.shard;
            mail.buffer->bytes.assign(body.begin(), body.end());
            context_.sessions->post(ShardId(origin.place), std::move(mail));
            return;
        }
    }
    UNREACHABLE();
}

bool Router::takes_answers(const Origin& origin) const {
    return backlog_bytes(origin) <= answers_backlog_max;
}

std::size_t Router::backlog_bytes(const Origin& origin) const {
    switch (origin.kind) {
        case OriginKind::none:
        case OriginKind::internal:
        case OriginKind::leases:
        case OriginKind::mail: return 0;   // bounded by the reader's credit
        case OriginKind::session: return context_.sessions->held_bytes(origin.place);
        case OriginKind::link: {
            const Link* link = context_.links->find_origin(origin.place);
            return link != nullptr ? link->held_bytes() : 0;
        }
    }
    UNREACHABLE();
}

void Router::on_cancel(const Origin& origin) {
    if (!context_.streams->on_cancel(origin) && !context_.forwards->on_cancel(origin)) {
        context_.follower_reads->on_cancel(origin);
        context_.rounds->on_cancel(origin);
        context_.hash_walks->on_cancel(origin);
    }
}

bool Router::is_gone(const Origin& origin) const {
    switch (origin.kind) {
        case OriginKind::session: return context_.sessions->find(origin.place) == nullptr;
        case OriginKind::link: return context_.links->find_origin(origin.place) == nullptr;
        case OriginKind::mail:
        case OriginKind::internal:
        case OriginKind::leases:
        case OriginKind::none: return false;
    }
    UNREACHABLE();
}

// ------------------------------------------------------------------------------------------------ news

void Router::on_leader_known(RangeId range) {
    context_.forwards->on_leader_known(range);
}

}  // namespace ringfort::shard
