#include "line_server.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace ringfort::client::test {

namespace {

bool covers(std::string_view begin, std::string_view end, std::string_view key) {
    return end.empty() ? key == begin : key >= begin && key < end;
}

}  // namespace

void LineServer::serve() {
    if (link_ == nullptr || link_->closed) {
        script.pass(500ms);   // it connects anew after a pause
        link_ = &script.greet_quietly();
    }
    for (bool idle = false; !idle && !link_->closed;) {
        std::vector<Seen> arrived = script.arrived(*link_);
        idle = arrived.empty();
        for (Seen& seen : arrived) {
            handle(std::move(seen));
        }
    }
}

void LineServer::pass(Duration time) {
    for (; time > 0ns; time -= 100ms) {
        script.pass(100ms);
        serve();
    }
}

void LineServer::handle(Seen seen) {
    if (seen.link->closed) {
        return;
    }
    api::Response response;
    response.header.revision = revision_;
    if (seen.kind == wire::ClientKind::cancel) {
        std::erase_if(watches_, [&](const Watching& one) { return one.asked.id == seen.id; });
    } else if (seen.kind == wire::ClientKind::status) {
        response.body = api::Result(api::StatusResponse{});
        script.reply(seen, response);
    } else if (seen.kind == wire::ClientKind::watch) {
        EXPECT_TRUE(std::get<api::WatchRequest>(seen.request->op).require_leader) << "it could be cut off here";
        api::WatchResponse created;
        created.created = true;
        response.body = api::Result(created);
        response.more_frames = true;
        watches_.push_back({std::move(seen)});
        script.reply(watches_.back().asked, response);
        for (const auto& [revision, events] : told_) {
            if (revision >= watches_.back().request().start_revision) {
                tell(watches_.back(), revision, events);
            }
        }
    } else if (seen.kind == wire::ClientKind::range) {
        response.body = api::Result(read(std::get<api::RangeRequest>(seen.request->op), *seen.arena));
        script.reply(seen, response);
    } else if (seen.kind == wire::ClientKind::txn) {
        answer_txn(seen);
    }
}

void LineServer::answer_txn(Seen& seen) {
    if (error != api::Errc::ok) {
        script.reply_error(seen, error);
        return;
    }
    const auto& txn = std::get<api::TxnRequest>(seen.request->op);
    if (full && std::ranges::any_of(txn.success, [](const api::RequestOp& op) {
            return std::holds_alternative<api::PutRequest>(op.op);
        })) {
        script.reply_error(seen, api::Errc::no_space);
        return;
    }
    const bool writes = std::ranges::any_of(txn.success, [](const api::RequestOp& op) {
        return !std::holds_alternative<api::RangeRequest>(op.op);
    });
    const Luck now = writes ? std::exchange(luck, Luck::none) : Luck::none;
    if (now == Luck::late) {
        late_.push_back(std::make_unique<Seen>(std::move(seen)));
        break_off();
        return;
    }
    const api::Response response = carry_out(txn, *seen.arena);
    if (now == Luck::answer_lost) {
        break_off();
    } else if (curt && writes) {
        api::Response odd = response;
        odd.body = api::Result(api::TxnResponse{.succeeded = true, .responses = {}});
        script.reply(seen, odd);
    } else if (!writes && curt_looks > 0) {
        curt_looks--;
        api::Response odd = response;
        api::TxnResponse whole = std::get<api::TxnResponse>(std::get<api::Result>(response.body));
        whole.responses = whole.responses.first(1);
        odd.body = api::Result(whole);
        script.reply(seen, odd);
    } else {
        script.reply(seen, response);
    }
    tell_watches();
}

void LineServer::break_off() {
    watches_.clear();
    script.network.break_off(*link_);
    script.turn();
}

bool LineServer::let_late_arrive() {
    const std::unique_ptr<Seen> late = std::move(late_.front());
    late_.pop_front();
    const api::Response response = carry_out(std::get<api::TxnRequest>(late->request->op), *late->arena);
    tell_watches();
    serve();
    return response.ok() && std::get<api::TxnResponse>(std::get<api::Result>(response.body)).succeeded;
}

bool LineServer::holds(const api::Compare& compare) const {
    bool met = false;
    for (const auto& [key, kv] : kvs_) {
        if (covers(compare.key, compare.range_end, key)) {
            met = true;
            const api::Revision number = compare.target == api::CompareTarget::create ? kv.create : kv.mod;
            if (number != compare.number) {
                return false;
            }
        }
    }
    return met || compare.number == 0;
}

api::RangeResponse LineServer::read(const api::RangeRequest& range, Arena& arena) const {
    std::vector<api::KeyValue> found;
    for (const auto& [key, kv] : kvs_) {
        if (covers(range.key, range.range_end, key) &&
            (range.max_create_revision == 0 || kv.create <= range.max_create_revision)) {
            found.push_back({arena.copy(key), kv.create, kv.mod, kv.version, arena.copy(kv.value), kv.lease});
        }
    }
    const auto sign = range.sort_order == api::SortOrder::descend ? -1 : 1;
    if (range.sort_order != api::SortOrder::none) {
        std::ranges::sort(found, {}, [sign](const api::KeyValue& kv) { return sign * kv.create_revision; });
    }
    if (range.limit > 0 && found.size() > static_cast<std::size_t>(range.limit)) {
        found.resize(static_cast<std::size_t>(range.limit));
    }
    api::RangeResponse out;
    const std::span<api::KeyValue> kvs = arena.make_array<api::KeyValue>(found.size());
    std::ranges::copy(found, kvs.begin());
    out.kvs = kvs;
    out.count = static_cast<std::int64_t>(found.size());
    return out;
}

api::Response LineServer::carry_out(const api::TxnRequest& txn, Arena& arena) {
    api::Response response;
    const bool succeeded = std::ranges::all_of(txn.compare, [this](const api::Compare& one) { return holds(one); });
    const auto ops = succeeded ? txn.success : txn.failure;
    for (const api::RequestOp& op : ops) {
        const auto* put = std::get_if<api::PutRequest>(&op.op);
        if (put != nullptr && !leases.contains(put->lease)) {
            response.body = api::ErrorInfo{.code = api::Errc::lease_not_found, .detail = {}, .leader_address = {}};
            return response;
        }
    }
    const std::span<api::ResponseOp> replies = arena.make_array<api::ResponseOp>(ops.size());
    revision_++;
    for (std::size_t i = 0; i < ops.size(); i++) {
        if (const auto* put = std::get_if<api::PutRequest>(&ops[i].op)) {
            Kv& kv = kvs_.try_emplace(std::string(put->key), Kv{revision_, 0, 0, {}, 0}).first->second;
            kv = {kv.create, revision_, kv.version + 1, std::string(put->value), put->lease};
            names_.push_back(std::make_unique<std::string>(put->key));
            names_.push_back(std::make_unique<std::string>(put->value));
            events_.push_back({api::EventType::put,
                               {*names_[names_.size() - 2], kv.create, kv.mod, kv.version, *names_.back(), kv.lease},
                               {}});
            replies[i].op = api::PutResponse{};
        } else if (const auto* del = std::get_if<api::DeleteRangeRequest>(&ops[i].op)) {
            take_out(std::string(del->key));
            replies[i].op = api::DeleteRangeResponse{};
        } else {
            replies[i].op = read(std::get<api::RangeRequest>(ops[i].op), arena);
        }
    }
    if (events_.empty()) {
        revision_--;
    }
    response.header.revision = revision_;
    response.body = api::Result(api::TxnResponse{.succeeded = succeeded, .responses = replies});
    return response;
}

void LineServer::take_out(const std::string& key) {
    if (kvs_.erase(key) > 0) {
        names_.push_back(std::make_unique<std::string>(key));
        api::Event& event = events_.emplace_back();
        event.type = api::EventType::remove;
        event.kv.key = *names_.back();
        event.kv.mod_revision = revision_;
    }
}

void LineServer::remove(const std::string& key) {
    revision_++;
    take_out(key);
    tell_watches();
    serve();
}

void LineServer::end_lease(api::LeaseId lease) {
    leases.erase(lease);
    revision_++;
    for (const std::string& key : keys()) {
        if (kvs_.at(key).lease == lease) {
            take_out(key);
        }
    }
    tell_watches();
    serve();
}

void LineServer::tell_watches() {
    if (events_.empty()) {
        return;
    }
    const std::vector<api::Event>& events = told_[revision_] = std::exchange(events_, {});
    for (std::size_t i = 0; i < watches_.size(); i++) {
        tell(watches_[i], revision_, events);
    }
}

void LineServer::tell(const Watching& one, api::Revision revision, std::span<const api::Event> events) {
    std::vector<api::Event> matching;
    for (const api::Event& event : events) {
        const api::WatchRequest& request = one.request();
        if (covers(request.key, request.range_end, event.kv.key) &&
            !(request.no_put && event.type == api::EventType::put)) {
            matching.push_back(event);
        }
    }
    if (matching.empty() || link_->closed) {
        return;
    }
    api::WatchResponse told;
    told.events = matching;
    api::Response response;
    response.header.revision = revision;
    response.body = api::Result(told);
    response.more_frames = true;
    script.reply(one.asked, response);
}

void LineServer::end_watches(bool compacted) {
    for (const Watching& one : std::exchange(watches_, {})) {
        api::WatchResponse last;
        last.canceled = true;
        last.compact_revision = compacted ? revision_ : 0;
        api::Response response;
        response.header.revision = revision_;
        response.body = api::Result(last);
        script.reply(one.asked, response);
    }
    serve();
}

void LineServer::refuse_watches(api::Errc code) {
    for (const Watching& one : std::exchange(watches_, {})) {
        api::Response response;
        response.header.revision = revision_;
        response.body = api::ErrorInfo{.code = code, .detail = "as asked for", .leader_address = {}};
        script.reply(one.asked, response);
    }
    serve();
}

std::vector<std::string> LineServer::keys() const {
    std::vector<std::string> out;
    for (const auto& [key, kv] : kvs_) {
        out.push_back(key);
    }
    return out;
}

}  // namespace ringfort::client::test
