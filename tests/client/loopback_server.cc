#include "loopback_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "base/assertion.h"

namespace ringfort::client::test {

struct LoopbackServer::Session {
    Session(LoopbackServer& owner, int socket) : server(owner), fd(socket) {}

    LoopbackServer& server;
    int fd;
    Arena arena{4096};
    wire::OutBuffer out;
    std::int64_t reply_credit_bytes{0};

    bool read(std::byte* to, std::size_t bytes) const {
        while (bytes > 0) {
            const ssize_t got = ::recv(fd, to, bytes, 0);
            if (got <= 0) {
                return false;
            }
            to += got;
            bytes -= static_cast<std::size_t>(got);
        }
        return true;
    }

    bool read_frame(wire::FrameHeader& header, std::vector<std::byte>& body) const {
        std::byte head[limits::frame_header_bytes];
        if (!read(head, sizeof(head))) {
            return false;
        }
        const auto decoded = wire::decode_frame_header(head, limits::frame_bytes_max);
        if (!decoded) {
            return false;
        }
        header = *decoded;
        body.resize(header.length - limits::frame_header_bytes);
        return read(body.data(), body.size());
    }

    bool flush() {
        Bytes bytes(out.at(0), out.pending_bytes());
        while (!bytes.empty()) {
            const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) {
                return false;
            }
            bytes = bytes.subspan(static_cast<std::size_t>(sent));
        }
        out.truncate(0);
        return true;
    }

    bool greet() {
        std::byte preamble[wire::preamble_bytes];
        wire::FrameHeader header;
        std::vector<std::byte> body;
        if (!read(preamble, sizeof(preamble)) || !read_frame(header, body)) {
            return false;
        }
        const auto hello = wire::decode_client_hello(body);
        ASSERT(wire::decode_preamble(preamble, wire::PeerRole::client) && hello);
        reply_credit_bytes = hello->reply_credit_bytes;
        wire::encode_client_hello_reply({.cluster_id = ClusterId(11), .member_id = NodeId(22), .server_version = "t"}, out);
        return flush();
    }

    void serve() {
        if (!greet()) {
            return;
        }
        wire::FrameHeader header;
        std::vector<std::byte> body;
        while (read_frame(header, body)) {
            const auto kind = static_cast<wire::ClientKind>(header.kind);
            if (kind == wire::ClientKind::credit || kind == wire::ClientKind::cancel || server.habits.mute) {
                continue;
            }
            arena.reset();
            const auto request = wire::decode_request(kind, body, arena);
            if (!request || server.habits.hang_up || !answer(kind, header.request_id, *request)) {
                return;
            }
        }
    }

    bool answer(wire::ClientKind kind, std::uint64_t id, const api::Request& request) {
        const std::lock_guard lock(server.mutex_);
        api::Response response;
        response.header = {.cluster_id = ClusterId(11), .member_id = NodeId(22), .revision = server.revision_,
                           .raft_term = Term(3), .domain = DomainId(1)};
        if (server.habits.error != 0) {
            const auto code = static_cast<api::Errc>(server.habits.error.load());
            response.body = api::ErrorInfo{.code = code, .detail = "as told", .leader_address = {}};
        } else if (const auto* range = std::get_if<api::RangeRequest>(&request.op)) {
            return answer_range(id, *range, response);
        } else {
            response.body = carry_out(request.op);
            response.header.revision = server.revision_;
        }
        return wire::encode_response(id, kind, response, out) && flush();
    }

    std::vector<api::KeyValue> find(const api::RangeRequest& range) {
        std::vector<api::KeyValue> found;
        for (const auto& [key, value] : server.values_) {
            const bool in = range.range_end.empty() ? key == range.key
                                                    : key >= range.key && (range.range_end == std::string_view("\0", 1) ||
                                                                           key < range.range_end);
            if (in) {
                found.push_back({.key = key, .create_revision = 1, .mod_revision = 2, .version = 3, .value = value});
            }
        }
        return found;
    }

    bool answer_range(std::uint64_t id, const api::RangeRequest& range, api::Response& response) {
        const std::vector<api::KeyValue> found = find(range);
        std::int64_t credit = reply_credit_bytes;
        for (std::size_t at = 0;; at += server.habits.piece_keys) {
            const std::size_t count = std::min(server.habits.piece_keys, found.size() - at);
            api::RangeResponse piece;
            piece.kvs = std::span(found).subspan(at, count);
            piece.count = static_cast<std::int64_t>(found.size());
            response.body = api::Result(piece);
            response.more_frames = at + count < found.size();
            if (!wire::encode_response(id, wire::ClientKind::range, response, out)) {
                return false;
            }
            const auto bytes = static_cast<std::int64_t>(out.pending_bytes());
            while (credit < bytes) {
                wire::FrameHeader header;
                std::vector<std::byte> body;
                if (!read_frame(header, body)) {
                    return false;
                }
                if (static_cast<wire::ClientKind>(header.kind) == wire::ClientKind::cancel) {
                    out.truncate(0);
                    response.body = api::ErrorInfo{.code = api::Errc::cancelled, .detail = {}, .leader_address = {}};
                    response.more_frames = false;
                    return wire::encode_response(id, wire::ClientKind::range, response, out) && flush();
                }
                const auto granted = wire::decode_credit(body);
                ASSERT(granted && static_cast<wire::ClientKind>(header.kind) == wire::ClientKind::credit);
                credit += granted->bytes;
                server.largest_debt_bytes_ = std::max<std::int64_t>(server.largest_debt_bytes_, credit - reply_credit_bytes);
            }
            credit -= bytes;
            if (!flush()) {
                return false;
            }
            if (!response.more_frames) {
                return true;
            }
            if (server.habits.hang_ups_in_reply > 0) {
                server.habits.hang_ups_in_reply--;
                return false;
            }
        }
    }

    api::Result carry_out(const api::Operation& op) {
        if (const auto* put = std::get_if<api::PutRequest>(&op)) {
            return carry_out_put(*put);
        }
        if (const auto* del = std::get_if<api::DeleteRangeRequest>(&op)) {
            server.revision_++;
            const auto deleted = static_cast<std::int64_t>(server.values_.erase(std::string(del->key)));
            return api::DeleteRangeResponse{.deleted = deleted, .prev_kvs = {}};
        }
        if (const auto* txn = std::get_if<api::TxnRequest>(&op)) {
            if (server.habits.curt) {
                return api::TxnResponse{.succeeded = false, .responses = {}};
            }
            const bool holds = std::ranges::all_of(txn->compare, [this](const api::Compare& one) {
                const auto it = server.values_.find(std::string(one.key));
                return it != server.values_.end() && it->second == one.value;
            });
            const auto ops = holds ? txn->success : txn->failure;
            const std::span<api::ResponseOp> replies = arena.make_array<api::ResponseOp>(ops.size());
            for (std::size_t i = 0; i < ops.size(); i++) {
                if (const auto* inner = std::get_if<api::PutRequest>(&ops[i].op)) {
                    replies[i].op = carry_out_put(*inner);
                }
            }
            return api::TxnResponse{.succeeded = holds, .responses = replies};
        }
        if (std::holds_alternative<api::StatusRequest>(op)) {
            api::StatusResponse status;
            status.version = "9.9";
            status.log_flushes = 7;
            return status;
        }
        if (std::holds_alternative<api::MemberListRequest>(op)) {
            const std::span<api::Member> members = arena.make_array<api::Member>(1);
            members[0].id = NodeId(22);
            members[0].name = "n1";
            return api::MemberListResponse{members};
        }
        if (std::holds_alternative<api::CompactRequest>(op)) {
            return api::CompactResponse{};
        }
        if (const auto* grant = std::get_if<api::LeaseGrantRequest>(&op)) {
            return api::LeaseGrantResponse{.id = grant->id, .ttl = grant->ttl};
        }
        if (const auto* renewal = std::get_if<api::LeaseKeepAliveRequest>(&op)) {
            const std::span<std::int64_t> ttls = arena.make_array<std::int64_t>(renewal->ids.size());
            std::ranges::fill(ttls, 60);
            return api::LeaseKeepAliveResponse{ttls};
        }
        return api::MoveLeaderResponse{};
    }

    api::PutResponse carry_out_put(const api::PutRequest& put) {
        api::PutResponse response;
        const auto it = server.values_.find(std::string(put.key));
        if (put.prev_kv && it != server.values_.end()) {
            response.prev_kv = {.key = put.key, .create_revision = 1, .mod_revision = server.revision_, .version = 1,
                                .value = arena.copy(it->second)};
        }
        server.values_[std::string(put.key)] = put.value;
        server.revision_++;
        return response;
    }
};

LoopbackServer::LoopbackServer() {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t bytes = sizeof(address);
    ASSERT(::bind(listener_, reinterpret_cast<sockaddr*>(&address), bytes) == 0);
    ASSERT(::listen(listener_, 64) == 0);
    ASSERT(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &bytes) == 0);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { run(); });
}

LoopbackServer::~LoopbackServer() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    std::vector<std::thread> threads;
    {
        const std::lock_guard lock(mutex_);
        for (const int fd : open_) {
            ::shutdown(fd, SHUT_RDWR);
        }
        threads.swap(threads_);
    }
    for (std::thread& one : threads) {
        one.join();
    }
    ::close(listener_);
}

void LoopbackServer::run() {
    while (true) {
        const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        const std::lock_guard lock(mutex_);
        if (fd < 0 || stopping_) {
            if (fd >= 0) {
                ::close(fd);
            }
            return;
        }
        connection_count_++;
        open_.push_back(fd);
        threads_.emplace_back([this, fd] {
            Session(*this, fd).serve();
            const std::lock_guard closing(mutex_);
            std::erase(open_, fd);
            ::close(fd);
        });
    }
}

}  // namespace ringfort::client::test
