// The way of a request: decode, check, find its range, and then: answer here, propose here, join a read round here, or
// send it where it belongs. And the way back: every answer of the shard passes answer() or answer_error().
#pragma once

#include <string_view>

#include "api/types.h"
#include "base/work_budget.h"
#include "shard/context.h"
#include "shard/node_requests.h"
#include "shard/origin.h"
#include "wire/peer_codec.h"

namespace ringfort::shard {

class Link;
class Replica;
struct PendingRead;
struct QueuedWrite;

// Why a replica answers nothing.
inline constexpr std::string_view out_of_service_text =
    "the state here differs from that of a majority and is being rebuilt";

class Router {
  public:
    explicit Router(Context& context);

    // Whether a client's next frame may be taken now; false while the log has no room (backpressure reaches the socket).
    bool accepting() const;
    // A request from a session of this shard. false: malformed, the connection is to be closed.
    bool on_request(const Origin& origin, Bytes body);
    void on_forwarded(Link& link, const wire::Forward& forward);
    void on_mailed(ShardId from, env::Mail& mail);
    // A request whose first try came to nothing before anything happened.
    void route_again(const Origin& origin, Bytes body, Instant deadline, std::int64_t credit);
    // A write that waited for room in the log. false: there is still none.
    bool take_queued(const QueuedWrite& write);
    void on_cancel(const Origin& origin);

    // ---- answers
    void answer(const Origin& origin, const api::ResponseHeader& header, const api::Result& result);
    void answer_error(const Origin& origin, api::Errc code, std::string_view detail, const api::ResponseHeader& header,
                      NodeId leader = {});
    // One frame of a reply; more may follow.
    void send_response(const Origin& origin, const api::Response& response);
    // A reply frame made elsewhere.
    void relay_reply(const Origin& origin, std::uint8_t kind, std::uint8_t flags, Bytes body);
    // Whether what waits to be sent at the place the answer goes to is below a bound. Above it reads wait.
    bool takes_answers(const Origin& origin) const;

    // From this node's state, as it is. What it costs is taken from the budget.
    void serve_read(Replica& replica, const PendingRead& read, WorkBudget& budget);
    // A read that this node, which took it as a follower, does not serve after all: it goes where the leader is.
    void pass_on(Replica& replica, const PendingRead& read);

    // ---- news
    void on_leader_known(RangeId range);
    void on_directory_changed(const kv::Directory& directory);
    void on_mail(ShardId from, env::Mail mail);
    NodeRequests& node_requests() { return node_requests_; }

  private:
    struct Taken {
        Origin origin{};
        Bytes body;
        Instant deadline{};
        std::int64_t credit{0};  // bytes of a long reply that the origin takes at once
        bool redirect{false};
        bool forwarded{false};   // came from another node: not sent on
        bool queued{false};      // waits for room in the log already
    };

    std::size_t backlog_bytes(const Origin& origin) const;
    void take(Taken taken);
    void take_keyed(const Taken& taken, const api::Request& request);
    void take_node_request(const Taken& taken, const api::Request& request);
    void take_write(const Taken& taken, const api::Request& request, Replica& replica);
    void take_keep_alive(const Taken& taken, const api::Request& request, const api::LeaseKeepAliveRequest& keep_alive,
                         Replica& replica);
    void take_lease_read(const Taken& taken, const api::Request& request, Replica& replica);
    void take_read(const Taken& taken, const api::Request& request, const api::RangeRequest& range, Replica& replica);
    void take_linearizable(const Taken& taken, const api::Request& request, const PendingRead& read, Replica& replica);
    void take_out_of_service(const Taken& taken, const api::Request& request, const Replica& replica);
    void elsewhere(const Taken& taken, RangeId range, const api::Operation& op);
    void member_list(const Taken& taken);
    const kv::RangeRecord* range_for(const Taken& taken, const api::Request& request);
    bool is_gone(const Origin& origin) const;
    bool enqueue(const Taken& taken);
    bool has_room_for(std::uint64_t added_bytes, Replica& replica);

    Context& context_;
    NodeRequests node_requests_;
    wire::OutBuffer scratch_;
    bool no_room_{false};               // met by the queued write that was taken last
    std::uint64_t mailed_hash_{0};      // of the directory the other shards were sent
    kv::Directory mailed_directory_;    // on shards other than 0
};

}  // namespace ringfort::shard
