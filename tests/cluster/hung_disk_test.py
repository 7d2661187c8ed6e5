"""A disk that answers nothing for seconds: writers hardly notice, whether the leader hands over or lives on the others."""
import fcntl
import os
import time

from processes import wait_until
from small_disks_case import SmallDisksCase

# <linux/fs.h>: no write to the file system ends between the two.
FIFREEZE, FITHAW = 0xC0045877, 0xC0045878
HUNG_SECONDS = 5
# A hung disk at the leader may cost writers 2 s; a machine busy with other tests gets more.
GAP_MS = 3000


class HungDisk(SmallDisksCase):
    def test_leader_whose_disk_hangs_holds_nobody_up_and_loses_nothing(self):
        cluster, disks = self.cluster_on_small_disks()
        load = self.load(cluster, seconds=60, connections=8, in_flight=4, history=True)
        leader = cluster.wait_leader()
        disk = os.open(disks[cluster.nodes.index(leader)].point, os.O_RDONLY)
        self.addCleanup(os.close, disk)
        fcntl.ioctl(disk, FIFREEZE, 0)
        frozen = time.monotonic()
        try:
            wait_until(lambda: time.monotonic() - frozen >= HUNG_SECONDS, HUNG_SECONDS + 1, "the disk hangs for a while")
            self.assertTrue(load.running(), "the load ended early")
        finally:
            fcntl.ioctl(disk, FITHAW, 0)
        cluster.wait_ready()
        load.stop()
        result = load.result()
        self.note(f"longest gap {result['longest_gap_ms']:.0f} ms while the leader's disk hung for {HUNG_SECONDS} s")
        self.assertLessEqual(result["longest_gap_ms"], GAP_MS)
        self.verify_load(load)
