// The store against the naive model: random commands, reads, compactions and restores, everything cut into the smallest
// steps and interleaved. Each seed is one run; a failure names it.
#include <memory>
#include <utility>

#include "kv/store_impl.h"
#include "model.h"
#include "request_maker.h"

namespace ringfort::kv {
namespace {

std::vector<std::byte> write_checkpoint(Store& store, RequestMaker& maker) {
    auto writer = store.open_checkpoint();
    std::vector<std::byte> out;
    for (;;) {
        std::byte piece[300];
        WorkBudget budget{static_cast<std::int64_t>(maker.prng.between(1, 4)), 64};
        const std::size_t room = maker.prng.between(1, sizeof(piece));
        const auto [bytes, step] = writer->next(MutableBytes(piece).first(room), budget);
        out.insert(out.end(), piece, piece + bytes);
        if (step == Step::done) {
            return out;
        }
    }
}

bool load_checkpoint(Store& store, Bytes bytes, RequestMaker& maker) {
    auto reader = store.load_checkpoint();
    std::size_t at = 0;
    while (at < bytes.size()) {
        WorkBudget budget{static_cast<std::int64_t>(maker.prng.between(1, 5)), 64};
        const std::size_t part = std::min<std::size_t>(maker.prng.between(1, 500), bytes.size() - at);
        std::size_t consumed = 0;
        if (!reader->feed(bytes.subspan(at, part), budget, consumed)) {
            return false;
        }
        at += consumed;
    }
    return reader->finish();
}

class ModelRun {
  public:
    explicit ModelRun(std::uint64_t seed) : maker_(seed) { store_ = std::make_unique<Store>(options()); }

    void run(int commands) {
        for (int i = 0; i < commands && !::testing::Test::HasFatalFailure(); i++) {
            maker_.next_round();
            command();
            if (maker_.prng.one_in(3)) {
                read();
            }
            if (maker_.prng.one_in(40)) {
                restore();
            }
            if (maker_.prng.one_in(10)) {
                store_->check_invariants();
            }
        }
        while (!open_.empty()) {
            step_open_read();
        }
        while (checkpoint_) {
            step_checkpoint();
        }
        compare_all(*store_, model_);
    }

    int checkpoints_interleaved{0};
    int counts_found{0};   // by reads of the past, left by the pages before them

  private:
    // A request with texts of its own.
    struct Question {
        explicit Question(const api::RangeRequest& from) : key(from.key), range_end(from.range_end), fields(from) {}
        api::RangeRequest request() const {
            api::RangeRequest out = fields;
            out.key = key;
            out.range_end = range_end;
            return out;
        }

        std::string key, range_end;
        api::RangeRequest fields;   // but for the texts
    };
    struct OpenRead {
        Question question;
        std::unique_ptr<RangeRead> read;
        Model::Answer expected;
        Model::Answer found;
    };
    // Being written while commands and compaction go on.
    struct OpenCheckpoint {
        std::unique_ptr<CheckpointWriter> writer;
        std::vector<std::byte> bytes;
        Model cut;
        std::uint64_t hash;
        LogIndex applied;
    };

    StoreOptions options() { return {RangeId(3), maker_.prng.next()}; }
    WorkBudget tiny() { return {static_cast<std::int64_t>(maker_.prng.between(1, 3)), 40}; }

    void command() {
        for (const auto& [id, facts] : model_.leases) {
            maker_.lease_versions[id] = facts.version;
        }
        const CommandBody body = maker_.command(model_.revision);
        const auto bytes = command_of(body);
        const api::Revision before = store_->revision();
        index_ = index_.next();
        Arena arena;
        const bool wants = !maker_.prng.one_in(8);
        store_->begin(bytes, checksum(bytes), index_, wants ? &arena : nullptr);
        WorkBudget budget = tiny();
        while (store_->step(budget) == Step::more) {
            // In between: the former revision, for everybody.
            ASSERT_EQ(store_->revision(), before);
            if (maker_.prng.one_in(6)) {
                read();
            }
            other_work();
            budget = tiny();
        }
        const Model::Outcome expected = model_.apply(body);
        if (wants) {
            ASSERT_EQ(model_outcome(store_->outcome()) == expected, true) << "command " << index_.value;
        }
        ASSERT_EQ(store_->revision(), model_.revision);
        ASSERT_EQ(store_->compact_revision(), model_.compacted);
        ASSERT_EQ(store_->applied(), index_);
        ASSERT_EQ(store_->key_count(), model_.live_at(model_.revision).size());
        compare_leases(*store_, model_);
        other_work();
    }

    void other_work() {
        if (maker_.prng.one_in(2)) {
            WorkBudget budget = tiny();
            store_->compact_step(budget);
        }
        if (!open_.empty() && maker_.prng.one_in(2)) {
            step_open_read();
        }
        if (checkpoint_) {
            step_checkpoint();
        } else if (!store_->applying() && maker_.prng.one_in(20)) {
            checkpoint_ = OpenCheckpoint{store_->open_checkpoint(), {}, model_, store_->hash(), store_->applied()};
        }
    }

    void step_checkpoint() {
        std::byte piece[200];
        WorkBudget budget = tiny();
        const std::size_t room = maker_.prng.between(1, sizeof(piece));
        const auto [bytes, step] = checkpoint_->writer->next(MutableBytes(piece).first(room), budget);
        checkpoint_->bytes.insert(checkpoint_->bytes.end(), piece, piece + bytes);
        if (step == Step::more) {
            return;
        }
        Store loaded(options());
        ASSERT_TRUE(load_checkpoint(loaded, checkpoint_->bytes, maker_));
        loaded.check_invariants();
        ASSERT_EQ(loaded.hash(), checkpoint_->hash);
        ASSERT_EQ(loaded.applied(), checkpoint_->applied);
        ASSERT_EQ(loaded.revision(), checkpoint_->cut.revision);
        ASSERT_EQ(loaded.compact_revision(), checkpoint_->cut.compacted);
        compare_all(loaded, checkpoint_->cut);
        compare_leases(loaded, checkpoint_->cut);
        checkpoints_interleaved++;
        checkpoint_.reset();
    }

    // The read of which a limit cut off the rest goes on with that, mostly in the same way.
    void turn_the_page(const OpenRead& one) {
        const bool down = one.question.fields.sort_order == api::SortOrder::descend;
        if (!one.found.more || one.question.fields.sort_target != api::SortTarget::key) {
            return;
        }
        next_page_ = one.question;
        next_page_->fields.revision = one.read->revision();
        (down ? next_page_->range_end : next_page_->key) = one.found.pairs.back().key + std::string(down ? 0 : 1, '\0');
        if (maker_.prng.one_in(4)) {
            const api::RangeRequest other = maker_.range(model_.revision);
            next_page_->fields.limit = other.limit;
            next_page_->fields.sort_target = other.sort_target;
            next_page_->fields.count_only = other.count_only;
            next_page_->fields.min_mod_revision = other.min_mod_revision;
        }
    }

    bool count_was_left(const api::RangeRequest& request) const {
        return request.revision > 0 && request.revision < store_->revision() && !request.range_end.empty() &&
               store_->impl().page_counts.find(api::interval_of({request.key, request.range_end}), request.revision);
    }

    void read() {
        const bool goes_on = next_page_ && !maker_.prng.one_in(3);
        const Question question = goes_on ? *std::exchange(next_page_, {}) : Question(maker_.range(model_.revision));
        const api::RangeRequest request = question.request();
        counts_found += count_was_left(request) ? 1 : 0;
        const auto expected = model_.range(request);
        auto opened = store_->open_range(request);
        if (const auto* code = std::get_if<api::Errc>(&expected)) {
            ASSERT_FALSE(opened.has_value());
            ASSERT_EQ(opened.error().code, *code);
            return;
        }
        ASSERT_TRUE(opened.has_value());
        open_.push_back({question, std::move(*opened), std::get<Model::Answer>(expected), {}});
        const std::string key(request.key);
        const api::Revision at = request.revision <= 0 ? model_.revision : request.revision;
        const auto live = model_.live_at(at);
        const auto got = store_->get(key, request.revision);
        ASSERT_EQ(got.has_value(), live.contains(key));
        if (got) {
            ASSERT_EQ(Driver::copy(*got), live.at(key));
        }
    }

    void step_open_read() {
        const std::size_t which = maker_.prng.below(open_.size());
        OpenRead& one = open_[which];
        Arena arena;
        api::RangeResponse out;
        Step step = Step::more;
        const std::size_t piece_bytes = maker_.prng.between(1, 400);
        for (std::uint64_t steps = maker_.prng.between(1, 4); steps > 0 && step == Step::more; steps--) {
            WorkBudget budget = tiny();
            step = one.read->step(budget, piece_bytes, arena, out);
        }
        const Model::Answer piece = Driver::copy(out);
        one.found.pairs.insert(one.found.pairs.end(), piece.pairs.begin(), piece.pairs.end());
        one.found.more = piece.more;
        one.found.count = piece.count;
        if (step == Step::done) {
            EXPECT_EQ(one.found.pairs.size(), one.expected.pairs.size());
            ASSERT_EQ(one.found == one.expected, true);
            turn_the_page(one);
            open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(which));
        }
    }

    void restore() {
        const std::vector<std::byte> bytes = write_checkpoint(*store_, maker_);
        auto restored = std::make_unique<Store>(options());
        ASSERT_TRUE(load_checkpoint(*restored, bytes, maker_));
        restored->check_invariants();
        ASSERT_EQ(restored->hash(), store_->hash());
        ASSERT_EQ(restored->applied(), store_->applied());
        ASSERT_EQ(restored->key_count(), store_->key_count());
        ASSERT_EQ(write_checkpoint(*restored, maker_) == bytes, true);
        open_.clear();
        checkpoint_.reset();
        store_ = std::move(restored);
    }

    static void compare_leases(const Store& store, const Model& model) {
        ASSERT_TRUE(std::ranges::equal(store.alarms(), model.alarms));
        ASSERT_EQ(store.lease_clock().ns, model.lease_clock_ns);
        ASSERT_EQ(store.lease_term(), Term(model.lease_term));
        std::vector<api::LeaseId> ids;
        ASSERT_FALSE(store.list_leases({}, 1000, ids));
        ASSERT_EQ(ids.size(), model.leases.size());
        for (const auto& [id, facts] : model.leases) {
            ASSERT_EQ(store.lease(id), facts);
            std::vector<std::string_view> keys;
            ASSERT_FALSE(store.list_lease_keys(id, {}, {1000, 1 << 20}, keys));
            const auto expected = model.keys_of(id);
            ASSERT_TRUE(std::equal(keys.begin(), keys.end(), expected.begin(), expected.end()));
        }
    }

    static void compare_all(Store& store, const Model& model) {
        for (api::Revision at = std::max<api::Revision>(model.compacted, 1); at <= model.revision; at++) {
            api::RangeRequest all;
            all.key = std::string_view("\0", 1);
            all.range_end = all.key;
            all.revision = at;
            auto read = store.open_range(all);
            ASSERT_TRUE(read.has_value());
            Arena arena;
            api::RangeResponse out;
            WorkBudget budget{100000, 1 << 30};
            ASSERT_EQ((*read)->step(budget, 1 << 30, arena, out), Step::done);
            ASSERT_EQ(Driver::copy(out) == std::get<Model::Answer>(model.range(all)), true);
        }
    }

    RequestMaker maker_;
    Model model_;
    std::unique_ptr<Store> store_;
    std::vector<OpenRead> open_;
    std::optional<Question> next_page_;
    std::optional<OpenCheckpoint> checkpoint_;
    LogIndex index_{};
};

TEST(Store, does_what_the_naive_model_does_in_the_smallest_steps) {
    int checkpoints_interleaved = 0;
    int counts_found = 0;
    for (std::uint64_t seed = 1; seed <= 60; seed++) {
        SCOPED_TRACE(seed);
        ModelRun one(seed);
        one.run(250);
        if (::testing::Test::HasFailure()) {
            return;
        }
        checkpoints_interleaved += one.checkpoints_interleaved;
        counts_found += one.counts_found;
    }
    EXPECT_GT(checkpoints_interleaved, 60);
    EXPECT_GT(counts_found, 100);
}

TEST(Store, replicas_agree_whatever_their_budgets_answers_seeds_and_compaction) {
    for (std::uint64_t seed = 1; seed <= 20; seed++) {
        SCOPED_TRACE(seed);
        RequestMaker maker(seed);
        Driver first(WorkBudget{1, 1}, {RangeId(1), 1});
        Driver second(WorkBudget{5, 300}, {RangeId(1), 2});
        Driver third(WorkBudget{1000000, 1 << 30}, {RangeId(1), 3});
        third.wants_answer = false;
        for (int i = 0; i < 200; i++) {
            maker.next_round();
            for (api::LeaseId id = -3; id < 8; id++) {
                if (const auto facts = first.store.lease(id)) {
                    maker.lease_versions[id] = facts->version;
                }
            }
            const CommandBody body = maker.command(first.store.revision());
            const Model::Outcome a = model_outcome(first.apply(body));
            const Model::Outcome b = model_outcome(second.apply(body));
            third.apply(body);
            if (maker.prng.one_in(3)) {
                second.forget_all();
            }
            ASSERT_EQ(a == b, true);
            ASSERT_EQ(first.store.hash(), second.store.hash());
            ASSERT_EQ(first.store.hash(), third.store.hash());
            ASSERT_EQ(first.store.revision(), third.store.revision());
        }
        RequestMaker pieces(seed);
        const auto bytes = write_checkpoint(first.store, pieces);
        EXPECT_EQ(write_checkpoint(second.store, pieces) == bytes, true);
        EXPECT_EQ(write_checkpoint(third.store, pieces) == bytes, true);
    }
}

}  // namespace
}  // namespace ringfort::kv
