"""What the real-process tests share: a folder for each test, clusters that end with it, loads that end with it."""
import shutil
import time
import unittest
from pathlib import Path

from historian import Historian
from load import Load, gaps_between
from processes import Cluster, Missed, wait_until

# Promises of the product, and what a test allows on a machine that is busy with other tests.
GAP_AFTER_KILL_MS = 1000
GAP_AFTER_PAUSE_MS = 4000
GAP_ROLLING_RESTART_MS = 1000
STOP_SECONDS = 5
ROUNDS = 3
# Where elections are not the subject: one that a busy machine brings about fails requests.
CALM = ["--election-timeout", "5000"]
# Of what is stopped by hand.
FOR_LONG = 600


def alone(method):
    """Marks a test that no other test may run beside: what it measures would be the other's."""
    method.is_alone = True
    return method


def is_alone(test):
    return getattr(getattr(test, test._testMethodName), "is_alone", False)


class ClusterCase(unittest.TestCase):
    programs = {}
    scratch = Path()

    def setUp(self):
        self.folder = self.scratch / self.id().split(".", 1)[-1]
        self.folder.mkdir(parents=True)
        self.notes = []
        self.addCleanup(self.remove_folder)

    def remove_folder(self):
        if not self.failed():
            shutil.rmtree(self.folder, ignore_errors=True)

    def failed(self):
        outcome = self._outcome.result
        return any(test is self for test, _ in [*outcome.errors, *outcome.failures])

    def note(self, text):
        """A figure worth a line beside the test's name."""
        self.notes.append(text)

    def cluster(self, start=True, **options):
        cluster = Cluster(self.programs, self.folder, **options)
        self.addCleanup(cluster.stop)
        if start:
            cluster.start()
            cluster.wait_ready()
        return cluster

    def load(self, cluster, name="load", endpoints=None, **options):
        load = Load(self.programs, endpoints or cluster.endpoints, self.folder, name, **options)
        self.addCleanup(load.kill)
        return load

    def historian(self, cluster, extra=()):
        historian = Historian(self.programs, cluster.endpoints, self.folder, FOR_LONG, extra)
        self.addCleanup(historian.kill)
        return historian

    def put(self, cluster, key, value, **options):
        """Until it is acknowledged: a busy machine may elect at any time, and ringctl repeats no write."""
        said = []

        def answered():
            said[:] = cluster.ctl("put", key, value, **options)
            return said[0] == 0
        wait_until(answered, 30, lambda: f"put {key}: {said}")

    def get(self, cluster, key, *flags, **options):
        """The value of a key; None when there is no such key."""
        output = cluster.must_ctl("get", key, "--print-value-only", *flags, **options)
        return output.rstrip("\n") or None

    def own_copy(self, cluster, key, node):
        """The value in a node's own copy, which may lag."""
        return self.get(cluster, key, "--consistency=s", endpoints=node.client)

    def without(self, cluster, *gone):
        return [node for node in cluster.nodes if node not in gone]

    def let_run(self, load, seconds):
        """Until the load has run for so long: time under load is the condition itself here."""
        begin = time.monotonic()
        wait_until(lambda: not load.running() or time.monotonic() - begin >= seconds, seconds + 5, "the load runs")
        self.assertTrue(load.running(), "the load ended early: " + load.errors.read_text(errors="replace")[-1000:])

    def gap_around(self, cluster, name, event, **options):
        """The longest time without an answer, in milliseconds, from the begin of an event under load to its end. Whatever
        was acknowledged meanwhile is there afterwards."""
        load = self.load(cluster, name, seconds=FOR_LONG, history=True, key_bytes=16, extra=["--prefix", f"{name}-"],
                         **options)
        wait_until(load.answered, 60, "the load is answered")
        begin = time.monotonic()
        event()
        end = time.monotonic()
        self.assertTrue(load.running(), load.errors.read_text(errors="replace")[-1000:])
        load.stop()
        result = load.result()
        self.verify_load(load)
        return max((length for length, _ in gaps_between(result, begin, end)), default=0), result

    def best_gap(self, limit_ms, one_round):
        """Calls one_round(name) until what it returns is within the limit. A machine that takes time away from everybody
        makes one more gap, so the best of some rounds counts: what the nodes themselves lose is lost each time."""
        gaps = []
        while len(gaps) < ROUNDS and min(gaps, default=limit_ms + 1) > limit_ms:
            gaps.append(one_round(f"round{len(gaps) + 1}"))
        self.note("longest gap: " + ", ".join(f"{gap:.0f}" for gap in gaps) + " ms")
        self.assertLessEqual(min(gaps), limit_ms)

    def verify_load(self, load):
        code, verdict = load.verify()
        self.assertIn("acknowledged writes lost: 0", verdict)
        self.assertEqual(code, 0, verdict)

    def same_state(self, cluster):
        """Every replica holds the same: hashes compared at equal index, once no more is applied."""
        states = cluster.same_state()
        self.assertGreaterEqual(len(states), 2, "the directory and the keys")

    def refused(self, node, cluster, *words, extra=(), seconds=20):
        """The node must end by itself, not with success, and its one sentence must contain the words."""
        cluster.start(node, extra)
        try:
            code = node.process.wait(timeout=seconds)
        except Exception as error:
            raise Missed(f"{node.name} was to refuse its start and runs on:\n{node.log_tail()}") from error
        said = node.log_tail(5)
        self.assertGreater(code, 0, f"killed by a signal or called success ({code}): {said}")
        for word in words:
            self.assertIn(word.lower(), said.lower())
        return said
