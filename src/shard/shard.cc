#include "shard/shard.h"

#include <algorithm>

#include "shard/auto_compaction.h"
#include "shard/bootstrap.h"
#include "shard/checkpoints.h"
#include "shard/context.h"
#include "shard/follower_reads.h"
#include "shard/forwards.h"
#include "shard/hash_walks.h"
#include "shard/inspect.h"
#include "shard/lease_keeper.h"
#include "shard/log_queue.h"
#include "shard/peer_links.h"
#include "shard/read_rounds.h"
#include "shard/replica.h"
#include "shard/replicas.h"
#include "shard/router.h"
#include "shard/sessions.h"
#include "shard/scrub.h"
#include "shard/space_alarms.h"
#include "shard/state_compare.h"
#include "shard/streams.h"
#include "shard/watches.h"

namespace ringfort::shard {

namespace {

// An orderly stop ends by itself after this, finished or not.
constexpr Duration stop_limit = 4s;
// With nothing pending any more, what peers and clients sent before they heard of the stop is still met by an answer: for
// so long at least, and at most while clients that were asked to leave do not.
constexpr Duration stop_linger = 50ms;
constexpr Duration stop_linger_max = 500ms;
constexpr Duration timer_interval = 1ms;
// A start that takes longer says so often how far it is.
constexpr Duration start_report_interval = 2s;

}  // namespace

struct Shard::Impl final : LogListener, env::MailHandler {
    Context context;
    LogStore log;
    PeerLinks links;
    Replicas replicas;
    ReadRounds rounds;
    FollowerReads follower_reads;
    Streams streams;
    Forwards forwards;
    LogQueue log_queue;
    LeaseKeeper leases;
    Watches watches;
    HashWalks hash_walks;
    Router router;
    Sessions sessions;
    Checkpoints checkpoints;
    Bootstrap bootstrap;
    AutoCompaction auto_compaction;
    Scrub scrub;
    SpaceAlarms space_alarms;
    StateCompare state_compare;
    Instant stop_at{never};
    Instant quiet_since{never};   // while stopping
    Instant timers_at{};
    bool stop_told{false};
    bool served{false};           // was ready()
    Instant start_report_at{};

    Impl(env::World& world, const NodeConfig& config);

    void on_recovered(RecoveredLog& recovered) override { bootstrap.on_recovered(recovered); }
    void on_durable(BatchSequence through) override {
        replicas.on_durable(through);
        checkpoints.on_durable(through);
    }
    void on_log_failed(std::string_view reason) override;
    void on_checkpoint_wanted(RangeId range) override { checkpoints.on_log_wants(range); }
    void on_mail(ShardId from, env::Mail mail) override { router.on_mail(from, std::move(mail)); }

    Instant turn();
    void timers();
    bool ready() const;
    void report_start();
    void advance_stop();
    bool compact();
    bool quiet() const;
    bool may_end();
};

namespace {

LogOptions log_options(const NodeConfig& config) {
    LogOptions options;
    options.shard = config.shard;
    options.shard_count = config.shard_count;
    options.members = config.members.size();
    options.instance = config.instance;
    options.directory = "shard-" + std::to_string(config.shard.value);
    options.segment_bytes = config.segment_bytes;
    options.window_bytes = config.log_window_bytes;
    options.log_bytes_goal = config.log_bytes_goal;
    return options;
}

}  // namespace

Shard::Impl::Impl(env::World& world, const NodeConfig& config)
    : context{world, config, Prng(world.seed)},
      log(world, log_options(config), *this),
      links(context),
      replicas(context),
      rounds(context),
      follower_reads(context),
      streams(context),
      forwards(context),
      log_queue(context),
      leases(context),
      watches(context),
      hash_walks(context),
      router(context),
      sessions(context),
      checkpoints(context),
      bootstrap(context),
      auto_compaction(context),
      scrub(context),
      space_alarms(context),
      state_compare(context) {
    context.now = world.clock.now();
    context.started_at = context.now;
    start_report_at = context.now + start_report_interval;
    context.log = &log;
    context.links = &links;
    context.replicas = &replicas;
    context.rounds = &rounds;
    context.follower_reads = &follower_reads;
    context.streams = &streams;
    context.forwards = &forwards;
    context.log_queue = &log_queue;
    context.leases = &leases;
    context.watches = &watches;
    context.hash_walks = &hash_walks;
    context.space_alarms = &space_alarms;
    context.state_compare = &state_compare;
    context.router = &router;
    context.sessions = &sessions;
    context.checkpoints = &checkpoints;
    replicas.set_bootstrap(bootstrap);
}

// The log took its last write. What was acknowledged is durable here or on others; nothing more is promised.
void Shard::Impl::on_log_failed(std::string_view reason) {
    // What is refused at a start has not failed: the reason stands by itself, and begins with the range it is about.
    const bool refused = log.failed_as() == env::Halt::refused;
    const std::string what = (refused ? "" : "the log failed: ") + std::string(reason);
    context.log_line(env::LogLevel::error, what);
    replicas.transfer_all();
    links.flush();
    context.halted = true;
    context.world.process.halt(log.failed_as(), what);
}

// The order of a turn, and why:
//   1. the disk first: what became durable lets answers and messages of this very turn go out;
//   2. what waits for room in the log, and peers, before clients: acknowledgements commit entries and free room before
//      new requests take it;
//   3. mail, then clients: both only add work that the batch below takes along;
//   4. timers after input: whoever was heard in this turn is not declared lost in it;
//   5. the turn's keep-alives as one entry; raft flush and apply once per replica, so that a turn's requests share one
//      append and one announcement;
//   6. reads after apply: a round confirmed in this turn is served in it; watches likewise, and before compaction;
//   7. the batch closes last, and then everything is sent: the append leaves with the leader's own write, not after it.
Instant Shard::Impl::turn() {
    context.now = context.world.clock.now();
    context.work = {};
    context.world.disk.dispatch();
    log_queue.run();
    context.world.network.dispatch(env::ConnectionClass::peer);
    context.world.mailbox.dispatch(*this);
    context.world.network.dispatch(env::ConnectionClass::client);
    if (context.now >= timers_at) {
        timers();
    }
    bool more = false;
    if (!context.halted) {
        leases.propose();
        more |= replicas.flush_and_apply();
        state_compare.run();
        more |= leases.run();
        more |= rounds.run();
        more |= follower_reads.run();
        more |= streams.run();
        more |= watches.run();
        more |= hash_walks.run();
        more |= checkpoints.run();
        more |= compact();
        log.close_batch(context.now);
        replicas.after_close_batch();
    }
    links.flush();
    sessions.flush();
    if (context.stopping) {
        advance_stop();
    }
    timers_at = std::min(timers_at, std::max(context.timers_wanted, context.now + timer_interval));
    context.timers_wanted = never;
    if (more || links.has_dirty() || sessions.has_dirty()) {
        return context.now;
    }
    return std::min({timers_at, log.next_deadline(), context.halted ? never : checkpoints.next_deadline()});
}

// Space of compacted revisions comes back a little per turn.
bool Shard::Impl::compact() {
    bool more = false;
    PartBudget budget(context.work, TurnPart::compaction);
    for (const auto& replica : replicas.all()) {
        kv::Store* store = replica->store();
        if (store != nullptr && !store->applying() && store->compaction_pending() && !budget.spent()) {
            store->compact_step(budget);
            more |= store->compaction_pending();
        }
        replica->answer_reclaimed();
    }
    return more;
}

void Shard::Impl::timers() {
    links.on_timers(context.now);
    replicas.on_timers(context.now);
    rounds.expire(context.now);
    forwards.on_timers(context.now);
    streams.on_timers(context.now);
    watches.on_timers(context.now);
    router.node_requests().on_timers(context.now);
    sessions.on_timers(context.now);
    bootstrap.on_timers(context.now);
    auto_compaction.on_timers(context.now);
    scrub.on_timers(context.now);
    space_alarms.on_timers(context.now);
    state_compare.on_timers(context.now);
    leases.on_timers(context.now);
    if (!served && context.now >= start_report_at) {
        start_report_at = context.now + start_report_interval;
        report_start();
    }
    const Instant next = std::min({links.next_deadline(), replicas.next_deadline(), forwards.next_deadline(),
                                   streams.next_deadline(), watches.next_deadline(), sessions.next_deadline(),
                                   auto_compaction.next_deadline(), scrub.next_deadline(), space_alarms.next_deadline(),
                                   state_compare.next_deadline(),
                                   router.node_requests().next_deadline(), follower_reads.next_deadline(),
                                   rounds.idle() ? never : context.now + 50ms, leases.next_deadline(), context.now + 1s});
    timers_at = std::max(next, context.now + timer_interval);
}

bool Shard::Impl::ready() const {
    return bootstrap.complete() && !context.halted && (context.config.shard != ShardId(0) || links.bootstrapped) &&
           replicas.not_caught_up() == nullptr;
}

// What a start that takes long is at. (Bootstrap says itself whom a first start waits for.)
void Shard::Impl::report_start() {
    served = ready();
    if (served || context.halted || context.stopping) {
        return;
    }
    std::string what;
    if (!bootstrap.recovered()) {
        what = "reading the log, " + std::to_string(log.percent_read()) + " %";
    } else if (bootstrap.loading()) {
        what = "loading checkpoints, " + std::to_string(checkpoints.percent_loaded()) + " %";
    } else if (const Replica* replica = replicas.not_caught_up()) {
        const LogIndex goal = replica->catches_up_at();
        what = "range " + std::to_string(replica->range().value) + ": ";
        if (!replica->raft().leader()) {
            what += "no leader yet";
        } else {
            what += "applied entry " + std::to_string(replica->applied().value) + " of " + std::to_string(goal.value);
        }
    } else {
        return;
    }
    context.log_line(env::LogLevel::info, "starting: " + what);
}

Shard::Shard(env::World& world, const NodeConfig& config) : impl_(std::make_unique<Impl>(world, config)) {}
Shard::~Shard() = default;

void Shard::start() {
    impl_->context.now = impl_->context.world.clock.now();
    impl_->links.start();
    impl_->sessions.start();
    impl_->bootstrap.start();
}

Instant Shard::turn() {
    return impl_->turn();
}

// ------------------------------------------------------------------------------------------------ stop

void Shard::stop() {
    Impl& impl = *impl_;
    if (impl.context.stopping) {
        return;
    }
    impl.context.now = impl.context.world.clock.now();
    impl.stop_at = impl.context.now + stop_limit;
    impl.replicas.transfer_all();
    impl.context.stopping = true;
    impl.sessions.say_goodbye();
    impl.watches.stop();
    impl.hash_walks.fail_all(api::Errc::stopped);
    impl.timers_at = impl.context.now;
}

bool Shard::Impl::quiet() const {
    const bool leads = context.config.members.size() > 1 && replicas.leader_count() > 0;   // alone: to nobody
    return !leads && replicas.pending_count() == 0 && rounds.idle() && follower_reads.idle() &&
           forwards.count() == 0 && streams.count() == 0 && watches.count() == 0 && log_queue.empty() && leases.idle();
}

bool Shard::Impl::may_end() {
    if (!quiet()) {
        quiet_since = never;
        return false;
    }
    quiet_since = std::min(quiet_since, context.now);
    const Duration lingered = context.now - quiet_since;
    return lingered >= stop_linger_max || (lingered >= stop_linger && sessions.count() == 0);
}

void Shard::Impl::advance_stop() {
    if (stop_told) {
        return;
    }
    timers_at = std::min(timers_at, context.now + 5ms);
    const bool late = context.now >= stop_at;
    if (!may_end() && !late && !context.halted) {
        return;
    }
    replicas.fail_all(api::Errc::leader_changed);
    rounds.fail_all(api::Errc::stopped);
    follower_reads.fail_all(api::Errc::stopped);
    forwards.fail_all(api::Errc::leader_changed);
    log_queue.fail_all(api::Errc::stopped);
    streams.fail_all(api::Errc::stopped);
    leases.fail_all(api::Errc::leader_changed);
    sessions.flush();
    stop_told = true;
    context.world.process.halt(env::Halt::stopped, late ? "stopped at the time limit" : "stopped");
}

// ------------------------------------------------------------------------------------------------ questions

bool Shard::ready() const {
    return impl_->ready();
}

bool Shard::has_work() const {
    return !impl_->replicas.empty() || impl_->sessions.count() > 0;
}

void Shard::check_invariants() const {
    for (const auto& replica : impl_->replicas.all()) {
        replica->check_invariants();
    }
}

std::vector<ReplicaView> inspect(Shard& shard) {
    std::vector<ReplicaView> views;
    for (const auto& replica : shard.impl().replicas.all()) {
        const raft::Raft& raft = replica->raft();
        views.push_back({replica->range(), raft.role(), raft.term(), raft.leader(), raft.commit(),
                         raft.term_at(raft.commit()).value_or(Term{}), replica->applied(), raft.last(),
                         replica->state_hash(), raft.in_doubt(), replica->out_of_service(), raft.is_damaged(),
                         replica->store() != nullptr ? replica->store()->live_bytes() : 0, replica->pending_count(),
                         replica->store() != nullptr ? replica->store()->alarms().size() : 0,
                         raft.hard_state().incarnation, shard.impl().context.config.instance, raft.durable()});
    }
    return views;
}

kv::Store* store_of(Shard& shard, RangeId range) {
    Replica* replica = shard.impl().replicas.find(range);
    return replica != nullptr ? replica->store() : nullptr;
}

std::vector<LeasesView> inspect_leases(Shard& shard) {
    std::vector<LeasesView> views;
    std::vector<api::LeaseId> ids;
    for (const auto& replica : shard.impl().replicas.all()) {
        const kv::Store* store = replica->store();
        if (store == nullptr) {
            continue;
        }
        LeasesView& view = views.emplace_back(LeasesView{replica->range(), replica->applied(), store->revision(), {}});
        ids.clear();
        static_cast<void>(store->list_leases({}, SIZE_MAX, ids));
        for (const api::LeaseId id : ids) {
            view.leases.push_back({id, *store->lease(id)});
        }
    }
    return views;
}

std::vector<HashView> inspect_hashes(Shard& shard) {
    std::vector<HashView> views;
    for (const auto& replica : shard.impl().replicas.all()) {
        if (kv::Store* store = replica->store()) {
            const auto hash = store->open_hash(0);
            ASSERT(hash);
            WorkBudget all{INT64_MAX, INT64_MAX};
            const kv::Step step = (*hash)->step(all);
            ASSERT(step == kv::Step::done);
            views.push_back({replica->range(), replica->applied(), (*hash)->result()});
        }
    }
    return views;
}

HeldView inspect_held(Shard& shard) {
    HeldView view = shard.impl().sessions.held();
    view.forwarded = shard.impl().forwards.held_bytes() + shard.impl().log_queue.held_bytes() +
                     shard.impl().leases.held_bytes();
    view.sorted = shard.impl().streams.sort_bytes();
    view.streams = shard.impl().streams.count();
    view.watch_keys = shard.impl().watches.key_bytes();
    view.reads = shard.impl().rounds.held_bytes() + shard.impl().follower_reads.held_bytes();
    return view;
}

PoolList inspect_pools(Shard& shard) {
    PoolList out;
    Shard::Impl& impl = shard.impl();
    impl.forwards.list_pools(out);
    impl.log_queue.list_pools(out);
    impl.leases.list_pools(out);
    impl.streams.list_pools(out);
    impl.rounds.list_pools(out);
    impl.follower_reads.list_pools(out);
    impl.router.node_requests().list_pools(out);
    impl.links.list_pools(out);
    impl.sessions.list_pools(out);
    impl.replicas.list_pools(out);
    impl.watches.list_pools(out);
    impl.hash_walks.list_pools(out);
    return out;
}

const TurnWork& inspect_work(Shard& shard) {
    return shard.impl().context.work;
}

std::vector<LinkView> inspect_links(Shard& shard) {
    return shard.impl().links.inspect();
}

FilesView inspect_files(Shard& shard) {
    Shard::Impl& impl = shard.impl();
    FilesView view{impl.log.counters(impl.context.now).segments, {}, impl.checkpoints.busy(),
                   impl.scrub.has_file_open()};
    for (const auto& replica : impl.replicas.all()) {
        view.checkpoints.push_back(replica->checkpoint().file);
    }
    return view;
}

FollowerReadsView inspect_follower_reads(Shard& shard) {
    return shard.impl().follower_reads.counters();
}

}  // namespace ringfort::shard
