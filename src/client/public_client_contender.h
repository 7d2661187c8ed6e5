// A lock or a candidacy of the public library: the core's contender, and who waits for what it does. Everything here happens
// on the client's thread, but for what says otherwise.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/contender.h"
#include "client/public_client_impl.h"
#include "ringfort/concurrency.h"

namespace ringfort::client {

struct PublicSession {
    PublicSession(Client::Impl& of, const LeaseGrantReply& granted, std::uint64_t in_domain)
        : client(of), lease(granted.id), domain(in_domain) {}

    // ---- on any thread
    // True: it was not noted before.
    bool note_lost();
    // False: it is lost by the clock, and somebody may know.
    bool note_lives(Instant until);
    // Noted, or by the clock: whoever notes it may be late, or not run at all.
    bool is_lost();
    bool is_noted_lost();

    Client::Impl& client;
    const std::int64_t lease;
    const std::uint64_t domain;
    std::mutex mutex;                 // guards `lost` and `lives_until`
    std::condition_variable over;
    bool lost{false};
    Instant lives_until{never};
    // The client's thread's: names in whose lines it stands. Its key there is one.
    std::set<std::string, std::less<>> names;
};

Error session_lost_error();
Error not_held_error();
Error not_elected_error();

class PublicContender final : public Resident, public std::enable_shared_from_this<PublicContender> {
  public:
    using Entered = std::function<void(Outcome<Held>)>;
    using Done = std::function<void(Outcome<Header>)>;

    // On any thread. The core has it from the first entry on.
    PublicContender(std::shared_ptr<PublicSession> session, std::string_view name);

    void enter(std::string_view value, Contender::Entry entry, Entered entered);
    // Whoever waits to enter is told this, if he still does.
    void give_up(const Error& why);
    void leave(Done left);
    void proclaim(std::string_view value, Done proclaimed);
    // Its owner is gone: it leaves, and is over.
    void abandon();

    void close() override;
    void on_session_lost(const PublicSession& session) override;
    bool over() const override { return abandoned_ && (!machine_ || machine_->out()); }

    // ---- on any thread
    PublicSession& session() const { return *session_; }
    const std::string& key() const { return key_; }

  private:
    static void on_news(void* context, const ContenderNews& news);
    void take(const ContenderNews& news);
    void end_waiting(const Error& entering, const Error& others);
    void tell_entered(Outcome<Held> outcome);
    void tell_left(const Outcome<Header>& outcome);
    void end_proclaimed(Error error);
    void tell_proclaimed(Outcome<Header> outcome);

    const std::shared_ptr<PublicSession> session_;
    const std::string name_, key_;
    std::optional<Contender> machine_;
    bool resident_{false};
    bool abandoned_{false};
    Entered entered_;                                        // empty: nobody waits
    std::vector<Done> left_;
    std::vector<std::pair<std::string, Done>> proclaimed_;   // in their order; the first is under way
};

}  // namespace ringfort::client
