#include "shard/owned_message.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

namespace ringfort::shard {

// The answer to a fetch waits for the link's credit, and whoever composed it is long gone.
TEST(OwnedMessage, keeps_entries_and_fetch_items_when_their_owner_is_gone) {
    std::vector<std::byte> payload(100, std::byte{7});
    std::vector<raft::Entry> entries{{{Term(3), LogIndex(5)}, raft::EntryKind::command, 42, payload}};
    std::vector<raft::FetchItem> items{{{Term(3), LogIndex(5)}, 42, raft::FetchResult::have},
                                       {{Term(3), LogIndex(6)}, 43, raft::FetchResult::damaged}};
    raft::Message message;
    message.type = raft::MessageType::fetch_response;
    message.entry_count = 1;
    message.entries = entries;
    message.fetch = items;
    std::deque<OwnedMessage> waiting;
    waiting.emplace_back(message);
    std::fill(payload.begin(), payload.end(), std::byte{0});
    entries[0] = {};
    items[0] = items[1] = {};

    const OwnedMessage owned = std::move(waiting.front());
    waiting.clear();
    const raft::Message view = owned.view();
    EXPECT_EQ(view.type, raft::MessageType::fetch_response);
    ASSERT_EQ(view.entries.size(), 1u);
    EXPECT_EQ(view.entries[0].id, (raft::EntryId{Term(3), LogIndex(5)}));
    EXPECT_EQ(view.entries[0].checksum, 42u);
    EXPECT_EQ(std::vector(view.entries[0].payload.begin(), view.entries[0].payload.end()),
              std::vector(100, std::byte{7}));
    ASSERT_EQ(view.fetch.size(), 2u);
    EXPECT_EQ(view.fetch[0].id, (raft::EntryId{Term(3), LogIndex(5)}));
    EXPECT_EQ(view.fetch[0].result, raft::FetchResult::have);
    EXPECT_EQ(view.fetch[1].checksum, 43u);
    EXPECT_EQ(view.fetch[1].result, raft::FetchResult::damaged);
}

}  // namespace ringfort::shard
