#include "scripted_network.h"

#include <cstdlib>
#include <memory>
#include <utility>

#include "base/assertion.h"

namespace ringfort::client::test {

ScriptedNetwork::Link& ScriptedNetwork::newest() {
    for (std::size_t i = links_.size(); i > 0; i--) {
        if (!links_[i - 1]->closed) {
            return *links_[i - 1];
        }
    }
    UNREACHABLE();
}

void ScriptedNetwork::queue(Link& link, std::function<void(Link&)> event) {
    events_.push_back([&link, event = std::move(event)] {
        if (!link.closed) {
            event(link);
        }
    });
}

void ScriptedNetwork::accept(Link& link) {
    ASSERT(!link.connected && !link.closed);
    queue(link, [](Link& one) {
        one.connected = true;
        one.handler->on_connected();
    });
}

void ScriptedNetwork::refuse(Link& link) {
    ASSERT(!link.connected);
    break_off(link, env::CloseReason::refused);
}

void ScriptedNetwork::deliver(Link& link, Bytes bytes) {
    // In a buffer of its own size: reading past its end is found by the sanitizer.
    auto copy = std::make_shared<std::vector<std::uint64_t>>(div_ceil<std::size_t>(bytes.size(), 8));
    std::memcpy(copy->data(), bytes.data(), bytes.size());
    queue(link, [copy, size = bytes.size()](Link& one) {
        one.handler->on_received({reinterpret_cast<const std::byte*>(copy->data()), size});
    });
}

void ScriptedNetwork::complete_send(Link& link) {
    queue(link, [](Link& one) {
        if (!one.sending.empty()) {
            one.arrived.insert(one.arrived.end(), one.sending.begin(), one.sending.end());
            one.sending = {};
            one.handler->on_sent();
        }
    });
}

void ScriptedNetwork::break_off(Link& link, env::CloseReason reason) {
    queue(link, [reason](Link& one) {
        one.closed = true;
        one.sending = {};
        one.handler->on_closed(reason);
    });
}

env::ConnectionId ScriptedNetwork::connect(const env::Address& address, env::ConnectionClass cls,
                                           env::ConnectionHandler& handler) {
    ASSERT(cls == env::ConnectionClass::client);
    links_.push_back(std::make_unique<Link>());
    Link& link = *links_.back();
    link.id = links_.size();
    link.address = address;
    link.handler = &handler;
    return link.id;
}

void ScriptedNetwork::send(env::ConnectionId connection, Bytes bytes) {
    Link& link = find(connection);
    ASSERT(link.connected && !link.closed && link.sending.empty() && !bytes.empty());
    link.sending = bytes;
    link.sends.push_back(bytes.size());
    if (!link.hold_sends) {
        complete_send(link);
    }
}

void ScriptedNetwork::close(env::ConnectionId connection) {
    Link& link = find(connection);
    ASSERT(!link.closed);
    link.closed = true;
}

bool ScriptedNetwork::send_in_flight(env::ConnectionId connection) const {
    return !find(connection).sending.empty();
}

void ScriptedNetwork::dispatch(env::ConnectionClass cls) {
    ASSERT(cls == env::ConnectionClass::client);
    std::deque<std::function<void()>> now;
    now.swap(events_);
    for (const auto& event : now) {
        event();
    }
}

}  // namespace ringfort::client::test
