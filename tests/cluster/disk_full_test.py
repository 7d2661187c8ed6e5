"""A full disk is an ordinary answer: writes are refused, reads go on, space given back brings writes back."""
import os
import shutil

from cluster_case import ClusterCase
from processes import run, wait_until

DISK_MEGABYTES = 700
VALUE = "x" * 100_000


class DiskFull(ClusterCase):
    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("needs root to mount a small file system")
        for program in ("mkfs.ext4", "mount"):
            if not shutil.which(program):
                self.skipTest(f"needs {program}")
        self.mounted = []
        self.addCleanup(self.unmount)

    def unmount(self):
        for point in self.mounted:
            wait_until(lambda p=point: run(["umount", p])[0] == 0, 20, f"unmount {point}")

    def small_disk(self, node):
        """The node's data directory on a file system of its own."""
        image, point = self.folder / f"{node.name}.image", self.folder / f"{node.name}.disk"
        with image.open("wb") as file:
            file.truncate(DISK_MEGABYTES << 20)
        point.mkdir()
        code, _, error = run(["mkfs.ext4", "-q", "-F", "-m", "0", image], 60)
        self.assertEqual(code, 0, error)
        code, _, error = run(["mount", "-o", "loop", image, point])
        if code != 0:
            self.skipTest(f"cannot mount a file here: {error.strip()}")
        self.mounted.append(point)
        node.data = point / "data"
        return point

    def test_writes_are_refused_and_reads_go_on_until_there_is_space_again(self):
        cluster = self.cluster(start=False)
        points = [self.small_disk(node) for node in cluster.nodes]
        cluster.start()
        cluster.wait_ready()
        self.put(cluster, "witness", "unharmed")
        ballast = [self.fill(point) for point in points]
        refusal = self.write_until_refused(cluster)
        self.assertIn("space", refusal)
        for node in cluster.nodes:
            cluster.must_live(node)
            self.assertEqual(self.get(cluster, "witness", endpoints=node.client), "unharmed")
        for file in ballast:
            file.unlink()
        wait_until(lambda: cluster.ctl("put", "after", "space")[0] == 0, 60, "writes go on when there is space again", 0.5)

    def fill(self, point):
        file = point / "ballast"
        with file.open("wb") as out:
            left = shutil.disk_usage(point).free
            os.posix_fallocate(out.fileno(), 0, max(4096, left - (4 << 20)))
        return file

    def write_until_refused(self, cluster):
        for i in range(20000):
            code, output, error = cluster.ctl("put", f"fill{i % 50}", VALUE)
            if code != 0:
                return (output + error).lower()
        self.fail("two gigabytes fitted on a full disk")
