#!/usr/bin/env python3
"""Runs the real-process tests: three ringfort nodes and what can happen to them.

    tests/cluster/run.py                          builds the release programs and runs every test
    tests/cluster/run.py -k leader                those whose name contains the word
    tests/cluster/run.py --ringfort=PATH ...      with the programs given (ringctl and ringload likewise)
"""
import argparse
import json
import signal
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "harness"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import building  # noqa: E402
from cluster_case import ClusterCase  # noqa: E402
from processes import file_system  # noqa: E402

PROGRAMS = ["ringfort", "ringctl", "ringload", "historian", "recipes"]


class Report(unittest.TestResult):
    """One line a test as it ends, and a list of outcomes for tools/test."""

    def __init__(self):
        super().__init__()
        self.cases = []
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
        self.cases.append({"name": name, "outcome": self.outcome, "reason": self.reason, "seconds": seconds})
        word = {"passed": "ok", "failed": "FAIL", "skipped": "skip"}[self.outcome]
        print(f"  {word:4} {name} ({seconds:.1f} s){': ' + self.reason if self.outcome == 'skipped' else ''}", flush=True)
        for note in getattr(test, "notes", []):
            print(f"       {note}", flush=True)
        if self.outcome == "failed":
            print("\n".join(f"       | {line}" for line in self.reason.rstrip().split("\n")), flush=True)


def scratch_folder(wanted):
    """A folder on a disk: the log refuses tmpfs."""
    for parent in [wanted] if wanted else [ROOT / "build", Path("/var/tmp")]:
        parent.mkdir(parents=True, exist_ok=True)
        if file_system(parent) not in ("tmpfs", "ramfs"):
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
    parser.add_argument("--report", type=Path, help="writes the outcomes as JSON")
    for name in PROGRAMS:
        parser.add_argument(f"--{name}", type=Path)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    programs = {name: getattr(options, name) for name in PROGRAMS}
    if None in programs.values():
        programs = building.release_binaries(PROGRAMS)
    ClusterCase.programs, ClusterCase.scratch = programs, scratch_folder(options.folder)

    found = unittest.TestLoader().discover(str(Path(__file__).parent), pattern="*_test.py")
    chosen = [test for test in tests_in(found) if not options.words or any(word in test.id() for word in options.words)]
    report = Report()
    try:
        unittest.TestSuite(chosen).run(report)
    finally:
        if options.report:
            options.report.write_text(json.dumps(report.cases), encoding="utf-8")
        try:
            ClusterCase.scratch.rmdir()
        except OSError:
            print(f"  logs and data of what failed: {ClusterCase.scratch}")
    failed = sum(case["outcome"] == "failed" for case in report.cases)
    skipped = sum(case["outcome"] == "skipped" for case in report.cases)
    print(f"  {len(report.cases) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not report.cases else 0


if __name__ == "__main__":
    sys.exit(main())
