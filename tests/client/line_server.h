// A server for those who stand in line: keys with revisions, transactions and watches of etcd's meaning, as far as they need
// it; and bad luck on demand.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core_script.h"

namespace ringfort::client::test {

class LineServer {
  public:
    explicit LineServer(CoreScript& with) : script(with) {}

    // What happens to the next transaction that writes.
    enum class Luck { none, answer_lost, late };
    Luck luck{Luck::none};
    // Every transaction is answered with this, if it is not ok.
    api::Errc error{api::Errc::ok};
    // Transactions that put are answered with no_space.
    bool full{false};
    // Transactions that write are answered without what they read.
    bool curt{false};
    // So many that read alone are answered without the second thing they read.
    int curt_looks{0};

    // Accepts a connection if there is none, and answers what is asked until nothing is, or the connection breaks.
    void serve();
    void pass(Duration time);
    // What came late, the first of them, arrives: whether its compares hold.
    bool let_late_arrive();
    // Watches end: what they need was compacted, or there is no room for them.
    void end_watches(bool compacted);
    void refuse_watches(api::Errc code);
    void remove(const std::string& key);
    void end_lease(api::LeaseId lease);
    std::vector<std::string> keys() const;
    std::size_t watches() const { return watches_.size(); }

    CoreScript& script;
    std::set<api::LeaseId> leases{1, 2, 3};

  private:
    struct Kv {
        api::Revision create, mod;
        std::int64_t version;
        std::string value;
        api::LeaseId lease;
    };
    struct Watching {
        Seen asked;
        const api::WatchRequest& request() const { return std::get<api::WatchRequest>(asked.request->op); }
    };
    void handle(Seen seen);
    void answer_txn(Seen& seen);
    api::Response carry_out(const api::TxnRequest& txn, Arena& arena);
    bool holds(const api::Compare& compare) const;
    api::RangeResponse read(const api::RangeRequest& range, Arena& arena) const;
    void take_out(const std::string& key);
    void tell_watches();
    void tell(const Watching& one, api::Revision revision, std::span<const api::Event> events);
    void break_off();

    std::map<std::string, Kv> kvs_;
    api::Revision revision_{10};
    std::vector<Watching> watches_;
    std::vector<api::Event> events_;      // of the revision being made; texts in names_
    std::map<api::Revision, std::vector<api::Event>> told_;
    std::vector<std::unique_ptr<std::string>> names_;
    std::deque<std::unique_ptr<Seen>> late_;
    Link* link_{nullptr};
};

}  // namespace ringfort::client::test
