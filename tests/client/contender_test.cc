// Those who stand in line: whose turn it is, and what becomes of answers that are lost and requests that come late.
#include "client/contender.h"

#include <gtest/gtest.h>

#include "client/leader_watch.h"
#include "line_server.h"

namespace ringfort::client::test {
namespace {

using Luck = LineServer::Luck;
using Keys = std::vector<std::string>;
using Told = std::vector<std::string>;

std::string_view name_of(ContenderNews::Kind kind) {
    constexpr std::string_view names[] = {"held", "taken", "refused", "lost", "proclaimed", "unproclaimed", "left"};
    return names[static_cast<std::size_t>(kind)];
}

class ClientContender : public testing::Test {
  protected:
    struct One {
        One(Core& core, api::LeaseId lease, std::string_view name = "n")
            : contender(core, name, lease, &One::on_news, this) {}
        static void on_news(void* context, const ContenderNews& news) {
            static_cast<One*>(context)->told.emplace_back(name_of(news.kind));
        }
        void enter(std::string_view value = {}) { contender.enter(value); }
        Contender contender;
        Told told;
    };
    One& one(api::LeaseId lease) {
        all.push_back(std::make_unique<One>(*script.core, lease));
        return *all.back();
    }
    // All of them wait, in this order; the first holds.
    void enter(std::initializer_list<One*> line) {
        for (One* each : line) {
            each->enter();
            server.serve();
        }
    }

    CoreScript script;
    LineServer server{script};
    std::vector<std::unique_ptr<One>> all;   // go before their core
};

TEST_F(ClientContender, in_a_line_have_their_turns_in_the_order_they_came_and_one_is_woken_at_a_time) {
    One &a = one(1), &b = one(2), &c = one(3);
    enter({&a, &b, &c});
    EXPECT_EQ(server.keys(), (Keys{"n/1", "n/2", "n/3"}));
    EXPECT_EQ(server.watches(), 2U);
    EXPECT_EQ(a.told, Told{"held"});
    EXPECT_TRUE(b.told.empty());
    EXPECT_LT(a.contender.place(), b.contender.place());
    a.contender.leave();
    server.serve();
    EXPECT_EQ(a.told, (Told{"held", "left"}));
    EXPECT_EQ(b.told, Told{"held"});
    EXPECT_TRUE(c.told.empty());
    b.contender.leave();
    server.serve();
    EXPECT_EQ(c.told, Told{"held"});
    EXPECT_EQ(server.keys(), Keys{"n/3"});
}

TEST_F(ClientContender, behind_one_who_gives_up_do_not_take_that_for_their_turn) {
    One &a = one(1), &b = one(2), &c = one(3);
    enter({&a, &b, &c});
    b.contender.leave();
    server.serve();
    EXPECT_EQ(b.told, Told{"left"});
    EXPECT_TRUE(c.told.empty());
    EXPECT_EQ(server.watches(), 1U) << "of the first's key";
    a.contender.leave();
    server.serve();
    EXPECT_EQ(c.told, Told{"held"});
}

TEST_F(ClientContender, whose_entry_was_not_answered_finds_its_key) {
    server.luck = Luck::answer_lost;
    One& a = one(1);
    enter({&a});
    server.pass(1s);
    EXPECT_EQ(a.told, Told{"held"});
    EXPECT_EQ(a.contender.place(), 11);
    a.contender.leave();
    server.serve();
    EXPECT_EQ(server.keys(), Keys{"n/left-1"});
    a.enter();
    server.serve();
    EXPECT_EQ(a.told, (Told{"held", "left", "held"}));
}

TEST_F(ClientContender, who_left_does_not_stand_there_when_its_entry_arrives_late) {
    server.luck = Luck::late;
    One& a = one(1);
    a.enter();
    server.serve();
    a.contender.leave();
    server.pass(1s);
    EXPECT_EQ(a.told, Told{"left"});
    EXPECT_FALSE(server.let_late_arrive());
    One& b = one(2);
    enter({&b});
    EXPECT_EQ(b.told, Told{"held"});
    EXPECT_EQ(server.keys(), (Keys{"n/2", "n/left-1"}));
}

TEST_F(ClientContender, whose_entry_comes_late_beside_a_second_one_has_one_key_and_leaves_none) {
    server.luck = Luck::late;
    One& a = one(1);
    a.enter();
    server.serve();
    server.pass(1s);
    EXPECT_EQ(a.told, Told{"held"});
    a.contender.leave();
    server.serve();
    EXPECT_FALSE(server.let_late_arrive());
    EXPECT_EQ(server.keys(), Keys{"n/left-1"});
}

TEST_F(ClientContender, that_entered_again_keeps_its_key_when_an_earlier_leave_arrives_late) {
    server.luck = Luck::late;
    One& a = one(1);
    a.enter();
    server.serve();
    server.luck = Luck::late;
    a.contender.leave();
    server.serve();
    server.pass(1s);
    EXPECT_EQ(a.told, Told{"left"}) << "asked once more";
    a.enter();
    server.serve();
    EXPECT_EQ(a.told, (Told{"left", "held"}));
    EXPECT_FALSE(server.let_late_arrive()) << "the entry";
    EXPECT_FALSE(server.let_late_arrive()) << "the leave";
    EXPECT_EQ(server.keys(), (Keys{"n/1", "n/left-1"}));
}

TEST_F(ClientContender, whose_leave_in_doubt_had_come_through_is_out_and_enters_again) {
    server.luck = Luck::late;
    One& a = one(1);
    a.enter();
    server.serve();
    server.luck = Luck::answer_lost;
    a.contender.leave();
    server.serve();
    server.pass(1s);
    EXPECT_EQ(a.told, Told{"left"});
    EXPECT_FALSE(server.let_late_arrive());
    a.enter();
    server.serve();
    EXPECT_EQ(a.told, (Told{"left", "held"}));
}

TEST_F(ClientContender, that_leaves_in_doubt_without_room_for_the_mark_gives_up_its_key_and_marks_when_there_is) {
    server.luck = Luck::late;
    One &a = one(1), &b = one(2);
    a.enter();
    server.pass(1s);
    EXPECT_EQ(a.told, Told{"held"}) << "of its second entry";
    enter({&b});
    server.full = true;
    a.contender.leave();
    server.pass(1s);
    EXPECT_EQ(a.told, Told{"held"}) << "its first entry may yet come";
    EXPECT_EQ(b.told, Told{"held"});
    EXPECT_EQ(server.keys(), Keys{"n/2"});
    server.full = false;
    server.pass(1s);
    EXPECT_EQ(a.told, (Told{"held", "left"}));
    EXPECT_FALSE(server.let_late_arrive());
    EXPECT_EQ(server.keys(), (Keys{"n/2", "n/left-1"}));
}

TEST_F(ClientContender, of_a_name_that_ends_like_a_mark_are_in_nobodys_way) {
    server.luck = Luck::answer_lost;
    One& a = one(1);
    a.enter();
    server.serve();
    a.contender.leave();
    server.pass(1s);
    EXPECT_EQ(server.keys(), Keys{"n/left-1"});
    One other(*script.core, 2, "n/left");
    other.contender.enter({}, Contender::Entry::if_free);
    server.serve();
    EXPECT_EQ(other.told, Told{"held"});
}

TEST_F(ClientContender, that_leaves_without_an_answer_tries_until_it_has_one) {
    One &a = one(1), &b = one(2);
    enter({&a, &b});
    server.luck = Luck::answer_lost;
    a.contender.leave();
    server.serve();
    EXPECT_EQ(a.told, Told{"held"});
    server.pass(1s);
    EXPECT_EQ(a.told, (Told{"held", "left"}));
    EXPECT_EQ(b.told, Told{"held"});
}

TEST_F(ClientContender, that_enters_while_it_leaves_goes_to_the_end_of_the_line) {
    One &a = one(1), &b = one(2);
    enter({&a, &b});
    a.contender.leave();
    a.enter();
    server.serve();
    EXPECT_EQ(a.told, (Told{"held", "left"}));
    EXPECT_EQ(b.told, Told{"held"});
    b.contender.leave();
    server.serve();
    EXPECT_EQ(a.told, (Told{"held", "left", "held"}));
}

TEST_F(ClientContender, whose_key_is_gone_when_its_turn_would_come_is_told) {
    One &a = one(1), &b = one(2);
    enter({&a, &b});
    server.remove("n/2");
    EXPECT_TRUE(b.told.empty());
    a.contender.leave();
    server.serve();
    EXPECT_EQ(b.told, Told{"lost"});
    EXPECT_TRUE(b.contender.out());
}

TEST_F(ClientContender, comes_to_its_turn_when_the_lease_before_it_ends) {
    One &a = one(1), &b = one(2);
    enter({&a, &b});
    server.end_lease(1);
    EXPECT_EQ(b.told, Told{"held"});
    a.contender.leave();
    a.enter();
    server.pass(1s);
    EXPECT_EQ(a.told, (Told{"held", "left", "lost"})) << "its lease is gone";
}

TEST_F(ClientContender, whose_watch_is_compacted_looks_again) {
    One &a = one(1), &b = one(2);
    enter({&a, &b});
    server.end_watches(true);
    server.pass(1s);
    EXPECT_TRUE(b.told.empty());
    EXPECT_EQ(server.watches(), 1U);
    a.contender.leave();
    server.serve();
    EXPECT_EQ(b.told, Told{"held"});
}

TEST_F(ClientContender, whose_look_says_nothing_of_the_line_looks_again) {
    One &a = one(1), &b = one(2);
    server.curt = true;
    server.curt_looks = 2;
    enter({&a, &b});
    EXPECT_TRUE(a.told.empty());
    EXPECT_TRUE(b.told.empty());
    server.pass(1s);
    EXPECT_EQ(a.told, Told{"held"});
    EXPECT_TRUE(b.told.empty());
}

TEST_F(ClientContender, whose_answer_says_nothing_of_the_line_looks_for_itself) {
    One &a = one(1), &b = one(2);
    server.curt = true;
    enter({&a, &b});
    EXPECT_EQ(a.told, Told{"held"});
    EXPECT_TRUE(b.told.empty());
    a.contender.leave();
    server.serve();
    EXPECT_EQ(b.told, Told{"held"});
}

TEST_F(ClientContender, that_takes_only_what_is_free_stands_in_no_line) {
    One &a = one(1), &b = one(2);
    enter({&a});
    b.contender.enter({}, Contender::Entry::if_free);
    server.serve();
    EXPECT_EQ(b.told, Told{"taken"});
    EXPECT_EQ(server.keys(), Keys{"n/1"});
    a.contender.leave();
    server.serve();
    server.luck = Luck::answer_lost;
    b.contender.enter({}, Contender::Entry::if_free);
    server.serve();
    server.pass(1s);
    EXPECT_EQ(b.told, (Told{"taken", "held"})) << "what is in its way is its own key";
}

TEST_F(ClientContender, that_is_refused_is_out_and_what_may_pass_is_tried_again) {
    One& a = one(1);
    server.error = api::Errc::no_space;
    enter({&a});
    EXPECT_EQ(a.told, Told{"refused"});
    EXPECT_TRUE(a.contender.out());
    server.error = api::Errc::too_many_requests;
    a.enter();
    server.pass(2s);
    EXPECT_EQ(a.told, Told{"refused"});
    server.error = api::Errc::ok;
    server.pass(1s);
    EXPECT_EQ(a.told, (Told{"refused", "held"}));
}

TEST_F(ClientContender, whose_lease_is_over_asks_for_nothing_any_more) {
    One &a = one(1), &b = one(2);
    enter({&a, &b});
    b.contender.end();
    server.serve();
    EXPECT_EQ(server.watches(), 0U);
    EXPECT_TRUE(b.told.empty());
    a.contender.leave();
    a.contender.end();
    server.pass(1s);
    EXPECT_EQ(a.told, Told{"held"});
}

class ClientLeaders : public ClientContender {
  protected:
    static void on_leader(void* context, const LeaderNews& news) {
        static_cast<ClientLeaders*>(context)->seen.push_back(
            news.error != api::Errc::ok ? std::string(news.detail)
                                        : std::string(news.leader.key) + "=" + std::string(news.leader.value));
    }
    void observe() {
        observer.emplace(*script.core, "n", &ClientLeaders::on_leader, this);
        observer->start();
        server.serve();
    }
    std::optional<LeaderWatch> observer;
    Told seen;
};

TEST_F(ClientLeaders, are_seen_with_what_they_proclaim_one_after_the_other) {
    One &a = one(1), &b = one(2);
    observe();
    EXPECT_TRUE(seen.empty());
    a.enter("a1");
    server.serve();
    b.enter("b1");
    server.serve();
    a.contender.proclaim("a2");
    server.serve();
    a.contender.leave();
    server.serve();
    EXPECT_EQ(a.told, (Told{"held", "proclaimed", "left"}));
    EXPECT_EQ(seen, (Told{"n/1=a1", "n/1=a2", "n/2=b1"}));
}

TEST_F(ClientLeaders, are_read_anew_when_the_watch_was_compacted_and_told_once) {
    One& a = one(1);
    a.enter("a1");
    server.serve();
    observe();
    server.end_watches(true);
    server.pass(1s);
    EXPECT_EQ(seen, Told{"n/1=a1"});
    a.contender.proclaim("a2");
    server.serve();
    EXPECT_EQ(seen, (Told{"n/1=a1", "n/1=a2"}));
}

TEST_F(ClientLeaders, are_watched_on_from_where_the_watch_ended_and_none_is_left_out) {
    One& a = one(1);
    a.enter("a1");
    server.serve();
    observe();
    server.end_watches(false);
    for (const char* const value : {"a2", "a3"}) {
        a.contender.proclaim(value);
        server.serve();
    }
    EXPECT_EQ(seen, Told{"n/1=a1"});
    server.pass(1s);
    EXPECT_EQ(seen, (Told{"n/1=a1", "n/1=a2", "n/1=a3"}));
}

TEST_F(ClientLeaders, are_asked_for_again_where_there_is_no_room_for_watches_and_the_end_is_told_where_none_is_allowed) {
    One& a = one(1);
    a.enter("a1");
    observe();
    server.refuse_watches(api::Errc::too_many_requests);
    EXPECT_EQ(server.watches(), 0u);
    server.pass(1s);
    EXPECT_EQ(server.watches(), 1u);
    EXPECT_EQ(seen, Told{"n/1=a1"});
    server.refuse_watches(api::Errc::unsupported_request);
    EXPECT_EQ(seen, (Told{"n/1=a1", "as asked for"}));
    server.pass(1s);
    EXPECT_EQ(server.watches(), 0u);
}

TEST_F(ClientLeaders, a_proclamation_that_arrives_late_undoes_nothing) {
    One& a = one(1);
    a.enter("a1");
    observe();
    server.luck = Luck::late;
    a.contender.proclaim("a2");
    server.serve();
    server.pass(1s);
    EXPECT_EQ(a.told, (Told{"held", "proclaimed"}));
    a.contender.proclaim("a3");
    server.serve();
    EXPECT_FALSE(server.let_late_arrive());
    EXPECT_EQ(seen, (Told{"n/1=a1", "n/1=a2", "n/1=a3"}));
}

TEST_F(ClientLeaders, a_proclamation_without_an_answer_is_seen_and_another_follows) {
    One& a = one(1);
    a.enter("a1");
    observe();
    server.luck = Luck::answer_lost;
    a.contender.proclaim("a2");
    server.serve();
    server.pass(1s);
    EXPECT_EQ(a.told, (Told{"held", "proclaimed"}));
    a.contender.proclaim("a3");
    server.serve();
    EXPECT_EQ(seen.back(), "n/1=a3");
    server.remove("n/1");
    a.contender.proclaim("a4");
    server.serve();
    EXPECT_EQ(a.told.back(), "lost");
}

}  // namespace
}  // namespace ringfort::client::test
