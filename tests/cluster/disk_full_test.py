"""A full disk is an ordinary answer: writes are refused, reads go on, space given back brings writes back."""
from processes import NO_DISK_SPACE, wait_until
from small_disks_case import SmallDisksCase


class DiskFull(SmallDisksCase):
    def test_writes_are_refused_and_reads_go_on_until_there_is_space_again(self):
        cluster, disks = self.cluster_on_small_disks()
        self.put(cluster, "witness", "unharmed")
        for disk in disks:
            disk.fill()
        self.write_until_refused(cluster)
        for node in cluster.nodes:
            cluster.must_live(node)
            self.assertEqual(self.get(cluster, "witness", endpoints=node.client), "unharmed")
        for disk in disks:
            disk.free()
        wait_until(lambda: cluster.ctl("put", "after", "space")[0] == 0, 60, "writes go on when there is space again", 0.5)

    def test_a_start_without_space_says_so_with_a_code_that_allows_another_and_then_goes_well(self):
        cluster, disks = self.cluster_on_small_disks()
        self.put(cluster, "before", "1")
        victim, disk = cluster.nodes[0], disks[0]
        victim.kill()
        for left_bytes in (0, 256 << 10, 8 << 20):   # for nothing, for small files, for hardly more than those
            disk.fill(left_bytes)
            said = self.refused(victim, cluster, "space")
            self.assertEqual(victim.process.returncode, NO_DISK_SPACE, said)
            disk.free()
        cluster.start(victim)
        cluster.wait_ready([victim])
        self.assertEqual(self.get(cluster, "before", endpoints=victim.client), "1")

    def write_until_refused(self, cluster):
        for i in range(20):
            load = self.load(cluster, f"fill{i}", requests=500, connections=4, in_flight=2, keys=50, value_bytes=100_000)
            load.result()
            code, output, error = cluster.ctl("put", "one", "more")
            if code != 0 and "space" in (output + error).lower():
                return
        self.fail(f"a gigabyte fitted on a full disk; the last put: {code} {output}{error}")
