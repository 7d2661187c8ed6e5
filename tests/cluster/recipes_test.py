"""Locks, elections and other recipes on real processes: what the library promises, over the leader's end."""
import os
import re
import subprocess
import time

from cluster_case import ClusterCase
from processes import die_with_parent, wait_until

BAD_DAYS = 3   # tests called "over..."


class Recipes(ClusterCase):
    def program(self, cluster, chosen):
        environment = {**os.environ, "RINGFORT_TEST_ENDPOINTS": cluster.endpoints}
        self.told = self.folder / "recipes.log"
        with self.told.open("wb") as told:
            program = subprocess.Popen([cluster.programs["recipes"], f"--gtest_filter={chosen}"], env=environment,
                                       stdin=subprocess.PIPE, stdout=told, stderr=subprocess.STDOUT,
                                       preexec_fn=die_with_parent)
        self.addCleanup(lambda: (program.kill(), program.communicate()))
        return program

    def said(self):
        return self.told.read_text(encoding="utf-8", errors="replace")

    def must_pass(self, program):
        program.wait(timeout=180)
        said = self.said()
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
        program = self.program(cluster, "*.over_*")
        for day in range(1, BAD_DAYS + 1):
            wait_until(lambda: program.poll() is not None or self.said().count("[ RUN") == day, 60,
                       lambda: f"day {day} begins: {self.said()[-2000:]}")
            time.sleep(1.5)   # time under load is the condition itself here, and after it
            self.assertIsNone(program.poll(), self.said()[-4000:])
            leader = cluster.wait_leader()
            leader.kill()
            cluster.wait_leader(self.without(cluster, leader))
            cluster.start(leader)
            cluster.wait_ready([leader])
            time.sleep(0.5)
            program.stdin.write(b"\n")
            program.stdin.flush()
        self.must_pass(program)
        cluster.wait_ready()
        self.same_state(cluster)
