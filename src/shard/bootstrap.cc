#include "shard/bootstrap.h"

#include <algorithm>
#include <utility>

#include "base/assertion.h"
#include "base/mark.h"
#include "base/mutant.h"
#include "shard/checkpoint_file.h"
#include "shard/checkpoints.h"
#include "shard/mail.h"
#include "shard/replica.h"
#include "shard/replicas.h"
#include "shard/sessions.h"

namespace ringfort::shard {

namespace {

constexpr Duration report_interval = 5s;

raft::Configuration voters_of(const std::vector<NodeId>& nodes) {
    raft::Configuration configuration;
    configuration.voters = nodes;
    std::sort(configuration.voters.begin(), configuration.voters.end());
    return configuration;
}

std::vector<NodeId> initial_nodes(const NodeConfig& config) {
    std::vector<NodeId> nodes;
    for (const InitialMember& member : config.members) {
        nodes.push_back(member.id);
    }
    return nodes;
}

}  // namespace

// What recovery found of a replica, kept while its checkpoint is loaded.
struct Bootstrap::Pending {
    RangeId range{};
    raft::HardState hard_state;
    bool promises_in_doubt{false};                  // the hard state's incarnation is new
    CheckpointRecord checkpoint;
    std::vector<raft::Entry> entries;
    std::vector<std::vector<std::byte>> payloads;   // of config and fence entries
    std::vector<LogIndex> damaged;
};

Bootstrap::Bootstrap(Context& context) : context_(context) {}
Bootstrap::~Bootstrap() = default;

std::string_view own_client_address(const NodeConfig& config) {
    for (const InitialMember& member : config.members) {
        if (member.id == config.self && !member.client_urls.empty()) {
            std::string_view url = member.client_urls.front();
            const std::size_t scheme = url.find("://");
            return scheme == std::string_view::npos ? url : url.substr(scheme + 3);
        }
    }
    return {};
}

void Bootstrap::start() {
    operation_.context = this;
    read_memory();
}

void Bootstrap::read_memory() {
    operation_.callback = [](env::DiskOperation& op) { static_cast<Bootstrap*>(op.context)->on_memory_read(); };
    context_.world.disk.read_whole(operation_, peer_memory_file);
}

// ------------------------------------------------------------------------------------------------ memory of peers

void Bootstrap::on_memory_read() {
    if (operation_.error == env::DiskErrc::ok) {
        memory_found_ = true;
        if (!recall(as_text(operation_.content))) {
            return;
        }
    } else if (operation_.error != env::DiskErrc::not_found && !patience_.spent()) {
        patience_.wait();
        return;
    } else if (operation_.error != env::DiskErrc::not_found) {
        context_.halted = true;
        context_.world.process.halt(env::Halt::refused, "cannot read the memory of peers (file `peers`): " +
                                                            std::string(env::to_string(operation_.error)));
        return;
    }
    context_.links->bootstrapped = memory_found_;
    context_.links->memory_read = true;
    stage_ = Stage::recovering;
    context_.log->start(memory_found_ ? LogStart::existing : LogStart::any);
}

PeerMemory Bootstrap::memory() const {
    PeerMemory out{{}, context_.links->incarnation, wiped_};
    for (const PeerLinks::Peer& peer : context_.links->peers()) {
        out.peers.push_back({peer.node, peer.instance, peer.incarnation});
        for (const Heard& h : heard_) {
            if (h.node == peer.node) {
                out.peers.back() = {h.node, h.instance, h.incarnation};
            }
        }
    }
    return out;
}

bool Bootstrap::recall(std::string_view text) {
    const std::optional<PeerMemory> memory = decode_peer_memory(text);
    if (!memory) {
        context_.halted = true;
        context_.world.process.halt(env::Halt::refused,
                                    "the file `peers` is damaged or of another version: remove the whole data directory, "
                                    "and the node joins again as one whose data was lost");
        return false;
    }
    for (const PeerMemory::Peer& peer : memory->peers) {
        context_.links->remember(peer.node, peer.instance, peer.incarnation);
    }
    wiped_ = memory->lost;
    context_.links->incarnation = memory->own;
    return true;
}

void Bootstrap::save_memory() {
    ASSERT(context_.config.shard == ShardId(0) && !operation_.in_flight);
    operation_.callback = [](env::DiskOperation& op) { static_cast<Bootstrap*>(op.context)->on_memory_saved(); };
    const std::string text = encode_peer_memory(memory());
    context_.world.disk.replace_whole(operation_, peer_memory_file, as_bytes(text));
}

void Bootstrap::on_memory_saved() {
    if (operation_.error == env::DiskErrc::no_space) {
        tell_no_space();
        patience_.renew();   // there is room again when somebody makes it
    }
    if (operation_.error != env::DiskErrc::ok && !patience_.spent()) {
        MARK("the memory of peers is to be saved again");
        patience_.wait();
        return;
    }
    if (operation_.error != env::DiskErrc::ok) {
        context_.halted = true;
        context_.world.process.halt(env::Halt::log_failed, "cannot write the file `peers`: " +
                                                               std::string(env::to_string(operation_.error)));
        return;
    }
    patience_.renew();
    no_space_told_ = false;
    const std::vector<Heard> saved = std::exchange(heard_, {});
    for (const Heard& h : saved) {
        context_.links->remember(h.node, h.instance, h.incarnation);
    }
    if (stage_ == Stage::saving) {
        create_directory_replica();
        return;
    }
    for (const Heard& h : saved) {
        if (Link* link = context_.links->find(h.node, ShardId(0))) {
            link->dial_soon();   // it may have one now
        }
    }
}

// The file as it was stays, so nothing is lost; who is not in it waits.
void Bootstrap::tell_no_space() {
    if (!std::exchange(no_space_told_, true)) {
        context_.log_line(env::LogLevel::warning,
                          "there is no disk space for the file `peers`: until there is, " +
                              std::string(stage_ == Stage::saving ? "this node does not take part"
                                                                  : "members that lost their data are not let in"));
    }
}

bool Bootstrap::on_peer_heard(PeerLinks::Peer& peer, InstanceId instance, Incarnation incarnation) {
    if (peer.instance == instance && peer.incarnation == incarnation) {
        return true;
    }
    const bool first_start = !context_.links->bootstrapped;
    if (!first_start && context_.config.shard != ShardId(0)) {
        context_.links->remember(peer.node, instance, incarnation);
        return true;
    }
    if (operation_.in_flight || patience_.waiting() || (!first_start && stage_ != Stage::running)) {
        // Nothing is promised over a first start's links before what is being written is remembered.
        return first_start && std::ranges::find(heard_, Heard{peer.node, instance, incarnation}) != heard_.end();
    }
    std::erase_if(heard_, [&](const Heard& h) { return h.node == peer.node; });
    heard_.push_back({peer.node, instance, incarnation});
    if (!first_start) {
        save_memory();
        return false;
    }
    const Incarnation said = context_.links->incarnation;
    if (stage_ == Stage::asking) {
        decide();
    }
    return context_.links->incarnation == said;   // else what we said in the hello does not hold any more
}

// ------------------------------------------------------------------------------------------------ recovery

void Bootstrap::on_recovered(RecoveredLog& recovered) {
    for (const std::string& note : recovered.notes) {
        context_.log_line(env::LogLevel::warning, "log: " + note);
    }
    if (!memory_found_) {
        if (!recovered.replicas.empty()) {
            // What else is gone with it nobody knows: another shard's log would be taken for one that never was.
            context_.halted = true;
            context_.world.process.halt(env::Halt::refused,
                                        "the file `peers` is missing from a data directory that was in use: remove the "
                                        "whole directory, and the node joins again as one whose data was lost");
            return;
        }
        if (context_.config.shard == ShardId(0)) {
            on_log_ready();
        } else {
            env::Mail mail;
            mail.kind = static_cast<std::uint32_t>(MailKind::log_ready);
            context_.sessions->post(ShardId(0), std::move(mail));
        }
    }
    replicas_unknown_ = recovered.replicas_unknown;
    stage_ = Stage::loading;
    for (RecoveredReplica& replica : recovered.replicas) {
        restore(replica);
    }
    on_timers(context_.now);
}

void Bootstrap::restore(RecoveredReplica& recovered) {
    ReplicaStart start;
    start.range = recovered.range;
    start.hard_state = recovered.hard_state;
    if (recovered.promises_in_doubt) {
        context_.log_line(env::LogLevel::error, "range " + std::to_string(recovered.range.value) +
                                                    ": the log lost records of what it promised: it counts for nothing "
                                                    "until the other replicas have taken it back");
        start.hard_state.in_doubt = !MUTANT(lost_promises_trusted);
        start.hard_state.incarnation =
            std::max(recovered.hard_state.incarnation, context_.links->incarnation.of_replica()).next();
    }
    if (recovered.checkpoint && !recovered.checkpoint->file.empty()) {
        auto pending = std::make_unique<Pending>();
        pending->range = recovered.range;
        pending->hard_state = start.hard_state;
        pending->promises_in_doubt = recovered.promises_in_doubt;
        pending->checkpoint = *recovered.checkpoint;
        pending->damaged = recovered.damaged;
        for (const raft::Entry& entry : recovered.entries) {
            pending->entries.push_back(entry);
            if (!entry.payload.empty()) {
                pending->payloads.emplace_back(entry.payload.begin(), entry.payload.end());
                pending->entries.back().payload = pending->payloads.back();
            }
        }
        Pending* kept = pending.get();
        pending_.push_back(std::move(pending));
        loading_++;
        context_.checkpoints->load(recovered.range, *recovered.checkpoint, [this, kept](LoadedState state) {
            loading_--;
            on_checkpoint_loaded(*kept, std::move(state));
        });
        return;
    }
    start.checkpoint = recovered.checkpoint;
    start.entries = recovered.entries;
    start.damaged = recovered.damaged;
    if (recovered.range == directory_range) {
        start.directory = std::make_unique<kv::Directory>();
    } else {
        start.store = new_store(context_, recovered.range);
    }
    if (recovered.promises_in_doubt) {
        context_.log->append_hard_state(start.range, start.hard_state);
    }
    add_restored(std::move(start));
}

void Bootstrap::on_checkpoint_loaded(Pending& pending, LoadedState state) {
    if (!state.ok && !may_rebuild(pending, state)) {
        return;
    }
    ReplicaStart loaded;
    loaded.range = pending.range;
    loaded.hard_state = pending.hard_state;
    if (state.ok) {
        loaded.checkpoint = pending.checkpoint;
        loaded.entries = pending.entries;
        loaded.damaged = pending.damaged;
        loaded.store = std::move(state.store);
        loaded.directory = std::move(state.directory);
    } else {
        rebuild(pending, state.unreadable, loaded);
    }
    if (pending.promises_in_doubt) {
        context_.log->append_hard_state(loaded.range, loaded.hard_state);
    }
    add_restored(std::move(loaded));
}

// false: halted. Rebuilt from its peers a replica costs its file; and without enough of them nobody gives its state back.
bool Bootstrap::may_rebuild(const Pending& pending, const LoadedState& state) {
    const bool too_few = too_few_to_rebuild(pending.checkpoint.configuration);
    env::Halt how = env::Halt::refused;
    std::string what;
    if (state.open_error != env::DiskErrc::ok && !is_lost(state.open_error)) {
        // The file may be whole, and on others the same may be so.
        what = "checkpoint " + pending.checkpoint.file + " cannot be opened: " +
               std::string(env::to_string(state.open_error)) + "; it is left as it is";
    } else if (too_few && state.unreadable) {
        what = "the disk cannot read its checkpoint " + pending.checkpoint.file +
               ", and no other replicas can rebuild it; it is left as it is: start the node again when the disk reads it";
    } else if (too_few) {
        how = env::Halt::corrupt;
        what = "its checkpoint " + pending.checkpoint.file + " is damaged, and no other replicas can rebuild it";
    } else {
        return true;
    }
    context_.halted = true;
    context_.world.process.halt(how, "range " + std::to_string(pending.range.value) + ": " + what);
    return false;
}

// Without its state the replica is worth as much as a wiped one: it is fenced and filled by its peers.
void Bootstrap::rebuild(const Pending& pending, bool unreadable, ReplicaStart& loaded) {
    context_.log_line(env::LogLevel::error, "range " + std::to_string(pending.range.value) + ": checkpoint " +
                                                pending.checkpoint.file + (unreadable ? " cannot be read" : " is damaged") +
                                                ": the replica is rebuilt from its peers");
    loaded.hard_state.in_doubt = !MUTANT(damaged_checkpoint_counts);
    loaded.hard_state.incarnation = loaded.hard_state.incarnation.next();
    context_.log->append_removed(pending.range);
    context_.log->append_created(pending.range, loaded.hard_state, nullptr);
    if (unreadable) {
        context_.checkpoints->set_aside(pending.range, pending.checkpoint.file);
    }
    if (pending.range == directory_range) {
        loaded.directory = std::make_unique<kv::Directory>();
    } else {
        loaded.store = new_store(context_, pending.range);
    }
}

// The directory may have come before: its next change would be too late.
void Bootstrap::add_restored(ReplicaStart&& start) {
    context_.replicas->add(std::move(start));
    tell_domains();
}

// ------------------------------------------------------------------------------------------------ first start

void Bootstrap::on_log_ready() {
    logs_ready_++;
    if (stage_ == Stage::asking) {
        decide();
    }
}

void Bootstrap::decide() {
    // Once the peers are remembered, a shard without a log is one that lost it.
    if (logs_ready_ < context_.config.shard_count) {
        return;
    }
    const Incarnation own = context_.links->incarnation;
    bool lost = own > Incarnation(1);
    Incarnation lowest(2);   // that may be ours, if our data was lost
    std::size_t heard = 0;
    std::size_t confirmed = 0;
    for (const PeerLinks::Peer& peer : context_.links->peers()) {
        heard += peer.heard ? 1 : 0;
        if (!peer.heard || !peer.bootstrapped) {
            continue;
        }
        // This directory in a later incarnation than the first: it was announced, and forgotten with the process. As long
        // as nothing is remembered here nothing was promised in it.
        const bool ours = peer.our_instance == context_.config.instance;
        lost |= !ours || peer.our_incarnation > Incarnation(1);
        lowest = std::max(lowest, ours ? peer.our_incarnation : peer.our_incarnation.next());
        confirmed += remembers_us(peer) ? 1u : 0u;
    }
    const std::size_t peers = context_.links->peers().size();
    if (!lost) {
        if (heard < peers && !MUTANT(first_start_asks_nobody)) {
            return;
        }
    } else {
        const std::size_t quorum = std::min(context_.config.members.size() / 2 + 1, peers);
        if (heard < quorum) {
            return;
        }
        if (own < lowest) {
            announce(lowest);
            return;
        }
        if (confirmed < quorum) {
            return;
        }
        wiped_ = true;
    }
    stage_ = Stage::saving;
    save_memory();
}

bool Bootstrap::remembers_us(const PeerLinks::Peer& peer) const {
    return peer.heard && peer.bootstrapped && peer.our_instance == context_.config.instance &&
           peer.our_incarnation == context_.links->incarnation;
}

void Bootstrap::announce(Incarnation incarnation) {
    context_.log_line(env::LogLevel::warning,
                      "peers remember another data directory of this member: it was lost; joining with incarnation " +
                          std::to_string(incarnation.value));
    context_.links->incarnation = incarnation;
    for (const PeerLinks::Peer& peer : context_.links->peers()) {
        Link* link = context_.links->find(peer.node, ShardId(0));
        if (link != nullptr && link->up()) {
            link->drop("to say hello anew");
        }
        if (link != nullptr) {
            link->dial_soon();
        }
    }
}

void Bootstrap::create_directory_replica() {
    memory_found_ = true;
    context_.links->bootstrapped = true;
    stage_ = Stage::running;
    if (context_.replicas->find(directory_range) == nullptr && !refuse_unknown(directory_range)) {
        add_fresh(directory_range, DomainId(), initial_nodes(context_.config));
    }
}

// A replica the log does not know, after the log lost records: it may have been there, and have promised things.
bool Bootstrap::refuse_unknown(RangeId range) {
    if (!replicas_unknown_) {
        return false;
    }
    context_.halted = true;
    context_.world.process.halt(env::Halt::refused,
                                "range " + std::to_string(range.value) + ": the log of shard " +
                                    std::to_string(context_.config.shard.value) +
                                    " lost records and does not know it any more: remove the whole data directory, and "
                                    "the node joins again as one whose data was lost");
    return true;
}

void Bootstrap::add_fresh(RangeId range, DomainId domain, const std::vector<NodeId>& voters) {
    ReplicaStart start;
    start.range = range;
    start.domain = domain;
    start.hard_state.incarnation = context_.links->incarnation.of_replica();
    if (wiped_ && !MUTANT(wiped_node_is_new)) {
        start.hard_state.in_doubt = true;
        context_.log->append_created(range, start.hard_state, nullptr);
    } else {
        CheckpointRecord initial;
        initial.applied = {Term(1), LogIndex(1)};
        initial.configuration = voters_of(voters);
        start.hard_state.term = Term(1);
        start.hard_state.commit = LogIndex(1);
        context_.log->append_created(range, start.hard_state, &initial);
        start.checkpoint = std::move(initial);
    }
    if (range == directory_range) {
        start.directory = std::make_unique<kv::Directory>();
    } else {
        start.store = new_store(context_, range);
    }
    context_.replicas->add(std::move(start));
    for (const NodeId node : voters) {
        if (node != context_.config.self) {
            context_.links->want_link(node, context_.links->remote_shard_of(*context_.replicas->find(range), node));
        }
    }
}

void Bootstrap::make_replica(const kv::RangeRecord& range) {
    const bool here = std::find(range.replicas.begin(), range.replicas.end(), context_.config.self) != range.replicas.end();
    if (!here || shard_of(range.id, context_.config.shard_count) != context_.config.shard) {
        return;
    }
    if (context_.replicas->find(range.id) == nullptr && !refuse_unknown(range.id)) {
        add_fresh(range.id, range.domain, range.replicas);
    }
}

// Before a replica serves: answers name the domain.
void Bootstrap::tell_domains() {
    if (context_.directory == nullptr) {
        return;
    }
    for (const kv::RangeRecord& range : context_.directory->state().ranges) {
        if (Replica* replica = context_.replicas->find(range.id)) {
            replica->set_domain(range.domain);
        }
    }
}

// What the cluster was founded with counts on every node; a flag that says otherwise has no effect.
void Bootstrap::tell_differences(const kv::DirectoryState& founded) {
    if (std::exchange(differences_told_, true) || context_.config.shard != ShardId(0)) {
        return;
    }
    const auto tell = [this](std::string_view flag, const std::string& here, const std::string& there) {
        if (here != there) {
            context_.log_line(env::LogLevel::warning, "--" + std::string(flag) + " is '" + here +
                                                          "' here and has no effect: the cluster was founded with '" +
                                                          there + "'");
        }
    };
    const kv::Settings& own = context_.config.settings;
    tell("max-txn-ops", std::to_string(own.txn_ops), std::to_string(founded.settings.txn_ops));
    tell("max-request-bytes", std::to_string(own.request_bytes), std::to_string(founded.settings.request_bytes));
    std::string own_domains;
    for (const std::string& begin : context_.config.initial_domains) {
        own_domains += (own_domains.empty() ? "" : ",") + begin;
    }
    std::string domains;
    for (const kv::DomainRecord& domain : founded.domains) {
        domains += (domains.empty() ? "" : ",") + domain.begin;
    }
    if (!own_domains.empty()) {   // later starts need not say it
        tell("initial-domains", own_domains, domains);
    }
}

void Bootstrap::on_directory(const kv::Directory& directory) {
    tell_domains();
    if (!directory.bootstrapped() || loading_ > 0 || !recovered()) {
        return;   // tried again when loading ends
    }
    tell_differences(directory.state());
    for (const kv::RangeRecord& range : directory.state().ranges) {
        make_replica(range);
    }
    if (context_.halted) {
        return;
    }
    if (replicas_unknown_) {
        replicas_unknown_ = false;
        context_.log->replicas_known();
    }
    complete_ = true;
}

void Bootstrap::on_identity(Incarnation incarnation) {
    context_.links->incarnation = incarnation;
    context_.links->bootstrapped = true;
    wiped_ = incarnation > Incarnation(1);
    for (const Heard& h : std::exchange(heard_, {})) {
        context_.links->remember(h.node, h.instance, h.incarnation);
    }
}

// ------------------------------------------------------------------------------------------------ time

void Bootstrap::report_waiting() {
    if (logs_ready_ < context_.config.shard_count) {
        context_.log_line(env::LogLevel::info, "first start: waiting for the logs of all shards to be made");
        return;
    }
    const Incarnation own = context_.links->incarnation;
    const bool announced = own > Incarnation(1);
    std::string missing;
    for (const InitialMember& member : context_.config.members) {
        const PeerLinks::Peer* peer = context_.links->peer(member.id);
        if (peer != nullptr && !(announced ? remembers_us(*peer) : peer->heard)) {
            missing += (missing.empty() ? "" : ", ") + member.name;
        }
    }
    const std::string what = announced ? "a quorum of members to remember incarnation " + std::to_string(own.value)
                                       : "every initial member to answer";
    context_.log_line(env::LogLevel::info, "first start: waiting for " + what + "; missing: " + missing);
}

void Bootstrap::on_timers(Instant now) {
    if (patience_.waiting() && patience_.over(now)) {
        stage_ == Stage::reading_memory ? read_memory() : save_memory();
    }
    if (stage_ == Stage::loading && loading_ == 0) {
        pending_.clear();
        context_.checkpoints->remove_garbage();
        if (context_.config.shard != ShardId(0)) {
            stage_ = Stage::running;
        } else if (context_.replicas->find(directory_range) != nullptr) {
            stage_ = Stage::running;
        } else if (memory_found_) {
            create_directory_replica();   // the last start ended between its memory and its first record
        } else {
            stage_ = Stage::asking;
            report_at_ = now + report_interval;
            for (const PeerLinks::Peer& peer : context_.links->peers()) {
                context_.links->want_link(peer.node, ShardId(0));
            }
            decide();
        }
        if (context_.directory != nullptr) {
            on_directory(*context_.directory);
        }
    }
    if (stage_ == Stage::asking && now >= report_at_) {
        report_at_ = now + report_interval;
        report_waiting();
    }
}

}  // namespace ringfort::shard
