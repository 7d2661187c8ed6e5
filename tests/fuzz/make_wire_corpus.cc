// Writes the first inputs of the wire fuzzers: valid messages of every kind. usage: make_wire_corpus CORPUS_FOLDER
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/assertion.h"
#include "messages.h"
#include "wire/out_buffer.h"

namespace {

using namespace ringfort;

std::filesystem::path folder;

void write(const std::string& fuzzer, const std::string& name, std::string_view bytes) {
    std::filesystem::create_directories(folder / fuzzer);
    std::ofstream file(folder / fuzzer / name, std::ios::binary);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    ASSERT(file.good());
}

std::string_view text_of(wire::OutBuffer& out) {
    return as_text({out.at(0), out.pending_bytes()});
}

// The frame's kind and flags in 8 bytes, then its body.
void write_body(const std::string& fuzzer, const std::string& name, wire::OutBuffer& out) {
    const std::string_view frame = text_of(out);
    std::string input(8, '\0');
    input[0] = frame[4];
    input[1] = frame[5];
    write(fuzzer, name, input.append(frame.substr(limits::frame_header_bytes)));
    out.truncate(0);
}

// A random message whose encoded form is small: `make` until it is.
template <class Make>
void small(wire::OutBuffer& out, std::uint64_t seed, Make&& make) {
    for (std::uint64_t i = 0;; i++) {
        Arena arena;
        wire::test::RandomMessages random(seed * 1000 + i, arena);
        out.truncate(0);
        make(random);
        if (out.pending_bytes() > 0 && out.pending_bytes() < 700) {
            return;
        }
    }
}

void write_client_messages() {
    using wire::test::RandomMessages;
    wire::OutBuffer out;
    for (std::size_t kind = 0; kind < std::variant_size_v<api::Operation>; kind++) {
        for (const char* variant : {"a", "b"}) {
            const std::uint64_t seed = kind * 2 + static_cast<std::uint64_t>(*variant);
            const std::string name = std::to_string(kind + 2) + variant;
            small(out, seed, [&](RandomMessages& random) {
                api::Request request = random.request();
                request.op = random.operation(kind);
                ASSERT(wire::encode_request(1, request, out));
            });
            write_body("request", name, out);
            small(out, seed, [&](RandomMessages& random) {
                api::Response response = random.response();
                response.body = random.result(kind);
                ASSERT(wire::encode_response(1, wire::test::kind_of_result(kind), response, out));
            });
            write_body("response", name, out);
        }
    }
    small(out, 1, [&](RandomMessages& random) { encode_client_hello(random.client_hello(), out); });
    write_body("request", "hello", out);
    encode_credit(1, 65536, out);
    write_body("request", "credit", out);
    small(out, 1, [&](RandomMessages& random) { encode_client_hello_reply(random.client_hello_reply(), out); });
    write_body("response", "hello", out);
    const api::ErrorInfo error{.code = api::Errc::not_leader, .detail = "d", .leader = NodeId(7), .leader_address = "h:1"};
    ASSERT(wire::encode_response(1, wire::ClientKind::put, {.header = {}, .body = error}, out));
    write_body("response", "error", out);
}

void write_streams() {
    wire::OutBuffer out;
    const auto start = [&](bool preamble) {
        out.truncate(0);
        std::byte* at = out.extend(8);
        std::memset(at, 0, 8);
        at[0] = std::byte{7};
        at[1] = preamble ? std::byte{0} : std::byte{1};
        if (preamble) {
            wire::encode_preamble(out.extend(wire::preamble_bytes), {});
        }
    };
    start(true);
    wire::encode_cancel(1, out);
    wire::encode_credit(2, 3, out);
    write("frame", "preamble", text_of(out));
    start(false);
    for (std::uint64_t id = 0; id < 3; id++) {
        wire::encode_credit(id, 3, out);
    }
    write("frame", "frames", text_of(out));
    write("frame", "stranger", std::string(8, '\0') + "PRI * HTTP/2.0\r\n\r\n");
}

void write_peer_frames() {
    wire::OutBuffer out;
    for (std::size_t kind = 0; kind < std::variant_size_v<wire::PeerFrame>; kind++) {
        for (const char* variant : {"a", "b"}) {
            small(out, kind * 2 + static_cast<std::uint64_t>(*variant), [&](wire::test::RandomMessages& random) {
                wire::test::encode_peer_frame(random.peer_frame(kind), out);
            });
            write("peer", std::to_string(kind) + variant, text_of(out));
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
        return 2;
    }
    folder = argv[1];
    write_client_messages();
    write_streams();
    write_peer_frames();
    return 0;
}
