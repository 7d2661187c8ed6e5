"""make-mirror and the checks on real processes: over the ends of nodes of both clusters."""
import subprocess
import tempfile

from cluster_case import ClusterCase
from processes import Cluster, wait_until


class Mirror(ClusterCase):
    def values(self, cluster, prefix):
        return cluster.must_ctl("get", prefix, "--prefix", "--print-value-only").split("\n")[:-1]

    def test_a_mirror_goes_on_over_the_ends_of_nodes_on_both_sides(self):
        cluster = self.cluster()
        (self.folder / "copy").mkdir()
        copy = Cluster(self.programs, self.folder / "copy", count=1)
        self.addCleanup(lambda: [node.kill() for node in copy.nodes])
        copy.start()
        copy.wait_ready()
        for number in range(5):
            cluster.must_ctl("put", f"app/{number}", f"old {number}")
        cluster.must_ctl("put", "other", "is not mirrored")
        command = [cluster.programs["ringctl"], "--endpoints", cluster.endpoints, "make-mirror", "--prefix", "app/",
                   "--dest-prefix", "copy/", copy.endpoints]
        mirror = subprocess.Popen(command)
        self.addCleanup(lambda: (mirror.kill(), mirror.wait()))
        wait_until(lambda: self.values(copy, "") == [f"old {number}" for number in range(5)], 20, "the base is there")
        cluster.nodes[0].kill()   # the mirror's watch was there
        copy.nodes[0].kill()
        cluster.wait_leader(cluster.nodes[1:])
        cluster.must_ctl("txn", text='mod("app/0") > "0"\n\nput app/0 new\nput app/5 new\ndel app/1\n\n\n')
        copy.start()
        copy.wait_ready()
        wanted = ["new", "old 2", "old 3", "old 4", "new"]
        wait_until(lambda: self.values(copy, "copy/") == wanted, 20, "the change is there")
        revisions = copy.ctl("get", "copy/", "--prefix", "-w", "fields")[1]
        changed = [line for line in revisions.split("\n") if line.startswith('"ModRevision"')]
        self.assertEqual(changed[0], changed[-1], "one revision here, one there")
        self.assertIsNone(mirror.poll())

    def test_the_first_copy_goes_on_elsewhere_when_its_node_ends(self):
        cluster = self.cluster()
        (self.folder / "copy").mkdir()
        copy = Cluster(self.programs, self.folder / "copy", count=1)
        self.addCleanup(lambda: [node.kill() for node in copy.nodes])
        large = "x" * 500_000   # more of them than a client has under way
        for number in range(12):
            cluster.must_ctl("put", f"app/{number:02}", text=f"{number}{large}")
        command = [cluster.programs["ringctl"], "--endpoints", cluster.endpoints, "make-mirror", "--prefix", "app/",
                   copy.endpoints]
        with tempfile.TemporaryFile("w+") as errors:
            mirror = subprocess.Popen(command, stderr=errors)
            self.addCleanup(lambda: (mirror.kill(), mirror.wait()))

            def stands():
                errors.seek(0)
                return "trying again" in errors.read()
            wait_until(stands, 20, "the copy has begun, and nobody takes it")
        cluster.nodes[0].kill()
        cluster.wait_leader(cluster.nodes[1:])
        cluster.must_ctl("put", "app/00", "later")
        cluster.must_ctl("del", "app/11")
        copy.start()
        copy.wait_ready()

        def lengths():
            return [len(value) for value in self.values(copy, "app/")]
        wanted = [5] + [len(f"{number}{large}") for number in range(1, 11)]
        wait_until(lambda: lengths() == wanted, 20, "all of it is there, and what came later")
        self.assertIsNone(mirror.poll())

    def test_the_checks_say_pass_and_leave_nothing_behind(self):
        cluster = self.cluster()
        told = cluster.must_ctl("check", "datascale", seconds=180)
        self.assertIn("PASS: Approximate system memory used : ", told)
        # On a machine that is busy with other tests no latency is promised: whatever it says, it says all of it.
        told = cluster.ctl("check", "perf", "--seconds", "1", seconds=60)[1]
        for words in ("writes/s", "Slowest request took", "Stddev"):
            self.assertIn(words, told)
        self.assertEqual(self.values(cluster, "/ringctl-check"), [])
