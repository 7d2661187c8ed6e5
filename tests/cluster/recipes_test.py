"""Locks, elections and other recipes on real processes: what the library promises, over the leader's end."""
import os
import re
import subprocess
import time

from cluster_case import ClusterCase
from processes import die_with_parent

BAD_DAY_SECONDS = 3


class Recipes(ClusterCase):
    def program(self, cluster, chosen, seconds=1):
        environment = {**os.environ, "RINGFORT_TEST_ENDPOINTS": cluster.endpoints, "RINGFORT_TEST_SECONDS": str(seconds)}
        program = subprocess.Popen([cluster.programs["recipes"], f"--gtest_filter={chosen}"], env=environment, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=die_with_parent)
        self.addCleanup(lambda: (program.kill(), program.wait()))
        return program

    def must_pass(self, program):
        said, _ = program.communicate(timeout=90)
        self.assertEqual(program.returncode, 0, said[-4000:])
        self.assertNotIn("[==========] 0 tests", said)
        for line in re.findall(r"^(?:rounds|leaders|transactions) .*: \d+$", said, re.M):
            self.note(line)

    def test_recipes_do_what_the_library_promises(self):
        cluster = self.cluster()
        self.must_pass(self.program(cluster, "-*.over_*"))
        self.same_state(cluster)

    def test_recipes_over_the_leaders_end(self):
        cluster = self.cluster()
        program = self.program(cluster, "*.over_*", BAD_DAY_SECONDS)
        for pause in (BAD_DAY_SECONDS / 2, BAD_DAY_SECONDS, BAD_DAY_SECONDS):   # in the middle of each
            time.sleep(pause)
            leader = cluster.wait_leader()
            self.assertIsNone(program.poll(), "it runs on into this")
            leader.kill()
            cluster.wait_leader(self.without(cluster, leader))
            cluster.start(leader)
        self.must_pass(program)
        cluster.wait_ready()
        self.same_state(cluster)
