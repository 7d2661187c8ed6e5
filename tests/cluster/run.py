#!/usr/bin/env python3
"""Runs the real-process tests: three ringfort nodes and what can happen to them.

    tests/cluster/run.py                          builds the release programs and runs every test
    tests/cluster/run.py -k leader                those whose name contains the word
    tests/cluster/run.py --ringfort=PATH ...      with the programs given (ringctl and ringload likewise)

Tests wait more than they compute: two run at a time, each on a loopback address of its own, so that no port is wanted
twice. Those that measure (cluster_case.alone) come last, one by one.
"""
import argparse
import json
import multiprocessing
import signal
import sys
import tempfile
import time
import unittest
from pathlib import Path
from queue import Empty as NothingYet

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "harness"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import building  # noqa: E402
from cluster_case import ClusterCase, is_alone  # noqa: E402
import processes  # noqa: E402

PROGRAMS = ["ringfort", "ringctl", "ringload", "historian", "recipes"]


class Report(unittest.TestResult):
    """What a test says as it ends: its outcome, for tools/test, and lines for people."""

    def __init__(self, ended):
        """ended: called with both."""
        super().__init__()
        self.ended = ended
        self.begin = 0.0

    def startTest(self, test):
        super().startTest(test)
        self.begin = time.monotonic()
        self.outcome, self.reason = "passed", ""

    def addError(self, test, err):
        super().addError(test, err)
        self.outcome, self.reason = "failed", self.errors[-1][1]

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.outcome, self.reason = "failed", self.failures[-1][1]

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.outcome, self.reason = "skipped", reason

    def stopTest(self, test):
        super().stopTest(test)
        seconds = time.monotonic() - self.begin
        name = test.id().split(".", 1)[-1]
        word = {"passed": "ok", "failed": "FAIL", "skipped": "skip"}[self.outcome]
        lines = [f"  {word:4} {name} ({seconds:.1f} s){': ' + self.reason if self.outcome == 'skipped' else ''}"]
        lines += [f"       {note}" for note in getattr(test, "notes", [])]
        if self.outcome == "failed":
            lines += [f"       | {line}" for line in self.reason.rstrip().split("\n")]
        self.ended({"name": name, "outcome": self.outcome, "reason": self.reason, "seconds": seconds}, "\n".join(lines))


def run_from(queue, tests, ended, address):
    """Runs the tests whose places are in the queue until there is none."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)   # unittest would take an exit for the test's error, and go on
    processes.loopback = address
    report = Report(lambda *outcome: ended.put(outcome))
    for at in iter(queue.get, None):
        tests[at].run(report)


def run_shared(tests, jobs, ended):
    """Runs the tests in that many processes; ended() is called here with what each says."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    fork = multiprocessing.get_context("fork")
    queue, outcomes = fork.Queue(), fork.Queue()
    for place in [*range(len(tests)), *[None] * jobs]:
        queue.put(place)
    workers = [fork.Process(target=run_from, args=(queue, tests, outcomes, f"127.0.0.{1 + i}"), daemon=True)
               for i in range(jobs)]
    for worker in workers:
        worker.start()
    left = len(tests)
    while left > 0:
        try:
            ended(*outcomes.get(timeout=1))
            left -= 1
        except NothingYet:
            if any(worker.exitcode for worker in workers):
                sys.exit(f"a worker ended before its tests did; {left} have not ended")
    for worker in workers:
        worker.join()


def scratch_folder(wanted):
    """A folder on a disk: the log refuses tmpfs."""
    for parent in [wanted] if wanted else [ROOT / "build", Path("/var/tmp")]:
        parent.mkdir(parents=True, exist_ok=True)
        if processes.file_system(parent) not in ("tmpfs", "ramfs"):
            return Path(tempfile.mkdtemp(prefix="cluster-", dir=parent))
    sys.exit("no folder on a disk for the nodes' data; name one with --folder")


def tests_in(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests_in(test)
        else:
            yield test


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-k", dest="words", action="append", default=[], help="only tests whose name contains this")
    parser.add_argument("--folder", type=Path, help="where the nodes' data goes while tests run (not tmpfs)")
    parser.add_argument("--jobs", type=int, default=2, help="how many run at a time (default: 2)")
    parser.add_argument("--report", type=Path, help="writes the outcomes as JSON")
    for name in PROGRAMS:
        parser.add_argument(f"--{name}", type=Path)
    options = parser.parse_args()
    programs = {name: getattr(options, name) for name in PROGRAMS}
    if None in programs.values():
        programs = building.release_binaries(PROGRAMS)
    ClusterCase.programs, ClusterCase.scratch = programs, scratch_folder(options.folder)

    found = unittest.TestLoader().discover(str(Path(__file__).parent), pattern="*_test.py")
    chosen = [test for test in tests_in(found) if not options.words or any(word in test.id() for word in options.words)]
    cases = []

    def ended(case, lines):
        cases.append(case)
        print(lines, flush=True)

    try:
        run_shared([test for test in chosen if not is_alone(test)], max(1, options.jobs), ended)
        run_shared([test for test in chosen if is_alone(test)], 1, ended)
    finally:
        if options.report:
            options.report.write_text(json.dumps(cases), encoding="utf-8")
        try:
            ClusterCase.scratch.rmdir()
        except OSError:
            print(f"  logs and data of what failed: {ClusterCase.scratch}")
    failed = sum(case["outcome"] == "failed" for case in cases)
    skipped = sum(case["outcome"] == "skipped" for case in cases)
    print(f"  {len(cases) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
