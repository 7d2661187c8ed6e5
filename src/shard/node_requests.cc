#include "shard/node_requests.h"

#include <algorithm>
#include <numeric>

#include "shard/checkpoints.h"
#include "shard/mail.h"
#include "shard/peer_links.h"
#include "shard/replica.h"
#include "shard/replicas.h"
#include "shard/router.h"
#include "shard/sessions.h"
#include "wire/client_codec.h"

namespace ringfort::shard {

namespace {

constexpr std::uint64_t every_range = UINT64_MAX;
constexpr Duration move_poll = 5ms;
constexpr Duration memory_interval = 100ms;

api::RangeStatus status_of(const Context& context, const Replica& replica) {
    api::RangeStatus status;
    status.range = replica.range();
    status.domain = replica.domain();
    status.leader = replica.raft().leader();
    status.term = replica.raft().term();
    status.commit = replica.raft().commit();
    status.applied = replica.applied();
    status.state_hash = replica.state_hash();
    status.shard = context.config.shard;
    status.in_doubt = replica.raft().in_doubt();
    if (const kv::Store* store = replica.store()) {
        status.revision = store->revision();
        status.compact_revision = store->compact_revision();
        status.live_bytes = store->live_bytes();
    }
    if (context.directory != nullptr) {
        if (const kv::RangeRecord* record = context.directory->find(replica.range())) {
            status.begin = record->begin;
            status.end = record->end;
        }
    }
    return status;
}

}  // namespace

NodeRequests::NodeRequests(Context& context)
    : context_(context), memory_bytes_(context.world.mailbox.shard_count()) {}
NodeRequests::~NodeRequests() = default;

// ------------------------------------------------------------------------------------------------ asked by a client

void NodeRequests::status(const Origin& origin, Instant deadline) {
    Job job;
    job.origin = origin;
    job.deadline = deadline;
    ask_all(std::move(job), NodeId{}, every_range);
}

void NodeRequests::move_leader(const Origin& origin, const api::MoveLeaderRequest& request, Instant deadline) {
    const kv::Directory* directory = context_.directory;
    if (directory == nullptr || !directory->bootstrapped() || directory->find(request.target) == nullptr) {
        context_.router->answer_error(origin, api::Errc::bad_leader_transferee, "", {});
        return;
    }
    Job job;
    job.origin = origin;
    job.deadline = deadline;
    job.move = true;
    ask_all(std::move(job), request.target, request.range ? request.range->value : every_range);
}

void NodeRequests::ask_all(Job&& job, NodeId target, std::uint64_t range) {
    if (jobs_.size() >= context_.config.bounds.node_jobs) {
        context_.router->answer_error(job.origin, api::Errc::too_many_requests, "", {});
        return;
    }
    const std::size_t shards = context_.world.mailbox.shard_count();
    job.token = next_token_++;
    job.missing = shards;
    const Instant deadline = job.deadline;
    const std::uint64_t token = job.token;
    jobs_.push_back(std::make_unique<Job>(std::move(job)));
    for (std::size_t shard = 0; shard < shards; shard++) {
        env::Mail mail;
        mail.kind = static_cast<std::uint32_t>(MailKind::node_ask);
        mail.words = {token, target.value, range, static_cast<std::uint64_t>((deadline - context_.now).count())};
        if (ShardId(shard) == context_.config.shard) {
            on_ask(ShardId(shard), mail);
        } else {
            context_.sessions->post(ShardId(shard), std::move(mail));
        }
    }
}

// ------------------------------------------------------------------------------------------------ this shard's part

void NodeRequests::on_ask(ShardId from, const env::Mail& mail) {
    const NodeId target(mail.words[1]);
    if (!target) {
        give(from, {mail.words[0], api::Errc::ok, 0, own_status()});
        return;
    }
    const Duration left(static_cast<std::int64_t>(mail.words[3]));
    begin_move(from, mail.words[0], target, mail.words[2], context_.now + left);
}

void NodeRequests::begin_move(ShardId asker, std::uint64_t token, NodeId target, std::uint64_t range, Instant deadline) {
    Move move{asker, token, {}, 0, deadline};
    bool no_voter = false;
    for (const auto& replica : context_.replicas->all()) {
        const bool meant = range == every_range || range == replica->range().value;
        if (!meant || !replica->raft().is_leader()) {
            continue;
        }
        if (!replica->raft().configuration().is_voter(target)) {
            no_voter = true;
            continue;
        }
        move.moved++;
        if (target != context_.config.self) {
            replica->transfer_leadership(target);
            move.ranges.push_back(replica->range());
        }
    }
    if (no_voter) {
        give(asker, {token, api::Errc::bad_leader_transferee, move.moved, {}});
    } else if (still_leads(move)) {
        moves_.push_back(std::move(move));
        context_.want_timers(context_.now + move_poll);
    } else {
        give(asker, {token, api::Errc::ok, move.moved, {}});
    }
}

bool NodeRequests::still_leads(const Move& move) const {
    return std::any_of(move.ranges.begin(), move.ranges.end(), [&](RangeId range) {
        const Replica* replica = context_.replicas->find(range);
        return replica != nullptr && replica->raft().is_leader();
    });
}

// As etcd writes them, and of which domain, where there are several.
std::vector<std::string> NodeRequests::own_alarms() const {
    std::vector<std::string> out;
    const bool several = context_.directory != nullptr && context_.directory->state().domains.size() > 1;
    for (const auto& replica : context_.replicas->all()) {
        const auto alarms = replica->store() != nullptr ? replica->store()->alarms() : std::span<const api::Alarm>{};
        for (const api::Alarm& alarm : alarms) {
            out.push_back("memberID:" + std::to_string(alarm.member.value) + " alarm:" +
                          std::string(api::alarm_name(alarm.type)) +
                          (several ? " domain:" + std::to_string(replica->domain().value) : ""));
        }
    }
    return out;
}

std::vector<std::byte> NodeRequests::own_status() {
    context_.answer_arena.reset();
    Arena& arena = context_.answer_arena;
    const auto& replicas = context_.replicas->all();
    const auto ranges = arena.make_array<api::RangeStatus>(replicas.size());
    api::StatusResponse response;
    for (std::size_t i = 0; i < replicas.size(); i++) {
        ranges[i] = status_of(context_, *replicas[i]);
        response.memory_bytes += ranges[i].live_bytes;
    }
    const LogCounters& counters = context_.log->counters(context_.now);
    response.version = context_.config.version;
    response.memory_quota_bytes = context_.config.memory_quota_bytes;
    response.log_bytes_written = counters.bytes_written + context_.checkpoints->bytes_written();
    response.log_entry_bytes = counters.entry_bytes;
    response.log_flushes = counters.flushes;
    response.cpu_us = context_.world.process.cpu_us();
    response.resident_bytes = context_.world.process.resident_bytes();
    response.ranges = ranges;
    const std::vector<std::string> alarms = own_alarms();
    std::vector<std::string_view> errors(alarms.begin(), alarms.end());
    std::vector<std::string> wrong;
    for (const auto& replica : context_.replicas->all()) {
        if (replica->out_of_service()) {
            wrong.push_back("CORRUPT: range " + std::to_string(replica->range().value) + ": " +
                            std::string(out_of_service_text));
        }
        if (replica->raft().in_doubt()) {
            wrong.push_back("range " + std::to_string(replica->range().value) +
                            ": in doubt: its promises were lost, and it counts in no quorum until a leader has fenced it");
        }
    }
    errors.insert(errors.end(), wrong.begin(), wrong.end());
    if (!context_.log->has_space()) {
        errors.emplace_back("NOSPACE: the log cannot grow: the disk is full");
    }
    if (context_.links->disk_slow()) {
        errors.emplace_back("the log's disk is slow: leaderships go to nodes whose disks are faster");
    }
    response.errors = errors;
    wire::OutBuffer out;
    const bool encoded =
        wire::encode_response(0, wire::ClientKind::status, {.header = {}, .body = api::Result(response)}, out);
    ASSERT(encoded);   // a shard's replicas are bounded
    const Bytes body(out.at(limits::frame_header_bytes), out.pending_bytes() - limits::frame_header_bytes);
    return {body.begin(), body.end()};
}

// ------------------------------------------------------------------------------------------------ parts

void NodeRequests::give(ShardId asker, Part&& part) {
    if (asker == context_.config.shard) {
        take(std::move(part));
        return;
    }
    env::Mail mail;
    mail.kind = static_cast<std::uint32_t>(MailKind::node_part);
    mail.words = {part.token, static_cast<std::uint64_t>(part.code), part.moved, 0};
    mail.buffer = std::make_unique<env::MailBuffer>();
    mail.buffer->owner = context_.config.shard;
    mail.buffer->bytes.assign(part.status.begin(), part.status.end());
    context_.sessions->post(asker, std::move(mail));
}

void NodeRequests::on_part(const env::Mail& mail) {
    Part part{mail.words[0], static_cast<api::Errc>(mail.words[1]), mail.words[2], {}};
    part.status.assign(mail.buffer->bytes.begin(), mail.buffer->bytes.end());
    take(std::move(part));
}

void NodeRequests::take(Part&& part) {
    const auto found = std::find_if(jobs_.begin(), jobs_.end(), [&](const auto& job) { return job->token == part.token; });
    if (found == jobs_.end()) {
        return;   // its deadline passed
    }
    Job& job = **found;
    ASSERT(job.missing > 0);
    job.missing--;
    job.moved += part.moved;
    if (job.code == api::Errc::ok) {
        job.code = part.code;
    }
    job.parts.push_back(std::move(part.status));
    if (job.missing == 0) {
        const std::unique_ptr<Job> done = std::move(*found);
        jobs_.erase(found);
        finish(*done);
    }
}

void NodeRequests::finish(Job& job) {
    if (!job.move) {
        finish_status(job);
        return;
    }
    if (job.code == api::Errc::ok && job.moved == 0) {
        job.code = api::Errc::not_leader;
    }
    api::ResponseHeader header;
    header.cluster_id = context_.config.cluster_id;
    header.member_id = context_.config.self;
    if (job.code != api::Errc::ok) {
        context_.router->answer_error(job.origin, job.code, "", header);
    } else {
        context_.router->answer(job.origin, header, api::MoveLeaderResponse{});
    }
}

// Counts are summed, ranges listed in the order of their ids. The header speaks of the first range that holds keys.
void NodeRequests::finish_status(const Job& job) {
    context_.answer_arena.reset();
    Arena& arena = context_.answer_arena;
    api::StatusResponse sum;
    std::vector<api::RangeStatus> ranges;
    std::vector<std::string_view> errors;
    for (const auto& part : job.parts) {
        const auto decoded = wire::decode_response(wire::ClientKind::status, 0, part, arena);
        ASSERT(decoded && decoded->ok());
        const auto& status = std::get<api::StatusResponse>(std::get<api::Result>(decoded->body));
        sum.version = status.version;
        sum.memory_quota_bytes = status.memory_quota_bytes;
        sum.cpu_us = std::max(sum.cpu_us, status.cpu_us);   // the whole process's, as each shard saw it
        sum.resident_bytes = std::max(sum.resident_bytes, status.resident_bytes);   // likewise
        sum.memory_bytes += status.memory_bytes;
        sum.log_bytes_written += status.log_bytes_written;
        sum.log_entry_bytes += status.log_entry_bytes;
        sum.log_flushes += status.log_flushes;
        ranges.insert(ranges.end(), status.ranges.begin(), status.ranges.end());
        for (const std::string_view error : status.errors) {
            if (std::find(errors.begin(), errors.end(), error) == errors.end()) {
                errors.push_back(error);
            }
        }
    }
    std::sort(ranges.begin(), ranges.end(),
              [](const api::RangeStatus& a, const api::RangeStatus& b) { return a.range < b.range; });
    sum.ranges = ranges;
    sum.errors = errors;
    api::ResponseHeader header;
    header.cluster_id = context_.config.cluster_id;
    header.member_id = context_.config.self;
    const auto first = std::find_if(ranges.begin(), ranges.end(),
                                    [](const api::RangeStatus& range) { return range.range != directory_range; });
    if (first != ranges.end()) {
        header.domain = first->domain;
        header.revision = first->revision;
        header.raft_term = first->term;
    }
    context_.router->answer(job.origin, header, sum);
}

// ------------------------------------------------------------------------------------------------ memory

std::uint64_t NodeRequests::own_memory_bytes() const {
    std::uint64_t sum = 0;
    for (const auto& replica : context_.replicas->all()) {
        sum += replica->pending_bytes() + (replica->store() != nullptr ? replica->store()->live_bytes() : 0);
    }
    return sum;
}

std::uint64_t NodeRequests::memory_bytes() const {
    return std::accumulate(memory_bytes_.begin(), memory_bytes_.end(), own_memory_bytes());
}

void NodeRequests::list_pools(PoolList& out) const {
    const std::size_t jobs = context_.config.bounds.node_jobs;
    out.push_back({"requests about the node", jobs_.size(), jobs});
    out.push_back({"hand-overs of leadership", moves_.size(), jobs * context_.config.shard_count});
}

void NodeRequests::on_memory(ShardId from, std::uint64_t bytes) {
    memory_bytes_[from.value] = bytes;
}

void NodeRequests::tell_memory(Instant now) {
    const std::size_t shards = memory_bytes_.size();
    const std::uint64_t quota = context_.config.memory_quota_bytes;
    if (shards == 1 || quota == 0 || now < tell_at_) {
        return;
    }
    tell_at_ = now + memory_interval;
    const std::uint64_t own = own_memory_bytes();
    const std::uint64_t moved = own > told_bytes_ ? own - told_bytes_ : told_bytes_ - own;
    if (moved <= quota / 256) {
        return;
    }
    told_bytes_ = own;
    for (std::size_t shard = 0; shard < shards; shard++) {
        if (ShardId(shard) != context_.config.shard) {
            env::Mail mail;
            mail.kind = static_cast<std::uint32_t>(MailKind::memory);
            mail.words = {own, 0, 0, 0};
            context_.sessions->post(ShardId(shard), std::move(mail));
        }
    }
}

// ------------------------------------------------------------------------------------------------ time

void NodeRequests::on_timers(Instant now) {
    tell_memory(now);
    std::vector<Move> moves;
    moves.swap(moves_);
    for (Move& move : moves) {
        const bool over = !still_leads(move);
        if (!over && now < move.deadline) {
            moves_.push_back(std::move(move));
        } else {
            give(move.asker, {move.token, over ? api::Errc::ok : api::Errc::timed_out, move.moved, {}});
        }
    }
    std::vector<std::unique_ptr<Job>> late;
    for (auto& job : jobs_) {
        if (now >= job->deadline) {
            late.push_back(std::move(job));
        }
    }
    std::erase(jobs_, nullptr);
    for (const auto& job : late) {
        context_.router->answer_error(job->origin, api::Errc::timed_out, "", {});
    }
}

Instant NodeRequests::next_deadline() const {
    Instant next = moves_.empty() ? never : context_.now + move_poll;
    if (memory_bytes_.size() > 1 && context_.config.memory_quota_bytes > 0) {
        next = std::min(next, tell_at_);
    }
    for (const auto& job : jobs_) {
        next = std::min(next, job->deadline);
    }
    return next;
}

}  // namespace ringfort::shard
