// The public headers as a stranger meets them: C++17, this one library, no exceptions. Run without a cluster.
#include <ringfort/client.h>
#include <ringfort/concurrency.h>
#include <ringfort/recipes.h>

#include <cstdio>
#include <string>
#include <type_traits>

static_assert(__cplusplus < 202002L, "compiled as C++17: the headers promise it");
static_assert(std::is_nothrow_move_constructible<ringfort::Client>::value, "");
static_assert(!std::is_copy_constructible<ringfort::Client>::value, "");

int main() {
    ringfort::ClientOptions options;
    options.endpoints = {"127.0.0.1:1"};    // nobody listens there
    options.request_timeout_ms = 50;
    ringfort::Client client(options);

    ringfort::Txn txn;
    ringfort::Compare compare;
    compare.target = ringfort::CompareTarget::mod;
    compare.key = "k";
    compare.number = 7;
    txn.compares.push_back(compare);
    ringfort::OpPut put;
    put.key = "k";
    put.value = "new";
    txn.success.push_back(put);
    const auto done = client.txn(txn);
    if (done || done.error().code != ringfort::ErrorCode::no_leader ||
        done.error().error_class != ringfort::ErrorClass::definite) {
        std::fprintf(stderr, "not a definite no_leader: %s\n", done.error().text().c_str());
        return 1;
    }
    ringfort::SessionOptions session;
    session.ttl = 1;
    if (ringfort::Session::open(client, session)) {
        std::fprintf(stderr, "a session without a cluster\n");
        return 1;
    }
    ringfort::Held held;
    held.key = "n/1";
    held.token = 9;
    if (held.still_held().key != "n/1" || held.still_held().number != 9) {
        std::fprintf(stderr, "a token guards something else\n");
        return 1;
    }
    const auto counted = ringfort::run_stm(client, [](ringfort::Stm& stm) {
        stm.put("k", stm.get("k") ? "again" : "new");
        return true;
    });
    if (counted || counted.error().code != ringfort::ErrorCode::no_leader) {
        std::fprintf(stderr, "a transaction without a cluster\n");
        return 1;
    }
    bool told = false;
    {
        ringfort::Client other(options);
        other.put_async("k", "v", {}, [&told](const ringfort::Outcome<ringfort::PutReply>& outcome) {
            told = !outcome.ok();
        });
    }
    if (!told) {
        std::fprintf(stderr, "a request in flight was forgotten\n");
        return 1;
    }
    return 0;
}
