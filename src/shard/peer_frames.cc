#include "shard/peer_frames.h"

#include "shard/checkpoints.h"
#include "shard/follower_reads.h"
#include "shard/forwards.h"
#include "shard/peer_links.h"
#include "shard/read_rounds.h"
#include "shard/replica.h"
#include "shard/replicas.h"
#include "shard/router.h"
#include "shard/state_compare.h"
#include "shard/streams.h"

namespace ringfort::shard {

namespace {

struct Handler {
    Context& context;
    Link& link;

    bool operator()(const raft::Message& message) const {
        if (message.from != link.node() || message.to != context.config.self) {
            return false;
        }
        Replica* replica = context.replicas->find(message.range);
        if (replica != nullptr && replica->raft().is_second_leader(message)) {
            context.log_line(env::LogLevel::error,
                             "range " + std::to_string(message.range.value) + ": node " +
                                 std::to_string(message.from.value) + " claims to lead in term " +
                                 std::to_string(message.term.value) + ", in which this node leads; it is not listened to");
            return false;
        }
        std::size_t payload_bytes = 0;
        for (const raft::Entry& entry : message.entries) {
            payload_bytes += entry.payload.size();
        }
        // No room in the log now: as if it had been lost on the way. The leader probes again.
        const bool room = message.entries.empty() || context.log->can_append(payload_bytes, message.entries.size());
        // Who hands over does not know that this replica is out of service; others can lead.
        const bool unfit = message.type == raft::MessageType::timeout_now && replica != nullptr && replica->out_of_service();
        if (replica != nullptr && !context.halted && room && !unfit) {
            replica->step(raft::MessageReceived{&message});
        }
        return true;   // a range not yet made here: raft tries again
    }
    bool operator()(const wire::ReadRound& round) const {
        context.rounds->on_round(link, round);
        return true;
    }
    bool operator()(const wire::ReadRoundAnswer& answer) const {
        context.rounds->on_answer(link.node(), answer);
        return true;
    }
    bool operator()(const wire::ReadIndex& question) const {
        context.rounds->on_read_index(link, question);
        return true;
    }
    bool operator()(const wire::ReadIndexAnswer& answer) const {
        context.follower_reads->on_answer(link, answer);
        return true;
    }
    bool operator()(const wire::StateHashes& hashes) const {
        context.state_compare->on_message(link, hashes);
        return true;
    }
    bool operator()(const wire::Forward& forward) const {
        context.router->on_forwarded(link, forward);
        return true;
    }
    bool operator()(const wire::ForwardReply& reply) const {
        const bool wanted = context.forwards->on_reply(reply.token, reply.kind, reply.flags, reply.body);
        if (!wanted && (reply.flags & wire::flag_more) != 0) {
            // It was asked for elsewhere while the link was silent, or has been cancelled: it would wait for credit.
            link.send(wire::ForwardCancel{reply.token}, wire::LinkClass::control);
        }
        return true;
    }
    bool operator()(const wire::ForwardCancel& cancel) const {
        context.router->on_cancel({OriginKind::link, wire::ClientKind::cancel, link.place(), cancel.token});
        return true;
    }
    bool operator()(const wire::ForwardCredit& credit) const {
        context.streams->on_credit({OriginKind::link, wire::ClientKind::range, link.place(), credit.token}, credit.bytes);
        return true;
    }
    bool operator()(const wire::SnapshotSlice& slice) const {
        context.checkpoints->on_slice(link, slice);
        return true;
    }
    bool operator()(const wire::SnapshotAnswer& answer) const {
        context.checkpoints->on_snapshot_answer(link, answer);
        return true;
    }
    bool operator()(const wire::PeerHello&) const { return false; }
    bool operator()(const wire::PeerHelloReply&) const { return false; }
    bool operator()(const wire::Beat&) const { return false; }
    bool operator()(const wire::Credit&) const { return false; }
};

}  // namespace

bool handle_peer_frame(Context& context, Link& link, const wire::PeerFrame& frame) {
    return std::visit(Handler{context, link}, frame);
}

}  // namespace ringfort::shard
