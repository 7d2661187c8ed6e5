// Requests about the node or the cluster, mail from the other shards, and the directory's way to them.
#include <algorithm>

#include "shard/bootstrap.h"
#include "shard/checkpoints.h"
#include "shard/forwards.h"
#include "shard/mail.h"
#include "shard/peer_links.h"
#include "shard/read_rounds.h"
#include "shard/replica.h"
#include "shard/replicas.h"
#include "shard/router.h"
#include "shard/sessions.h"
#include "shard/streams.h"
#include "shard/watches.h"

namespace ringfort::shard {

void Router::take_node_request(const Taken& taken, const api::Request& request) {
    if (const auto* move = std::get_if<api::MoveLeaderRequest>(&request.op)) {
        node_requests_.move_leader(taken.origin, *move, taken.deadline);
        return;
    }
    if (std::holds_alternative<api::StatusRequest>(request.op)) {
        node_requests_.status(taken.origin, taken.deadline);
        return;
    }
    const auto& list = std::get<api::MemberListRequest>(request.op);
    if (context_.directory == nullptr || !context_.directory->bootstrapped()) {
        answer_error(taken.origin, api::Errc::no_leader, "the cluster is not bootstrapped yet", {});
        return;
    }
    if (!list.linearizable) {
        member_list(taken);
        return;
    }
    // A linearizable list is a read of range 0.
    if (context_.config.shard != ShardId(0)) {
        const api::Errc code = context_.forwards->add_mail(
            {taken.origin, directory_range, false, taken.redirect, false, 0, taken.deadline}, ShardId(0), taken.body);
        if (code != api::Errc::ok) {
            answer_error(taken.origin, code, "", {});
        }
        return;
    }
    Replica* replica = context_.replicas->find(directory_range);
    if (replica == nullptr) {
        elsewhere(taken, directory_range, request.op);
        return;
    }
    take_linearizable(taken, request, {taken.origin, nullptr, taken.body, taken.deadline, 0}, *replica);
}

void Router::member_list(const Taken& taken) {
    context_.answer_arena.reset();
    Arena& arena = context_.answer_arena;
    const auto& records = context_.directory->state().members;
    const auto members = arena.make_array<api::Member>(records.size());
    for (std::size_t i = 0; i < records.size(); i++) {
        const kv::MemberRecord& record = records[i];
        api::Member& member = members[i];
        member.id = record.id;
        member.name = record.name;
        member.is_learner = record.learner;
        const auto peer_urls = arena.make_array<std::string_view>(record.peer_urls.size());
        std::copy(record.peer_urls.begin(), record.peer_urls.end(), peer_urls.begin());
        member.peer_urls = peer_urls;
        // Client addresses are what each member says of itself.
        const std::string_view address = record.id == context_.config.self
                                             ? own_client_address(context_.config)
                                             : std::string_view(context_.links->client_address_of(record.id));
        if (!address.empty()) {
            const auto client_urls = arena.make_array<std::string_view>(1);
            client_urls[0] = arena.copy("http://" + std::string(address));
            member.client_urls = client_urls;
        }
    }
    api::ResponseHeader header;
    header.cluster_id = context_.config.cluster_id;
    header.member_id = context_.config.self;
    if (const Replica* replica = context_.replicas->find(directory_range)) {
        header.raft_term = replica->raft().term();
    }
    answer(taken.origin, header, api::MemberListResponse{members});
}

void Router::on_directory_changed(const kv::Directory& directory) {
    if (!directory.bootstrapped() || (context_.directory == &directory && directory.hash() == mailed_hash_)) {
        return;
    }
    mailed_hash_ = directory.hash();
    context_.directory = &directory;
    context_.replicas->bootstrap().on_directory(directory);
    const auto bytes = directory.checkpoint();
    for (std::size_t shard = 0; shard < context_.world.mailbox.shard_count(); shard++) {
        if (ShardId(shard) == context_.config.shard) {
            continue;
        }
        env::Mail identity;
        identity.kind = static_cast<std::uint32_t>(MailKind::identity);
        identity.words = {context_.links->incarnation.value, 0, 0, 0};
        context_.sessions->post(ShardId(shard), std::move(identity));
        env::Mail mail;
        mail.kind = static_cast<std::uint32_t>(MailKind::directory);
        mail.buffer = std::make_unique<env::MailBuffer>();
        mail.buffer->owner = context_.config.shard;
        mail.buffer->bytes = bytes;
        context_.sessions->post(ShardId(shard), std::move(mail));
    }
}

void Router::on_mail(ShardId from, env::Mail mail) {
    switch (static_cast<MailKind>(mail.kind)) {
        case MailKind::request: on_mailed(from, mail); break;
        case MailKind::reply:
            context_.forwards->on_reply(mail.words[0], static_cast<std::uint8_t>(mail.words[1] & 0xff),
                                        static_cast<std::uint8_t>(mail.words[1] >> 8), mail.buffer->bytes);
            break;
        case MailKind::cancel: {
            // As with credit.
            const Origin origin{OriginKind::mail, wire::ClientKind::range, from.value, mail.words[0]};
            on_cancel(origin);
            break;
        }
        case MailKind::credit: {
            // The reply may come from here, or through here from the leader's node.
            const Origin origin{OriginKind::mail, wire::ClientKind::range, from.value, mail.words[0]};
            context_.streams->on_credit(origin, static_cast<std::uint32_t>(mail.words[1]));
            context_.forwards->on_credit(origin, static_cast<std::uint32_t>(mail.words[1]));
            break;
        }
        case MailKind::directory:
            if (mailed_directory_.load(mail.buffer->bytes)) {
                context_.directory = &mailed_directory_;
                context_.replicas->bootstrap().on_directory(mailed_directory_);
            }
            break;
        case MailKind::log_ready: context_.replicas->bootstrap().on_log_ready(); break;
        case MailKind::identity: context_.replicas->bootstrap().on_identity(Incarnation(mail.words[0])); break;
        case MailKind::node_ask: node_requests_.on_ask(from, mail); break;
        case MailKind::memory: node_requests_.on_memory(from, mail.words[0]); break;
        case MailKind::node_part: node_requests_.on_part(mail); break;
        case MailKind::watch_open:
        case MailKind::watch_frames:
        case MailKind::watch_took:
        case MailKind::watch_grant:
        case MailKind::watch_cancel:
        case MailKind::watch_gone: context_.watches->on_mail(from, mail); break;
        case MailKind::return_buffer: return;   // destroyed here, where it was made
    }
    if (mail.buffer && mail.buffer->owner != context_.config.shard) {
        env::Mail back;
        back.kind = static_cast<std::uint32_t>(MailKind::return_buffer);
        back.buffer = std::move(mail.buffer);
        const ShardId owner = back.buffer->owner;
        context_.sessions->post(owner, std::move(back));
    }
}

}  // namespace ringfort::shard
