#include "sim/mutants.h"

#include <algorithm>
#include <iterator>

#include "base/assertion.h"
#include "base/mutant.h"

namespace ringfort::sim {

namespace {

// Order: as the code is read. `file` is held to the code by tests/tools/mutants_test.py.
constexpr Mutant table[] = {
    // ---- raft: elections
    {"half_elects", "raft/quorum.h", "a candidate wins with one vote less than a majority of five", "Raft 5.2"},
    {"longer_log_wins", "raft/core.h", "a voter compares the logs' lengths and not their last terms", "Raft 5.4.1"},
    {"votes_twice", "raft/election.cc", "a vote is given whoever got it before in this term", "Raft 5.2"},
    {"vote_before_flush", "raft/election.cc", "the answer to a vote request leaves before the vote is durable",
     "Raft 5.2, figure 2"},
    {"pre_votes_elect", "raft/election.cc", "votes of the pre-vote round still count in the election", "thesis 9.6"},
    {"vote_lost_at_restart", "raft/core.cc", "a restarted replica does not know whom it voted for in its term",
     "Raft figure 2"},
    {"term_lost_at_restart", "raft/core.cc", "a restarted replica is in the term of its last entry", "Raft figure 2"},
    // ---- raft: the log
    {"commit_of_older_term", "raft/replicate.cc", "an entry of an older term is committed by counting its copies",
     "Raft 5.4.2, figure 8"},
    {"half_commits", "raft/quorum.h", "two of five replicas commit an entry", "Raft 5.3"},
    {"leader_counts_unflushed", "raft/replicate.cc", "the leader counts entries that its own disk does not have yet",
     "thesis 10.2.1"},
    {"answer_confirms_all_sent", "raft/replicate.cc", "an answer to one append is taken for one to all that were sent",
     "Raft 5.3"},
    {"old_terms_answer_counts", "raft/core.cc", "an append answer of an older term moves the match index", "Raft figure 2"},
    {"prev_term_unchecked", "raft/follow.cc", "an append is accepted where the entry before it is of another term",
     "Raft 5.3, log matching"},
    {"commits_unverified", "raft/follow.cc", "a follower commits what its leader has not yet compared with its own log",
     "Raft figure 2, AppendEntries 5"},
    {"truncates_without_conflict", "raft/follow.cc", "an append that was received before cuts off all behind it",
     "Raft 5.3; figure 2, AppendEntries 3"},
    {"answer_before_flush", "raft/follow.cc", "a follower confirms entries before they are durable", "Raft figure 2"},
    {"flush_of_overwritten_counts", "raft/core.cc", "the end of a flush counts for entries that have replaced the flushed",
     "thesis 10.2.1"},
    {"reads_before_own_commit", "raft/raft.cc", "a new leader serves reads before an entry of its own term is committed",
     "thesis 6.4"},
    {"snapshot_voids_log", "raft/snapshot.cc", "a snapshot cuts off the entries behind it too", "Raft 7"},
    {"snapshot_confirmed_unflushed", "raft/snapshot.cc",
     "a snapshot is confirmed before the record that names it is durable",
     "Raft 7"},
    // ---- raft: lost promises and damage
    {"doubtful_counts", "raft/progress.h", "a replica that forgot its promises counts before its fence is committed",
     "raft/doubt.cc; VSR recovery"},
    {"doubtful_votes", "raft/election.cc", "a replica that forgot its promises votes", "raft/doubt.cc; dragonboat#354"},
    {"doubtful_stands", "raft/election.cc", "a replica that forgot its promises stands for election", "raft/doubt.cc"},
    {"doubtful_trusts_commit_hint", "raft/core.cc", "a replica in doubt applies by a commit index older than what it lost",
     "raft/doubt.cc"},
    {"fence_ends_doubt_uncommitted", "raft/doubt.cc", "doubt ends with a fence that is not committed", "raft/doubt.cc"},
    {"fence_ends_doubt_unflushed", "raft/doubt.cc", "doubt ends with a fence that is not durable here", "raft/doubt.cc"},
    {"old_incarnation_heard", "raft/core.cc", "what a replica said before it lost its disk still counts", "raft/doubt.cc"},
    {"one_never_drops", "raft/repair.cc", "a damaged entry is given up when one replica never had it",
     "protocol-aware recovery (FAST 2018)"},
    {"damaged_entry_applied", "raft/core.cc", "an entry is applied whose payload is lost", "TigerBeetle: faulty prepares"},
    // ---- wire
    {"every_read_stale", "wire/request_decode.cc", "a linearizable read is taken for a serializable one", "etcd#741"},
    {"doubt_lost_on_the_way", "wire/peer_decode.cc", "messages of a replica in doubt arrive as if it counted",
     "raft/doubt.cc"},
    // ---- starts
    {"wiped_node_is_new", "shard/bootstrap.cc", "a node whose data was lost begins as if it had never promised anything",
     "dragonboat#354"},
    {"first_start_asks_nobody", "shard/bootstrap.cc", "a node without data founds the cluster without asking its peers",
     "etcd#10254"},
    {"damaged_checkpoint_counts", "shard/bootstrap.cc", "a replica whose state is lost counts before it is filled again",
     "raft/doubt.cc"},
    {"lost_promises_trusted", "shard/bootstrap.cc", "a replica whose log lost its promises goes on with older ones",
     "raft/doubt.cc"},
    // ---- log
    {"damage_taken_for_torn_write", "log/recovery.cc", "committed entries are cut off behind a bad checksum",
     "raft-engine: tolerate-tail-corruption"},
    {"batches_behind_cut_count", "log/recovery.cc", "what an earlier start cut off is part of the log again",
     "log/recovery.h"},
    {"payload_unchecked", "log/scan.cc", "recovery takes payloads without a look at their checksums", "etcd bbolt#335"},
    {"lost_batch_unnoticed", "log/replay.cc", "a replica keeps its promises when a batch that may hold newer ones is lost",
     "TigerBeetle: nack quorum"},
    {"lost_tail_unnoticed", "log/replay.cc", "a log that ends before its stated end is taken for whole", "log/replay.h"},
    {"rotten_entry_read_back", "shard/log_reader.cc", "an entry read back from the log is not compared with its checksum",
     "etcd#10722"},
    {"copy_beats_newer_entry", "log/replay.cc", "a collected copy replaces the entry that had overwritten its original",
     "log/replay.h"},
    {"vote_lost_with_segment", "shard/log_index.cc", "the vote of an idle replica goes with the segment that held it",
     "Raft figure 2"},
    {"write_without_flush", "shard/log_writer.cc", "a write counts as durable when it ended, without a flush",
     "etcd#14102"},
    {"flush_covers_later_writes", "shard/log_writer.cc", "a flush counts for writes that ended after it began",
     "fsyncgate (ATC 2020)"},
    {"segment_reused_too_early", "shard/log_segments.cc", "a segment is written again before what replaced it is durable",
     "log_segments.h"},
    {"live_segment_reused", "shard/log_segments.cc", "a segment with live entries is written again", "log_segments.h"},
    // ---- checkpoints
    {"checkpoint_unflushed", "shard/checkpoint_write.cc", "a checkpoint is named before its file is durable", "etcd#14102"},
    {"former_checkpoint_removed_early", "shard/checkpoint_write.cc",
     "the old checkpoint goes before the new one's name is durable", "etcd#14685"},
    {"checkpoint_beyond_its_cut", "kv/checkpoint_scan.cc", "a checkpoint holds writes newer than its applied index",
     "etcd#13766"},
    // ---- reads
    {"round_id_reused", "shard/read_rounds.cc", "an answer to an earlier read round confirms a later one", "thesis 6.4"},
    {"round_ignores_term", "shard/read_rounds.cc", "a follower confirms a leader whose term is over", "thesis 6.4"},
    {"leader_asks_nobody", "shard/read_rounds.cc", "a leader serves reads without asking whether it still leads",
     "etcd#741"},
    {"doubtful_confirms_reads", "shard/read_rounds.cc", "a replica that forgot its term confirms a leader",
     "raft/doubt.cc"},
    {"read_joins_sent_round", "shard/read_rounds.cc", "a read joins a round that was sent before it came", "thesis 6.4"},
    {"reads_before_applied", "shard/read_rounds.cc", "a confirmed read does not wait for its index to be applied",
     "thesis 6.4"},
    {"asker_is_quorum", "shard/read_rounds.cc", "leader and asking follower are taken for a quorum of five",
     "shard/read_rounds.cc"},
    {"follower_reads_before_applied", "shard/follower_reads.cc", "a follower serves a read before it has applied its index",
     "thesis 6.4"},
    {"answer_to_earlier_question", "shard/follower_reads.cc", "a follower takes an index that it was told for earlier reads",
     "thesis 6.4"},
    // ---- outcomes
    {"expired_write_failed", "shard/replica.cc", "a write past its deadline is said to have failed; it may still happen",
     "Jepsen TigerBeetle 0.16.11"},
    {"write_in_snapshot_failed", "shard/replica.cc", "a write whose outcome a snapshot hides is said to have failed",
     "etcd#14890"},
    {"write_forwarded_twice", "shard/forwards.cc", "a write that went to a lost leader is sent to the next one",
     "etcd#18424"},
    {"forward_token_reused", "shard/forwards.cc", "a late answer to a forwarded request is taken for another's",
     "shard/forwards.h"},
    {"sent_write_repeated", "client/retry_policy.cc", "the client repeats a write that may have left", "etcd#14890"},
    {"open_write_repeated", "client/retry_policy.cc", "the client repeats a write whose outcome is open", "etcd#18424"},
    {"half_read_repeated", "client/retry_policy.cc", "a long read whose connection broke goes on with a new answer",
     "client/retry_policy.h"},
    {"client_token_reused", "client/pending_table.cc", "a late answer is taken for that of the next request",
     "client/pending_table.h"},
    {"sent_taken_for_unsent", "client/core_connections.cc", "what was sent on a lost connection counts as never sent",
     "etcd#18424"},
    {"compacts_first_domain", "shard/router.cc", "a compaction goes to the first domain whatever it names",
     "schemas/README.md"},
    // ---- the store
    {"create_revision_moves", "kv/store_state.cc", "each put changes the key's create revision", "etcd KV API"},
    {"empty_write_takes_revision", "kv/store_state.cc", "a transaction that changes nothing takes a revision",
     "etcd KV API"},
    {"compaction_ignores_pins", "kv/store_state.cc", "compaction frees what a read or checkpoint under way needs",
     "etcd#17780"},
    {"compaction_drops_living_key", "kv/store_state.cc", "the compaction of a removal takes a key that was put again",
     "etcd#18089"},
    {"index_keeps_dead_key", "kv/store_state.cc", "a compacted key is still found through the hash index",
     "kv/hash_index.h"},
    {"compacts_one_too_far", "kv/compaction.cc", "the compacted revision itself can no longer be read", "etcd#19179"},
    {"compacted_is_read", "kv/range_read.cc", "a read below the compacted revision is answered", "etcd KV API"},
    {"txn_reads_compacted", "kv/txn_job.cc", "a transaction reads below the compacted revision", "etcd KV API"},
    {"missing_value_compares", "kv/txn_job.cc", "a compare by value holds for a missing key", "etcd KV API"},
    {"first_compare_decides", "kv/txn_job.cc", "a transaction looks at its first compare only", "etcd KV API"},
    {"lease_version_unchecked", "kv/store_leases.cc", "a lease ends though it was renewed before the expiry was applied",
     "etcd#15247"},
    {"moved_key_stays_attached", "kv/lease_table.cc", "a key put on another lease still hangs on the former", "etcd API"},
    {"deleted_key_stays_attached", "kv/store_state.cc", "a deleted key still hangs on its lease", "etcd API"},
    {"expiry_tried_once", "kv/lease_table.cc", "a lease whose expiry was lost with its leader is looked at a minute later",
     "kv/lease_table.h, the wheel"},
    {"lease_clock_runs_fast", "shard/lease_keeper.cc", "a leader counts every second of a lease twice", "etcd API"},
    {"new_leader_renews_leases", "shard/lease_keeper.cc", "a change of leaders gives every lease its whole time again",
     "etcd#9395"},
    {"keep_alive_answered_uncommitted", "shard/lease_keeper.cc", "a keep-alive is answered before it is committed",
     "etcd#15247"},
    {"txn_blind_to_itself", "kv/txn_job.cc", "a read in a transaction does not see the writes before it", "etcd KV API"},
    {"removal_skips_at_pause", "kv/delete_job.cc", "a long removal leaves out the key at which it paused",
     "kv/store.h, resumable apply"},
    {"half_applied_is_seen", "kv/store.cc", "a read sees the first half of a transaction under way", "kv/store.h"},
    {"count_is_of_today", "kv/range_scan.cc", "a read of the past counts the keys of today", "etcd KV API"},
    {"page_counts_one_short", "kv/range_read.cc", "the next page of a read of the past counts one key less than there is",
     "kv/page_counts.h"},
    {"revision_filter_ends_early", "kv/range_scan.cc", "the greatest revision that a range asks for is left out",
     "etcd KV API"},
    {"sorts_upwards_only", "kv/range_scan.cc", "a descending order by something else than the key ascends", "etcd KV API"},
    {"ignored_lease_is_left", "kv/put.cc", "a put that keeps the key's lease takes it off", "etcd KV API"},
    {"range_holds_its_end", "kv/range_scan.cc", "a range holds the key at its end", "etcd KV API"},
    {"past_read_sees_newest", "kv/range_scan.cc", "a read of the past sees newer versions", "etcd KV API"},
    {"alarm_stays", "shard/space_alarms.cc", "an alarm is never taken back, however much is free again",
     "shard/space_alarms.h"},
    {"wrong_state_stays", "shard/state_compare.cc", "a replica that is told of its wrong state goes on serving it",
     "shard/state_compare.h"},
    {"hash_is_of_today", "kv/state_hash.cc", "a hash of a past revision is of the current one", "etcd maintenance API"},
    // ---- watches
    {"watch_forgets_its_place", "shard/watch_feed.cc", "a watch that falls behind misses the rest of the revision it is at",
     "etcd 1.7: atomic, reliable"},
    {"watch_told_what_it_knows", "shard/watch_feed.cc", "a pass over history tells its watches what they were told before",
     "etcd 1.7: unique, resumable"},
    {"watch_loses_at_hand_over", "shard/watch_feed.cc", "a change is lost where a watch goes from history to the present",
     "etcd 1.7: reliable"},
    {"watch_survives_compaction", "shard/watch_feed.cc", "a watch goes on where compaction left a gap",
     "etcd 1.7: reliable"},
    {"progress_runs_ahead", "shard/watch_feed.cc", "a mark names a revision that was not told yet",
     "etcd 1.7: bookmarkable"},
    {"revision_told_in_parts", "shard/watch_feed.cc", "a revision's changes come as if each were all of it",
     "etcd 1.7: atomic"},
    {"watch_filter_ignored", "shard/watches.cc", "removals are told to who does not want them", "etcd 1.7: filtered"},
    {"watch_resumes_at_last", "client/watch.cc", "an interrupted watch asks for its last revision again",
     "etcd 1.7: resumable"},
    {"former_pair_is_new", "kv/store.cc", "prev_kv of an event is the pair it made", "etcd 1.7: prev_kv"},
    // ---- locks and elections
    {"end_just_before_is_a_turn", "client/contender.cc", "whoever stood just before has left: that is taken for a turn",
     "client/contender.h"},
    {"left_unmarked", "client/contender.cc", "an entry that arrives after its owner left stands there for nobody",
     "client/contender.h"},
    {"leaders_watched_late", "client/leader_watch.cc", "what happens just behind the first look at a line is not seen",
     "client/leader_watch.h"},
};

}  // namespace

std::span<const Mutant> mutants() { return table; }

ChooseMutant choose_mutant(std::string_view name) {
    ASSERT(mutants_planted);
    const auto found = std::ranges::find(table, name, &Mutant::name);
    if (found == std::end(table)) {
        return ChooseMutant::no_such_mutant;
    }
#ifdef RINGFORT_MUTANTS
    chosen_mutant = mutant_number(name);
#endif
    return ChooseMutant::chosen;
}

}  // namespace ringfort::sim
