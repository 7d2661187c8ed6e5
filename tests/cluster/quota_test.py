"""The memory limit is the node's, whatever the number of its shards."""
import time

from cluster_case import ClusterCase
from processes import wait_until

VALUE = "x" * 100_000


class Quota(ClusterCase):
    def test_one_shard_may_fill_the_limit_of_the_node_and_then_all_of_them_refuse(self):
        quota = 4 << 20
        cluster = self.cluster(extra=["--shards", "2", "--initial-domains", "m", "--quota-backend-bytes", str(quota)])
        for node in cluster.nodes:
            self.assertEqual(cluster.status(node)["dbSizeQuota"], quota)
        filled = self.fill(cluster, "a")
        self.assertGreater(filled, 34, "a part of the limit only")
        self.assertLess(filled, 43, "more than the limit")
        # The other shard hears of it within a moment; until then a small value would still be taken there, beyond the limit.
        refusal = wait_until(lambda: self.refusal(cluster, "z", VALUE * 10), 5, "the other shard refuses too", 0.1)
        self.assertIn("database space exceeded", refusal)
        self.assertEqual(self.get(cluster, "a0"), VALUE)
        # The alarm says so at every node, and stops what would fit; taken back by hand it is raised again by need only.
        leader = cluster.status(self.leader_of(cluster, domain=1))["header"]["member_id"]
        for node in cluster.nodes:
            self.assertIn(f"memberID:{leader} alarm:NOSPACE domain:1", wait_until(
                lambda at=node: (cluster.status(at).get("errors") or [""])[0], 5, f"{node.name} tells of the alarm", 0.1))
        self.assertIn("database space exceeded", cluster.ctl("put", "small", "v")[2])
        self.assertIn("unhealthy", cluster.ctl("endpoint", "health")[2] + cluster.ctl("endpoint", "health")[1])
        self.assertEqual(cluster.must_ctl("alarm", "disarm", "--domain", "1"), f"memberID:{leader} alarm:NOSPACE\n")
        self.assertEqual(cluster.must_ctl("alarm", "list", "--domain", "1"), "")
        self.put(cluster, "a-small", "v")
        self.assertIn("database space exceeded", self.refusal(cluster, "a"))
        wait_until(lambda: cluster.must_ctl("alarm", "list", "--domain", "1"), 5, "the alarm is raised again", 0.1)
        revision = cluster.status(cluster.nodes[0])["header"]["revision"]
        cluster.must_ctl("del", "a", "b")
        cluster.must_ctl("compaction", str(revision + 1), "--physical", "--domain", "1")
        wait_until(lambda: self.refusal(cluster, "z") is None, 5, "there is room again", 0.1)
        for domain in ("1", "2"):
            wait_until(lambda of=domain: not cluster.must_ctl("alarm", "list", "--domain", of), 5, "no alarm is left", 0.1)
        for node in cluster.nodes:
            self.assertFalse(cluster.status(node).get("errors"))

    def leader_of(self, cluster, domain):
        for node in cluster.nodes:
            status = cluster.status(node)
            if any(each["domain"] == domain and each["leader"] == status["header"]["member_id"]
                   for each in status["ranges"]):
                return node
        self.fail("nobody leads")

    def test_a_limit_smaller_than_the_number_of_shards_is_a_limit(self):
        cluster = self.cluster(extra=["--shards", "2", "--quota-backend-bytes", "1"])
        self.assertIn("database space exceeded", self.refusal(cluster, "a"))

    def fill(self, cluster, prefix):
        for i in range(100):
            if self.refusal(cluster, f"{prefix}{i}"):
                return i
            time.sleep(0.01)
        return 100

    def refusal(self, cluster, key, value=VALUE):
        """What a put says when it is refused; None when it is taken."""
        code, output, error = cluster.ctl("put", key, text=value)
        return None if code == 0 else output + error
