#include "sim/sim_node.h"

#include <algorithm>

#include "base/assertion.h"
#include "base/bounds.h"

namespace ringfort::sim {

namespace {

constexpr Duration shard_wake_latency = 3us;
constexpr Duration start_retry = 1ms;
constexpr std::string_view shards_file = "shards";

}  // namespace

struct SimNode::ShardSlot {
    std::unique_ptr<SimDisk> disk;
    std::unique_ptr<NetworkPort> port;
    std::unique_ptr<env::World> world;
    std::unique_ptr<shard::Shard> shard;
    std::unique_ptr<shard::ShardMove> move;   // instead of the shard
    Instant scheduled{never};
    std::uint64_t token{0};          // of the turn that is scheduled
    Instant busy_until{0};
    bool in_turn{false};
    bool woken{false};               // during the turn, or while paused
};

struct SimNode::Life {
    Life(const EventQueue& queue, const SimNodeOptions& options, std::size_t shards)
        : mailboxes(shards, options.mailbox_capacity), log(queue, options.config.name, options.trace), slots(shards) {}
    MailboxGroup mailboxes;
    SimLogSink log;
    SimProcess process;
    std::vector<ShardSlot> slots;
};

SimNode::SimNode(EventQueue& queue, SimNetwork& network, HostId host, const SimNodeOptions& options,
                 TurnObserver& observer)
    : queue_(queue),
      network_(network),
      host_(host),
      options_(options),
      observer_(observer),
      random_(options.seed),
      media_(queue, random_.next(), options.disk),
      clock_(queue, options.clock) {}

SimNode::~SimNode() {
    if (running()) {
        end_life(Death::noticed);
    }
}

// ------------------------------------------------------------------------------------------- lives

void SimNode::start() {
    ASSERT(!running());
    ASSERT(powered_);
    if (!start_wanted_) {
        start_wanted_ = true;
        queue_.schedule_in(start_retry, &SimNode::on_start, this, lives_);
    }
}

void SimNode::on_start(void* context, std::uint64_t life, std::uint64_t) {
    auto& self = *static_cast<SimNode*>(context);
    if (!self.start_wanted_ || self.lives_ != life) {
        return;
    }
    // The lock of the data directory is free once the kernel has ended the dead process's last write.
    if (!self.media_.quiet()) {
        self.queue_.schedule_in(start_retry, &SimNode::on_start, context, life);
        return;
    }
    self.begin_life();
}

void SimNode::begin_life() {
    ASSERT(!running());
    start_wanted_ = false;
    paused_ = false;
    lives_++;
    shard::NodeConfig config = options_.config;
    config.data_directory_fresh = !instance_;
    if (!instance_) {
        instance_ = InstanceId(random_.next() | 1);
        first_shard_count_ = config.shard_count;
    }
    config.instance = instance_;
    if (const std::uint32_t stored = stored_shard_count(); stored != config.shard_count) {
        begin_move(config, stored);
        return;
    }
    remove_retired_shards();
    life_ = std::make_unique<Life>(queue_, options_, config.shard_count);
    std::vector<NetworkPort*> ports;
    for (std::size_t i = 0; i < life_->slots.size(); i++) {
        ShardSlot& slot = life_->slots[i];
        slot.disk = std::make_unique<SimDisk>(media_, Waker{&SimNode::on_disk, this, i});
        slot.port = std::make_unique<NetworkPort>(network_, host_, Waker{&SimNode::on_network, this, i});
        life_->mailboxes.set_waker(ShardId(i), Waker{&SimNode::on_wake, this, i});
        ports.push_back(slot.port.get());
    }
    for (std::size_t i = 0; i < life_->slots.size(); i++) {
        ShardSlot& slot = life_->slots[i];
        slot.port->set_siblings(ports);
        network_.listen(*slot.port, client_port, env::ConnectionClass::client);
        network_.listen(*slot.port, peer_port, env::ConnectionClass::peer);
        slot.world = std::make_unique<env::World>(env::World{*slot.disk, *slot.port, clock_,
                                                             life_->mailboxes.mailbox(ShardId(i)), life_->log,
                                                             life_->process, random_.next()});
        config.shard = ShardId(i);
        slot.shard = std::make_unique<shard::Shard>(*slot.world, config);
    }
    for (std::size_t i = 0; i < life_->slots.size(); i++) {
        life_->slots[i].shard->start();
        wake(i);
    }
}

// What the disk says, whatever was under way when the last process ended.
std::uint32_t SimNode::stored_shard_count() {
    DiskFile* file = media_.file(shards_file);
    return file == nullptr ? first_shard_count_
                           : static_cast<std::uint32_t>(std::stoul(std::string(as_text(file->content()))));
}

// As uring::DataDirectory::remove_retired_shards().
void SimNode::remove_retired_shards() {
    for (std::size_t shard = options_.config.shard_count; shard < limits::shards_max; shard++) {
        media_.remove_directory("shard-" + std::to_string(shard));
    }
}

void SimNode::begin_move(shard::NodeConfig config, std::uint32_t from_count) {
    life_ = std::make_unique<Life>(queue_, options_, 1);
    ShardSlot& slot = life_->slots.front();
    slot.disk = std::make_unique<SimDisk>(media_, Waker{&SimNode::on_disk, this, 0});
    slot.port = std::make_unique<NetworkPort>(network_, host_, Waker{&SimNode::on_network, this, 0});
    slot.world = std::make_unique<env::World>(env::World{*slot.disk, *slot.port, clock_,
                                                         life_->mailboxes.mailbox(ShardId(0)), life_->log,
                                                         life_->process, random_.next()});
    shard::ShardMoveOptions options;
    options.instance = config.instance;
    options.from_count = from_count;
    options.to_count = config.shard_count;
    options.segment_bytes = config.segment_bytes;
    options.window_bytes = config.log_window_bytes;
    options.switch_file = shards_file;
    const std::string count = std::to_string(config.shard_count);
    options.switch_content.assign(as_bytes(count).begin(), as_bytes(count).end());
    slot.move = std::make_unique<shard::ShardMove>(*slot.world, options);
    slot.move->start();
    wake(0);
}

// The process goes on as one with another number of shards.
void SimNode::end_move() {
    kill();
    start();
}

void SimNode::set_shard_count(std::uint32_t count) {
    ASSERT(!running() && count > 0);
    options_.config.shard_count = count;
    observer_.on_shard_count(*this);
}

bool SimNode::give_up_move() {
    const std::uint32_t stored = stored_shard_count();
    const bool wanted = stored != options_.config.shard_count;
    if (wanted) {
        set_shard_count(stored);
    }
    return wanted;
}

void SimNode::end_life(Death death) {
    ASSERT(running());
    // From here on nothing the dying shards do reaches the world.
    for (auto& slot : life_->slots) {
        slot.disk->detach();
        slot.port->detach(death);
    }
    for (auto& slot : life_->slots) {
        slot.shard.reset();
        slot.move.reset();
    }
    life_.reset();
    paused_ = false;
    crash_point_.reset();
    observer_.on_end(*this);
}

void SimNode::stop() {
    ASSERT(running());
    for (std::size_t i = 0; i < life_->slots.size(); i++) {
        ShardSlot& slot = life_->slots[i];
        slot.move ? slot.move->stop() : slot.shard->stop();
        wake(i);
    }
}

void SimNode::kill() {
    start_wanted_ = false;
    lives_++;
    if (running()) {
        end_life(Death::noticed);
    }
}

void SimNode::cut_power(std::uint32_t keep_per_million, Claims claims) {
    start_wanted_ = false;
    lives_++;
    powered_ = false;
    network_.set_host_up(host_, false);
    if (running()) {
        end_life(Death::silent);
    }
    if (claims == Claims::come_true) {
        media_.set_lying(false);
    }
    media_.cut_power(keep_per_million);
}

void SimNode::power_on() {
    ASSERT(!powered_);
    powered_ = true;
    network_.set_host_up(host_, true);
}

void SimNode::pause() {
    ASSERT(running());
    paused_ = true;
}

void SimNode::resume() {
    paused_ = false;
    if (running()) {
        for (std::size_t i = 0; i < life_->slots.size(); i++) {
            wake(i);
        }
    }
}

void SimNode::wipe() {
    ASSERT(!running());
    media_.wipe();
    instance_ = InstanceId{};
}

bool SimNode::ready() const {
    return running() && std::all_of(life_->slots.begin(), life_->slots.end(),
                                    [](const ShardSlot& slot) { return slot.shard && slot.shard->ready(); });
}

const std::deque<SimLogSink::Line>& SimNode::log_lines() const {
    ASSERT(running());
    return life_->log.lines();
}

std::vector<shard::ReplicaView> SimNode::inspect() {
    ASSERT(running());
    std::vector<shard::ReplicaView> out;
    for (auto& slot : life_->slots) {
        if (!slot.shard) {
            continue;
        }
        const auto views = shard::inspect(*slot.shard);
        out.insert(out.end(), views.begin(), views.end());
    }
    return out;
}

std::vector<shard::HashView> SimNode::hashes() {
    ASSERT(running());
    std::vector<shard::HashView> out;
    for (auto& slot : life_->slots) {
        if (slot.shard) {
            const auto views = shard::inspect_hashes(*slot.shard);
            out.insert(out.end(), views.begin(), views.end());
        }
    }
    return out;
}

kv::Store* SimNode::store_of(RangeId range) {
    ASSERT(running());
    kv::Store* found = nullptr;
    for (auto& slot : life_->slots) {
        found = found == nullptr && slot.shard ? shard::store_of(*slot.shard, range) : found;
    }
    return found;
}

shard::HeldView SimNode::held() {
    ASSERT(running());
    shard::HeldView out;
    for (auto& slot : life_->slots) {
        if (slot.shard) {
            const shard::HeldView part = shard::inspect_held(*slot.shard);
            out.replies += part.replies;
            out.requests += part.requests;
            out.forwarded += part.forwarded;
            out.sorted += part.sorted;
            out.reads += part.reads;
            out.streams += part.streams;
            out.watch_keys += part.watch_keys;
        }
    }
    return out;
}

shard::FollowerReadsView SimNode::follower_reads() {
    ASSERT(running());
    shard::FollowerReadsView out;
    for (auto& slot : life_->slots) {
        if (slot.shard) {
            const shard::FollowerReadsView part = shard::inspect_follower_reads(*slot.shard);
            out.asked += part.asked;
            out.served += part.served;
            out.passed_on += part.passed_on;
            out.given_up += part.given_up;
            out.waiting += part.waiting;
        }
    }
    return out;
}

std::vector<shard::LinkView> SimNode::links(ShardId shard) {
    ASSERT(running());
    return shard::inspect_links(*life_->slots[shard.value].shard);
}

std::vector<Holdings> SimNode::holdings() {
    ASSERT(running());
    std::vector<Holdings> out;
    for (std::size_t i = 0; i < life_->slots.size(); i++) {
        ShardSlot& slot = life_->slots[i];
        if (slot.shard) {
            out.push_back({name() + ", shard " + std::to_string(i), id(), ShardId(i), shard::inspect_pools(*slot.shard),
                           shard::inspect_held(*slot.shard), shard::inspect_links(*slot.shard)});
        }
    }
    return out;
}

std::optional<NodeFiles> SimNode::files() {
    ASSERT(running());
    NodeFiles out{.who = name(), .open = open_files(), .names = media_.names()};
    for (auto& slot : life_->slots) {
        if (!slot.shard) {
            return std::nullopt;
        }
        const shard::FilesView view = shard::inspect_files(*slot.shard);
        if (view.checkpoint_work) {
            return std::nullopt;
        }
        out.scrubbed += view.scrubbing ? 1u : 0u;
        out.log_files += view.log_files;
        out.checkpoints.insert(out.checkpoints.end(), view.checkpoints.begin(), view.checkpoints.end());
    }
    return out;
}

std::size_t SimNode::open_files() const {
    ASSERT(running());
    std::size_t out = 0;
    for (const auto& slot : life_->slots) {
        out += slot.disk->open_files();
    }
    return out;
}

// ------------------------------------------------------------------------------------------- crashes

void SimNode::on_disk(void* context, std::uint64_t shard) {
    static_cast<SimNode*>(context)->count_towards_crash(CrashPoint::Event::disk);
    on_wake(context, shard);
}

void SimNode::on_network(void* context, std::uint64_t shard) {
    static_cast<SimNode*>(context)->count_towards_crash(CrashPoint::Event::network);
    on_wake(context, shard);
}

// Comes from within the disk or the network: the end itself waits until they are done.
void SimNode::count_towards_crash(CrashPoint::Event event) {
    if (!running() || !crash_point_ || crash_point_->event != event || crash_point_->count == 0) {
        return;
    }
    crash_point_->count--;
    if (crash_point_->count == 0 && !crash_point_->after_turn) {
        queue_.schedule_in(Duration(0), &SimNode::on_crash, this, lives_);
    }
}

void SimNode::on_crash(void* context, std::uint64_t life, std::uint64_t) {
    auto& self = *static_cast<SimNode*>(context);
    if (self.running() && self.lives_ == life && self.crash_point_ && self.crash_point_->count == 0) {
        self.crash();
    }
}

void SimNode::crash() {
    const CrashPoint point = *crash_point_;
    point.power_cut ? cut_power(point.keep_per_million) : kill();
}

// ------------------------------------------------------------------------------------------- turns

void SimNode::on_wake(void* context, std::uint64_t shard) { static_cast<SimNode*>(context)->wake(shard); }

void SimNode::wake(std::size_t shard) {
    if (!running()) {
        return;
    }
    ShardSlot& slot = life_->slots[shard];
    if (slot.in_turn || paused_) {
        slot.woken = true;
        return;
    }
    schedule_turn(shard, std::max(queue_.now() + shard_wake_latency, slot.busy_until));
}

// An earlier turn that is already scheduled stands.
void SimNode::schedule_turn(std::size_t shard, Instant at) {
    ShardSlot& slot = life_->slots[shard];
    if (slot.scheduled <= at) {
        return;
    }
    slot.scheduled = at;
    slot.token = ++token_;
    queue_.schedule(at, &SimNode::on_turn, this, shard, slot.token);
}

void SimNode::on_turn(void* context, std::uint64_t shard, std::uint64_t token) {
    auto& self = *static_cast<SimNode*>(context);
    // A turn of a life before; that one may have had more shards.
    if (!self.running() || shard >= self.life_->slots.size() || self.life_->slots[shard].token != token) {
        return;
    }
    self.life_->slots[shard].scheduled = never;
    if (self.paused_) {
        self.life_->slots[shard].woken = true;
        return;
    }
    self.run_turn(shard);
}

void SimNode::run_turn(std::size_t shard) {
    ShardSlot& slot = life_->slots[shard];
    turns_++;
    slot.in_turn = true;
    slot.woken = false;
    const Instant next = slot.move ? slot.move->turn() : slot.shard->turn();
    slot.in_turn = false;
    slot.busy_until = queue_.now() + Duration(static_cast<std::int64_t>(
                                         random_.between(1, 2 * static_cast<std::uint64_t>(options_.turn_cost.count()))));
    if (slot.shard) {
        observer_.after_turn(*this, *slot.shard);
    } else if (slot.move->switched()) {
        end_move();
        return;
    }
    if (const auto how = life_->process.halted()) {
        const std::string reason = life_->process.reason();
        kill();
        observer_.on_halt(*this, *how, reason);
        return;
    }
    if (crash_point_ && crash_point_->count == 0 && crash_point_->after_turn) {
        crash();
        return;
    }
    if (slot.woken) {
        schedule_turn(shard, slot.busy_until);
    } else if (next != never) {
        schedule_turn(shard, std::max(slot.busy_until, clock_.true_time(std::max(next, clock_.now()))));
    }
}

}  // namespace ringfort::sim
