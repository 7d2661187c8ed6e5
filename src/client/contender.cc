#include "client/contender.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/assertion.h"
#include "base/mark.h"
#include "base/mutant.h"
#include "client/retry_policy.h"

namespace ringfort::client {

namespace {

std::string hexadecimal(api::LeaseId lease) {
    char digits[16];
    const auto end = std::to_chars(digits, digits + sizeof(digits), static_cast<std::uint64_t>(lease), 16).ptr;
    return {digits, end};
}

// Null: the key is not there, or the answer is of another form.
const api::KeyValue* first_of(const api::TxnResponse& txn, std::size_t op) {
    const auto* range = op < txn.responses.size() ? std::get_if<api::RangeResponse>(&txn.responses[op].op) : nullptr;
    return range != nullptr && !range->kvs.empty() ? &range->kvs.front() : nullptr;
}

api::Compare is(api::CompareTarget target, std::string_view key, api::Revision revision) {
    api::Compare out;
    out.target = target;
    out.key = key;
    out.number = revision;
    return out;
}

api::RangeRequest one_key(std::string_view key) {
    api::RangeRequest out;
    out.key = key;
    return out;
}

// The newest of those in line; of those up to `created`, if it is not 0.
api::RangeRequest newest_in(const LineKeys& line, std::int64_t limit, api::Revision created) {
    api::RangeRequest out;
    out.key = line.begin;
    out.range_end = line.end;
    out.limit = limit;
    out.sort_order = api::SortOrder::descend;
    out.sort_target = api::SortTarget::create;
    out.keys_only = true;
    out.max_create_revision = created;
    return out;
}

api::PutRequest put_of(std::string_view key, std::string_view value, api::LeaseId lease) {
    api::PutRequest out;
    out.key = key;
    out.value = value;
    out.lease = lease;
    return out;
}

}  // namespace

// Behind the digits of leases there is room for marks: "NAME/left-LEASE", which is in no line of another name's either.
LineKeys::LineKeys(std::string_view name) : begin(std::string(name) + "/0"), end(std::string(name) + "/g") {}

std::string contender_key(std::string_view name, api::LeaseId lease) { return std::string(name) + "/" + hexadecimal(lease); }

Contender::Contender(Core& core, std::string_view name, api::LeaseId lease, Reader reader, void* context)
    : core_(core),
      line_(name),
      key_(contender_key(name, lease)),
      mark_(std::string(name) + "/left-" + hexadecimal(lease)),
      lease_(lease),
      reader_(reader),
      context_(context) {}

Contender::~Contender() { stop_asking(); }

void Contender::enter(std::string_view value, Entry entry) {
    ASSERT(out() || leaving());
    value_ = value;
    entry_ = entry;
    if (leaving()) {
        again_ = true;
        return;
    }
    stage_ = Stage::entering;
    ask_enter();
}

void Contender::leave() {
    again_ = false;
    if (out() || leaving()) {
        return;
    }
    const bool entering = stage_ == Stage::entering;
    doubt_ = doubt_ || (entering && token_ != 0);
    stop_asking();
    stage_ = Stage::leaving;
    if (entering && !doubt_) {
        be_out({});
    } else {
        ask_leave();
    }
}

void Contender::proclaim(std::string_view value) {
    ASSERT(holds() && !proclaiming_);
    proclaiming_ = true;
    value_ = value;
    ask_proclaim();
}

void Contender::end() {
    stop_asking();
    stage_ = Stage::out;
    place_ = 0;
}

void Contender::stop_asking() {
    if (token_ != 0) {
        core_.cancel(std::exchange(token_, 0));
    }
    core_.call_off(this);
    watch_.reset();
    proclaiming_ = false;
}

// ---------------------------------------------------------------------------------------------- asking

void Contender::go_on() {
    switch (stage_) {
        case Stage::entering: ask_enter(); return;
        case Stage::looking: ask_look(); return;
        case Stage::holding: ask_proclaim(); return;
        case Stage::leaving: ask_leave(); return;
        case Stage::out:
        case Stage::waiting: break;
    }
    UNREACHABLE();
}

void Contender::ask(const api::TxnRequest& txn) {
    ASSERT(token_ == 0 && watch_ == nullptr);
    api::Request request;
    request.op = txn;
    token_ = core_.submit(request, &Contender::on_response, this);
}

void Contender::rest() { core_.call_in(recipe_pause, &Contender::on_alarm, this); }

void Contender::on_alarm(void* context) { static_cast<Contender*>(context)->go_on(); }

void Contender::ask_enter() {
    api::Compare there = is(api::CompareTarget::create, key_, 0);
    if (entry_ == Entry::if_free) {
        there.key = line_.begin;
        there.range_end = line_.end;
    }
    const api::Compare compares[] = {there, is(api::CompareTarget::mod, mark_, mark_revision_)};
    const api::RequestOp success[] = {{put_of(key_, value_, lease_)}, {newest_in(line_, 2, 0)}};
    const api::RequestOp failure[] = {{one_key(key_)}, {one_key(mark_)}};
    ask({compares, success, failure});
}

void Contender::ask_look() {
    const api::RequestOp reads[] = {{one_key(key_)}, {newest_in(line_, 1, place_ - 1)}};
    ask({{}, reads, {}});
}

void Contender::ask_leave() {
    const api::Compare as_entered[] = {is(api::CompareTarget::create, key_, place_)};
    const api::Compare unmarked[] = {is(api::CompareTarget::mod, mark_, mark_revision_)};
    const api::RequestOp writes[] = {{api::DeleteRangeRequest{key_, {}, false}}, {put_of(mark_, {}, lease_)}};
    const api::RequestOp failure[] = {{one_key(mark_)}};
    if (!doubt_) {
        ask({as_entered, std::span(writes).first(1), {}});
    } else {
        ask({unmarked, std::span(writes).first(bare_ || MUTANT(left_unmarked) ? 1 : 2), failure});
    }
}

void Contender::ask_proclaim() {
    const api::Compare compares[] = {is(api::CompareTarget::create, key_, place_), is(api::CompareTarget::mod, key_, mod_)};
    const api::RequestOp success[] = {{put_of(key_, value_, lease_)}};
    const api::RequestOp failure[] = {{one_key(key_)}};
    ask({compares, success, failure});
}

// ---------------------------------------------------------------------------------------------- answers

void Contender::on_response(void* context, std::uint64_t, const api::Response& response) {
    auto& self = *static_cast<Contender*>(context);
    self.token_ = 0;
    if (const auto* error = std::get_if<api::ErrorInfo>(&response.body)) {
        self.on_error(*error);
        return;
    }
    const auto* txn = std::get_if<api::TxnResponse>(std::get_if<api::Result>(&response.body));
    ASSERT(txn != nullptr);   // the core compared the kinds
    switch (self.stage_) {
        case Stage::entering: self.on_entered(response.header, *txn); return;
        case Stage::looking: self.on_looked(response.header, *txn); return;
        case Stage::holding: self.on_proclaimed(response.header, *txn); return;
        case Stage::leaving: self.on_left(response.header, *txn); return;
        case Stage::out:
        case Stage::waiting: break;
    }
    UNREACHABLE();
}

void Contender::on_error(const api::ErrorInfo& error) {
    const bool lease_gone = error.code == api::Errc::lease_not_found;
    if (stage_ == Stage::entering) {
        on_entry_error(error);
    } else if (stage_ == Stage::leaving && lease_gone) {
        be_out({});   // and its key went with it
    } else if (stage_ == Stage::holding && lease_gone) {
        lose({}, error.code);
    } else if (stage_ == Stage::holding && !recipe_asks_again(error.code)) {
        proclaiming_ = false;
        tell({.kind = ContenderNews::Kind::unproclaimed, .error = error.code, .detail = error.detail});
    } else {
        bare_ = stage_ == Stage::leaving && error.code == api::Errc::no_space;
        rest();
    }
}

void Contender::on_entry_error(const api::ErrorInfo& error) {
    if (error.code == api::Errc::lease_not_found) {
        lose({}, error.code);
        return;
    }
    if (api::error_class(error.code) == api::ErrorClass::indefinite) {
        MARK("an entry into a line without an answer");
        doubt_ = true;
    }
    if (recipe_asks_again(error.code)) {
        rest();
        return;
    }
    drop_out();
    tell({.kind = ContenderNews::Kind::refused, .error = error.code, .detail = error.detail});
}

void Contender::on_entered(const api::ResponseHeader& header, const api::TxnResponse& txn) {
    if (txn.succeeded) {
        place_ = header.revision;
        mod_ = place_;
        const auto* line = txn.responses.size() == 2 ? std::get_if<api::RangeResponse>(&txn.responses[1].op) : nullptr;
        if (line == nullptr || line->kvs.empty()) {   // of another form: it says nothing of the others
            stage_ = Stage::looking;
            ask_look();
        } else if (line->kvs.size() == 2) {
            wait_for(line->kvs[1].key, header.revision + 1);
        } else {
            hold(header);
        }
        return;
    }
    const api::KeyValue* own = first_of(txn, 0);
    const api::KeyValue* mark = first_of(txn, 1);
    const api::Revision mark_revision = mark != nullptr ? mark->mod_revision : 0;
    if (own != nullptr && own->lease != lease_) {
        lose(header, api::Errc::ok);   // somebody else wrote there
    } else if (own != nullptr) {
        MARK("an entry into a line had come through");
        place_ = own->create_revision;
        mod_ = own->mod_revision;
        stage_ = Stage::looking;
        ask_look();
    } else if (mark_revision != mark_revision_) {
        mark_revision_ = mark_revision;
        ask_enter();
    } else if (entry_ == Entry::if_free) {
        drop_out();
        tell({.kind = ContenderNews::Kind::taken, .header = header});
    } else {
        rest();
    }
}

void Contender::on_looked(const api::ResponseHeader& header, const api::TxnResponse& txn) {
    if (txn.responses.size() != 2 || !std::holds_alternative<api::RangeResponse>(txn.responses[1].op)) {
        rest();   // of another form: nobody before is what it does not say
        return;
    }
    const api::KeyValue* own = first_of(txn, 0);
    const api::KeyValue* before = first_of(txn, 1);
    if (own == nullptr || own->create_revision != place_) {
        lose(header, api::Errc::ok);
    } else if (before != nullptr) {
        wait_for(before->key, header.revision + 1);
    } else {
        hold(header);
    }
}

void Contender::wait_for(std::string_view key, api::Revision from) {
    stage_ = Stage::waiting;
    api::WatchRequest request;
    request.key = key;
    request.start_revision = from;
    request.no_put = true;
    request.require_leader = true;   // a node that is cut off would say nothing
    watch_ = std::make_unique<Watch>(core_, request, std::nullopt, &Contender::on_watch, this);
    watch_->start();
}

void Contender::on_watch(void* context, const WatchNews& news) {
    auto& self = *static_cast<Contender*>(context);
    ASSERT(self.stage_ == Stage::waiting);
    if (news.kind == WatchNews::Kind::revision) {
        const api::ResponseHeader header = news.header;
        self.watch_.reset();
        if (MUTANT(end_just_before_is_a_turn)) {
            self.hold(header);
            return;
        }
        self.stage_ = Stage::looking;
        self.ask_look();
    } else if (news.kind == WatchNews::Kind::ended) {
        MARK("a watch of whom one waits for ends");
        self.watch_.reset();
        self.stage_ = Stage::looking;
        self.rest();
    }
}

void Contender::hold(const api::ResponseHeader& header) {
    stage_ = Stage::holding;
    tell({.kind = ContenderNews::Kind::held, .header = header});
}

void Contender::on_proclaimed(const api::ResponseHeader& header, const api::TxnResponse& txn) {
    if (txn.succeeded) {
        mod_ = header.revision;
        proclaiming_ = false;
        tell({.kind = ContenderNews::Kind::proclaimed, .header = header});
        return;
    }
    const api::KeyValue* own = first_of(txn, 0);
    if (own == nullptr || own->create_revision != place_) {
        lose(header, api::Errc::ok);
        return;
    }
    // One before had come through. It is written once more, so that none of them undoes it.
    MARK("a proclamation without an answer had come through");
    mod_ = own->mod_revision;
    ask_proclaim();
}

void Contender::on_left(const api::ResponseHeader& header, const api::TxnResponse& txn) {
    if (doubt_ && !txn.succeeded) {
        const api::KeyValue* mark = first_of(txn, 0);
        const bool came_through = mark != nullptr && mark->mod_revision > mark_revision_;
        mark_revision_ = mark != nullptr ? mark->mod_revision : 0;
        if (!came_through) {
            rest();   // somebody else removed the mark
            return;
        }
        MARK("a leave without an answer had come through");
    } else if (doubt_ && bare_) {
        bare_ = false;
        rest();
        return;
    } else if (doubt_) {
        mark_revision_ = header.revision;
    }
    be_out(header);
}

void Contender::be_out(const api::ResponseHeader& header) {
    stage_ = Stage::out;
    place_ = 0;
    doubt_ = false;
    bare_ = false;
    if (std::exchange(again_, false)) {
        stage_ = Stage::entering;
        ask_enter();
    }
    tell({.kind = ContenderNews::Kind::left, .header = header});
}

void Contender::lose(const api::ResponseHeader& header, api::Errc error) {
    stop_asking();
    doubt_ = doubt_ && error != api::Errc::lease_not_found;   // nothing can be put on that one any more
    drop_out();
    tell({.kind = ContenderNews::Kind::lost, .header = header, .error = error});
}

// Without having left: an entry before the last may have come through, or may yet.
void Contender::drop_out() {
    place_ = 0;
    stage_ = doubt_ ? Stage::leaving : Stage::out;
    if (doubt_) {
        ask_leave();
    }
}

}  // namespace ringfort::client
