// Links to the other nodes: one connection per pair of shards that hold replicas of common ranges.
//
// The node with the lower id dials, the other waits. Whatever arrives shows that the peer lives; a beat goes out every
// heartbeat interval. A link that is silent for an election timeout is lost, and so is one whose connection closes; what
// was on its way is lost with it. A link never stops receiving: what it may be sent is bounded by credit per class.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "raft/types.h"
#include "shard/context.h"
#include "shard/link_view.h"
#include "shard/owned_message.h"
#include "shard/pool_view.h"
#include "shard/retired_sends.h"
#include "wire/frame.h"
#include "wire/out_buffer.h"
#include "wire/peer_codec.h"

namespace ringfort::shard {

class Replica;

// A member's id as people know it: as ringctl and the node's first lines write it.
std::string member_text(NodeId node);

class Link final : public env::ConnectionHandler {
  public:
    Link(Context& context, NodeId node, ShardId remote_shard, std::uint64_t id);

    NodeId node() const { return node_; }
    ShardId remote_shard() const { return remote_shard_; }
    std::uint64_t id() const { return id_; }
    // Of what comes over the connection there is: origins name this. The next connection may be another process's, which
    // counts its requests from the beginning.
    std::uint64_t place() const { return (std::uint64_t{connections_} << 32) | id_; }
    bool up() const { return state_ == State::up; }
    bool alive() const { return up() && alive_; }
    std::size_t held_bytes() const { return out_.held_bytes(); }
    bool peer_disk_slow() const { return peer_disk_slow_; }

    void dial(const env::Address& address);
    // Takes over an accepted connection whose hello was good. The answer to it leaves before anything else; the unread
    // rest of the connection's bytes comes along.
    void adopt(env::ConnectionId connection, Bytes hello_reply, Bytes unconsumed);
    // `why`: for the log; empty: it has been said.
    void drop(std::string_view why);

    // Frames of a class without credit wait (appends) or are refused (false: forwards, snapshots).
    template <class Frame>
    bool send(const Frame& frame, wire::LinkClass cls);
    void send_raft(Replica& replica, const raft::Message& message);
    // The receiver has dealt with bytes of a class: grants them anew.
    void grant(wire::LinkClass cls, std::uint64_t bytes);
    bool has_credit(wire::LinkClass cls) const;
    // The frame being handled is dealt with later: its credit is granted then, by whoever asks for this. Its bytes.
    std::uint64_t withhold();

    void flush();
    void on_timer(Instant now);
    Instant next_deadline() const;
    // After a pause of our own the peer's silence means nothing.
    void forgive_silence(Instant now) { last_heard_ = now; }
    // Something new is known of the peer: a link that was given up may stand now.
    void dial_soon();
    bool wants_dial() const { return state_ == State::down && dialer_; }
    bool dialer() const { return dialer_; }

    void on_connected() override;
    void on_received(Bytes bytes) override;
    void on_sent() override;
    void on_closed(env::CloseReason reason) override;

  private:
    enum class State : std::uint8_t { down, dialing, hello_sent, up };

    bool on_frame(const wire::FrameReader::Frame& frame);
    bool on_hello_reply(const wire::PeerHelloReply& reply);
    // A peer that cannot take the link yet is dialed many times a second.
    void drop_and_say_once(std::string_view head, std::string_view why);
    void become_up();
    void lose(bool closed);
    void take_credit(const wire::Credit& given);
    void send_deferred();
    void read_frames();

    Context& context_;
    const NodeId node_;
    const ShardId remote_shard_;
    const std::uint64_t id_;          // Invariant: below 2^32
    std::uint32_t connections_{0};    // that came up so far
    const bool dialer_;
    State state_{State::down};
    bool alive_{false};
    bool peer_disk_slow_{false};
    env::ConnectionId connection_{0};
    wire::FrameReader reader_;
    wire::OutBuffer out_;
    // What we may still send. Below 0: a frame that overdrew it is owed before there is any again. Control has none.
    std::array<std::int64_t, wire::link_class_count> credit_{};
    std::array<std::uint64_t, wire::link_class_count> to_grant_{};  // dealt with, not yet granted
    std::uint64_t frame_bytes_{0};                                  // of the frame being handled, to be granted
    // Appends that wait for credit. Entries that did not come with their message are looked up when it leaves.
    struct Deferred {
        RangeId range;
        OwnedMessage message;
    };
    std::deque<Deferred> deferred_;
    Instant last_heard_{};
    Instant beat_at_{};
    Instant dial_at_{};
    Duration backoff_{};
    std::string_view said_;           // why the last hellos were in vain; a literal
    std::int64_t echo_ns_{0};
    std::vector<raft::Entry> entries_;

    friend class PeerLinks;
};

class PeerLinks final : public env::ListenerHandler {
  public:
    explicit PeerLinks(Context& context);
    ~PeerLinks() override;

    void start();
    // Every peer of the replica's configuration gets a link if it has none.
    void want_links_of(const Replica& replica);
    void want_link(NodeId node, ShardId remote_shard);
    Link* find(NodeId node, ShardId remote_shard);
    Link* find(std::uint64_t id);
    // Null also if that connection of the link is gone.
    Link* find_origin(std::uint64_t place);
    Link* link_of(const Replica& replica, NodeId node);
    ShardId remote_shard_of(const Replica& replica, NodeId node) const;
    bool alive(const Replica& replica, NodeId node);

    void send_raft(Replica& replica, const raft::Message& message);
    // A frame that every peer of the shard gets.
    template <class F>
    void for_each_up(F&& f) {
        for (const auto& link : links_) {
            if (link->up()) {
                f(*link);
            }
        }
    }

    void on_accepted(env::ConnectionId connection, std::string_view remote) override;
    void on_timers(Instant now);
    Instant next_deadline() const;
    void flush();
    void mark_dirty(Link& link);
    bool has_dirty() const { return !dirty_.empty(); }

    // Our own disk is slow: leaderships go, none is taken.
    bool disk_slow() const { return disk_slow_; }
    // The disk is slow here, and a living peer's is not. Where all are slow somebody has to lead all the same.
    bool others_should_lead() const;
    const std::string& client_address_of(NodeId node) const;
    void list_pools(PoolList& out) const;
    std::vector<LinkView> inspect() const;

    // What is known of a member, from its hello or ours.
    struct Peer {
        NodeId node{};
        env::Address address;
        std::string client_address;       // "host:port" of its client listener, as it said
        std::uint32_t shard_count{0};     // 0: not known yet
        InstanceId instance{};            // remembered durably once the cluster is bootstrapped
        Incarnation incarnation{};
        bool heard{false};                // said hello since our start
        bool bootstrapped{false};         // it said so
        bool sent_away{false};            // and this is logged; until it is let in
        InstanceId our_instance{};        // what it remembers of us
        Incarnation our_incarnation{};
    };
    Peer* peer(NodeId node);
    const std::vector<Peer>& peers() const { return peers_; }
    wire::PeerHello hello_to(const Peer& peer, ShardId remote_shard) const;
    wire::PeerHelloReply hello_reply_to(const wire::PeerHello& hello, wire::Refusal refusal) const;
    // Checks and remembers; the refusal to answer with.
    wire::Refusal take_hello(const wire::PeerHello& hello);
    // A refusal that this node has just given, for its log.
    void log_refusal(NodeId node, std::string_view remote, wire::Refusal refusal);
    // False: the peer stands for a data directory that is gone, or does not know yet that its own was lost; nothing it
    // says may count until it comes with a new incarnation.
    [[nodiscard]] bool learn(Peer& peer, const wire::PeerHelloReply& reply);

    // Before that no hello is answered with anything but a refusal: whoever asks what this node remembers of it would
    // take no memory for a new cluster, and an old incarnation would get a link.
    bool memory_read{false};
    bool bootstrapped{false};             // this node has, or had, a part in the cluster: said in hellos
    Incarnation incarnation{1};
    void remember(NodeId node, InstanceId instance, Incarnation of);
    RetiredSends& retired() { return retired_; }

  private:
    class Incoming;
    friend class Incoming;
    void note_shard_count(Peer& peer, std::uint32_t count);
    void collect_garbage();
    void watch_disk(Instant now);

    Context& context_;
    std::vector<Peer> peers_;
    std::vector<std::unique_ptr<Link>> links_;
    std::vector<Link*> dirty_;
    std::vector<std::unique_ptr<Incoming>> incoming_;
    RetiredSends retired_;
    bool disk_slow_{false};
    Instant disk_quiet_since_{};
    Instant last_timer_{};
};

}  // namespace ringfort::shard
