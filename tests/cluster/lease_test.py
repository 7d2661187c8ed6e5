"""Leases on real processes: kept alive over the ends and pauses of leaders, and gone in time when their keeper is."""
import re
import subprocess
import time

from cluster_case import CALM, ClusterCase
from processes import wait_until

TTL_SECONDS = 4
# A second that a lost leader may not have told anybody, an election, the wheel, and a busy machine.
LATE_SECONDS = 5


class Lease(ClusterCase):
    def grant(self, cluster, ttl=TTL_SECONDS):
        said = cluster.must_ctl("lease", "grant", str(ttl))
        found = re.fullmatch(rf"lease ([0-9a-f]{{16}}) granted with TTL\({ttl}s\)\n", said)
        self.assertTrue(found, said)
        return found.group(1)

    def keeper(self, cluster, lease):
        command = [cluster.programs["ringctl"], "--endpoints", cluster.endpoints, "lease", "keep-alive", lease]
        keeper = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.addCleanup(lambda: (keeper.kill(), keeper.wait()))
        return keeper

    def pause_leader(self, cluster):
        """The leader, and the others."""
        leader = cluster.wait_leader()
        leader.pause()
        self.addCleanup(leader.resume)
        return leader, self.without(cluster, leader)

    def remaining(self, cluster, lease):
        found = re.search(r"remaining\((\d+)s\)", cluster.must_ctl("lease", "timetolive", lease))
        return int(found.group(1)) if found else 0

    def test_lease_kept_alive_over_leaders_ends_and_pauses_and_gone_in_time_after_its_keepers(self):
        cluster = self.cluster()
        lease = self.grant(cluster)
        granted = time.monotonic()
        cluster.must_ctl("put", "--lease", lease, "here", "i-am")
        keeper = self.keeper(cluster, lease)
        wait_until(lambda: time.monotonic() - granted + self.remaining(cluster, lease) > TTL_SECONDS + 0.5, 20,
                   "the keeper renews the lease")
        leader = cluster.wait_leader()
        leader.kill()
        cluster.wait_leader(self.without(cluster, leader))
        cluster.start(leader)
        cluster.wait_ready()
        # Time is the condition: without its keeper it would have been over, as the one that stands still may believe.
        leader, others = self.pause_leader(cluster)
        time.sleep(TTL_SECONDS + 1)
        cluster.wait_leader(others)
        leader.resume()
        cluster.wait_ready()
        self.assertEqual(self.get(cluster, "here"), "i-am")
        self.assertIsNone(keeper.poll(), "the keeper gave up")
        said = cluster.must_ctl("lease", "timetolive", lease, "--keys")
        self.assertIn(f"lease {lease} granted with TTL({TTL_SECONDS}s), remaining(", said)
        self.assertIn("attached keys([here])", said)
        self.assertEqual(cluster.must_ctl("lease", "list"), f"found 1 leases\n{lease}\n")

        keeper.kill()
        keeper.wait()
        died = time.monotonic()
        leader, others = self.pause_leader(cluster)
        wait_until(lambda: self.get(cluster, "here", endpoints=others[0].client) is None, TTL_SECONDS + LATE_SECONDS,
                   "the key goes with its lease")
        lived = time.monotonic() - died
        leader.resume()
        self.note(f"gone {lived:.1f} s after its keeper's end")
        # The keeper renewed it within the last third of its time before it died.
        self.assertGreaterEqual(lived, TTL_SECONDS * 2 / 3 - 1)
        self.assertEqual(cluster.must_ctl("lease", "timetolive", lease), f"lease {lease} already expired\n")
        self.assertEqual(cluster.ctl("lease", "keep-alive", "--once", lease),
                         (1, "", "Error: etcdserver: requested lease not found\n"))
        self.assertEqual(cluster.must_ctl("lease", "keep-alive", lease), f"lease {lease} expired or revoked.\n")
        self.assertEqual(cluster.must_ctl("lease", "keep-alive", lease, "-w", "json"), "")
        self.same_state(cluster)

    def test_keep_alives_of_many_leases_share_entries(self):
        cluster = self.cluster(extra=CALM)
        load = self.load(cluster, op="lease-keepalive", keys=2000, seconds=3)
        result = load.result()
        self.assertEqual(result["failed"], 0)
        leases = int(cluster.must_ctl("lease", "list").split()[1])
        self.assertEqual(leases, 2000)
        entries = max(index for index, _ in cluster.same_state().values()) - leases
        self.note(f"{result['requests']} keep-alives, {entries} entries")
        self.assertLess(entries, result["requests"] / 4)

    def test_lease_is_asked_for_at_any_node_and_outlives_a_restart_of_all(self):
        cluster = self.cluster()
        lease = self.grant(cluster, 60)
        for number, node in enumerate(cluster.nodes):
            cluster.must_ctl("put", "--lease", lease, f"key{number}", "v", endpoints=node.client)
        for node in cluster.nodes:
            node.kill()
        cluster.start()
        cluster.wait_ready()
        said = cluster.must_ctl("lease", "timetolive", lease, "--keys", endpoints=cluster.nodes[1].client)
        self.assertIn("attached keys([key0 key1 key2])", said)
        for node in cluster.nodes:
            said = cluster.must_ctl("lease", "keep-alive", "--once", lease, endpoints=node.client)
            self.assertEqual(said, f"lease {lease} keepalived with TTL(60)\n")
        self.assertEqual(cluster.must_ctl("lease", "revoke", lease), f"lease {lease} revoked\n")
        self.assertIsNone(self.get(cluster, "key1"))
        code, _, error = cluster.ctl("put", "--lease", lease, "key", "v")
        self.assertEqual(code, 1)
        self.assertIn("requested lease not found", error)
        self.same_state(cluster)
