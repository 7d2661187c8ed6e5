// One connection to a node, driven frame by frame by the test: it says what it likes, and reads only while it wants to.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/arena.h"
#include "sim/cluster.h"
#include "wire/client_codec.h"

namespace ringfort::sim {

// The data is on shard 0, where nodes have two and one range.
inline constexpr ShardId right_shard{0};
inline constexpr ShardId wrong_shard{1};

class RawClient final : public env::ConnectionHandler {
  public:
    // What came for one request.
    struct Answer {
        std::uint64_t frames{0};
        std::uint64_t bytes{0};
        bool ended{false};
        api::Errc error{api::Errc::ok};
        DomainId domain{};
        NodeId leader{};     // that an error named
        std::size_t pairs{0};
        std::string value;   // of the last pair
        std::vector<std::string> told;   // of a watch, a frame each: "created at 5", "put k=v at 6", "removed k at 7 ...",
                                         // "mark 8", "cancelled compacted 3: why"
        // Of an answer about leases.
        std::vector<std::int64_t> leases;   // ids, or the times kept alive for
        std::vector<std::string> keys;
        bool more{false};
        api::HashKvResponse hash;
        std::vector<std::uint64_t> in_doubt;   // ranges, by a status
        Instant at{};        // of the last frame
    };

    RawClient(Cluster& cluster, std::size_t node)
        : queue_(cluster.queue()),
          // The stranger's machine, which is the last.
          port_(cluster.network(), static_cast<HostId>(cluster.network().host_count() - 1),
                Waker{&RawClient::on_wake, this, 0}) {
        alive().emplace(number_, this);
        connection_ = port_.connect({cluster.node(node).name(), client_port}, env::ConnectionClass::client, *this);
    }
    ~RawClient() override {
        port_.detach(Death::noticed);
        alive().erase(number_);
    }

    void greet(const wire::ClientHello& hello = {}) {
        wire::Preamble preamble;
        preamble.role = wire::PeerRole::client;
        wire::encode_preamble(out_.extend(wire::preamble_bytes), preamble);
        wire::encode_client_hello(hello, out_);
        flush();
    }
    void ask(std::uint64_t id, const api::Operation& op, Duration timeout = {}, bool redirect = false,
             std::optional<DomainId> domain = {}) {
        api::Request request;
        request.domain = domain;
        request.op = op;
        request.redirect = redirect;
        request.timeout = timeout;
        const bool fits = wire::encode_request(id, request, out_);
        EXPECT_TRUE(fits);
        flush();
    }
    void credit(std::uint64_t id, std::uint32_t bytes) {
        wire::encode_credit(id, bytes, out_);
        flush();
    }
    void ask_mark(std::uint64_t id) {
        wire::encode_credit(id, wire::CreditGrant{0, true}, out_);
        flush();
    }
    void cancel(std::uint64_t id) {
        wire::encode_cancel(id, out_);
        flush();
    }
    void say(std::string_view bytes) {
        out_.append(as_bytes(bytes));
        flush();
    }
    void stop_reading() { port_.pause_receive(connection_); }
    void go_on_reading() {
        if (!closed_) {
            port_.resume_receive(connection_);
        }
    }
    // Each frame of a reply gives its bytes anew.
    void give_credit_as_it_reads() { gives_credit_ = true; }

    bool connected() const { return connected_; }
    bool closed() const { return closed_; }
    const Answer& answer(std::uint64_t id) { return answers_[id]; }
    std::size_t answered() const { return answered_; }
    std::size_t failed() const { return failed_; }
    std::uint64_t bytes() const { return bytes_; }
    std::size_t unsent() const { return out_.held_bytes(); }

    void on_connected() override {
        connected_ = true;
        flush();
    }
    void on_sent() override {
        out_.send_done();
        flush();
    }
    void on_closed(env::CloseReason) override { closed_ = true; }
    void on_received(Bytes bytes) override {
        bytes_ += bytes.size();
        reader_.feed(bytes);
        for (auto frame = reader_.next(); frame && *frame; frame = reader_.next()) {
            on_frame(**frame);
        }
        flush();
    }

  private:
    static std::string told(const api::WatchResponse& watch, api::Revision revision) {
        std::string out = watch.created ? "created at " + std::to_string(revision) : "";
        if (watch.canceled) {
            out += std::string(watch.created ? ", " : "") + "cancelled";
            out += watch.compact_revision > 0 ? " compacted " + std::to_string(watch.compact_revision) : "";
            out += watch.cancel_reason.empty() ? "" : ": " + std::string(watch.cancel_reason);
        }
        for (const api::Event& event : watch.events) {
            const bool put = event.type == api::EventType::put;
            out += (put ? "put " : "removed ") + std::string(event.kv.key) + (put ? "=" + std::string(event.kv.value) : "") +
                   (event.prev_kv ? " was " + std::string(event.prev_kv->value) : "") + " at " +
                   std::to_string(event.kv.mod_revision);
            EXPECT_EQ(event.kv.mod_revision, revision);
        }
        out += out.empty() ? "mark " + std::to_string(revision) : "";
        return out + (watch.goes_on ? " ..." : "");
    }
    static void note_leases(const api::Result& result, Answer& answer) {
        if (const auto* lease = std::get_if<api::LeaseTimeToLiveResponse>(&result)) {
            answer.leases.assign(1, lease->ttl);
            answer.keys.assign(lease->keys.begin(), lease->keys.end());
            answer.more = lease->more;
        } else if (const auto* list = std::get_if<api::LeaseListResponse>(&result)) {
            answer.leases.assign(list->ids.begin(), list->ids.end());
            answer.more = list->more;
        } else if (const auto* renewed = std::get_if<api::LeaseKeepAliveResponse>(&result)) {
            answer.leases.assign(renewed->ttls.begin(), renewed->ttls.end());
        }
    }
    static void note_hash(const api::Result& result, Answer& answer) {
        if (const auto* hash = std::get_if<api::HashKvResponse>(&result)) {
            answer.hash = *hash;
        }
    }
    static void note_status(const api::Result& result, Answer& answer) {
        if (const auto* status = std::get_if<api::StatusResponse>(&result)) {
            answer.in_doubt.clear();
            for (const api::RangeStatus& range : status->ranges) {
                if (range.in_doubt) {
                    answer.in_doubt.push_back(range.range.value);
                }
            }
        }
    }
    void on_frame(const wire::FrameReader::Frame& frame) {
        const auto kind = static_cast<wire::ClientKind>(frame.header.kind);
        Answer& answer = answers_[frame.header.request_id];
        answer.frames++;
        answer.bytes += frame.header.length;
        answer.at = queue_.now();
        answer.ended = (frame.header.flags & wire::flag_more) == 0;
        if (kind == wire::ClientKind::hello && (frame.header.flags & wire::flag_error) == 0) {
            return;
        }
        Arena arena;
        const auto response = wire::decode_response(kind, frame.header.flags, frame.body, arena);
        ASSERT_TRUE(response);
        answer.domain = response->header.domain;
        if (const auto* error = std::get_if<api::ErrorInfo>(&response->body)) {
            answer.error = error->code;
            answer.leader = error->leader;
        } else if (const auto* watch = std::get_if<api::WatchResponse>(&std::get<api::Result>(response->body))) {
            answer.told.push_back(told(*watch, response->header.revision));
        } else if (const auto* range = std::get_if<api::RangeResponse>(&std::get<api::Result>(response->body))) {
            answer.pairs += range->kvs.size();
            answer.value = range->kvs.empty() ? std::string() : std::string(range->kvs.back().value);
        } else {
            note_leases(std::get<api::Result>(response->body), answer);
            note_hash(std::get<api::Result>(response->body), answer);
            note_status(std::get<api::Result>(response->body), answer);
        }
        answered_ += answer.ended ? 1u : 0u;
        failed_ += answer.ended && answer.error != api::Errc::ok ? 1u : 0u;
        if (gives_credit_ && !answer.ended) {
            wire::encode_credit(frame.header.request_id, frame.header.length, out_);
        }
    }
    void flush() {
        if (connected_ && !closed_ && out_.pending_bytes() > 0 && !out_.sending()) {
            port_.send(connection_, out_.start_send());
        }
    }
    static void on_wake(void* context, std::uint64_t) {
        auto& self = *static_cast<RawClient*>(context);
        if (!self.dispatch_due_) {
            self.dispatch_due_ = true;
            self.queue_.schedule_in(20us, &RawClient::on_dispatch, nullptr, self.number_);
        }
    }
    static void on_dispatch(void*, std::uint64_t number, std::uint64_t) {
        if (const auto found = alive().find(number); found != alive().end()) {
            found->second->dispatch_due_ = false;
            found->second->port_.dispatch(env::ConnectionClass::client);
        }
    }
    // Events outlive clients.
    static std::map<std::uint64_t, RawClient*>& alive() {
        static std::map<std::uint64_t, RawClient*> by_number;
        return by_number;
    }
    static std::uint64_t next_number() {
        static std::uint64_t last = 0;
        return ++last;
    }

    const std::uint64_t number_{next_number()};

    EventQueue& queue_;
    NetworkPort port_;
    env::ConnectionId connection_{0};
    wire::OutBuffer out_;
    wire::FrameReader reader_{limits::frame_bytes_max};
    std::map<std::uint64_t, Answer> answers_;
    std::size_t answered_{0};
    std::size_t failed_{0};
    std::uint64_t bytes_{0};
    bool gives_credit_{false};
    bool connected_{false};
    bool closed_{false};
    bool dispatch_due_{false};
};

}  // namespace ringfort::sim
