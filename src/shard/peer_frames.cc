#include "shard/peer_frames.h"

#include "shard/checkpoints.h"
#include "shard/forwards.h"
#include "shard/peer_links.h"
#include "shard/read_rounds.h"
#include "shard/replica.h"
#include "shard/replicas.h"
#include "shard/router.h"

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
        if (replica != nullptr && !context.halted) {
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
    bool operator()(const wire::Forward& forward) const {
        context.router->on_forwarded(link, forward);
        return true;
    }
    bool operator()(const wire::ForwardReply& reply) const {
        context.forwards->on_reply(reply.token, reply.kind, reply.flags, reply.body);
        return true;
    }
    bool operator()(const wire::ForwardCancel& cancel) const {
        context.router->on_cancel({OriginKind::link, wire::ClientKind::cancel, link.id(), cancel.token});
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
