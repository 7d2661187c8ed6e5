// One call of the public library: its request, held in an arena, and what to do with the answer.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "api/types.h"
#include "base/arena.h"
#include "client/core.h"
#include "client/public_convert.h"
#include "ringfort/client.h"

namespace ringfort::client {

class Call {
  public:
    Call() = default;
    virtual ~Call() = default;
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    // A part of a long reply. True: the caller wants no more of it, and was told that this is the end.
    virtual bool on_piece(const api::Response& response) = 0;
    // Whether pieces are only gathered, so that the call may begin afresh after some.
    virtual bool gathers() const { return false; }
    virtual void begin_afresh() {}
    virtual void finish(const api::Response& response) = 0;
    virtual void fail(Error error) = 0;

    Arena arena{1024};
    api::Request request;
    void* owner{nullptr};   // the client
    Call* prev{nullptr};    // in the client's list of calls in flight
    Call* next{nullptr};
};

template <class Reply, class ApiReply>
class CallOf : public Call {
  public:
    explicit CallOf(std::function<void(Outcome<Reply>)> done) : done_(std::move(done)) {}

    bool on_piece(const api::Response&) override { return false; }   // only ranges have pieces
    void finish(const api::Response& response) override {
        const auto* mine = std::get_if<ApiReply>(&std::get<api::Result>(response.body));
        if (mine == nullptr) {
            fail(unexpected_reply());
            return;
        }
        Reply reply = to_public(*mine);
        set_header(reply, to_public(response.header));
        hand_out(std::move(reply), *mine);
    }
    void fail(Error error) override { done_(std::move(error)); }

  protected:
    virtual void hand_out(Reply reply, const ApiReply&) { done_(std::move(reply)); }
    static Error unexpected_reply() {
        return {ErrorCode::connection_lost, ErrorClass::indefinite, "ringfort: reply of another kind", {}};
    }
    std::function<void(Outcome<Reply>)> done_;
};

// An answer that may have to be asked for in parts: `rest` is given each, and says whether it asked for another.
template <class Reply, class ApiReply>
class PartsCall final : public CallOf<Reply, ApiReply> {
  public:
    using Rest = std::function<bool(Reply& part, bool more)>;
    PartsCall(Rest rest, std::function<void(Outcome<Reply>)> done)
        : CallOf<Reply, ApiReply>(std::move(done)), rest_(std::move(rest)) {}

  private:
    void hand_out(Reply part, const ApiReply& mine) override {
        if (!rest_(part, mine.more)) {
            this->done_(std::move(part));
        }
    }

    Rest rest_;
};

class GetCall final : public CallOf<GetReply, api::RangeResponse> {
  public:
    GetCall(Client::PieceCallback piece, std::function<void(Outcome<GetReply>)> done)
        : CallOf(std::move(done)), piece_(std::move(piece)) {}

    bool on_piece(const api::Response& response) override;
    bool gathers() const override { return !piece_; }
    void begin_afresh() override { gathered_.clear(); }
    void finish(const api::Response& response) override;

  private:
    // False: the caller has enough.
    bool take(std::vector<KeyValue> kvs);

    Client::PieceCallback piece_;       // empty: gather
    std::vector<KeyValue> gathered_;
};

}  // namespace ringfort::client
