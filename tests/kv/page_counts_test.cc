// Reads page by page while writes go on: each page counts right, and for the work of a page.
#include "kv/page_counts.h"

#include <array>

#include "store_driver.h"

namespace ringfort::kv {
namespace {

constexpr int total_keys = 4000;
constexpr std::int64_t page_keys = 50;
// Looks at keys that a page may take besides those it tells: one more, and removed ones among them.
constexpr std::int64_t page_work_max = page_keys + 10;

std::string paged_key(int number) { return "key" + std::to_string(10'000 + number); }

void fill_pages(Driver& driver) {
    for (int i = 0; i < total_keys; i++) {
        driver.put(paged_key(i), "v");
    }
}

struct Page {
    Driver::Answer answer;
    std::int64_t work{0};   // in keys walked
};

Page read_page(Driver& driver, const api::RangeRequest& request) {
    Page out;
    auto read = driver.store.open_range(request);
    if (!read) {
        ADD_FAILURE() << api::error_name(read.error().code);
        return out;
    }
    for (Step step = Step::more; step == Step::more;) {
        Arena arena;
        api::RangeResponse piece;
        WorkBudget budget{30, 1 << 20};   // a page takes several steps
        step = (*read)->step(budget, 1 << 20, arena, piece);
        out.work += 30 - budget.keys;
        const Driver::Answer copied = Driver::copy(piece);
        out.answer.pairs.insert(out.answer.pairs.end(), copied.pairs.begin(), copied.pairs.end());
        out.answer.more = copied.more;
        out.answer.count = copied.count;
    }
    return out;
}

// As clients page: behind the last key, to the same end, at the first page's revision.
class Pager {
  public:
    Pager(Driver& driver, api::RangeRequest request) : driver_(driver), request_(request) {
        request_.limit = page_keys;
        key_ = request.key;
        end_ = request.range_end;
    }

    Page next() {
        request_.key = key_;
        request_.range_end = end_;
        Page page = read_page(driver_, request_);
        told_ += static_cast<std::int64_t>(page.answer.pairs.size());
        more_ = page.answer.more;
        if (more_ && request_.sort_order == api::SortOrder::descend) {
            end_ = page.answer.pairs.back().key;
        } else if (more_) {
            key_ = page.answer.pairs.back().key + '\0';
        }
        return page;
    }
    bool more() const { return more_; }
    std::int64_t told() const { return told_; }
    api::RangeRequest& request() { return request_; }

  private:
    Driver& driver_;
    api::RangeRequest request_;
    std::string key_, end_;
    std::int64_t told_{0};
    bool more_{true};
};

api::RangeRequest all_keys() { return {.key = "key", .range_end = "kez"}; }

// Everything but the first page, with changes all over the interval between them; `count` keys are there at its revision.
void expect_cheap_pages(Driver& driver, Pager& pager, std::int64_t count) {
    for (int page = 0; pager.more(); page++) {
        driver.put(paged_key(page * 61 % total_keys), "later");
        driver.put(paged_key(page * 61 % total_keys) + "+", "new");
        driver.remove(paged_key((page * 37 + 11) % total_keys));
        const std::int64_t before = pager.told();
        const Page got = pager.next();
        ASSERT_EQ(got.answer.count, count - before);
        ASSERT_LE(got.work, 3 * page_work_max) << "the last page looks at what came since, too";
    }
    EXPECT_EQ(pager.told(), count);
}

TEST(PageCounts, of_pages_behind_writes_cost_no_walk) {
    Driver driver;
    fill_pages(driver);
    Pager pager(driver, all_keys());
    EXPECT_EQ(pager.next().answer.count, total_keys);
    pager.request().revision = driver.store.revision();
    expect_cheap_pages(driver, pager, total_keys);
}

TEST(PageCounts, of_a_reader_who_begins_in_the_past_cost_one_walk) {
    Driver driver;
    fill_pages(driver);
    Pager pager(driver, all_keys());
    pager.request().revision = driver.store.revision();
    driver.remove(paged_key(3));
    const Page first = pager.next();
    EXPECT_EQ(first.answer.count, total_keys);
    EXPECT_GE(first.work, total_keys);
    expect_cheap_pages(driver, pager, total_keys);
}

TEST(PageCounts, serve_readers_who_go_backward) {
    Driver driver;
    fill_pages(driver);
    api::RangeRequest request = all_keys();
    request.sort_order = api::SortOrder::descend;
    Pager pager(driver, request);
    EXPECT_EQ(pager.next().answer.pairs.front().key, paged_key(total_keys - 1));
    pager.request().revision = driver.store.revision();
    expect_cheap_pages(driver, pager, total_keys);
}

// Of the answer's total_keys every second passes the filter; the count is of all.
TEST(PageCounts, count_what_a_filter_leaves_out) {
    Driver driver;
    fill_pages(driver);
    const api::Revision filled = driver.store.revision();
    for (int i = 0; i < total_keys; i += 2) {
        driver.put(paged_key(i), "again");
    }
    api::RangeRequest request = all_keys();
    request.min_mod_revision = filled + 1;
    request.revision = driver.store.revision();
    Pager pager(driver, request);
    Page page = pager.next();
    EXPECT_EQ(page.answer.count, total_keys);
    driver.remove(paged_key(total_keys - 1));
    std::int64_t passed = 2 * page_keys - 1;   // up to the last key told
    while (pager.more()) {
        page = pager.next();
        ASSERT_EQ(page.answer.count, total_keys - passed);
        ASSERT_LE(page.work, 3 * page_work_max);
        passed += 2 * page_keys;
    }
    EXPECT_EQ(pager.told(), total_keys / 2);
}

TEST(PageCounts, hold_for_whatever_else_is_asked_of_the_interval) {
    Driver driver;
    fill_pages(driver);
    Pager pager(driver, all_keys());
    const std::string next = pager.next().answer.pairs.back().key + '\0';
    api::RangeRequest request = all_keys();
    request.key = next;
    request.revision = driver.store.revision();
    driver.remove("key", "kez");
    request.count_only = true;
    Page page = read_page(driver, request);
    EXPECT_EQ(page.answer.count, total_keys - page_keys);
    EXPECT_EQ(page.work, 0);
    request.count_only = false;
    request.limit = 1;
    request.sort_target = api::SortTarget::mod;
    request.sort_order = api::SortOrder::descend;
    page = read_page(driver, request);
    EXPECT_EQ(page.answer.count, total_keys - page_keys);
    EXPECT_EQ(page.answer.pairs.at(0).key, paged_key(total_keys - 1));
    request.max_mod_revision = 1;
    page = read_page(driver, request);
    EXPECT_EQ(page.answer.count, total_keys - page_keys);
    EXPECT_TRUE(page.answer.pairs.empty());
    request = all_keys();
    request.key = next;
    EXPECT_EQ(read_page(driver, request).answer.count, 0) << "another revision";
    request.revision = driver.store.revision() - 1;
    const std::string other_end = paged_key(100);
    request.range_end = other_end;
    EXPECT_EQ(read_page(driver, request).answer.count, 100 - page_keys) << "another end";
    request.range_end = endless;
    EXPECT_EQ(read_page(driver, request).answer.count, total_keys - page_keys) << "no end";
}

TEST(PageCounts, are_not_left_by_transactions_whose_revision_goes_on_to_change) {
    Driver driver;
    for (const char* key : {"a", "b", "c"}) {
        driver.put(key, "v");
    }
    const api::RangeRequest first{.key = "a", .range_end = endless, .limit = 1};
    const std::array ops{api::RequestOp{first}, api::RequestOp{api::PutRequest{.key = "d", .value = "v"}}};
    ASSERT_TRUE(driver.must<api::TxnResponse>(api::TxnRequest{{}, ops, {}}).succeeded);
    EXPECT_EQ(driver.store.page_count_bytes(), 0u);
    api::RangeRequest rest{.key = std::string_view("a\0", 2), .range_end = endless, .revision = driver.store.revision()};
    driver.put("e", "v");
    EXPECT_EQ(read_page(driver, rest).answer.count, 3);
}

TEST(PageCounts, of_the_past_are_not_displaced_by_reads_of_today_and_all_are_bounded) {
    Driver driver;
    fill_pages(driver);
    Pager pager(driver, all_keys());
    pager.next();
    pager.request().revision = driver.store.revision();
    driver.put("other", "v");
    pager.next();
    api::RangeRequest today = all_keys();
    today.limit = 1;
    const std::string long_end = "kez" + std::string(PageCounts::key_bytes_max / 8, 'z');
    for (std::size_t i = 0; i < 3 * PageCounts::counts_max; i++) {
        driver.put("other", "v");
        today.range_end = i % 2 == 0 ? std::string_view(long_end) : all_keys().range_end;
        EXPECT_EQ(read_page(driver, today).answer.count, total_keys);
        ASSERT_LE(driver.store.page_count_bytes(), PageCounts::bytes_max());
    }
    EXPECT_GT(driver.store.page_count_bytes(), PageCounts::key_bytes_max / 2) << "so that the bound was put to the test";
    const Page page = pager.next();
    EXPECT_EQ(page.answer.count, total_keys - 2 * page_keys);
    EXPECT_LE(page.work, page_work_max);
}

TEST(PageCounts, find_what_was_added_last_and_forget_the_oldest) {
    PageCounts counts;
    const auto add = [&](std::size_t number) {
        counts.add(PageCounts::Source::page, {std::to_string(number), "z"}, 5, number);
    };
    for (std::size_t i = 0; i <= PageCounts::counts_max; i++) {
        add(i);
    }
    EXPECT_FALSE(counts.find({"0", "z"}, 5));
    EXPECT_EQ(counts.find({"1", "z"}, 5), 1u);
    EXPECT_EQ(counts.find({std::to_string(PageCounts::counts_max), "z"}, 5), PageCounts::counts_max);
    EXPECT_FALSE(counts.find({"1", "z"}, 4));
    EXPECT_FALSE(counts.find({"1", std::nullopt}, 5));
    EXPECT_FALSE(counts.find({"1z", ""}, 5)) << "the same bytes, divided otherwise";
    const std::uint64_t before = counts.bytes();
    add(7);
    EXPECT_EQ(counts.bytes(), before) << "it is there";
    const std::string too_long(PageCounts::key_bytes_max + 1, 'k');
    counts.add(PageCounts::Source::page, {too_long, std::nullopt}, 5, 1);
    EXPECT_EQ(counts.bytes(), before);
    EXPECT_FALSE(counts.find({too_long, std::nullopt}, 5));
}

TEST(PageCounts, go_with_the_revisions_that_are_compacted) {
    Driver driver;
    fill_pages(driver);
    Pager pager(driver, all_keys());
    pager.next();
    pager.request().revision = driver.store.revision();
    driver.put("other", "v");
    // Under way while its revision is compacted: it ends well, and leaves nothing.
    api::RangeRequest request = pager.request();
    request.key = "key";
    auto read = *driver.store.open_range(request);
    pager.next();
    EXPECT_GT(driver.store.page_count_bytes(), 0u);
    ASSERT_EQ(driver.compact(pager.request().revision), api::Errc::ok);
    EXPECT_GT(driver.store.page_count_bytes(), 0u) << "the compacted revision itself can be read";
    ASSERT_EQ(driver.compact(driver.store.revision()), api::Errc::ok);
    EXPECT_EQ(driver.store.page_count_bytes(), 0u);
    Arena arena;
    api::RangeResponse out;
    WorkBudget all{INT64_MAX, INT64_MAX};
    EXPECT_EQ(read->step(all, SIZE_MAX, arena, out), Step::done);
    EXPECT_EQ(out.count, total_keys);
    EXPECT_EQ(driver.store.page_count_bytes(), 0u);
}

}  // namespace
}  // namespace ringfort::kv
