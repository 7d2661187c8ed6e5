"""The memory limit is the node's, whatever the number of its shards."""
import json
import time

from cluster_case import CALM, ClusterCase
from processes import wait_until

VALUE = "x" * 100_000


class Quota(ClusterCase):
    def test_one_shard_may_fill_the_limit_of_the_node_and_then_all_of_them_refuse(self):
        quota = 4 << 20
        cluster = self.cluster(extra=["--shards", "2", "--initial-domains", "m", "--quota-backend-bytes", str(quota), *CALM])
        for node in cluster.nodes:
            self.assertEqual(self.status(cluster, node)["dbSizeQuota"], quota)
        filled = self.fill(cluster, "a")
        self.assertGreater(filled, 34, "a part of the limit only")
        self.assertLess(filled, 43, "more than the limit")
        # The other shard hears of it within a moment; until then a small value would still be taken there, beyond the limit.
        wait_until(lambda: self.refused(cluster, "z", VALUE * 10), 20, "the other shard refuses too", 0.1)
        self.assertEqual(self.get(cluster, "a0"), VALUE)
        # The alarm says so at every node, and stops what would fit; taken back by hand it is raised again by need only.
        leader = wait_until(lambda: self.leader_of(cluster, domain=1), 20, "somebody leads", 0.1)
        raised = f"memberID:{leader} alarm:NOSPACE"
        for node in cluster.nodes:
            wait_until(lambda at=node: any(f"{raised} domain:1" in error for error in self.errors(cluster, at)), 20,
                       f"{node.name} tells of the alarm", 0.1)
        wait_until(lambda: cluster.must_ctl("alarm", "list", "--domain", "2"), 20, "the other one's is raised", 0.1)
        self.assertTrue(self.refused(cluster, "small", "v"))
        self.assertIn("unhealthy", cluster.ctl("endpoint", "health")[2] + cluster.ctl("endpoint", "health")[1])
        self.assertEqual(cluster.must_ctl("alarm", "disarm", "--domain", "1"), raised + "\n")
        self.assertEqual(cluster.must_ctl("alarm", "list", "--domain", "1"), "")
        self.put(cluster, "a-small", "v")
        self.assertTrue(self.refused(cluster, "a"))
        wait_until(lambda: cluster.must_ctl("alarm", "list", "--domain", "1"), 20, "the alarm is raised again", 0.1)
        deleted = json.loads(cluster.must_ctl("del", "a", "b", "-w", "json"))["header"]["revision"]
        cluster.must_ctl("compaction", str(deleted), "--physical", "--domain", "1")
        wait_until(lambda: not self.refused(cluster, "z"), 20, "there is room again", 0.1)
        for domain in ("1", "2"):
            wait_until(lambda of=domain: not cluster.must_ctl("alarm", "list", "--domain", of), 20, "no alarm is left", 0.1)
        for node in cluster.nodes:
            wait_until(lambda at=node: not any("alarm:" in error for error in self.errors(cluster, at)), 20,
                       f"{node.name} tells of no alarm", 0.1)

    def leader_of(self, cluster, domain):
        """The member id; None when nobody leads."""
        leaders = {each["leader"] for node in cluster.nodes for each in self.status(cluster, node)["ranges"]
                   if each["domain"] == domain}
        return leaders.pop() if len(leaders) == 1 else None

    def status(self, cluster, node):
        return wait_until(lambda: cluster.status(node), 20, f"{node.name} tells its status", 0.1)

    def errors(self, cluster, node):
        return self.status(cluster, node).get("errors") or []

    def test_a_limit_smaller_than_the_number_of_shards_is_a_limit(self):
        cluster = self.cluster(extra=["--shards", "2", "--quota-backend-bytes", "1"])
        self.assertTrue(self.refused(cluster, "a"))

    def fill(self, cluster, prefix):
        for i in range(100):
            if self.refused(cluster, f"{prefix}{i}"):
                return i
            time.sleep(0.01)
        return 100

    def refused(self, cluster, key, value=VALUE):
        """Whether a put is, for want of space, or is taken in the end: a busy machine may elect at any time."""
        def answer():
            code, _, error = cluster.ctl("put", key, text=value)
            return "refused" if "database space exceeded" in error else "taken" if code == 0 else None
        return wait_until(answer, 30, "a put is taken or refused", 0.1) == "refused"
