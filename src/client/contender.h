// One who stands in line for a name: what locks and elections are made of, in etcd's form. Its key is the name, "/" and its
// lease in hexadecimal, and hangs on that lease. Of the keys of a name the one created first has its turn; everybody else
// watches the one created just before his own, so that an end wakes one.
//
// It goes on over lost connections and nodes until it leaves or its key is gone, and does not guess:
// - An entry without an answer is asked for again: the key is there, or is put now. Being the lease's, it is one key.
// - Whoever leaves while an entry may yet arrive writes a mark, on the same lease, in the transaction that removes the key.
//   Every entry compares that mark, and one that arrives later is refused. Else its key would stand in the line with nobody
//   behind it for as long as the lease lives. So does every such leave: one that arrives late, when it has entered again,
//   must not remove the key that it holds then.
// - A proclamation compares the revision of the one before, so that one that arrives late undoes nothing.
// - When what it watches ends, in whatever way, it looks again: whoever stood before it may have left from the middle.
//
// Pure; runs on a Core. That the lease lives is its owner's business, who calls end() when it does not.
//
//   out -> entering -> waiting <-> looking -> holding -> leaving -> out
//   entering, looking and waiting -> leaving too; entering, looking and holding -> out when the key is gone (lost)
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "client/core.h"
#include "client/watch.h"

namespace ringfort::client {

// The keys of those who stand in line for a name; in what lies behind them below "NAME/" nobody does.
struct LineKeys {
    explicit LineKeys(std::string_view name);
    std::string begin, end;
};

// The key of one of them: "NAME/LEASE".
std::string contender_key(std::string_view name, api::LeaseId lease);

struct ContenderNews {
    enum class Kind : std::uint8_t {
        held,           // it has its turn
        taken,          // somebody stands there; it does not (Entry::if_free)
        refused,        // it cannot enter: `error`
        lost,           // its key or its lease is gone, without its leaving
        proclaimed,
        unproclaimed,   // refused: `error`
        left,           // also by itself, some time behind `taken`, `refused` and `lost`, if an entry was in doubt
    };
    Kind kind{};
    api::ResponseHeader header{};    // of the answer that said so, if one did
    api::Errc error{api::Errc::ok};
    std::string_view detail{};
};

class Contender {
  public:
    // Requires of the reader: it may call back, or destroy this.
    using Reader = void (*)(void* context, const ContenderNews& news);
    enum class Entry : std::uint8_t { wait, if_free };

    Contender(Core& core, std::string_view name, api::LeaseId lease, Reader reader, void* context);
    ~Contender();
    Contender(const Contender&) = delete;
    Contender& operator=(const Contender&) = delete;

    // Requires: out(), or leaving(): then it enters once it is out.
    void enter(std::string_view value, Entry entry = Entry::wait);
    // Gives up its place, and is told `left` once that is certain, which may be before this returns. No effect if it is out.
    void leave();
    // Requires: holds(), and no other is under way.
    void proclaim(std::string_view value);
    // Its lease is over, and with it its key: nothing more is told.
    void end();

    bool out() const { return stage_ == Stage::out; }
    bool holds() const { return stage_ == Stage::holding; }
    bool leaving() const { return stage_ == Stage::leaving; }
    const std::string& key() const { return key_; }
    // The create revision of its key: its place in the line, and the fencing token. 0: not known, or not there.
    api::Revision place() const { return place_; }

  private:
    enum class Stage : std::uint8_t { out, entering, looking, waiting, holding, leaving };

    void go_on();
    void ask(const api::TxnRequest& txn);
    void rest();
    void stop_asking();
    void ask_enter();
    void ask_look();
    void ask_leave();
    void ask_proclaim();
    static void on_response(void* context, std::uint64_t token, const api::Response& response);
    static void on_alarm(void* context);
    static void on_watch(void* context, const WatchNews& news);
    void on_error(const api::ErrorInfo& error);
    void on_entry_error(const api::ErrorInfo& error);
    void on_entered(const api::ResponseHeader& header, const api::TxnResponse& txn);
    void on_looked(const api::ResponseHeader& header, const api::TxnResponse& txn);
    void on_left(const api::ResponseHeader& header, const api::TxnResponse& txn);
    void on_proclaimed(const api::ResponseHeader& header, const api::TxnResponse& txn);
    void wait_for(std::string_view key, api::Revision from);
    void hold(const api::ResponseHeader& header);
    void lose(const api::ResponseHeader& header, api::Errc error);
    void be_out(const api::ResponseHeader& header);
    void drop_out();
    void tell(const ContenderNews& news) { reader_(context_, news); }

    Core& core_;
    const LineKeys line_;
    const std::string key_, mark_;
    const api::LeaseId lease_;
    const Reader reader_;
    void* const context_;

    Stage stage_{Stage::out};
    Entry entry_{Entry::wait};
    std::string value_;
    bool again_{false};              // of `leaving`: it enters then
    bool bare_{false};               // of `leaving` in doubt: there is no room for the mark, and the key goes first
    bool doubt_{false};              // an entry may yet arrive
    bool proclaiming_{false};
    api::Revision place_{0};
    api::Revision mod_{0};           // of its key, as far as is known
    api::Revision mark_revision_{0}; // likewise of the mark; 0: it is not there
    std::uint64_t token_{0};         // of the request under way; 0: none
    std::unique_ptr<Watch> watch_;   // of the key just before
};

}  // namespace ringfort::client
