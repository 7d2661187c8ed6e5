// Bytes of strangers: whatever they are, a decoder gives a message or an error, within its bound of memory.
#include <gtest/gtest.h>

#include <array>

#include "frames.h"
#include "messages.h"
#include "properties.h"

namespace ringfort::wire {
namespace {

using test::Copy;
using test::pending;
using test::RandomMessages;

constexpr std::size_t header_bytes = limits::frame_header_bytes;

// A valid client frame of one seed, and the check of its decoder.
struct Sample {
    explicit Sample(std::uint64_t seed) {
        RandomMessages random(seed, arena);
        switch (seed % 4) {
            case 0: EXPECT_TRUE(encode_request(seed, random.request(), out)); break;
            case 1: {
                const api::Response response = random.response();
                const auto* result = std::get_if<api::Result>(&response.body);
                reply = true;
                const std::size_t index = result != nullptr ? result->index() : 0;
                EXPECT_TRUE(encode_response(seed, test::kind_of_result(index), response, out));
                break;
            }
            case 2: encode_client_hello(random.client_hello(), out); break;
            default:
                reply = true;
                encode_client_hello_reply(random.client_hello_reply(), out);
                break;
        }
    }

    bool check(Bytes body) {
        const auto header = decode_frame_header(out.at(0), limits::frame_bytes_max);
        const auto kind = static_cast<ClientKind>(header->kind);
        if (kind == ClientKind::hello && reply) {
            return test::check_client_hello_reply(body);
        }
        if (kind == ClientKind::hello) {
            return test::check_client_hello(body);
        }
        return reply ? test::check_response(kind, header->flags, body) : test::check_request(kind, body);
    }

    Arena arena;
    OutBuffer out;
    bool reply{false};
};

// One to eight changes of the kinds that break decoders: bits, bytes, and numbers near bounds.
void mutate(Prng& prng, MutableBytes bytes) {
    static constexpr std::array<std::uint32_t, 10> numbers = {0,          1,          4,          0x7fffffff, 0x80000000,
                                                              0xffffffff, 0xfffffffc, 0x00010000, 0xffff,     0x00ffffff};
    const std::uint64_t changes = prng.between(1, 8);
    for (std::uint64_t i = 0; i < changes; i++) {
        const std::size_t at = prng.below(bytes.size());
        switch (prng.below(4)) {
            case 0: bytes[at] ^= static_cast<std::byte>(1 << prng.below(8)); break;
            case 1: bytes[at] = static_cast<std::byte>(prng.below(256)); break;
            case 2: bytes[at] = static_cast<std::byte>(std::to_integer<int>(bytes[at]) + (prng.one_in(2) ? 1 : -1)); break;
            default:
                if (at + 4 <= bytes.size()) {
                    store(bytes.data() + at, numbers[prng.below(numbers.size())]);
                }
                break;
        }
    }
}

TEST(WireHostile, every_prefix_of_a_body_decodes_or_is_refused) {
    for (std::uint64_t seed = 0; seed < 80; seed++) {
        Sample sample(seed);
        const Bytes body = pending(sample.out).subspan(header_bytes);
        ASSERT_TRUE(sample.check(body)) << seed;
        const std::size_t step = body.size() > 2000 ? 7 : 1;
        for (std::size_t bytes = 0; bytes < body.size(); bytes += step) {
            Copy prefix(body.first(bytes));
            sample.check(prefix.bytes());
        }
    }
}

TEST(WireHostile, mutated_client_bodies_decode_or_are_refused) {
    Prng prng(1);
    int taken = 0;
    int refused = 0;
    for (std::uint64_t seed = 0; seed < 200; seed++) {
        Sample sample(seed);
        for (int i = 0; i < 100; i++) {
            Copy body(pending(sample.out).subspan(header_bytes));
            mutate(prng, body.bytes());
            (sample.check(body.bytes()) ? taken : refused)++;
        }
    }
    // Both happen, or the mutations are too weak or too strong to test anything.
    EXPECT_GT(taken, 1000);
    EXPECT_GT(refused, 1000);
}

TEST(WireHostile, mutated_peer_frames_decode_or_are_refused) {
    Prng prng(2);
    Arena arena;
    int taken = 0;
    int refused = 0;
    for (std::uint64_t seed = 0; seed < 240; seed++) {
        RandomMessages random(seed, arena);
        OutBuffer out;
        test::encode_peer_frame(random.peer_frame(seed % std::variant_size_v<PeerFrame>), out);
        for (int i = 0; i < 80; i++) {
            Copy frame(pending(out));
            mutate(prng, frame.bytes().subspan(header_bytes));
            (test::check_peer_frame(frame.bytes()) ? taken : refused)++;
        }
        arena.reset();
    }
    EXPECT_GT(taken, 1000);
    EXPECT_GT(refused, 1000);
}

TEST(WireHostile, every_prefix_of_a_peer_frame_decodes_or_is_refused) {
    Arena arena;
    for (std::size_t index = 0; index < std::variant_size_v<PeerFrame>; index++) {
        RandomMessages random(index, arena);
        OutBuffer out;
        test::encode_peer_frame(random.peer_frame(index), out);
        ASSERT_TRUE(test::check_peer_frame(pending(out)));
        for (std::size_t bytes = 16; bytes < out.pending_bytes(); bytes += 8) {
            Copy frame(pending(out).first(bytes));
            store(frame.bytes().data(), static_cast<std::uint32_t>(bytes));  // a length that fits
            test::check_peer_frame(frame.bytes());
        }
    }
}

TEST(WireHostile, any_flipped_bit_of_a_peer_frame_is_noticed) {
    Arena arena;
    for (std::size_t index = 0; index < std::variant_size_v<PeerFrame>; index++) {
        RandomMessages random(index + 100, arena);
        OutBuffer out;
        test::encode_peer_frame(random.peer_frame(index), out);
        for (std::size_t at = 0; at < out.pending_bytes(); at++) {
            for (int bit = 0; bit < 8; bit++) {
                Copy frame(pending(out));
                frame.bytes()[at] ^= static_cast<std::byte>(1 << bit);
                FrameReader reader(limits::frame_bytes_max);
                reader.feed(frame.bytes());
                const auto cut = reader.next();
                ASSERT_TRUE(!cut || !*cut || !decode_peer(**cut, arena)) << index << " " << at;
            }
        }
        arena.reset();
    }
}

TEST(WireHostile, a_misaligned_body_decodes_like_an_aligned_one) {
    for (std::uint64_t seed = 0; seed < 200; seed++) {
        Arena arena;
        RandomMessages random(seed, arena);
        const api::Request request = random.request();
        OutBuffer out;
        ASSERT_TRUE(encode_request(1, request, out));
        const Bytes body = pending(out).subspan(header_bytes);
        for (std::size_t shift = 1; shift < 8; shift++) {
            std::vector<std::byte> shifted(shift);
            shifted.insert(shifted.end(), body.begin(), body.end());
            const auto decoded = decode_request(kind_of(request.op), Bytes(shifted).subspan(shift), arena);
            ASSERT_TRUE(decoded);
            ASSERT_EQ(test::text_of(*decoded), test::text_of(request));
        }
    }
}

}  // namespace
}  // namespace ringfort::wire
