#!/usr/bin/env python3
"""The command line of ringload, run without a cluster: what is wrong is said in one sentence."""
import os
import subprocess
import sys
import unittest

RINGLOAD = sys.argv.pop(1)


def run(*words, **more):
    return subprocess.run([RINGLOAD, *words], stderr=subprocess.PIPE, text=True, timeout=60, **more)


class CommandLine(unittest.TestCase):
    def test_numbers_are_whole_decimal_and_within_their_bounds(self):
        for flag, wrong, most in (("--requests", "-1", 2**64 - 1), ("--requests", str(2**64), 2**64 - 1),
                                  ("--in-flight", str(2**60 + 1), 1000000), ("--keys", "0", 2**40 - 1),
                                  ("--value-bytes", "0x10", 2**21), ("--timeout-ms", "1e3", 3600000)):
            done = run(flag, wrong)
            self.assertEqual(done.returncode, 2, flag)
            self.assertRegex(done.stderr.splitlines()[0],
                             rf'\A{flag} must be a whole number from \d+ to {most}, not "{wrong}"\Z')

    def test_watches_are_refused_what_they_cannot_do(self):
        for words, why in ((["--op", "put", "--idle"], "--idle is of --op watch"),
                           (["--op", "watch", "--idle", "--rate", "5"],
                            "--idle is of --op watch, without --rate and --requests"),
                           (["--op", "watch", "--val-size", "15"],
                            "by their values, of 16 bytes at least, events are known as those of puts"),
                           (["--op", "watch", "--conns", "10000", "--watch-per-stream", "1601"],
                            "between 1 and 16000000 watches may be held"),
                           (["--op", "watch-latency", "--html", "x"], "--history and --html are not of --op watch-latency")):
            done = run(*words)
            self.assertEqual((done.returncode, done.stderr), (2, f"ringload: {why}\n"), words)

    def test_leases_are_for_puts(self):
        for words, why in ((["--lease", "xyz"], "bad lease ID (xyz), expecting ID in Hex"),
                           (["--op", "get", "--lease", "7"],
                            "--lease is for puts: --op get has none, or puts for its watches alone")):
            done = run(*words)
            self.assertEqual((done.returncode, done.stderr), (2, f"ringload: {why}\n"), words)

    def test_transactions_that_only_read_are_never_stale(self):
        done = run("--op", "txn-mixed", "--consistency", "s")
        self.assertEqual((done.returncode, done.stderr),
                         (2, "ringload: --consistency s: a transaction that only reads is linearizable whatever its ranges "
                          "ask for; --op sget reads stale\n"))

    def test_started_without_standard_output_it_loads_nobody(self):
        done = run("--requests", "1", preexec_fn=lambda: os.close(1))
        self.assertEqual((done.returncode, done.stderr),
                         (1, "ringload: standard output is closed: nobody would see the result\n"))


if __name__ == "__main__":
    unittest.main()
