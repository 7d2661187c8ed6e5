// The judge of watches: a true story passes, and each promise broken is called by its name.
#include "sim/checkers/watch.h"

#include <gtest/gtest.h>

#include "history_builder.h"
#include "sim/checkers/domain.h"

namespace ringfort::sim {
namespace {

using Kind = WatchTold::Kind;

StepRequest put(std::string key, std::string value) { return HistoryBuilder::put(std::move(key), std::move(value)); }

// 2: a=1. 3: b=2. 4: a=3 and c=4. 5: a removed. 6: b=5.
class WatchJudging : public testing::Test {
  protected:
    WatchJudging() {
        for (const auto& steps : std::vector<std::vector<StepRequest>>{
                 {put("a", "1")},
                 {put("b", "2")},
                 {put("a", "3"), put("c", "4")},
                 {HistoryBuilder::remove("a")},
                 {put("b", "5")}}) {
            RecordedOperation operation;
            operation.transaction = true;
            operation.success = steps;
            model.execute(operation);
        }
        watch.key = "a";
        watch.range_end = "d";
        watch.prev_kv = true;
        watch.told = {created(1), revision(2, {put_a1}), revision(3, {put_b2}), revision(4, {put_a3, put_c4}),
                      revision(5, {remove_a}), mark(5), revision(6, {put_b5})};
        watch.due = 6;
    }
    static WatchTold created(api::Revision at) { return {Kind::created, {}, at, {}, 0, api::Errc::ok}; }
    static WatchTold resumed() { return {Kind::resumed, {}, 0, {}, 0, api::Errc::ok}; }
    static WatchTold mark(api::Revision at) { return {Kind::mark, {}, at, {}, 0, api::Errc::ok}; }
    static WatchTold compacted(api::Revision at) { return {Kind::ended, {}, 0, {}, at, api::Errc::ok}; }
    static WatchTold revision(api::Revision at, std::vector<RecordedEvent> events) {
        return {Kind::revision, {}, at, std::move(events), 0, api::Errc::ok};
    }
    // "ok", or the name of the promise.
    std::string verdict(api::Revision compacted_max = 0) const {
        const std::string broken = check_watch(watch, {&model, compacted_max});
        return broken.empty() ? "ok" : broken.substr(0, broken.find(':'));
    }

    const RecordedKv a1{"a", "1", 2, 2, 1}, b2{"b", "2", 3, 3, 1}, a3{"a", "3", 2, 4, 2}, c4{"c", "4", 4, 4, 1},
        b5{"b", "5", 3, 6, 2};
    const RecordedEvent put_a1{false, a1, false, {}}, put_b2{false, b2, false, {}}, put_a3{false, a3, true, a1},
        put_c4{false, c4, false, {}}, remove_a{true, {"a", "", 0, 5, 0}, true, a3}, put_b5{false, b5, true, b2};
    KvModel model;
    RecordedWatch watch;
};

TEST_F(WatchJudging, what_is_true_and_whole_passes) {
    EXPECT_EQ(verdict(), "ok") << check_watch(watch, {&model, 0});
    watch.told.insert(watch.told.begin() + 3, resumed());
    EXPECT_EQ(verdict(), "ok");
}

TEST_F(WatchJudging, a_revision_left_out_is_not_reliable) {
    watch.told.erase(watch.told.begin() + 2);
    EXPECT_EQ(verdict(), "reliable");
}

TEST_F(WatchJudging, a_watch_of_whatever_lies_behind_a_key_misses_it) {
    watch.key.clear();
    watch.range_end = std::string(1, '\0');
    EXPECT_EQ(verdict(), "ok") << check_watch(watch, {&model, 0});
    watch.told.erase(watch.told.begin() + 2);
    EXPECT_EQ(verdict(), "reliable");
    EXPECT_NE(check_watch(watch, {&model, 0}).find("from 0 prev_kv"), std::string::npos);
}

TEST_F(WatchJudging, an_end_left_out_is_not_reliable) {
    watch.told.pop_back();
    EXPECT_EQ(verdict(), "reliable");
    watch.due = 5;
    EXPECT_EQ(verdict(), "ok");
}

TEST_F(WatchJudging, a_watch_that_ends_for_no_reason_is_not_reliable) {
    watch.due = 0;
    watch.told.push_back(compacted(0));
    EXPECT_EQ(verdict(), "reliable");
    watch.told.back().error = api::Errc::too_many_requests;
    EXPECT_EQ(verdict(), "ok");
}

TEST_F(WatchJudging, a_revision_told_again_is_not_unique) {
    watch.told.insert(watch.told.begin() + 3, watch.told[2]);
    EXPECT_EQ(verdict(), "unique");
}

TEST_F(WatchJudging, an_older_revision_is_not_ordered) {
    std::swap(watch.told[1], watch.told[2]);
    EXPECT_EQ(verdict(), "reliable") << "the older one is missed first";
    watch.told = {created(3), revision(4, {put_a3, put_c4}), revision(3, {put_b2})};
    EXPECT_EQ(verdict(), "ordered");
}

TEST_F(WatchJudging, parts_of_a_revision_are_not_atomic) {
    watch.told[3].events.pop_back();
    EXPECT_EQ(verdict(), "atomic");
    watch.told[3].events = {put_c4, put_a3};
    EXPECT_EQ(verdict(), "atomic");
}

TEST_F(WatchJudging, a_gap_or_a_repeat_behind_an_interruption_is_not_resumable) {
    watch.told.insert(watch.told.begin() + 3, {resumed(), watch.told[2]});
    EXPECT_EQ(verdict(), "resumable");
    watch.told.erase(watch.told.begin() + 4, watch.told.begin() + 6);
    EXPECT_EQ(verdict(), "resumable");
}

TEST_F(WatchJudging, a_mark_ahead_of_changes_is_not_bookmarkable) {
    watch.told.insert(watch.told.begin() + 2, mark(3));
    EXPECT_EQ(verdict(), "bookmarkable");
    watch.told[2] = mark(2);
    EXPECT_EQ(verdict(), "ok");
}

TEST_F(WatchJudging, what_was_not_asked_for_is_not_filtered) {
    watch.no_delete = true;
    EXPECT_EQ(verdict(), "filtered");
    watch.told.erase(watch.told.begin() + 4);
    EXPECT_EQ(verdict(), "ok");
    watch.range_end = "c";
    EXPECT_EQ(verdict(), "filtered");
}

TEST_F(WatchJudging, another_value_or_former_pair_is_not_true) {
    watch.told[3].events[1].kv.value = "5";
    EXPECT_EQ(verdict(), "true");
    watch.told[3].events[1] = put_c4;
    watch.told[3].events[0].prev.value = "2";
    EXPECT_EQ(verdict(), "true");
    watch.told[3].events[0].has_prev = false;
    EXPECT_EQ(verdict(), "true");
    EXPECT_EQ(verdict(4), "ok") << "what was before may be compacted";
    watch.told[3].events[0] = put_a3;
    watch.prev_kv = false;
    EXPECT_EQ(verdict(), "filtered");
}

TEST_F(WatchJudging, an_end_for_a_compaction_that_harms_nothing_is_wrong) {
    watch.due = 0;
    watch.told.resize(3);
    watch.told.push_back(compacted(4));
    EXPECT_EQ(verdict(6), "compaction");
    watch.told.back() = compacted(5);
    EXPECT_EQ(verdict(6), "ok");
    EXPECT_EQ(verdict(3), "compaction") << "nobody asked for that much";
}

// Whatever order the writes stand in.
TEST(DomainJudge, a_watch_that_fits_no_order_is_told_though_the_search_without_it_gives_up) {
    HistoryBuilder history;
    for (int i = 0; i < 30; i++) {
        history.unknown(0, put("a", std::to_string(i)));
    }
    history.ok(0, 1, 12, HistoryBuilder::remove("b"), {{}, 1, false});   // nothing made b
    const auto all = history.all();
    RecordedWatch watch;
    watch.key = "a";
    watch.start_revision = 2;
    const RecordedWatch* const watches[] = {&watch};
    const DomainStory story{.operations = all, .watches = watches};
    const DomainReport unknown = check_domain(story, 1000);
    EXPECT_TRUE(unknown.inconclusive);
    EXPECT_EQ(unknown.violation, "");
    watch.told = {{WatchTold::Kind::revision, {}, 2, {{false, {"a", "nobody's", 2, 2, 1}, false, {}}}, 0, api::Errc::ok}};
    const DomainReport wrong = check_domain(story, 1000);
    EXPECT_TRUE(wrong.inconclusive);
    EXPECT_NE(wrong.violation.find("nobody's"), std::string::npos) << wrong.violation;
}

// A write of unknown outcome stands where a watch saw it, and not where the search would try it first.
TEST_F(WatchJudging, as_a_witness_says_where_unknown_writes_stand) {
    HistoryBuilder history;
    history.unknown(0, put("k", "first"));
    history.unknown(0, put("k", "second"));
    history.ok(4, 4, 4, put("z", "end"));
    const auto all = history.all();
    RecordedWatch seen;
    seen.key = "k";
    seen.start_revision = 2;
    seen.told = {revision(2, {{false, {"k", "second", 2, 2, 1}, false, {}}}), mark(2)};
    const RecordedWatch* const watches[] = {&seen};
    KvModel found;
    const WatchWitness witness(watches);
    EXPECT_EQ(check_serializability(all, SearchAids{.witness = &witness, .model = &found}).violation, "");
    EXPECT_EQ(found.find("k", 2)->value, "second");
    EXPECT_EQ(found.find("k", 3)->value, "first");
    seen.told = {revision(2, {{false, {"k", "third", 2, 2, 1}, false, {}}})};
    const WatchWitness other(watches);
    EXPECT_NE(check_serializability(all, SearchAids{.witness = &other}).violation, "");
}

// Where a watch was told nothing, no write of unknown outcome stands that it would have been told of.
TEST_F(WatchJudging, as_a_witness_says_where_unknown_writes_do_not_stand) {
    HistoryBuilder history;
    for (const char* key : {"k", "l", "m"}) {
        history.unknown(0, put(key, key));
    }
    history.ok(4, 4, 5, put("z", "end"));
    const auto all = history.all();
    RecordedWatch silent;
    silent.key = "k";
    silent.start_revision = 2;
    silent.told = {mark(2), mark(3)};
    RecordedWatch wide;
    wide.key = "k";
    wide.range_end = "m";
    wide.start_revision = 3;
    wide.told = {mark(3)};
    const RecordedWatch* const watches[] = {&silent, &wide};
    const WatchWitness witness(watches);
    KvModel found;
    EXPECT_EQ(check_serializability(all, SearchAids{.witness = &witness, .model = &found}).violation, "");
    EXPECT_NE(found.find("l", 2), nullptr);
    EXPECT_NE(found.find("m", 3), nullptr);
    EXPECT_NE(found.find("k", 4), nullptr);
    wide.told = {mark(5)};
    const WatchWitness wider(watches);
    EXPECT_NE(check_serializability(all, SearchAids{.witness = &wider}).violation, "") << "k stands nowhere";
}

}  // namespace
}  // namespace ringfort::sim
