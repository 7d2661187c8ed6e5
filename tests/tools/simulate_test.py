#!/usr/bin/env python3
"""The simulate command: exit codes, replay lines, the same events in every process, and shrinking."""
import json
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROGRAM = sys.argv.pop(1)
# Nobody hears from anybody: a failure that needs no bug.
NEVER_FORMS = ["--seed", "5", "--seconds", "2", "--set", "net=100s", "--set", "clients=1"]


def simulate(*arguments):
    result = subprocess.run([PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    return result.returncode, result.stdout


class Simulate(unittest.TestCase):
    def test_two_processes_run_a_seed_alike(self):
        alone, text = simulate("--seed", "7", "--seconds", "1")
        self.assertEqual(alone, 0, text)
        code, summary = simulate("--seeds", "7-8", "--seconds", "1", "--json")
        self.assertEqual(code, 0, summary)
        summary = json.loads(summary)
        hashes = summary["hashes"]
        self.assertIn(f"events' hash: {hashes['7']}", text)
        self.assertNotEqual(hashes["7"], hashes["8"])
        self.assertEqual((summary["seeds"], summary["violations"], summary["failures"]), (2, 0, []))
        self.assertGreater(summary["simulated_seconds"], 2)
        marks = summary["marks"]
        self.assertEqual(marks["total"] - marks["reached"], len(set(marks["never"])))   # a name stands in one place

    def test_a_run_ends_with_what_was_simulated_and_a_line_that_replays_it(self):
        code, text = simulate(*NEVER_FORMS)
        self.assertEqual(code, 3)
        self.assertIn("LIVENESS: the cluster did not form", text)
        self.assertRegex(text.splitlines()[-1], r"^simulated: 30\.0 seconds in [0-9.]+ seconds, violations: 1$")
        replay = re.search(r"^replay: tools/simulate (.*)$", text, re.M).group(1).split()
        again, same = simulate(*replay)
        self.assertEqual(again, 3)
        hashes = [re.search(r"hash: (\w+)", run).group(1) for run in (text, same)]
        self.assertEqual(hashes[0], hashes[1])

    def test_a_summary_names_what_failed(self):
        code, text = simulate("--seeds", "1", *NEVER_FORMS)
        self.assertEqual(code, 3)
        self.assertRegex(text.splitlines()[-1], r"^simulated: 30\.0 seconds in [0-9.]+ seconds, violations: 1$")
        self.assertIn("liveness: the cluster did not form\n  replay: tools/simulate --seed 5", text)

    def test_shrinking_leaves_what_still_fails(self):
        code, text = simulate(*NEVER_FORMS, "--shrink")
        self.assertEqual(code, 3, text)
        replay = re.search(r"^replay: tools/simulate (.*)$", text, re.M).group(1)
        self.assertIn("--set net=100s", replay)
        self.assertRegex(replay, r"--set duration=\d\dms")
        code, text = simulate(*NEVER_FORMS, "--shrink", "--nodes", "5", "--set", "nodes-lost=2", "--set", "burst=20")
        self.assertEqual(code, 3, text)
        self.assertIn("--set burst=0", re.search(r"^replay: (.*)$", text, re.M).group(1))
        # Two of three are no minority: such a run fails for that.
        self.assertLess(text.index("  nodes-lost=0\n"), text.index("  nodes=3\n"), text)
        code, text = simulate("--seed", "5", "--light", "--seconds", "1", "--shrink")
        self.assertEqual(code, 0)
        self.assertIn("does not fail", text)

    def test_marks_add_up_over_processes(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "marks"
            counts = []
            for _ in range(2):
                code, text = simulate("--seed", "1", "--light", "--seconds", "1", "--marks-file", str(path), "--marks")
                self.assertEqual(code, 0, text)
                self.assertRegex(text, r"marks reached: \d+ / \d+")
                counts.append(dict(reversed(line.split(" ", 1)) for line in path.read_text().splitlines()))
            self.assertEqual(counts[0].keys(), counts[1].keys())
            for name, count in counts[0].items():
                self.assertEqual(int(counts[1][name]), 2 * int(count), name)

    def test_wrong_usage_is_told(self):
        for wrong in (["--set", "nothing=1"],
                      ["--without", "luck"], ["--skip-faults", "x"], ["--seeds", "9-3"], ["--shrink"], ["--nodes", "9"],
                      ["--seed", "5", "--shrink", "--json"], ["--seed", "5", "--shrink", "--marks"],
                      ["--seed", "5", "--shrink", "--check-determinism"]):
            self.assertEqual(simulate(*wrong)[0], 2, wrong)


    def test_help_names_options_of_runs_kinds_of_faults_and_exit_codes(self):
        code, text = simulate("--help")
        self.assertEqual(code, 0)
        in_one_line = " ".join(text.split())   # wherever lines are broken
        for words in (" net-ghosts ", " disk-dsync ", " kill-all ", " old-copy ", "2 wrong usage", "=30 "):
            self.assertIn(words, in_one_line)


if __name__ == "__main__":
    unittest.main()
