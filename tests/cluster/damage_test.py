"""Flipped bytes in one node's files: nothing is lost, nothing stops, and the node says what it found."""
from cluster_case import CALM, ClusterCase
from damage import BLOCK, batches, flip, segments
from processes import wait_until


class Damage(ClusterCase):
    def test_bytes_flipped_in_a_followers_log_lose_nothing_and_stop_nothing(self):
        cluster = self.cluster(extra=["--shards", "1", *CALM])
        load = self.load(cluster, requests=2000, connections=4, in_flight=4, history=True, value_bytes=4096)
        self.assertEqual(load.result()["failed"], 0)
        # In a header, in the middle of entries, near the end of what was written.
        for share, within in ((0.1, 100), (0.5, 2000), (0.9, 3000)):
            victim = cluster.followers()[0]
            victim.kill()
            segment = max(segments(victim.data / "shard-0"), key=lambda path: len(batches(path)))
            large = [at for at, size in batches(segment) if size > BLOCK]   # their first block is used to its end
            self.assertGreater(len(large), 30, "the load fills a segment of the log")
            flip(segment, large[int(len(large) * share)] + within)
            before = len(victim.log.read_text(encoding="utf-8"))
            cluster.start(victim)
            cluster.wait_ready([victim])
            wait_until(lambda v=victim, b=before: "log: batch" in v.log.read_text(encoding="utf-8")[b:], 20,
                       "recovery tells what it found")
            self.put(cluster, "after", str(share))
            wait_until(lambda v=victim, s=share: self.own_copy(cluster, "after", v) == str(s), 30, "the victim catches up")
        self.verify_load(load)
        self.same_state(cluster)

    def test_a_flipped_byte_in_the_identity_refuses_the_start(self):
        cluster = self.cluster()
        node = cluster.nodes[0]
        self.assertEqual(node.terminate()[0], 0)
        identity = node.data / "identity"
        flip(identity, identity.stat().st_size // 2)
        self.refused(node, cluster, "identity")
