"""tools/chaos itself: a short run finds nothing wrong with nodes that are right, and finds nodes that forget."""
import json
import os
import sys
from pathlib import Path

from chaos import PROGRAMS
from cluster_case import ClusterCase
from processes import run

CHAOS = Path(__file__).resolve().parents[2] / "tools" / "harness" / "chaos.py"
# A node that has lost its data when it starts after the judged clients' history was written, as all do in the end.
FORGETFUL = """#!/bin/sh
for word; do
    [ "$before" = --data-dir ] && ls "{folder}"/chaos-*/history > /dev/null 2>&1 && rm -rf "$word"
    before=$word
done
exec "{ringfort}" "$@"
"""


class Chaos(ClusterCase):
    def command(self, *flags, **programs):
        programs = {**self.programs, **programs}
        return [sys.executable, CHAOS, "--folder", self.folder, *flags,
                *(word for name in PROGRAMS for word in (f"--{name}", programs[name]))]

    def chaos(self, *flags, **programs):
        """(exit code, the report, all it said)"""
        report = self.folder / "report.json"
        code, output, error = run(self.command("--json", report, *flags, **programs), 400)
        self.assertTrue(report.exists(), output + error)
        return code, json.loads(report.read_text(encoding="utf-8")), output + error

    def test_half_a_minute_finds_no_violation(self):
        code, report, said = self.chaos("--minutes", "0.5", "--pace", "1")
        self.assertEqual((code, report["violations"]), (0, []), said)
        self.note(f"seed {report['seed']}: {report['operations']:,} operations, {sum(report['faults'].values())} faults, "
                  f"longest gap {report['judged']['longest_gap_ms']} ms")
        for left_out in report["left_out"]:
            self.note(f"left out: {left_out}")
        self.assertGreater(sum(report["faults"].values()), 5, said)
        for count in ("writes", "reads", "events_told"):
            self.assertGreater(report["judged"][count], 300, said)
        for count in ("resumptions", "leases_expired"):
            self.assertGreater(report["judged"][count], 0, said)
        self.assertEqual([each.name for each in self.folder.iterdir()], ["report.json"], "nothing else is left")

    def test_nodes_that_do_not_start_are_told_in_one_sentence_and_their_folder_stays(self):
        code, output, error = run(self.command("--loopback", ringfort="/bin/false"), 60)
        self.assertEqual(code, 1, output + error)
        kept = next(self.folder.iterdir())
        self.assertEqual(error, f"chaos: n1 has ended (1); logs and data: {kept.resolve()}\n")
        self.assertTrue((kept / "n1.log").exists())

    def test_nodes_that_forget_are_found(self):
        forgetful = self.folder / "forgetful"
        script = FORGETFUL.format(ringfort=self.programs["ringfort"], folder=self.folder)
        forgetful.write_text(script, encoding="utf-8")
        os.chmod(forgetful, 0o755)
        code, report, said = self.chaos("--minutes", "0.1", "--loopback", ringfort=forgetful)
        self.assertEqual(code, 1, said)
        # No revision is as high as the one that the last write was acknowledged at.
        self.assertEqual(report["violations"], ["ringload verify: ringload: the cluster cannot be read: etcdserver: mvcc: "
                                                "required revision is a future revision"], said)
