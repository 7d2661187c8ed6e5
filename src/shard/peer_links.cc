// All links of the shard: who is dialled, what an accepted connection may become, what is remembered of peers.
#include "shard/peer_links.h"

#include <algorithm>
#include <string>
#include <utility>

#include "shard/bootstrap.h"
#include "shard/replica.h"
#include "shard/replicas.h"

namespace ringfort::shard {

namespace {

// A hello has to come soon after the connection.
constexpr Duration peer_hello_timeout = 5s;
constexpr std::size_t hello_bytes_max = 64 * kib;
// The disk is called slow when a flush is older than this, or than four times its p99.
constexpr Duration slow_flush_min = 300ms;
// Leaderships are taken again after this much quiet.
constexpr Duration disk_quiet_needed = 5s;

}  // namespace

// An accepted connection before its hello decided what it is.
class PeerLinks::Incoming final : public env::ConnectionHandler {
  public:
    Incoming(PeerLinks& links, env::ConnectionId connection, std::string remote)
        : links_(links), connection_(connection), remote_(std::move(remote)), reader_(hello_bytes_max),
          deadline_(links.context_.now + peer_hello_timeout) {}

    bool done() const { return done_; }
    Instant deadline() const { return deadline_; }
    void close(std::string_view why) {
        if (!done_) {
            links_.context_.log_line(env::LogLevel::warning,
                                     "peer connection from " + remote_ + " closed: " + std::string(why));
            end();
        }
    }

    void on_received(Bytes bytes) override {
        if (done_ || refused_) {
            return;   // it has had its answer
        }
        reader_.feed(bytes);
        if (!preamble_seen_) {
            const auto preamble = reader_.next_preamble(wire::PeerRole::peer);
            if (!preamble) {
                close(wire::to_string(preamble.error()));
                return;
            }
            if (!*preamble) {
                return;
            }
            preamble_seen_ = true;
        }
        const auto frame = reader_.next();
        if (!frame) {
            close(wire::to_string(frame.error()));
            return;
        }
        if (*frame) {
            on_hello(**frame);
        }
    }
    void on_sent() override {
        out_.send_done();
        if (refused_ && !done_) {
            end();
        }
    }
    void on_closed(env::CloseReason) override { done_ = true; }

  private:
    void end() {
        links_.context_.world.network.close(connection_);
        links_.retired_.keep(connection_, std::move(out_));
        done_ = true;
    }
    void on_hello(const wire::FrameReader::Frame& frame) {
        Context& context = links_.context_;
        context.frame_arena.reset();
        auto decoded = wire::decode_peer(frame, context.frame_arena);
        const auto* hello = decoded ? std::get_if<wire::PeerHello>(&*decoded) : nullptr;
        if (hello == nullptr) {
            close("the first frame is no hello of a peer");
            return;
        }
        if (hello->target_shard != context.config.shard && hello->target_shard.value < context.config.shard_count) {
            hand_over(*hello);
            return;
        }
        const wire::Refusal refusal = links_.take_hello(*hello);
        wire::encode_peer(links_.hello_reply_to(*hello, refusal), out_);
        if (refusal != wire::Refusal::none || hello->probe) {
            refused_ = true;
            links_.log_refusal(hello->node, remote_, refusal);
            context.world.network.send(connection_, out_.start_send());
            return;
        }
        links_.want_link(hello->node, hello->shard);
        Link* link = links_.find(hello->node, hello->shard);
        ASSERT(link != nullptr);
        const auto rest = reader_.take_unconsumed();
        done_ = true;
        link->adopt(connection_, {out_.at(0), out_.pending_bytes()}, rest);
    }

    // To the shard the hello names: it sees the whole exchange from its beginning.
    void hand_over(const wire::PeerHello& hello) {
        wire::OutBuffer again;
        wire::encode_preamble(again.extend(wire::preamble_bytes),
                              {wire::protocol_version, wire::protocol_version, wire::PeerRole::peer});
        wire::encode_peer(hello, again);
        again.append(reader_.take_unconsumed());
        done_ = true;
        links_.context_.world.network.hand_over(connection_, hello.target_shard,
                                                {again.at(0), again.pending_bytes()});
    }

    PeerLinks& links_;
    const env::ConnectionId connection_;
    const std::string remote_;
    wire::FrameReader reader_;
    wire::OutBuffer out_;
    const Instant deadline_;
    bool preamble_seen_{false};
    bool refused_{false};
    bool done_{false};
};

PeerLinks::PeerLinks(Context& context) : context_(context), retired_(context.world.network) {
    for (const InitialMember& member : context.config.members) {
        if (member.id != context.config.self) {
            Peer peer;
            peer.node = member.id;
            peer.address = member.peer_address;
            peers_.push_back(std::move(peer));
        }
    }
}

PeerLinks::~PeerLinks() = default;

void PeerLinks::start() {
    last_timer_ = context_.now;
    context_.world.network.set_listener(env::ConnectionClass::peer, *this);
}

// ------------------------------------------------------------------------------------------------ links

void PeerLinks::want_links_of(const Replica& replica) {
    const raft::Configuration& configuration = replica.raft().configuration();
    for (const auto* list : {&configuration.voters, &configuration.outgoing, &configuration.learners}) {
        for (const NodeId node : *list) {
            if (node != context_.config.self) {
                want_link(node, remote_shard_of(replica, node));
            }
        }
    }
    if (replica.raft().in_doubt()) {   // it may know no configuration
        for (const Peer& known : peers_) {
            want_link(known.node, remote_shard_of(replica, known.node));
        }
    }
}

void PeerLinks::want_link(NodeId node, ShardId remote_shard) {
    if (peer(node) != nullptr && find(node, remote_shard) == nullptr) {
        links_.push_back(std::make_unique<Link>(context_, node, remote_shard, links_.size() + 1));
        context_.want_timers(context_.now);   // to be dialed at once
    }
}

Link* PeerLinks::find(NodeId node, ShardId remote_shard) {
    for (const auto& link : links_) {
        if (link->node() == node && link->remote_shard() == remote_shard) {
            return link.get();
        }
    }
    return nullptr;
}

Link* PeerLinks::find(std::uint64_t id) {
    return id >= 1 && id <= links_.size() ? links_[id - 1].get() : nullptr;
}

Link* PeerLinks::find_origin(std::uint64_t place) {
    Link* link = find(place & UINT32_MAX);
    return link != nullptr && link->up() && link->place() == place ? link : nullptr;
}

PeerLinks::Peer* PeerLinks::peer(NodeId node) {
    for (Peer& peer : peers_) {
        if (peer.node == node) {
            return &peer;
        }
    }
    return nullptr;
}

ShardId PeerLinks::remote_shard_of(const Replica& replica, NodeId node) const {
    for (const Peer& peer : peers_) {
        if (peer.node == node && peer.shard_count > 0) {
            return shard_of(replica.range(), peer.shard_count);
        }
    }
    // Until its hello says otherwise a peer is taken to have as many shards as we.
    return shard_of(replica.range(), context_.config.shard_count);
}

Link* PeerLinks::link_of(const Replica& replica, NodeId node) {
    return find(node, remote_shard_of(replica, node));
}

bool PeerLinks::alive(const Replica& replica, NodeId node) {
    const Link* link = link_of(replica, node);
    return link != nullptr && link->alive();
}

void PeerLinks::send_raft(Replica& replica, const raft::Message& message) {
    if (context_.halted) {
        return;
    }
    if (Link* link = link_of(replica, message.to)) {
        link->send_raft(replica, message);
    }
}

void PeerLinks::mark_dirty(Link& link) {
    if (std::find(dirty_.begin(), dirty_.end(), &link) == dirty_.end()) {
        dirty_.push_back(&link);
    }
}

void PeerLinks::flush() {
    std::vector<Link*> dirty;
    dirty.swap(dirty_);
    for (Link* link : dirty) {
        link->flush();
    }
    dirty.clear();
    if (dirty_.empty()) {
        dirty_.swap(dirty);   // keeps the capacity
    }
}

void PeerLinks::list_pools(PoolList& out) const {
    out.push_back({"peer connections without a hello", incoming_.size(), context_.config.bounds.incoming_peers});
    for (const auto& link : links_) {
        out.push_back({"appends that wait for credit", link->deferred_.size(), context_.config.bounds.deferred_appends});
    }
}

std::vector<LinkView> PeerLinks::inspect() const {
    std::vector<LinkView> out;
    for (const auto& link : links_) {
        out.push_back({link->node_, link->remote_shard_, link->up(), context_.config.bounds.link_credit_bytes,
                       link->credit_, link->to_grant_});
    }
    return out;
}

const std::string& PeerLinks::client_address_of(NodeId node) const {
    static const std::string unknown;
    for (const Peer& peer : peers_) {
        if (peer.node == node) {
            return peer.client_address;
        }
    }
    return unknown;
}

// ------------------------------------------------------------------------------------------------ hellos

wire::PeerHello PeerLinks::hello_to(const Peer& peer, ShardId remote_shard) const {
    wire::PeerHello hello;
    hello.cluster_id = context_.config.cluster_id;
    hello.node = context_.config.self;
    hello.target = peer.node;
    hello.instance = context_.config.instance;
    hello.incarnation = incarnation;
    hello.shard = context_.config.shard;
    hello.shard_count = context_.config.shard_count;
    hello.target_shard = remote_shard;
    hello.feature_level = kv::feature_level_current;
    hello.bootstrapped = bootstrapped;
    hello.your_instance = peer.instance;
    hello.your_incarnation = peer.incarnation;
    hello.client_address = own_client_address(context_.config);
    return hello;
}

wire::PeerHelloReply PeerLinks::hello_reply_to(const wire::PeerHello& hello, wire::Refusal refusal) const {
    wire::PeerHelloReply reply;
    reply.refusal = refusal;
    reply.cluster_id = context_.config.cluster_id;
    reply.node = context_.config.self;
    reply.instance = context_.config.instance;
    reply.incarnation = incarnation;
    reply.shard = context_.config.shard;
    reply.shard_count = context_.config.shard_count;
    reply.feature_level = kv::feature_level_current;
    reply.bootstrapped = bootstrapped;
    reply.client_address = own_client_address(context_.config);
    for (const Peer& peer : peers_) {
        if (peer.node == hello.node) {
            reply.your_instance = peer.instance;
            reply.your_incarnation = peer.incarnation;
        }
    }
    return reply;
}

namespace {
// A changed instance is another data directory: its promises are new, and so has to be its incarnation. Of those that
// announced the same one only one is ever let into the cluster (bootstrap.h): that one stands for it.
bool is_outdated(const PeerLinks::Peer& known, InstanceId instance, Incarnation incarnation, bool bootstrapped) {
    if (!known.instance) {
        return false;
    }
    const bool stands = known.instance == instance || (bootstrapped && incarnation > Incarnation(1));
    return stands ? incarnation < known.incarnation : incarnation <= known.incarnation;
}
}  // namespace

std::string member_text(NodeId node) {
    std::string text(16, '0');
    for (std::size_t at = text.size(); at > 0; at--) {
        text[at - 1] = "0123456789abcdef"[node.value >> (4 * (text.size() - at)) & 15];
    }
    return text;
}

wire::Refusal PeerLinks::take_hello(const wire::PeerHello& hello) {
    if (hello.cluster_id != context_.config.cluster_id) {
        return wire::Refusal::other_cluster;
    }
    if (hello.target != context_.config.self) {
        return wire::Refusal::wrong_target;
    }
    if (hello.target_shard != context_.config.shard) {
        return wire::Refusal::no_such_shard;
    }
    if (context_.stopping || context_.halted || !memory_read) {
        return wire::Refusal::stopping;
    }
    Peer* known = peer(hello.node);
    if (known == nullptr) {
        return wire::Refusal::unknown_member;
    }
    known->our_instance = hello.your_instance;
    known->our_incarnation = hello.your_incarnation;
    if (is_outdated(*known, hello.instance, hello.incarnation, hello.bootstrapped)) {
        return wire::Refusal::old_incarnation;
    }
    note_shard_count(*known, hello.shard_count);
    known->bootstrapped = hello.bootstrapped;
    known->client_address = hello.client_address;
    known->heard = true;
    // Refused like a node that is about to end, so that it comes again.
    const bool welcome = context_.replicas->bootstrap().on_peer_heard(*known, hello.instance, hello.incarnation);
    if (welcome) {
        known->sent_away = false;
    }
    return welcome ? wire::Refusal::none : wire::Refusal::stopping;
}

// "Not now" is part of every start and stop. The rest does not mend itself.
void PeerLinks::log_refusal(NodeId node, std::string_view remote, wire::Refusal refusal) {
    if (refusal == wire::Refusal::none) {
        return;   // it only asked
    }
    const bool passes = refusal == wire::Refusal::stopping;
    std::string_view why = wire::to_string(refusal);
    if (passes) {
        // It comes again many times a second until then: once is enough.
        if (Peer* known = peer(node); known != nullptr && std::exchange(known->sent_away, true)) {
            return;
        }
        why = context_.stopping || context_.halted ? "this node is stopping"
              : !memory_read                       ? "this node is starting; the peer comes again"
                                                   : "what it is now is being written down; it comes again";
    }
    context_.log_line(passes ? env::LogLevel::info : env::LogLevel::warning,
                      "refused peer " + member_text(node) + " from " + std::string(remote) + ": " + std::string(why));
}

// Another number of shards puts the peer's replicas elsewhere: in shards not seen yet, or gone for a while.
void PeerLinks::note_shard_count(Peer& peer, std::uint32_t count) {
    if (peer.shard_count == count) {
        return;
    }
    peer.shard_count = count;
    for (const auto& replica : context_.replicas->all()) {
        want_links_of(*replica);
    }
    for (const auto& link : links_) {
        if (link->node() == peer.node) {
            link->dial_soon();
        }
    }
}

bool PeerLinks::learn(Peer& peer, const wire::PeerHelloReply& reply) {
    if (reply.cluster_id != context_.config.cluster_id) {
        context_.log_line(env::LogLevel::error, "peer at " + peer.address.host + " belongs to another cluster");
        return false;
    }
    note_shard_count(peer, reply.shard_count);
    peer.heard = reply.refusal == wire::Refusal::none || reply.refusal == wire::Refusal::old_incarnation;
    if (!peer.heard) {
        return false;   // it may not have read yet what it remembers
    }
    peer.bootstrapped = reply.bootstrapped;
    peer.client_address = reply.client_address;
    peer.our_instance = reply.your_instance;
    peer.our_incarnation = reply.your_incarnation;
    // It heard from our hello what is remembered of it.
    return !is_outdated(peer, reply.instance, reply.incarnation, reply.bootstrapped) &&
           context_.replicas->bootstrap().on_peer_heard(peer, reply.instance, reply.incarnation);
}

void PeerLinks::remember(NodeId node, InstanceId instance, Incarnation of) {
    if (Peer* known = peer(node)) {
        known->instance = instance;
        known->incarnation = of;
    }
}

void PeerLinks::on_accepted(env::ConnectionId connection, std::string_view remote) {
    if (incoming_.size() >= context_.config.bounds.incoming_peers) {
        collect_garbage();
    }
    if (incoming_.size() >= context_.config.bounds.incoming_peers) {
        // Peers say hello at once: whoever has been silent for the longest time is the least likely to be one.
        incoming_.front()->close("too many connections without a hello");
        incoming_.erase(incoming_.begin());
    }
    incoming_.push_back(std::make_unique<Incoming>(*this, connection, std::string(remote)));
    context_.world.network.set_handler(connection, *incoming_.back());
}

// ------------------------------------------------------------------------------------------------ time

void PeerLinks::on_timers(Instant now) {
    // A pause of our own (stopped process, hypervisor) makes everybody look silent: hear them first.
    if (now - last_timer_ > context_.config.election_timeout / 2) {
        for (const auto& link : links_) {
            link->forgive_silence(now);
        }
    }
    last_timer_ = now;
    for (std::size_t i = 0; i < links_.size(); i++) {
        links_[i]->on_timer(now);
    }
    for (const auto& incoming : incoming_) {
        if (!incoming->done() && now >= incoming->deadline()) {
            incoming->close("no hello");
        }
    }
    collect_garbage();
    watch_disk(now);
}

void PeerLinks::collect_garbage() {
    std::erase_if(incoming_, [](const auto& incoming) { return incoming->done(); });
    retired_.collect();
}

bool PeerLinks::others_should_lead() const {
    return disk_slow_ && std::any_of(links_.begin(), links_.end(), [](const auto& link) {
        return link->alive() && !link->peer_disk_slow();
    });
}

void PeerLinks::watch_disk(Instant now) {
    const LogCounters& counters = context_.log->counters(now);
    const Duration bound = std::max<Duration>(slow_flush_min, counters.flush_p99 * 4);
    if (counters.oldest_flush > bound) {
        disk_quiet_since_ = now;
        if (!disk_slow_) {
            disk_slow_ = true;
            context_.log_line(env::LogLevel::warning,
                              "the log's disk is slow: a flush has taken " +
                                  std::to_string(counters.oldest_flush / 1ms) + " ms so far");
        }
        // Nodes may share the disk, or its host: a leadership that goes to where it is no faster costs a pause for nothing.
        context_.replicas->transfer_outpaced();
    } else if (disk_slow_ && now - disk_quiet_since_ >= disk_quiet_needed) {
        disk_slow_ = false;
    }
}

Instant PeerLinks::next_deadline() const {
    Instant next = never;
    for (const auto& link : links_) {
        next = std::min(next, link->next_deadline());
    }
    for (const auto& incoming : incoming_) {
        next = std::min(next, incoming->deadline());
    }
    return next;
}

}  // namespace ringfort::shard
