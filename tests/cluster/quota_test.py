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
        # The other shard hears of it within a moment.
        refusal = wait_until(lambda: self.refusal(cluster, "z"), 5, "the other shard refuses too", 0.1)
        self.assertIn("database space exceeded", refusal)
        self.assertEqual(self.get(cluster, "a0"), VALUE)
        revision = cluster.status(cluster.nodes[0])["header"]["revision"]
        cluster.must_ctl("del", "a", "b")
        cluster.must_ctl("compaction", str(revision + 1), "--physical", "--domain", "1")
        wait_until(lambda: self.refusal(cluster, "z") is None, 5, "there is room again", 0.1)

    def test_a_limit_smaller_than_the_number_of_shards_is_a_limit(self):
        cluster = self.cluster(extra=["--shards", "2", "--quota-backend-bytes", "1"])
        self.assertIn("database space exceeded", self.refusal(cluster, "a"))

    def fill(self, cluster, prefix):
        for i in range(100):
            if self.refusal(cluster, f"{prefix}{i}"):
                return i
            time.sleep(0.01)
        return 100

    def refusal(self, cluster, key):
        """What a put of a value says when it is refused; None when it is taken."""
        code, output, error = cluster.ctl("put", key, VALUE)
        return None if code == 0 else output + error
