// What ringfort/concurrency.h and ringfort/recipes.h promise, asked of a real cluster: RINGFORT_TEST_ENDPOINTS names it.
// Those called "over..." go on, while whoever runs them breaks something, until there is a line for each on standard input.
#include "ringfort/concurrency.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "ringfort/recipes.h"

namespace ringfort {
namespace {

using Clock = std::chrono::steady_clock;

ClientOptions options_of(Threading threading = Threading::background) {
    const char* const given = std::getenv("RINGFORT_TEST_ENDPOINTS");
    ClientOptions options;
    options.endpoints.clear();
    std::string text = given != nullptr ? given : "127.0.0.1:2379";
    for (std::size_t at = 0; at != std::string::npos;) {
        const std::size_t comma = text.find(',', at);
        options.endpoints.push_back(text.substr(at, comma == std::string::npos ? comma : comma - at));
        at = comma == std::string::npos ? comma : comma + 1;
    }
    options.threading = threading;
    return options;
}

// Lasts until the next line, or the end, of standard input.
class BadDay {
  public:
    BadDay() : listener_([this] {
        for (int read = 0; read != '\n' && read != EOF;) {
            read = std::getchar();
        }
        over_ = true;
    }) {}
    BadDay(const BadDay&) = delete;
    BadDay& operator=(const BadDay&) = delete;
    ~BadDay() { listener_.join(); }

    bool over() const { return over_; }

  private:
    std::atomic<bool> over_{false};
    std::thread listener_;
};

Session must_open(Client& client, std::int64_t ttl = 30, std::function<void()> lost = {}) {
    auto session = Session::open(client, {.ttl = ttl, .lost = std::move(lost)});
    EXPECT_TRUE(session) << session.error().text();
    return std::move(*session);
}

// Of this test alone.
std::string fresh_name() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    std::string name = std::string(test->name()) + "/" + std::to_string(Clock::now().time_since_epoch().count());
    return name;
}

Txn guarded(const Compare& guard, const std::string& key, const std::string& value) {
    Txn txn;
    txn.compares.push_back(guard);
    txn.success.push_back(OpPut{key, value, {}});
    return txn;
}

class Recipes : public testing::TestWithParam<Threading> {};
INSTANTIATE_TEST_SUITE_P(Threads, Recipes, testing::Values(Threading::background, Threading::polled),
                         [](const auto& one) { return one.param == Threading::polled ? "polled" : "background"; });

TEST_P(Recipes, a_lock_is_one_at_a_time_and_its_token_guards) {
    Client client(options_of(GetParam()));
    const std::string name = fresh_name();
    Session first = must_open(client);
    Session second = must_open(client);
    Lock a(first, name);
    Lock b(second, name);
    const auto held = a.lock();
    ASSERT_TRUE(held) << held.error().text();
    EXPECT_EQ(held->key, a.key());
    EXPECT_GT(held->token, 0);
    const auto waited = b.lock(200);
    ASSERT_FALSE(waited);
    EXPECT_EQ(waited.error().code, ErrorCode::timed_out);
    const auto tried = b.try_lock();
    ASSERT_FALSE(tried);
    EXPECT_EQ(tried.error().code, ErrorCode::locked);
    const auto again = a.lock();
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, ErrorCode::locked);
    auto done = client.txn(guarded(held->still_held(), name + "-guarded", "a"));
    EXPECT_TRUE(done && done->succeeded);

    ASSERT_TRUE(a.unlock());
    EXPECT_EQ(a.unlock().error().code, ErrorCode::not_held);
    done = client.txn(guarded(held->still_held(), name + "-guarded", "a, late"));
    EXPECT_TRUE(done && !done->succeeded);
    const auto next = b.try_lock();
    ASSERT_TRUE(next) << next.error().text();
    EXPECT_GT(next->token, held->token);
    ASSERT_TRUE(b.unlock());
    EXPECT_TRUE(client.get(name + "/", prefix(name + "/"))->kvs.empty()) << "nothing is left behind";
}

TEST_P(Recipes, two_locks_of_one_session_and_name_are_told_apart) {
    Client client(options_of(GetParam()));
    const std::string name = fresh_name();
    Session session = must_open(client);
    Lock a(session, name);
    Lock b(session, name);
    ASSERT_TRUE(a.lock());
    const auto other = b.lock();
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().code, ErrorCode::locked);
    ASSERT_TRUE(a.unlock());
    EXPECT_TRUE(b.lock());
}

TEST_P(Recipes, what_hangs_on_a_session_ends_with_it) {
    Client client(options_of(GetParam()));
    const std::string name = fresh_name();
    std::atomic<int> lost{0};
    Session first = must_open(client, 30, [&lost] { lost++; });
    Session second = must_open(client, 6, [&lost] { lost++; });
    Lock a(first, name);
    Lock b(second, name);
    ASSERT_TRUE(a.lock());
    EXPECT_FALSE(first.lost());
    ASSERT_TRUE(first.close());
    EXPECT_TRUE(first.lost());
    EXPECT_EQ(a.unlock().error().code, ErrorCode::session_lost);
    EXPECT_EQ(a.lock().error().code, ErrorCode::session_lost);
    const auto held = b.lock(5000);
    ASSERT_TRUE(held) << held.error().text();
    EXPECT_EQ(lost, 0) << "it was closed";
    ASSERT_TRUE(client.lease_revoke(second.lease()));
    EXPECT_TRUE(second.wait_lost(20'000));
    while (lost == 0) {   // told behind those who waited
        std::this_thread::yield();
    }
    EXPECT_EQ(b.unlock().error().code, ErrorCode::session_lost);
}

TEST_P(Recipes, an_election_has_a_leader_at_a_time_and_its_observers_see_each) {
    Client client(options_of(GetParam()));
    const std::string name = fresh_name();
    EXPECT_EQ(Election::leader(client, name).error().code, ErrorCode::no_elected);
    Observer observer(client, name);
    EXPECT_EQ(observer.next(50).error().code, ErrorCode::timed_out);
    Session first = must_open(client);
    Session second = must_open(client);
    Election a(first, name);
    Election b(second, name);
    EXPECT_EQ(b.proclaim("too early").error().code, ErrorCode::not_elected);
    ASSERT_TRUE(a.campaign("a1"));
    EXPECT_EQ(b.campaign("b0", 100).error().code, ErrorCode::timed_out);
    ASSERT_TRUE(a.proclaim("a2"));
    const auto leader = Election::leader(client, name);
    ASSERT_TRUE(leader);
    EXPECT_EQ(leader->kv.key, a.key());
    EXPECT_EQ(leader->kv.value, "a2");
    ASSERT_TRUE(a.resign());
    EXPECT_EQ(a.proclaim("too late").error().code, ErrorCode::not_elected);
    const auto elected = b.campaign("b1");
    ASSERT_TRUE(elected);
    for (const char* const value : {"a1", "a2", "b1"}) {
        const auto seen = observer.next(5000);
        ASSERT_TRUE(seen) << seen.error().text();
        EXPECT_EQ(seen->kv.value, value);
    }
    EXPECT_EQ(elected->token, Election::leader(client, name)->kv.create_revision);
}

TEST(RecipesThreads, unlock_ends_a_lock_that_waits_in_another_thread) {
    Client client(options_of());
    const std::string name = fresh_name();
    Session first = must_open(client);
    Session second = must_open(client);
    Lock a(first, name);
    Lock b(second, name);
    ASSERT_TRUE(a.lock());
    std::thread canceller([&client, &name, &b] {
        for (std::size_t in_line = 1; in_line < 2;) {
            const auto found = client.get(name + "/", prefix(name + "/"));
            in_line = found ? found->kvs.size() : 1;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(100));   // anywhere in the waiting
        EXPECT_TRUE(b.unlock());
    });
    const auto given_up = b.lock();
    canceller.join();
    ASSERT_FALSE(given_up);
    EXPECT_EQ(given_up.error().code, ErrorCode::cancelled);
    ASSERT_TRUE(a.unlock());
    EXPECT_TRUE(b.try_lock()) << "nobody stands there";
}

TEST(RecipesThreads, whoever_waits_when_the_session_is_closed_is_told) {
    Client client(options_of());
    const std::string name = fresh_name();
    Session first = must_open(client);
    Session second = must_open(client);
    Lock a(first, name);
    ASSERT_TRUE(a.lock());
    std::mutex mutex;
    std::condition_variable told;
    std::vector<Outcome<Held>> outcomes;
    {
        Lock b(second, name);
        b.lock_async([&](Outcome<Held> held) {
            const std::lock_guard lock(mutex);
            outcomes.push_back(std::move(held));
            told.notify_one();
        });
        ASSERT_TRUE(second.close());
        std::unique_lock lock(mutex);
        ASSERT_TRUE(told.wait_for(lock, std::chrono::seconds(5), [&] { return !outcomes.empty(); }));
    }
    ASSERT_EQ(outcomes.size(), 1U);
    EXPECT_EQ(outcomes.front().error().code, ErrorCode::session_lost);
}

TEST(RecipesThreads, who_waits_is_told_when_the_client_goes) {
    const std::string name = fresh_name();
    Client other(options_of());
    Session holder = must_open(other);
    Lock held(holder, name);
    ASSERT_TRUE(held.lock());
    std::optional<Outcome<Held>> outcome;
    {
        Client client(options_of());
        Session session = must_open(client, 5);
        Lock lock(session, name);
        lock.lock_async([&outcome](Outcome<Held> end) { outcome.emplace(std::move(end)); });
    }
    ASSERT_TRUE(outcome.has_value());
    EXPECT_FALSE(*outcome);
}

TEST_P(Recipes, a_transaction_reads_one_revision_and_is_run_again_when_that_was_changed) {
    Client client(options_of(GetParam()));
    const std::string a = fresh_name() + "/a";
    const std::string b = fresh_name() + "/b";
    ASSERT_TRUE(client.put(a, "1"));
    int runs = 0;
    const auto done = run_stm(client, [&](Stm& stm) {
        const auto first = stm.get(a);
        if (runs++ == 0) {
            EXPECT_TRUE(client.put(a, "2"));
            EXPECT_TRUE(client.put(b, "2"));
            EXPECT_FALSE(stm.get(b)) << "it is of a later revision than the first";
        }
        stm.put(b, *first + "+");
        EXPECT_EQ(stm.get(b), *first + "+");
        return true;
    });
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(runs, 2);
    EXPECT_EQ(client.get(b)->kvs.front().value, "2+");
    const auto removed = run_stm(client, [&](Stm& stm) {
        stm.del(a);
        EXPECT_FALSE(stm.get(a));
        return true;
    });
    EXPECT_TRUE(removed);
    EXPECT_TRUE(client.get(a)->kvs.empty());
    const auto given_up = run_stm(client, [&](Stm& stm) {
        stm.put(a, "3");
        return false;
    });
    ASSERT_FALSE(given_up);
    EXPECT_EQ(given_up.error().code, ErrorCode::cancelled);
    EXPECT_TRUE(client.get(a)->kvs.empty());
    const auto read = run_stm(client, [&](Stm& stm) { return stm.get(b) == "2+"; });
    ASSERT_TRUE(read);
    EXPECT_GT(read->header.revision, 0);
}

TEST_P(Recipes, a_queue_gives_what_came_first_to_one_and_a_barrier_holds_until_it_is_released) {
    Client client(options_of(GetParam()));
    Queue queue(client, fresh_name());
    EXPECT_EQ(queue.dequeue(50).error().code, ErrorCode::timed_out);
    for (const char* const value : {"z", "a", "m"}) {
        ASSERT_TRUE(queue.enqueue(value));
    }
    for (const char* const value : {"z", "a", "m"}) {
        const auto taken = queue.dequeue(5000);
        ASSERT_TRUE(taken) << taken.error().text();
        EXPECT_EQ(taken->value, value);
    }
    Barrier barrier(client, fresh_name());
    EXPECT_TRUE(barrier.wait(0)) << "nobody holds it";
    ASSERT_TRUE(barrier.hold());
    ASSERT_TRUE(barrier.hold());
    EXPECT_EQ(barrier.wait(50).error().code, ErrorCode::timed_out);
    ASSERT_TRUE(barrier.release());
    EXPECT_TRUE(barrier.wait(0));
}

TEST(RecipesThreads, who_waits_at_a_queue_or_a_barrier_is_woken) {
    Client client(options_of());
    Client other(options_of());
    const std::string name = fresh_name();
    Queue queue(client, name);
    Barrier barrier(client, name + "-barrier");
    ASSERT_TRUE(barrier.hold());
    std::thread waiting([&] {
        Queue same(other, name);
        const auto taken = same.dequeue(10'000);
        EXPECT_TRUE(taken && taken->value == "job");
        EXPECT_TRUE(Barrier(other, name + "-barrier").wait(10'000));
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));   // most likely it waits by then
    EXPECT_TRUE(queue.enqueue("job"));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_TRUE(barrier.release());
    waiting.join();
}

TEST(RecipesThreads, who_waits_at_a_barrier_goes_on_when_it_is_released_and_held_again_at_once) {
    Client client(options_of());
    Client other(options_of());
    const std::string name = fresh_name();
    Barrier barrier(client, name);
    ASSERT_TRUE(barrier.hold());
    std::atomic<bool> waits{true};
    std::thread waiting([&] {
        const auto released = Barrier(other, name).wait(10'000);
        EXPECT_TRUE(released) << released.error().text();
        waits = false;
    });
    while (waits) {   // the first of these may come before it waits
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        client.del_async(name, {}, [](const Outcome<DeleteReply>&) {});
        client.put_async(name, {}, {}, [](const Outcome<PutReply>&) {});
    }
    waiting.join();
    EXPECT_TRUE(barrier.release());
}

// Two keys that are one number, moved up together by everybody: no step is lost, and nobody ever sees them differ.
TEST(RecipesThreads, over_the_cluster_s_bad_days_transactions_of_many_threads_sum_up) {
    const std::string name = fresh_name();
    const BadDay day;
    std::atomic<std::int64_t> certain{0};
    std::atomic<std::int64_t> possible{0};
    const auto step = [&name](Stm& stm) {
        const auto a = stm.get(name + "/a");
        const auto b = stm.get(name + "/b");
        if (!stm.failed()) {
            EXPECT_EQ(a, b) << "a snapshot, whether it is committed or not";
        }
        const std::string next = std::to_string(a ? std::stoll(*a) + 1 : 1);
        stm.put(name + "/a", next);
        stm.put(name + "/b", next);
        return true;
    };
    std::vector<std::thread> threads;
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 8; i++) {
        if (i % 2 == 0) {
            clients.push_back(std::make_unique<Client>(options_of()));
        }
        threads.emplace_back([&, client = clients.back().get()] {
            while (!day.over()) {
                const auto done = run_stm(*client, step, 20'000);
                certain += done ? 1 : 0;
                possible += !done && done.error().error_class == ErrorClass::indefinite ? 1 : 0;
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    const auto got = clients.front()->get(name + "/a");
    ASSERT_TRUE(got && !got->kvs.empty());
    const std::int64_t sum = std::stoll(got->kvs.front().value);
    EXPECT_GE(sum, certain);
    EXPECT_LE(sum, certain + possible);
    EXPECT_GT(certain, 0);
    if (possible == 0) {
        EXPECT_EQ(sum, certain);
    }
    std::printf("transactions that sum up: %lld\n", static_cast<long long>(certain));
}

// Each round of a thread: locks, reads, writes one more under its token, unlocks. Whatever happens meanwhile, the sum is
// that of the rounds, and no token is less than one before.
TEST(RecipesThreads, over_the_cluster_s_bad_days_locks_exclude_each_other) {
    const std::string name = fresh_name();
    const std::string counter = name + "-counter";
    const BadDay day;
    std::mutex mutex;
    std::int64_t last_token = 0;
    std::int64_t certain = 0;
    std::int64_t possible = 0;
    std::atomic<int> inside{0};
    const auto round = [&](Client& client, Lock& lock) {
        const auto held = lock.lock(20'000);
        ASSERT_TRUE(held) << held.error().text();
        EXPECT_EQ(inside++, 0) << "two at a time";
        {
            const std::lock_guard guard(mutex);
            EXPECT_GT(held->token, last_token);
            last_token = held->token;
        }
        const auto got = client.get(counter);
        if (got) {
            const std::int64_t count = got->kvs.empty() ? 0 : std::stoll(got->kvs.front().value);
            const auto done = client.txn(guarded(held->still_held(), counter, std::to_string(count + 1)));
            const std::lock_guard guard(mutex);
            EXPECT_TRUE(!done || done->succeeded) << "the session lives";
            certain += done ? 1 : 0;
            possible += done || done.error().error_class != ErrorClass::indefinite ? 0 : 1;
        }
        inside--;
        const auto unlocked = lock.unlock(10'000);
        EXPECT_TRUE(unlocked) << unlocked.error().text();
    };
    std::vector<std::thread> threads;
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 3; i++) {
        clients.push_back(std::make_unique<Client>(options_of()));
        for (int j = 0; j < 2; j++) {
            threads.emplace_back([&round, &day, &name, client = clients.back().get()] {
                Session session = must_open(*client);
                Lock lock(session, name);
                while (!day.over() && !testing::Test::HasFatalFailure()) {
                    round(*client, lock);
                }
            });
        }
    }
    for (auto& thread : threads) {
        thread.join();
    }
    const auto got = clients.front()->get(counter);
    ASSERT_TRUE(got && !got->kvs.empty());
    const std::int64_t sum = std::stoll(got->kvs.front().value);
    EXPECT_GE(sum, certain);
    EXPECT_LE(sum, certain + possible);
    EXPECT_GT(certain, 0);
    std::printf("rounds under the lock: %lld\n", static_cast<long long>(certain));
}

TEST(RecipesThreads, over_the_cluster_s_bad_days_observers_see_every_leader_in_order) {
    const std::string name = fresh_name();
    const BadDay day;
    Client observing(options_of());
    Observer observer(observing, name);
    std::mutex mutex;
    std::vector<std::pair<std::int64_t, std::string>> proclaimed;   // by the revision it is known to have been made at
    std::vector<std::thread> threads;
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 3; i++) {
        clients.push_back(std::make_unique<Client>(options_of()));
        threads.emplace_back([&, i, client = clients.back().get()] {
            Session session = must_open(*client);
            Election election(session, name);
            for (int term = 0; !day.over(); term++) {
                const std::string value = std::to_string(i) + "." + std::to_string(term);
                const auto elected = election.campaign(value, 20'000);
                ASSERT_TRUE(elected) << elected.error().text();
                const auto said = election.proclaim(value + "!", 20'000);
                EXPECT_TRUE(said) << said.error().text();
                if (said) {
                    const std::lock_guard guard(mutex);
                    proclaimed.emplace_back(said->revision, value + "!");
                }
                EXPECT_TRUE(election.resign(20'000));
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    std::ranges::sort(proclaimed);
    std::size_t at = 0;
    std::int64_t token = 0;
    std::int64_t revision = 0;
    while (at < proclaimed.size()) {
        const auto seen = observer.next(20'000);
        ASSERT_TRUE(seen) << seen.error().text() << "; the next is " << proclaimed[at].second;
        EXPECT_GE(seen->kv.create_revision, token);
        EXPECT_GT(seen->header.revision, revision);
        token = seen->kv.create_revision;
        revision = seen->header.revision;
        at += seen->kv.mod_revision == proclaimed[at].first && seen->kv.value == proclaimed[at].second ? 1U : 0U;
    }
    EXPECT_GT(at, 0U);
    std::printf("leaders seen in order: %zu\n", at);
}

}  // namespace
}  // namespace ringfort
