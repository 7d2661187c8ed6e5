"""Clusters started from copies of live data directories, as a power cut or a careless backup leaves them."""
import os
import shutil

from cluster_case import CALM, FOR_LONG, ClusterCase
from processes import READY_SECONDS, wait_until

ROUNDS = 2
PIECE = 1 << 20
# What a node may say of a copy that was made file by file while it wrote: src/server/exit_codes.h.
LOUD = {16: "identity", 30: "log", 31: "range", 32: "joins again as one whose data was lost"}


def copy_file(source, target):
    """Its zeros as holes: a log's files are made of them."""
    with source.open("rb") as before, target.open("wb") as after:
        while piece := before.read(PIECE):
            if piece.count(0) == len(piece):
                after.seek(len(piece), os.SEEK_CUR)
            else:
                after.write(piece)
        after.truncate(after.tell())


def copy_data(data, target):
    """File by file; what vanishes meanwhile is left out."""
    for path in sorted(data.rglob("*")):
        copy = target / path.relative_to(data)
        try:
            if path.is_dir():
                copy.mkdir(parents=True, exist_ok=True)
            else:
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy_file(path, copy)
        except FileNotFoundError:
            pass


class Copies(ClusterCase):
    def test_copies_of_all_nodes_at_one_moment_hold_every_acknowledged_write(self):
        """All nodes stand still while they are copied, with writes under way that the kernel ends or never began: what a
        power cut leaves, but for what the disks would have lost of unflushed writes."""
        cluster = self.cluster(extra=["--shards", "1"])
        loads, copies = [], []
        for i in range(ROUNDS):
            loads.append(self.load(cluster, f"load{i}", seconds=FOR_LONG, history=True, extra=["--prefix", f"load{i}-"],
                                   key_bytes=16))
            self.let_run(loads[i], 1 + i)
            for node in cluster.nodes:
                node.pause()
            loads[i].stop()
            self.assertGreater(loads[i].result()["requests"], 100)
            copies.append(self.copies(cluster, f"copy{i}"))
            for node in cluster.nodes:
                node.resume()
            cluster.wait_ready()
        cluster.stop()
        for i, folders in enumerate(copies):
            self.start_from(cluster, folders)
            cluster.wait_ready()
            for load in loads[:i + 1]:
                self.verify_load(load)
            self.put(cluster, "after", f"copy{i}")
            self.same_state(cluster)
            cluster.stop()

    def test_a_copy_made_while_its_node_wrote_is_told_from_the_nodes_own_data(self):
        """Older than what the node promised, and of no one moment: it comes back as one that forgot, or says why not."""
        cluster = self.cluster(extra=["--shards", "1"])
        load = self.load(cluster, seconds=FOR_LONG, history=True)
        for i, node in enumerate(cluster.nodes):
            self.let_run(load, 1)
            copy = self.folder / f"copy{i}"
            copy_data(node.data, copy)
            self.let_run(load, 1)
            node.kill()
            shutil.rmtree(node.data)
            copy.rename(node.data)
            cluster.start(node)
            if not self.good_start_or_loud(cluster, node):
                shutil.rmtree(node.data)
                cluster.start(node)
            cluster.wait_ready([node])
            cluster.wait_counted([node])   # else the next one's loss is one too many
            self.put(cluster, "stamp", str(i))
            wait_until(lambda n=node, i=i: self.own_copy(cluster, "stamp", n) == str(i), 30, f"{node.name} has caught up")
        load.stop()
        load.result()
        self.verify_load(load)
        self.same_state(cluster)

    def test_copies_of_all_nodes_made_while_they_wrote_start_well_or_say_what_is_wrong(self):
        cluster = self.cluster(extra=["--shards", "1", *CALM])
        before = self.load(cluster, "before", requests=5000, history=True, extra=["--prefix", "before-"], key_bytes=16)
        self.assertEqual(before.result()["failed"], 0)
        during = self.load(cluster, "during", seconds=FOR_LONG)
        self.let_run(during, 1)
        folders = self.copies(cluster, "copy")
        self.assertTrue(during.running(), "the load ended early")
        during.stop()
        during.result()
        cluster.stop()
        self.start_from(cluster, folders)
        wait_until(lambda: self.all_serve_or_too_few_can(cluster), READY_SECONDS,
                   lambda: "\n".join(f"{node.name} serves or ends: {node.log_tail()}" for node in cluster.nodes), 0.1)
        for node in cluster.nodes:
            if not node.alive():
                self.must_have_been_loud(node)
            elif self.in_doubt(cluster, node):
                self.note(f"{node.name} counts in no quorum")
        if all(self.serves(cluster, node) for node in cluster.nodes):
            self.verify_load(before)
            self.same_state(cluster)
            self.note("all nodes started from such copies")

    def copies(self, cluster, name):
        folders = [self.folder / f"{name}-{node.name}" for node in cluster.nodes]
        for node, folder in zip(cluster.nodes, folders):
            copy_data(node.data, folder)
        return folders

    def start_from(self, cluster, folders):
        for node, folder in zip(cluster.nodes, folders):
            node.data = folder
        cluster.start()

    def good_start_or_loud(self, cluster, node):
        """Whether the node serves; else it must have ended by itself, with a code and a sentence for what it found."""
        wait_until(lambda: not node.alive() or self.serves(cluster, node), READY_SECONDS,
                   lambda: f"{node.name} serves or ends: {node.log_tail()}", 0.1)
        if node.alive():
            return True
        self.must_have_been_loud(node)
        return False

    def must_have_been_loud(self, node):
        code = node.process.returncode
        self.assertIn(code, LOUD, node.log_tail())
        self.assertIn(LOUD[code], node.log_tail(3))
        self.note(f"{node.name} said: {node.log_tail(1)}")

    def all_serve_or_too_few_can(self, cluster):
        """What does not serve has ended, or it cannot: a majority has ended or says that it counts in no quorum."""
        lost = [node for node in cluster.nodes if not node.alive() or self.in_doubt(cluster, node)]
        return 2 * len(lost) > len(cluster.nodes) or all(not node.alive() or self.serves(cluster, node)
                                                         for node in cluster.nodes)

    def in_doubt(self, cluster, node):
        status = cluster.status(node)
        return bool(status) and any(each["inDoubt"] for each in status["ranges"])

    def serves(self, cluster, node):
        return node.alive() and cluster.ctl("endpoint", "health", endpoints=node.client, seconds=5)[0] == 0
