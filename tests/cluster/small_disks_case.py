"""Nodes whose data lies on small file systems of their own, which can be filled and frozen."""
from cluster_case import ClusterCase
from processes import Missed
from small_disks import SmallDisk, why_no_small_disks

DISK_MEGABYTES = 700


class SmallDisksCase(ClusterCase):
    def setUp(self):
        super().setUp()
        reason = why_no_small_disks()
        if reason:
            self.skipTest(reason)

    def cluster_on_small_disks(self):
        """(cluster, the disk of each node)"""
        cluster = self.cluster(start=False)
        disks = []
        for node in cluster.nodes:
            try:
                disks.append(SmallDisk(self.folder, node.name, DISK_MEGABYTES))
            except Missed as missed:
                self.skipTest(str(missed))
            self.addCleanup(disks[-1].unmount)
            node.data = disks[-1].point / "data"
        # Nodes end before their disks go.
        self.addCleanup(cluster.stop)
        cluster.start()
        cluster.wait_ready()
        return cluster, disks
