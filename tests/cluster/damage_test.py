"""Flipped bytes in one node's files: nothing is lost, nothing stops, and the node says what it found."""
import os

from cluster_case import ClusterCase
from processes import wait_until

BLOCK = 4096


def written_blocks(path):
    """Offsets of the blocks that hold anything: segments are made of zeros."""
    content, nothing = path.read_bytes(), bytes(BLOCK)
    return [at for at in range(0, len(content), BLOCK) if content[at:at + BLOCK] != nothing]


def flip(path, offset):
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x40]))
        file.flush()
        os.fsync(file.fileno())


class Damage(ClusterCase):
    def test_bytes_flipped_in_a_followers_log_lose_nothing_and_stop_nothing(self):
        cluster = self.cluster(extra=["--shards", "1"])
        load = self.load(cluster, requests=5000, connections=4, in_flight=4, history=True)
        self.assertEqual(load.result()["failed"], 0)
        # In a header, in the middle of entries, near the end of what was written.
        for share, within in ((0.1, 100), (0.5, 2000), (0.9, 3000)):
            victim = cluster.followers()[0]
            victim.kill()
            segment = max(victim.data.glob("shard-0/log-*"), key=lambda path: len(written_blocks(path)))
            blocks = written_blocks(segment)
            self.assertGreater(len(blocks), 100, "the load fills blocks of the log")
            flip(segment, blocks[int(len(blocks) * share)] + within)
            before = len(victim.log.read_text(encoding="utf-8"))
            cluster.start(victim)
            cluster.wait_ready([victim])
            said = victim.log.read_text(encoding="utf-8")[before:]
            self.assertIn("log: batch", said, "recovery tells what it found")
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
