"""Orderly stops, restarts, wiped nodes, another shard count."""
import shutil
import time

from cluster_case import CALM, GAP_ROLLING_RESTART_MS, STOP_SECONDS, ClusterCase, alone
from processes import wait_until

# One for each pair of nodes: directory and keys lie in the same shard.
LINKS = 3


class Restart(ClusterCase):
    def test_sigterm_ends_each_node_with_code_0_in_time(self):
        cluster = self.cluster()
        self.put(cluster, "key", "value")
        for node in cluster.nodes:
            code, seconds = node.terminate()
            self.assertEqual(code, 0, node.log_tail())
            self.assertLessEqual(seconds, STOP_SECONDS)

    @alone
    def test_rolling_restart_under_load_fails_no_request(self):
        cluster = self.cluster()

        def all_linked():
            return cluster.peer_connections() == LINKS

        def restart_each():
            for node in cluster.nodes:
                # Who is back has a link to the leader, and soon one to the third node: those two are the next majority.
                wait_until(all_linked, 30, lambda: f"{cluster.peer_connections()} of {LINKS} links are there")
                code, seconds = node.terminate()
                self.assertEqual(code, 0, node.log_tail())
                self.assertLessEqual(seconds, STOP_SECONDS)
                cluster.start(node)
                cluster.wait_ready([node])
                self.caught_up(cluster, node)

        def one_round(name):
            gap, result = self.gap_around(cluster, name, restart_each, connections=8, in_flight=4)
            self.note(f"{name}: {result['requests']:,} requests")
            self.assertEqual(result["failed"], 0)
            return gap

        self.best_gap(GAP_ROLLING_RESTART_MS, one_round)

    def test_everything_stopped_in_order_is_there_after_a_start(self):
        cluster = self.cluster(extra=CALM)
        load = self.load(cluster, requests=5000, history=True)
        self.assertEqual(load.result()["failed"], 0)
        for node in cluster.nodes:
            self.assertEqual(node.terminate()[0], 0)
        cluster.start()
        cluster.wait_ready()
        self.verify_load(load)

    def test_follower_wiped_comes_back_without_harm(self):
        cluster = self.cluster()
        load = self.load(cluster, requests=5000, history=True)
        self.assertEqual(load.result()["failed"], 0)
        victim = cluster.followers()[0]
        victim.kill()
        shutil.rmtree(victim.data)
        cluster.start(victim)
        cluster.wait_ready([victim])
        self.verify_load(load)
        # It must count in quorums again: with another node gone, it makes the majority.
        cluster.wait_counted([victim])
        other, third = self.without(cluster, victim)
        other.pause()
        wait_until(lambda: cluster.ctl("put", "two", "suffice", endpoints=third.client)[0] == 0, 60,
                   "the wiped node counts again")
        other.resume()
        cluster.wait_ready([other])
        self.same_state(cluster)

    def test_start_with_another_shard_count_serves_the_same_data(self):
        cluster = self.cluster(extra=["--initial-domains", "a,m,t"], start=False)
        cluster.start(extra=["--shards", "1"])
        cluster.wait_ready()
        for key in ("Zero", "apple", "mango", "tree"):
            self.put(cluster, key, f"of {key}")
        for shards in ("2", "1"):
            for node in cluster.nodes:
                self.assertEqual(node.terminate()[0], 0)
            cluster.start(extra=["--shards", shards])
            cluster.wait_ready()
            for key in ("Zero", "apple", "mango", "tree"):
                self.assertEqual(self.get(cluster, key), f"of {key}")
            self.same_state(cluster)

    def test_what_the_cluster_was_founded_with_counts_and_flags_that_differ_later_are_told(self):
        cluster = self.cluster(extra=["--initial-domains", "m", "--max-txn-ops", "2"])
        node = cluster.nodes[0]
        self.assertEqual(node.terminate()[0], 0)
        self.assertNotIn("no effect", node.log.read_text(encoding="utf-8"))
        cluster.extra = ["--initial-domains", "k,p", "--max-txn-ops", "3", "--max-request-bytes", "100"]
        cluster.start(node)
        cluster.wait_ready([node])
        for sentence in ("--initial-domains is 'k,p' here and has no effect: the cluster was founded with 'm'",
                         "--max-txn-ops is '3' here and has no effect: the cluster was founded with '2'",
                         "--max-request-bytes is '100' here and has no effect: the cluster was founded with '1572864'"):
            wait_until(lambda said=sentence: said in node.log.read_text(encoding="utf-8"), 20, f"it says: {sentence}")
        self.put(cluster, "a", "x" * 200, endpoints=node.client)
        for count, answer in ((2, 0), (3, 1)):
            puts = "".join(f"put a{i} v\n" for i in range(count))
            code, _, error = cluster.ctl("txn", endpoints=node.client, text=f"\n{puts}\n\n")
            self.assertEqual(code, answer, error)
        self.assertIn("too many operations in txn request", error)

    def caught_up(self, cluster, node):
        """Its own copy knows what was written after it came back."""
        stamp = str(time.monotonic_ns())
        self.put(cluster, "stamp", stamp)
        wait_until(lambda: self.own_copy(cluster, "stamp", node) == stamp, 30, f"{node.name} has caught up")
