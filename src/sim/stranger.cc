#include "sim/stranger.h"

#include <algorithm>

#include "sim/sim_node.h"
#include "wire/client_codec.h"
#include "wire/peer_codec.h"

namespace ringfort::sim {

namespace {

constexpr std::size_t talks_max = 24;
constexpr Duration stranger_wake_latency = 20us;

}  // namespace

// One connection. What it says is composed before; then it stays silent, reading or not.
struct Stranger::Talk final : env::ConnectionHandler {
    Stranger* stranger{nullptr};
    env::ConnectionId connection{0};   // 0: closed
    wire::OutBuffer out;
    bool deaf{false};

    void on_connected() override {
        if (deaf) {
            stranger->port_.pause_receive(connection);
        }
        if (out.pending_bytes() > 0) {
            stranger->port_.send(connection, out.start_send());
        }
    }
    void on_received(Bytes) override {}
    void on_sent() override { out.send_done(); }
    void on_closed(env::CloseReason) override {
        connection = 0;
        stranger->thrown_out_++;
    }
};

Stranger::Stranger(EventQueue& queue, SimNetwork& network, HostId host, std::vector<std::string> nodes,
                   std::uint64_t seed)
    : queue_(queue), nodes_(std::move(nodes)), random_(seed), port_(network, host, Waker{&Stranger::on_wake, this, 0}) {}

Stranger::~Stranger() { port_.detach(Death::noticed); }

void Stranger::start(Duration interval) {
    active_ = true;
    interval_ = interval;
    epoch_++;
    on_next(this, epoch_, 0);
}

void Stranger::stop() {
    active_ = false;
    for (auto& talk : talks_) {
        if (talk->connection != 0) {
            port_.close(talk->connection);
            talk->connection = 0;
        }
    }
}

void Stranger::on_next(void* context, std::uint64_t epoch, std::uint64_t) {
    auto& self = *static_cast<Stranger*>(context);
    if (!self.active_ || epoch != self.epoch_) {
        return;
    }
    self.attempt();
    const auto mean = static_cast<std::uint64_t>(self.interval_.count());
    self.queue_.schedule_in(Duration(static_cast<std::int64_t>(self.random_.between(1, 2 * mean))), &Stranger::on_next,
                            context, epoch);
}

void Stranger::attempt() {
    if (talks_.size() == talks_max) {
        const std::size_t oldest = random_.below(talks_max);
        if (talks_[oldest]->connection != 0) {
            port_.close(talks_[oldest]->connection);
        }
        talks_.erase(talks_.begin() + static_cast<std::ptrdiff_t>(oldest));
    }
    attempts_++;
    auto talk = std::make_unique<Talk>();
    talk->stranger = this;
    talk->deaf = random_.one_in(2);
    talk->out = compose();
    const bool peer = random_.one_in(3);
    const auto cls = peer ? env::ConnectionClass::peer : env::ConnectionClass::client;
    const env::Address address{nodes_[random_.below(nodes_.size())], peer ? peer_port : client_port};
    talk->connection = port_.connect(address, cls, *talk);
    talks_.push_back(std::move(talk));
}

void Stranger::add_noise(wire::OutBuffer& out, std::size_t bytes) {
    std::byte* at = out.extend(bytes);
    for (std::size_t i = 0; i < bytes; i++) {
        at[i] = static_cast<std::byte>(random_.below(256));
    }
}

void Stranger::add_greeting(wire::OutBuffer& out, bool as_client) {
    wire::Preamble preamble;
    preamble.role = as_client ? wire::PeerRole::client : wire::PeerRole::peer;
    wire::encode_preamble(out.extend(wire::preamble_bytes), preamble);
    if (as_client) {
        wire::ClientHello hello;
        hello.client_name = "stranger";
        wire::encode_client_hello(hello, out);
    }
}

// Of a peer of another cluster, again and again.
void Stranger::add_hellos(wire::OutBuffer& out, std::uint64_t count) {
    wire::PeerHello hello;
    hello.cluster_id = ClusterId(random_.next());
    hello.node = NodeId(random_.between(1, 5));
    hello.target = NodeId(random_.between(1, 5));
    for (std::uint64_t i = 0; i < count; i++) {
        wire::encode_peer(hello, out);
    }
}

void Stranger::add_reads(wire::OutBuffer& out, std::uint64_t count) {
    api::Request request;
    api::RangeRequest everything;
    everything.key = std::string_view("\0", 1);
    everything.range_end = std::string_view("\0", 1);
    everything.serializable = random_.one_in(2);
    request.op = everything;
    for (std::uint64_t i = 0; i < count; i++) {
        static_cast<void>(wire::encode_request(i, request, out));
    }
}

wire::OutBuffer Stranger::compose() {
    wire::OutBuffer out;
    switch (random_.below(7)) {
        case 0:   // noise from the first byte
            add_noise(out, random_.below(100'000));
            break;
        case 1:   // a greeting, then a frame of a length that never comes, or is too long
            add_greeting(out, random_.one_in(2));
            wire::encode_frame_header(out.extend(limits::frame_header_bytes),
                                      {random_.one_in(2) ? 0xfffffff8u : 1u << 20,
                                       static_cast<std::uint8_t>(random_.below(256)), 0, random_.next()});
            add_noise(out, random_.below(1000));
            break;
        case 2:   // half of something right
            add_greeting(out, true);
            add_reads(out, 1);
            out.truncate(random_.below(out.pending_bytes()));
            break;
        case 3: {  // reads, and one bit of them wrong; headers stay, so that no read becomes a removal
            add_greeting(out, true);
            const std::size_t begin = out.pending_bytes();
            add_reads(out, 1);
            const std::size_t body = begin + limits::frame_header_bytes;
            out.at(body)[random_.below(out.pending_bytes() - body)] ^= static_cast<std::byte>(1u << random_.below(8));
            break;
        }
        case 4:   // everything, often, whether it listens or not
            add_greeting(out, true);
            add_reads(out, random_.between(1, 500));
            break;
        case 5:   // nothing at all
            break;
        case 6:   // one who is refused, and goes on
            add_greeting(out, false);
            add_hellos(out, random_.between(1, 500));
            break;
        default: UNREACHABLE();
    }
    return out;
}

void Stranger::on_wake(void* context, std::uint64_t) {
    auto& self = *static_cast<Stranger*>(context);
    if (!self.dispatch_due_) {
        self.dispatch_due_ = true;
        self.queue_.schedule_in(stranger_wake_latency, &Stranger::on_dispatch, context);
    }
}

void Stranger::on_dispatch(void* context, std::uint64_t, std::uint64_t) {
    auto& self = *static_cast<Stranger*>(context);
    self.dispatch_due_ = false;
    self.port_.dispatch(env::ConnectionClass::client);
    self.port_.dispatch(env::ConnectionClass::peer);
}

}  // namespace ringfort::sim
