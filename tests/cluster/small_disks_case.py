"""Nodes whose data lies on small file systems of their own, which can be filled and frozen."""
import os
import shutil

from cluster_case import ClusterCase
from processes import run, wait_until

DISK_MEGABYTES = 700


class SmallDisksCase(ClusterCase):
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

    def cluster_on_small_disks(self):
        """(cluster, the mount point of each node)"""
        cluster = self.cluster(start=False)
        points = [self.small_disk(node) for node in cluster.nodes]
        cluster.start()
        cluster.wait_ready()
        return cluster, points
