#!/usr/bin/env python3
"""What tools/test shows of a failing executable: the failing cases' own lines."""
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "harness"))
import run_tests  # noqa: E402

OUTPUT = """[ RUN      ] Seed.fresh
fresh seed 17
seeds_test.cc:20: Failure
[  FAILED  ] Seed.fresh (3 ms)
[ RUN      ] Seed.fresher
[       OK ] Seed.fresher (3 ms)
[ RUN      ] Seed.last
a line of the last
"""


class SaidByFailedCases(unittest.TestCase):
    def test_the_lines_of_a_failed_case_are_shown_and_no_others(self):
        self.assertEqual(run_tests.said_by(["Seed.fresh"], OUTPUT),
                         "[ RUN      ] Seed.fresh\nfresh seed 17\nseeds_test.cc:20: Failure")

    def test_of_a_case_that_did_not_end_nothing_is_cut_out(self):
        self.assertEqual(run_tests.said_by(["Seed.last"], OUTPUT), "")
        self.assertEqual(run_tests.said_by(["the program itself (crash, timeout or sanitizer)"], OUTPUT), "")


if __name__ == "__main__":
    unittest.main()
