// What goes to a mirror's destination together.
#include "mirror.h"

#include <gtest/gtest.h>

namespace ringctl {
namespace {

using ringfort::Event;
using ringfort::EventType;
using ringfort::KeyValue;

class Mirroring : public testing::Test {
  protected:
    static KeyValue kv(std::string key, std::string value = "v") {
        KeyValue out;
        out.key = std::move(key);
        out.value = std::move(value);
        return out;
    }
    static Event put(std::string key) {
        Event out;
        out.kv = kv(std::move(key));
        return out;
    }
    static Event removal(std::string key) {
        Event out;
        out.type = EventType::remove;
        out.kv.key = std::move(key);
        return out;
    }
    // "put KEY", "del KEY" of each transaction.
    std::vector<std::vector<std::string>> told() const {
        std::vector<std::vector<std::string>> out;
        for (const ringfort::Txn& txn : committed) {
            EXPECT_TRUE(txn.compares.empty() && txn.failure.empty());
            out.emplace_back();
            for (const ringfort::Op& op : txn.success) {
                const auto* one = std::get_if<ringfort::OpPut>(&op);
                out.back().push_back(one != nullptr ? "put " + one->key : "del " + std::get<ringfort::OpDelete>(op).key);
            }
        }
        return out;
    }

    MirrorOptions options{.prefix = "app/", .destination_prefix = "copy/", .txn_ops_max = 3};
    std::vector<ringfort::Txn> committed;
    MirrorBatch batch{options, [this](ringfort::Txn txn) { committed.push_back(std::move(txn)); }};
};

using Told = std::vector<std::vector<std::string>>;

TEST_F(Mirroring, takes_as_many_pairs_of_the_base_together_as_a_transaction_holds) {
    for (const char* key : {"app/1", "app/2", "app/3", "app/4"}) {
        batch.put(kv(key));
    }
    batch.flush();
    EXPECT_EQ(told(), (Told{{"put copy/1", "put copy/2", "put copy/3"}, {"put copy/4"}}));
    EXPECT_EQ(batch.count(), 4U);
}

TEST_F(Mirroring, of_large_pairs_takes_fewer) {
    const std::string large(300 * 1024, 'x');
    batch.put(kv("app/1", large));
    batch.put(kv("app/2", large));
    batch.flush();
    EXPECT_EQ(told(), (Told{{"put copy/1"}, {"put copy/2"}}));
}

TEST_F(Mirroring, tells_each_revision_alone_and_all_of_it_at_once) {
    batch.put(kv("app/0"));
    batch.tell({put("app/1"), removal("app/2")});
    batch.tell({put("app/2")});
    batch.tell({});
    EXPECT_EQ(told(), (Told{{"put copy/0"}, {"put copy/1", "del copy/2"}, {"put copy/2"}}));
    EXPECT_EQ(std::get<ringfort::OpPut>(committed[1].success[0]).value, "v");
}

TEST_F(Mirroring, divides_only_a_revision_of_more_changes_than_a_transaction_holds) {
    batch.tell({put("app/1"), put("app/2"), put("app/3"), put("app/4")});
    EXPECT_EQ(told(), (Told{{"put copy/1", "put copy/2", "put copy/3"}, {"put copy/4"}}));
}

TEST_F(Mirroring, puts_the_one_prefix_in_the_place_of_the_other) {
    EXPECT_EQ(batch.destination_key("app/app/1"), "copy/app/1");
    options.destination_prefix.clear();
    EXPECT_EQ(batch.destination_key("app/1"), "1");
}

}  // namespace
}  // namespace ringctl
