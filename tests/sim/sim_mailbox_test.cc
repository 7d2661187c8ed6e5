#include "sim/sim_mailbox.h"

#include <gtest/gtest.h>

namespace ringfort::sim {

namespace {
struct Receiver final : env::MailHandler {
    void on_mail(ShardId from, env::Mail mail) override {
        seen.emplace_back(from.value, mail.kind);
        if (again != nullptr) {
            EXPECT_TRUE(again->try_send(again->self(), env::Mail{9, {}, nullptr}));
            again = nullptr;
        }
    }
    std::vector<std::pair<std::uint64_t, std::uint32_t>> seen;
    SimMailbox* again{nullptr};
};
}  // namespace

TEST(SimMailbox, holds_exactly_its_capacity_and_leaves_refused_mail_untouched) {
    MailboxGroup group(2, 3);
    auto& from = group.mailbox(ShardId(0));
    for (std::uint32_t i = 0; i < 3; i++) {
        EXPECT_EQ(from.free_slots(ShardId(1)), 3 - i);
        EXPECT_TRUE(from.try_send(ShardId(1), env::Mail{i, {}, nullptr}));
    }
    env::Mail extra{7, {}, std::make_unique<env::MailBuffer>()};
    EXPECT_FALSE(from.try_send(ShardId(1), std::move(extra)));
    EXPECT_NE(extra.buffer, nullptr);
    EXPECT_EQ(from.free_slots(ShardId(0)), 3u);
    Receiver receiver;
    group.mailbox(ShardId(1)).dispatch(receiver);
    EXPECT_EQ(receiver.seen, (std::vector<std::pair<std::uint64_t, std::uint32_t>>{{0, 0}, {0, 1}, {0, 2}}));
    EXPECT_EQ(from.free_slots(ShardId(1)), 3u);
}

TEST(SimMailbox, rings_the_receiver_and_mail_sent_while_handling_waits) {
    MailboxGroup group(2, 4);
    int rung = 0;
    group.set_waker(ShardId(1), {[](void* context, std::uint64_t) { ++*static_cast<int*>(context); }, &rung, 0});
    EXPECT_TRUE(group.mailbox(ShardId(0)).try_send(ShardId(1), env::Mail{1, {}, nullptr}));
    EXPECT_EQ(rung, 1);
    Receiver receiver;
    receiver.again = &group.mailbox(ShardId(1));
    group.mailbox(ShardId(1)).dispatch(receiver);
    EXPECT_EQ(rung, 2);
    group.mailbox(ShardId(1)).dispatch(receiver);
    EXPECT_EQ(receiver.seen, (std::vector<std::pair<std::uint64_t, std::uint32_t>>{{0, 1}, {1, 9}}));
}

}  // namespace ringfort::sim
