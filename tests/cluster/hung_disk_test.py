"""A disk that answers nothing for seconds: writers hardly notice, whether the leader hands over or lives on the others."""
import fcntl
import os
import time

from small_disks_case import SmallDisksCase

# <linux/fs.h>: no write to the file system ends between the two.
FIFREEZE, FITHAW = 0xC0045877, 0xC0045878
HUNG_SECONDS = 5
# A hung disk at the leader may cost writers 2 s; a machine busy with other tests gets more.
GAP_MS = 3000


class HungDisk(SmallDisksCase):
    def test_leader_whose_disk_hangs_holds_nobody_up_and_loses_nothing(self):
        cluster, disks = self.cluster_on_small_disks()

        def hang():
            disk = os.open(disks[cluster.nodes.index(cluster.wait_leader())].point, os.O_RDONLY)
            try:
                fcntl.ioctl(disk, FIFREEZE, 0)
                try:
                    time.sleep(HUNG_SECONDS)
                finally:
                    fcntl.ioctl(disk, FITHAW, 0)
            finally:
                os.close(disk)
            cluster.wait_ready()

        self.best_gap(GAP_MS, lambda name: self.gap_around(cluster, name, hang, connections=8, in_flight=4)[0])
