#include "client/public_client_contender.h"

#include "client/public_convert.h"

namespace ringfort::client {

namespace {

Error recipe_error(ErrorCode code, std::string_view message, std::string_view detail = {}) {
    return {code, ErrorClass::definite, std::string(message), std::string(detail)};
}

Error locked_error(std::string_view by) { return recipe_error(ErrorCode::locked, "mutex: Locked by another session", by); }

Error key_lost_error() {
    return recipe_error(ErrorCode::session_lost, "mutex: session is expired", "its key is gone");
}

}  // namespace

Error session_lost_error() { return recipe_error(ErrorCode::session_lost, "mutex: session is expired"); }
Error not_held_error() { return recipe_error(ErrorCode::not_held, "mutex: lock has already been released"); }
Error not_elected_error() { return recipe_error(ErrorCode::not_elected, "election: not leader"); }

bool PublicSession::note_lost() {
    const std::lock_guard lock(mutex);
    over.notify_all();
    return !std::exchange(lost, true);
}

bool PublicSession::note_lives(Instant until) {
    const std::lock_guard lock(mutex);
    if (lives_until <= client.clock.now()) {
        return false;
    }
    lives_until = until;
    return true;
}

bool PublicSession::is_lost() {
    const std::lock_guard lock(mutex);
    return lost || lives_until <= client.clock.now();
}

bool PublicSession::is_noted_lost() {
    const std::lock_guard lock(mutex);
    return lost;
}

PublicContender::PublicContender(std::shared_ptr<PublicSession> session, std::string_view name)
    : session_(std::move(session)), name_(name), key_(contender_key(name, session_->lease)) {}

void PublicContender::enter(std::string_view value, Contender::Entry entry, Entered entered) {
    if (session_->is_lost()) {
        entered(session_lost_error());
        return;
    }
    if (session_->client.is_closing()) {
        entered(Client::Impl::cancelled());
        return;
    }
    if (entered_ || (machine_ && !machine_->out() && !machine_->leaving())) {
        entered(locked_error("this one is locked, or waits to be"));
        return;
    }
    if ((!machine_ || machine_->out()) && !session_->names.insert(name_).second) {
        entered(locked_error("another one of this session has that name"));
        return;
    }
    if (!machine_) {
        machine_.emplace(*session_->client.core, name_, session_->lease, &PublicContender::on_news, this);
    }
    if (!resident_) {
        resident_ = true;
        session_->client.add_resident(shared_from_this());
    }
    entered_ = std::move(entered);
    machine_->enter(value, entry);
}

void PublicContender::give_up(const Error& why) {
    if (entered_) {
        machine_->leave();
        tell_entered(why);
    }
}

void PublicContender::leave(Done left) {
    if (!machine_ || machine_->out()) {
        left(session_->is_lost() ? session_lost_error() : not_held_error());
        return;
    }
    left_.push_back(std::move(left));
    machine_->leave();
    tell_entered(recipe_error(ErrorCode::cancelled, "etcdserver: request canceled", "it was given up"));
    end_proclaimed(not_elected_error());
}

void PublicContender::proclaim(std::string_view value, Done proclaimed) {
    if (!machine_ || !machine_->holds()) {
        proclaimed(session_->is_lost() ? session_lost_error() : not_elected_error());
        return;
    }
    proclaimed_.emplace_back(value, std::move(proclaimed));
    if (proclaimed_.size() == 1) {
        machine_->proclaim(value);
    }
}

void PublicContender::abandon() {
    abandoned_ = true;
    if (machine_) {
        machine_->leave();
    }
    end_waiting(not_held_error(), not_held_error());
}

void PublicContender::close() {
    machine_.reset();
    end_waiting(Client::Impl::cancelled(), Client::Impl::cancelled());
}

void PublicContender::on_session_lost(const PublicSession& session) {
    if (&session == session_.get() && machine_) {
        machine_->end();
        session_->client.answered_count++;
        end_waiting(session_lost_error(), session_lost_error());
    }
}

// ---------------------------------------------------------------------------------------------- news

void PublicContender::on_news(void* context, const ContenderNews& news) {
    auto& self = *static_cast<PublicContender*>(context);
    const auto stays = self.shared_from_this();   // whoever is told may let go of it
    self.session_->client.answered_count++;
    self.take(news);
}

void PublicContender::take(const ContenderNews& news) {
    const Header header = to_public(news.header);
    const Error error = to_public(api::ErrorInfo{news.error, news.detail, {}, {}});
    if (machine_->out()) {
        session_->names.erase(name_);
    }
    switch (news.kind) {
        case ContenderNews::Kind::held:
            if (session_->is_lost()) {
                tell_entered(session_lost_error());   // the answer had waited for longer than the lease lives
            } else {
                tell_entered(Held{header, key_, machine_->place()});
            }
            return;
        case ContenderNews::Kind::taken: tell_entered(locked_error({})); return;
        case ContenderNews::Kind::refused: tell_entered(error); return;
        case ContenderNews::Kind::lost: end_waiting(key_lost_error(), not_elected_error()); return;
        case ContenderNews::Kind::left: tell_left(header); return;
        case ContenderNews::Kind::proclaimed: tell_proclaimed(header); break;
        case ContenderNews::Kind::unproclaimed: tell_proclaimed(error); break;
    }
    if (!proclaimed_.empty() && machine_->holds()) {
        const std::string next = proclaimed_.front().first;
        machine_->proclaim(next);
    }
}

void PublicContender::end_waiting(const Error& entering, const Error& others) {
    tell_entered(entering);
    tell_left(others);
    end_proclaimed(others);
}

void PublicContender::tell_entered(Outcome<Held> outcome) {
    if (const Entered entered = std::exchange(entered_, {})) {
        entered(std::move(outcome));
    }
}

void PublicContender::tell_left(const Outcome<Header>& outcome) {
    for (const Done& left : std::exchange(left_, {})) {
        left(outcome);
    }
}

// The first is under way, and may happen.
void PublicContender::end_proclaimed(Error error) {
    error.error_class = ErrorClass::indefinite;
    while (!proclaimed_.empty()) {
        tell_proclaimed(error);
        error.error_class = ErrorClass::definite;
    }
}

void PublicContender::tell_proclaimed(Outcome<Header> outcome) {
    const Done done = std::move(proclaimed_.front().second);
    proclaimed_.erase(proclaimed_.begin());
    done(std::move(outcome));
}

}  // namespace ringfort::client
