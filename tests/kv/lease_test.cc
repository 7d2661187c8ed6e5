// Leases in the state machine: what ends when, what hangs on what, and that long work is cut into steps.
#include <set>

#include "base/prng.h"
#include "kv/byte_reader.h"
#include "kv/checkpoint_format.h"
#include "store_driver.h"

namespace ringfort::kv {
namespace {

constexpr std::int64_t second_ns = 1'000'000'000;

LeaseStamp at(std::int64_t seconds, std::uint64_t term = 1) { return {Term(term), LeaseTime{seconds * second_ns}}; }

class LeaseDriver : public Driver {
  public:
    using Driver::Driver;
    api::Errc grant(api::LeaseId id, std::int64_t ttl, std::int64_t now = 0) { return error(LeaseGrant{at(now), id, ttl}); }
    api::Errc attach(std::string_view key, api::LeaseId id) {
        return error(api::PutRequest{.key = key, .value = "v", .lease = id});
    }
    api::Errc revoke(api::LeaseId id, std::int64_t now = 0) { return error(LeaseRevoke{at(now), id}); }
    api::Errc expire(api::LeaseId id, const LeaseStamp& stamp) {
        const auto facts = store.lease(id);
        return error(LeaseExpire{stamp, id, facts ? facts->version : LogIndex(1)});
    }
    api::Errc renew(std::vector<api::LeaseId> ids, std::int64_t now) {
        return error(LeaseKeepAlive{at(now), ids});
    }
    std::vector<std::string> keys_of(api::LeaseId id) {
        std::vector<std::string_view> found;
        EXPECT_FALSE(store.list_lease_keys(id, {}, {1000, 1 << 20}, found));
        return {found.begin(), found.end()};
    }
    std::set<api::LeaseId> expired(LeaseTime now) {
        std::vector<Store::ExpiredLease> found;
        WorkBudget budget{INT64_MAX, INT64_MAX};
        EXPECT_FALSE(store.find_expired(now, budget, SIZE_MAX, found));
        std::set<api::LeaseId> out;
        for (const auto& lease : found) {
            EXPECT_TRUE(out.insert(lease.id).second);
        }
        return out;
    }
    std::vector<std::byte> checkpoint() {
        const auto writer = store.open_checkpoint();
        return rest_of(*writer);
    }
    static std::vector<std::byte> rest_of(CheckpointWriter& writer) {
        std::vector<std::byte> out;
        std::vector<std::byte> piece(64 * kib);
        for (;;) {
            WorkBudget budget;
            const auto [bytes, step] = writer.next(piece, budget);
            out.insert(out.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(bytes));
            if (step == Step::done) {
                return out;
            }
        }
    }
};

bool load(Store& store, Bytes bytes) {
    const auto reader = store.load_checkpoint();
    std::size_t consumed = 0;
    WorkBudget budget{INT64_MAX, INT64_MAX};
    return reader->feed(bytes, budget, consumed) && reader->finish();
}

TEST(Lease, is_granted_once_and_answers_with_its_time) {
    LeaseDriver driver;
    const auto granted = driver.must<api::LeaseGrantResponse>(LeaseGrant{at(3), 7, 10});
    EXPECT_EQ(granted.id, 7);
    EXPECT_EQ(granted.ttl, 10);
    EXPECT_EQ(driver.store.lease(7)->deadline, LeaseTime{13 * second_ns});
    EXPECT_EQ(driver.grant(7, 5, 4), api::Errc::lease_exists);
    EXPECT_EQ(driver.store.lease(7)->deadline, LeaseTime{13 * second_ns});
    EXPECT_EQ(driver.store.revision(), 1);
    EXPECT_EQ(driver.store.lease_clock(), LeaseTime{4 * second_ns});
}

TEST(Lease, revoke_removes_its_keys_in_order_at_one_revision) {
    LeaseDriver driver;
    driver.grant(7, 10);
    for (const std::string_view key : {"c", "a", "b"}) {
        EXPECT_EQ(driver.attach(key, 7), api::Errc::ok);
    }
    driver.put("d", "stays");
    EXPECT_EQ(driver.keys_of(7), (std::vector<std::string>{"a", "b", "c"}));
    EXPECT_EQ(driver.store.revision(), 5);
    EXPECT_EQ(driver.revoke(7), api::Errc::ok);
    EXPECT_EQ(driver.store.revision(), 6);
    EXPECT_EQ(driver.store.key_count(), 1u);
    EXPECT_EQ(driver.store.get("a", 5)->lease, 7);
    EXPECT_FALSE(driver.store.get("a"));
    EXPECT_EQ(driver.revoke(7), api::Errc::lease_not_found);
    EXPECT_EQ(driver.store.lease_count(), 0u);
}

TEST(Lease, without_keys_ends_without_a_revision) {
    LeaseDriver driver;
    driver.grant(7, 10);
    EXPECT_EQ(driver.revoke(7), api::Errc::ok);
    EXPECT_EQ(driver.store.revision(), 1);
}

TEST(Lease, follows_the_key_that_is_put_again_kept_or_removed) {
    LeaseDriver driver;
    driver.grant(1, 10);
    driver.grant(2, 10);
    driver.attach("a", 1);
    driver.attach("a", 2);
    EXPECT_TRUE(driver.keys_of(1).empty());
    EXPECT_EQ(driver.keys_of(2), std::vector<std::string>{"a"});
    EXPECT_EQ(driver.error(api::PutRequest{.key = "a", .value = "w", .ignore_lease = true}), api::Errc::ok);
    EXPECT_EQ(driver.keys_of(2), std::vector<std::string>{"a"});
    driver.put("a", "detached");
    EXPECT_TRUE(driver.keys_of(2).empty());
    driver.attach("a", 2);
    driver.remove("a");
    EXPECT_TRUE(driver.keys_of(2).empty());
    driver.put("a", "again");
    EXPECT_EQ(driver.revoke(1), api::Errc::ok);
    EXPECT_EQ(driver.revoke(2), api::Errc::ok);
    EXPECT_EQ(driver.store.get("a")->value, "again");
    driver.store.check_invariants();
}

TEST(Lease, a_transaction_that_names_one_that_is_not_there_changes_nothing) {
    LeaseDriver driver;
    driver.grant(1, 10);
    const api::RequestOp ops[] = {{api::PutRequest{.key = "a", .value = "v", .lease = 1}},
                                  {api::PutRequest{.key = "b", .value = "v", .lease = 2}}};
    EXPECT_EQ(driver.error(api::TxnRequest{{}, ops, {}}), api::Errc::lease_not_found);
    EXPECT_TRUE(driver.keys_of(1).empty());
    EXPECT_EQ(driver.store.revision(), 1);
}

TEST(Lease, expiry_is_void_once_it_was_renewed_or_another_leader_keeps_it) {
    LeaseDriver driver;
    driver.grant(7, 10);
    driver.attach("a", 7);
    const LogIndex version = driver.store.lease(7)->version;
    driver.renew({7}, 9);
    EXPECT_EQ(driver.error(LeaseExpire{at(10), 7, version}), api::Errc::lease_not_found);
    EXPECT_EQ(driver.expire(7, at(10, 0)), api::Errc::lease_not_found);   // proposed in a term before
    driver.error(LeaseTick{at(19, 2)});
    EXPECT_EQ(driver.expire(7, at(19, 1)), api::Errc::lease_not_found);
    EXPECT_TRUE(driver.store.get("a"));
    EXPECT_EQ(driver.expire(7, at(19, 2)), api::Errc::ok);
    EXPECT_FALSE(driver.store.get("a"));
}

TEST(Lease, revoked_and_granted_anew_is_not_ended_by_what_was_meant_for_the_former) {
    LeaseDriver driver;
    driver.grant(7, 10);
    const LogIndex version = driver.store.lease(7)->version;
    driver.revoke(7);
    driver.grant(7, 10);
    EXPECT_EQ(driver.error(LeaseExpire{at(10), 7, version}), api::Errc::lease_not_found);
    EXPECT_EQ(driver.store.lease_count(), 1u);
}

TEST(Lease, clock_never_goes_back_and_a_late_reading_shortens_nothing) {
    LeaseDriver driver;
    driver.error(LeaseTick{at(100)});
    driver.grant(7, 10, 50);
    EXPECT_EQ(driver.store.lease_clock(), LeaseTime{100 * second_ns});
    EXPECT_EQ(driver.store.lease(7)->deadline, LeaseTime{110 * second_ns});
    driver.renew({7}, 60);
    EXPECT_EQ(driver.store.lease(7)->deadline, LeaseTime{110 * second_ns});
}

TEST(Lease, keep_alive_renews_those_that_exist) {
    LeaseDriver driver;
    driver.grant(1, 10);
    driver.grant(3, 30);
    driver.renew({1, 2, 3}, 5);
    EXPECT_EQ(driver.store.lease(1)->deadline, LeaseTime{15 * second_ns});
    EXPECT_EQ(driver.store.lease(3)->deadline, LeaseTime{35 * second_ns});
    EXPECT_EQ(driver.store.lease(1)->version, driver.store.applied());
    EXPECT_FALSE(driver.store.lease(2));
}

TEST(Lease, of_the_longest_time_does_not_overflow) {
    LeaseDriver driver;
    EXPECT_EQ(driver.error(LeaseGrant{{Term(1), LeaseTime{lease_clock_max_ns}}, 7, limits::lease_ttl_max_s}),
              api::Errc::ok);
    EXPECT_EQ(driver.store.lease(7)->deadline, lease_never);
    EXPECT_TRUE(driver.expired(LeaseTime{lease_clock_max_ns}).empty());
    driver.store.check_invariants();
}

TEST(LeaseWheel, finds_each_lease_within_a_slot_of_its_deadline_and_not_before) {
    LeaseDriver driver;
    Prng prng(3);
    for (api::LeaseId id = 1; id <= 300; id++) {
        driver.grant(id, static_cast<std::int64_t>(prng.between(1, 200)));
    }
    std::map<api::LeaseId, LeaseTime> found;
    for (LeaseTime now{0}; now.ns < 210 * second_ns; now.ns += 40'000'000) {
        for (const api::LeaseId id : driver.expired(now)) {
            found.emplace(id, now);
        }
        if (prng.one_in(50)) {
            const auto id = static_cast<api::LeaseId>(prng.between(1, 300));
            if (!found.contains(id)) {
                driver.error(LeaseKeepAlive{{Term(1), now}, std::span(&id, 1)});
            }
        }
    }
    for (api::LeaseId id = 1; id <= 300; id++) {
        const LeaseTime deadline = driver.store.lease(id)->deadline;
        if (deadline.ns > 209 * second_ns) {
            continue;
        }
        ASSERT_TRUE(found.contains(id));
        EXPECT_GE(found[id], deadline);
        EXPECT_LE(found[id].ns - deadline.ns, LeaseTable::wheel_slot.count() + 40'000'000);
    }
}

TEST(LeaseWheel, finds_again_what_is_still_there_and_everything_after_a_long_rest) {
    LeaseDriver driver;
    for (api::LeaseId id = 1; id <= 50; id++) {
        driver.grant(id, id * 10);
    }
    EXPECT_EQ(driver.expired(LeaseTime{300 * second_ns}).size(), 30u);
    EXPECT_TRUE(driver.expired(LeaseTime{300 * second_ns + second_ns / 16}).empty());
    EXPECT_EQ(driver.expired(LeaseTime{300 * second_ns + second_ns / 4}).size(), 30u);
    for (api::LeaseId id = 1; id <= 30; id++) {
        driver.revoke(id);
    }
    EXPECT_EQ(driver.expired(LeaseTime{100'000 * second_ns}).size(), 20u);
    driver.store.check_invariants();
}

TEST(LeaseWheel, turns_in_steps) {
    LeaseDriver driver;
    for (api::LeaseId id = 1; id <= 5000; id++) {
        driver.grant(id, 10);
    }
    std::vector<Store::ExpiredLease> found;
    int steps = 1;
    for (bool more = true; more; steps++) {
        WorkBudget budget{100, 1 << 20};
        const std::size_t before = found.size();
        more = driver.store.find_expired(LeaseTime{11 * second_ns}, budget, SIZE_MAX, found);
        EXPECT_LE(found.size() - before, 100u);
    }
    EXPECT_EQ(found.size(), 5000u);
    EXPECT_GE(steps, 50);
}

TEST(LeaseSteps, ending_100_000_keys_is_cut_into_steps_and_is_seen_at_once) {
    LeaseDriver driver;
    driver.wants_answer = false;
    driver.grant(7, 10);
    constexpr unsigned key_count = 100'000;
    for (unsigned i = 0; i < key_count; i++) {
        driver.attach("key" + std::to_string(i * 7919ull % key_count), 7);
    }
    const api::Revision before = driver.store.revision();
    driver.begin(command_of(LeaseExpire{at(10), 7, driver.store.lease(7)->version}));
    for (bool more = true; more;) {
        ASSERT_EQ(driver.store.revision(), before);
        ASSERT_EQ(driver.store.get("key77")->lease, 7);
        WorkBudget budget;
        more = driver.store.step(budget) == Step::more;
        driver.steps++;
        ASSERT_GE(budget.keys, -overdraft_max);
    }
    EXPECT_GE(driver.steps, static_cast<int>(key_count * 4 / 2000));
    EXPECT_EQ(driver.store.revision(), before + 1);
    EXPECT_EQ(driver.store.key_count(), 0u);
    EXPECT_EQ(driver.store.lease_count(), 0u);
}

TEST(LeaseSteps, keys_that_change_their_lease_cost_more_and_others_nothing) {
    LeaseDriver driver;
    driver.grant(1, 10);
    driver.grant(2, 10);
    driver.put("a", "v");
    const auto cost = [&](const CommandBody& body) {
        driver.begin(command_of(body));
        WorkBudget budget{1000, 1 << 20};
        EXPECT_EQ(driver.store.step(budget), Step::done);
        return 1000 - budget.keys;
    };
    const auto put = [&](api::LeaseId id) { return cost(api::PutRequest{.key = "a", .value = "w", .lease = id}); };
    const std::int64_t plain = put(0);
    constexpr std::int64_t each = StoreState::attachment_keys;
    EXPECT_EQ(put(1), plain + each);
    EXPECT_EQ(put(1), plain);
    EXPECT_EQ(put(2), plain + 2 * each);
    EXPECT_EQ(put(0), plain + each);
    const auto remove = [&] { return cost(api::DeleteRangeRequest{.key = "a", .range_end = {}, .prev_kv = false}); };
    const std::int64_t plain_removal = remove();
    put(2);
    EXPECT_EQ(remove(), plain_removal + each);
}

TEST(LeaseSteps, renewing_100_000_leases_is_cut_into_steps) {
    LeaseDriver driver;
    std::vector<api::LeaseId> ids;
    for (api::LeaseId id = 1; id <= 100'000; id++) {
        driver.grant(id, 10);
        ids.push_back(id);
    }
    driver.begin(command_of(LeaseKeepAlive{at(5), ids}));
    int steps = 0;
    for (bool more = true; more; steps++) {
        WorkBudget budget;
        more = driver.store.step(budget) == Step::more;
        ASSERT_GE(budget.keys, -overdraft_max);
    }
    EXPECT_GE(steps, 50);
    EXPECT_EQ(driver.store.lease(77)->deadline, LeaseTime{15 * second_ns});
}

TEST(LeaseMemory, of_a_lease_and_of_a_key_attached_is_what_the_table_says) {
    LeaseDriver driver;
    const std::uint64_t empty = driver.store.live_bytes();
    constexpr std::uint64_t leases = 1000;
    for (std::uint64_t id = 1; id <= leases; id++) {
        driver.grant(static_cast<api::LeaseId>(id), 10);
    }
    EXPECT_EQ(driver.store.live_bytes() - empty, leases * lease_node_bytes);
    EXPECT_LE(lease_node_bytes, 152u);
    Driver other;
    for (std::uint64_t i = 0; i < leases; i++) {
        driver.attach("key" + std::to_string(i), static_cast<api::LeaseId>(i % 10 + 1));
        other.put("key" + std::to_string(i), "v");
    }
    EXPECT_EQ(driver.store.live_bytes() - empty - leases * lease_node_bytes, other.store.live_bytes() - empty + leases * 48);
    for (std::uint64_t id = 1; id <= leases; id++) {
        driver.revoke(static_cast<api::LeaseId>(id));
    }
    other.remove(endless, endless);
    for (Driver* one : std::initializer_list<Driver*>{&driver, &other}) {
        one->compact(one->store.revision());
        one->forget_all();
    }
    EXPECT_EQ(driver.store.live_bytes(), other.store.live_bytes());
}

TEST(LeaseCheckpoint, gives_the_table_as_it_was_at_the_cut_whatever_happens_meanwhile) {
    LeaseDriver driver;
    for (api::LeaseId id = -3000; id <= 3000; id += 2) {
        driver.grant(id == 0 ? 1 : id, 10);
    }
    for (int i = 0; i < 100; i++) {
        driver.attach("key" + std::to_string(i), -3000 + 2 * (i / 3));
    }
    const std::uint64_t hash = driver.store.hash();
    const auto quiet = driver.checkpoint();
    const auto writer = driver.store.open_checkpoint();
    std::vector<std::byte> busy;
    Prng prng(1);
    for (std::vector<std::byte> piece(400);;) {
        WorkBudget budget{10, 1 << 20};
        const auto [bytes, step] = writer->next(piece, budget);
        busy.insert(busy.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(bytes));
        if (step == Step::done) {
            break;
        }
        for (int i = 0; i < 3; i++) {
            const auto id = static_cast<api::LeaseId>(prng.between(1, 6000)) - 3000;
            if (id == 0) {
                continue;
            }
            switch (prng.below(4)) {
                case 0: driver.grant(id, 20, 5); break;
                case 1: driver.revoke(id, 5); break;
                case 2: driver.renew({id}, 5); break;
                default: driver.attach("key" + std::to_string(prng.below(200)), id); break;
            }
        }
    }
    EXPECT_EQ(busy == quiet, true);
    Store loaded{StoreOptions{}};
    ASSERT_TRUE(load(loaded, busy));
    loaded.check_invariants();
    EXPECT_EQ(loaded.hash(), hash);
    EXPECT_EQ(loaded.lease_count(), 3001u);
}

TEST(LeaseCheckpoint, keeps_no_more_than_the_leases_of_the_cut) {
    Slab slab;
    LeaseTable table(slab);
    LogIndex applied{};
    const auto grant = [&](api::LeaseId id) -> Lease& {
        applied = applied.next();
        return table.add(id, {10, table.deadline_of(10), applied});
    };
    for (api::LeaseId id = 10; id <= 30; id += 10) {
        grant(id);
    }
    LeaseSnapshot snapshot(table, applied);
    for (api::LeaseId id = 1000; id < 2000; id++) {
        Lease& granted = grant(id);
        applied = applied.next();
        table.renew(granted, applied);
        if (id % 2 == 0) {
            table.erase(granted);
        }
    }
    EXPECT_EQ(snapshot.kept(), 0u);
    table.erase(*table.find(20));
    grant(20);
    for (const api::LeaseId id : {20, 30}) {
        applied = applied.next();
        table.renew(*table.find(id), applied);
    }
    EXPECT_EQ(snapshot.kept(), 2u);
    std::vector<std::pair<api::LeaseId, std::uint64_t>> found;
    WorkBudget budget;
    while (const auto item = snapshot.next(budget)) {
        found.emplace_back(item->id, item->facts.version.value);
    }
    EXPECT_EQ(found, (std::vector<std::pair<api::LeaseId, std::uint64_t>>{{10, 1}, {20, 2}, {30, 3}}));
    EXPECT_EQ(snapshot.kept(), 0u);
}

TEST(LeaseCheckpoint, has_no_leases_where_nobody_spoke_of_any) {
    LeaseDriver without;
    without.put("a", "v");
    LeaseDriver with;
    with.put("a", "v");
    const std::size_t bytes = with.checkpoint().size();
    with.error(LeaseTick{at(0)});
    EXPECT_EQ(without.checkpoint().size(), bytes);
    EXPECT_EQ(with.checkpoint().size(), bytes + checkpoint::leases_bytes);
}

// One block with these items behind the head of an empty store.
std::vector<std::byte> stream_with(Bytes items) {
    LeaseDriver driver;
    std::vector<std::byte> out = driver.checkpoint();
    const auto head_block = checkpoint::block_head_bytes + checkpoint::head_bytes;
    std::vector<std::byte> payload(out.begin() + checkpoint::block_head_bytes,
                                   out.begin() + static_cast<std::ptrdiff_t>(head_block));
    store(payload.data() + 1 + 8 + 4 + 8, std::uint64_t{100});   // applied
    payload.insert(payload.end(), items.begin(), items.end());
    const std::uint64_t sum = checksum(payload, 0);
    std::vector<std::byte> block(checkpoint::block_head_bytes);
    store(block.data(), static_cast<std::uint32_t>(payload.size()));
    store(block.data() + 4, std::uint32_t{0});
    store(block.data() + 8, sum);
    block.insert(block.end(), payload.begin(), payload.end());
    std::vector<std::byte> end(checkpoint::end_bytes);
    end[0] = std::byte{4};
    store(end.data() + 17, checkpoint::chain_content(0, sum));
    std::vector<std::byte> last(checkpoint::block_head_bytes);
    store(last.data(), static_cast<std::uint32_t>(end.size()));
    store(last.data() + 4, std::uint32_t{1});
    store(last.data() + 8, checksum(end, 1));
    block.insert(block.end(), last.begin(), last.end());
    block.insert(block.end(), end.begin(), end.end());
    return block;
}

struct Section {
    std::uint32_t version{1};
    std::int64_t clock{5};
    std::uint64_t term{1};
    std::uint64_t count{1};
    std::int64_t id{7};
    std::int64_t ttl{10};
    std::int64_t deadline{9};
    std::uint64_t lease_version{100};

    std::vector<std::byte> bytes(int leases = 1) const {
        std::vector<std::byte> out(checkpoint::leases_bytes + static_cast<std::size_t>(leases) * checkpoint::lease_bytes);
        ByteWriter writer(out);
        writer.number(std::uint8_t{5});
        writer.number(version);
        writer.number(clock);
        writer.number(term);
        writer.number(count);
        for (int i = 0; i < leases; i++) {
            writer.number(std::uint8_t{6});
            writer.number(id);
            writer.number(ttl);
            writer.number(deadline);
            writer.number(lease_version);
        }
        return out;
    }
};

TEST(LeaseCheckpoint, is_refused_at_each_bound) {
    const auto loads = [](const std::vector<std::byte>& items) {
        Store store{StoreOptions{}};
        return load(store, stream_with(items));
    };
    EXPECT_TRUE(loads({}));
    EXPECT_TRUE(loads(Section{}.bytes()));
    EXPECT_TRUE(loads(Section{.ttl = limits::lease_ttl_max_s}.bytes()));
    EXPECT_TRUE(loads(Section{.clock = lease_clock_max_ns}.bytes()));
    EXPECT_TRUE(loads(Section{.count = 0}.bytes(0)));
    EXPECT_FALSE(loads(Section{.version = 2}.bytes()));
    EXPECT_FALSE(loads(Section{.clock = -1}.bytes()));
    EXPECT_FALSE(loads(Section{.clock = lease_clock_max_ns + 1}.bytes()));
    EXPECT_FALSE(loads(Section{.clock = 0, .term = 0}.bytes()));
    EXPECT_FALSE(loads(Section{.count = 0}.bytes()));
    EXPECT_FALSE(loads(Section{.count = 2}.bytes()));
    EXPECT_FALSE(loads(Section{.count = 2}.bytes(2)));   // the same id twice
    EXPECT_FALSE(loads(Section{.id = 0}.bytes()));
    EXPECT_FALSE(loads(Section{.ttl = 0}.bytes()));
    EXPECT_FALSE(loads(Section{.ttl = limits::lease_ttl_max_s + 1}.bytes()));
    EXPECT_FALSE(loads(Section{.deadline = -1}.bytes()));
    EXPECT_FALSE(loads(Section{.lease_version = 0}.bytes()));
    EXPECT_FALSE(loads(Section{.lease_version = 101}.bytes()));
    auto twice = Section{.count = 0}.bytes(0);
    const auto again = twice;
    twice.insert(twice.end(), again.begin(), again.end());
    EXPECT_FALSE(loads(twice));
}

}  // namespace
}  // namespace ringfort::kv
