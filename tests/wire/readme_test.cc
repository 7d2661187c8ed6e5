// The examples and tables of schemas/README.md are what the code does.
#include <gtest/gtest.h>

#include <fstream>
#include <iomanip>
#include <map>
#include <sstream>

#include "frames.h"
#include "wire/client_codec.h"
#include "wire/peer_codec.h"

namespace ringfort::wire {
namespace {

using test::pending;

const api::ResponseHeader header{ClusterId(0xc1), NodeId(0x11), 2, Term(3), DomainId(0)};

// The two hexadecimal digits in front of each line, up to the annotation.
std::string hex_of_line(const std::string& line) {
    std::string hex;
    std::size_t at = 0;
    while (at + 1 < line.size() && std::isxdigit(static_cast<unsigned char>(line[at])) != 0 &&
           std::isxdigit(static_cast<unsigned char>(line[at + 1])) != 0 &&
           (at + 2 >= line.size() || line[at + 2] == ' ')) {
        hex += line.substr(at, 2) + " ";
        at += 3;
    }
    return hex;
}

std::string hex_of(Bytes bytes) {
    std::ostringstream out;
    for (const std::byte byte : bytes) {
        out << std::hex << std::setw(2) << std::setfill('0') << std::to_integer<int>(byte) << " ";
    }
    return out.str();
}

class WireReadme : public testing::Test {
  protected:
    WireReadme() {
        std::ifstream file(RINGFORT_PROTOCOL_README);
        EXPECT_TRUE(file.good());
        std::string example;
        for (std::string line; std::getline(file, line);) {
            lines_.push_back(line);
            if (line.starts_with("```example ")) {
                example = line.substr(11);
            } else if (line.starts_with("```")) {
                example.clear();
            } else if (!example.empty()) {
                examples_[example] += hex_of_line(line);
            }
        }
    }
    ~WireReadme() override = default;

    void expect(const std::string& name, OutBuffer& out) {
        EXPECT_EQ(examples_[name], hex_of(pending(out))) << name;
        seen_++;
        out.truncate(0);
    }

    std::vector<std::string> lines_;
    std::map<std::string, std::string> examples_;
    std::size_t seen_{0};
};

TEST_F(WireReadme, examples_are_what_is_encoded) {
    OutBuffer out;
    encode_preamble(out.extend(preamble_bytes), {});
    ClientHello hello;
    hello.client_name = "example";
    encode_client_hello(hello, out);
    expect("hello", out);

    api::Request request;
    request.timeout = 5s;
    request.op = api::PutRequest{.key = "hello", .value = "world"};
    ASSERT_TRUE(encode_request(1, request, out));
    expect("put", out);

    ASSERT_TRUE(encode_response(1, ClientKind::put, {.header = header, .body = api::Result(api::PutResponse{})}, out));
    expect("put_reply", out);

    const api::ErrorInfo error{
        .code = api::Errc::not_leader, .detail = {}, .leader = NodeId(0x22), .leader_address = "10.0.0.2:2379"};
    ASSERT_TRUE(encode_response(3, ClientKind::put, {.header = header, .body = error}, out));
    expect("error", out);

    encode_credit(4, 262144, out);
    encode_cancel(4, out);
    expect("credit_and_cancel", out);

    encode_peer(Beat{.sent_at_ns = 1000, .echo_ns = 900, .durable_age_ns = 5, .load = 1}, out);
    expect("beat", out);
    EXPECT_EQ(seen_, examples_.size());
}

TEST_F(WireReadme, its_table_of_errors_is_complete_and_right) {
    const auto class_name = [](api::ErrorClass cls) {
        switch (cls) {
            case api::ErrorClass::definite: return "definite";
            case api::ErrorClass::indefinite: return "indefinite";
            case api::ErrorClass::redirect: return "redirect";
        }
        return "";
    };
    int found = 0;
    for (int code = 1; code <= UINT16_MAX; code++) {
        if (!api::known_error(static_cast<std::uint16_t>(code))) {
            continue;
        }
        const auto errc = static_cast<api::Errc>(code);
        const std::string row = "| " + std::to_string(code) + " | " + std::string(api::error_name(errc)) + " | " +
                                class_name(api::error_class(errc)) + " | ";
        EXPECT_TRUE(std::any_of(lines_.begin(), lines_.end(),
                                [&](const std::string& line) { return line.starts_with(row); }))
            << row;
        found++;
    }
    EXPECT_GT(found, 30);
}

}  // namespace
}  // namespace ringfort::wire
