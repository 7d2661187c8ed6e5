#!/usr/bin/env python3
"""bench/versus/flushes: what it needs it provides or names, and its judge tells a flushed batch from one that was not."""
import contextlib
import io
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench" / "versus"))
import flushes  # noqa: E402

RING, SHARD = "00000000a", 77


def event(at, name, text):
    return f"  shard-0-{SHARD}  [001] ..... {at:.6f}: {name}: {text}"


def write(at, sector, user="1"):
    return [event(at, "io_uring_submit_req", f"ring {RING}, req 0b, user_data {user}, opcode WRITE, flags 0x0"),
            event(at + 1e-5, "block_bio_queue", f"8,0 WS {sector} + 8 [shard-0]")]


def written(at, sector):
    return [event(at, "block_rq_complete", f"8,0 WS () {sector} + 8 [0]")]


def flush(begin, end):
    return [event(begin, "block_rq_issue", "8,0 FF 0 () 0 + 0 [kworker]"),
            event(end, "block_rq_complete", "8,0 FF () 0 + 0 [0]")]


def ended(at, user="1"):
    return [event(at, "io_uring_complete", f"ring {RING}, req 0b, user_data {user}, result 4096, cflags 0x0")]


class Needs(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.tracefs = Path(folder.name)
        for change in (mock.patch.object(flushes, "TRACEFS", self.tracefs),
                       mock.patch.object(flushes.os, "geteuid", lambda: 0)):
            change.start()
            self.addCleanup(change.stop)

    def require(self, mount):
        said = io.StringIO()
        with mock.patch.object(flushes, "run", mount), contextlib.redirect_stderr(said):
            flushes.require_tracefs()
        return said.getvalue()

    def test_root_mounts_tracefs_and_says_so(self):
        asked = []

        def mount(command):
            asked.append(command)
            return 0, "", ""
        self.assertIn(f"mounted tracefs at {self.tracefs}", self.require(mount))
        self.assertEqual(asked, [["mount", "-t", "tracefs", "tracefs", self.tracefs]])

    def test_mounted_tracefs_is_left_alone(self):
        (self.tracefs / "instances").mkdir()
        self.assertEqual(self.require(lambda command: self.fail(f"asked for {command}")), "")

    def test_what_stands_in_the_way_is_said(self):
        with self.assertRaisesRegex(flushes.Missed, "cannot be: permission denied; in a container"):
            self.require(lambda command: (32, "", "permission denied\n"))
        with mock.patch.object(flushes.os, "geteuid", lambda: 1000):
            with self.assertRaisesRegex(flushes.Missed, "run bench/versus/flushes as root"):
                self.require(lambda command: self.fail("an ordinary user cannot mount"))

    def test_a_folder_left_behind_is_named(self):
        (self.tracefs / "instances" / "ringfort-flushes").mkdir(parents=True)
        with self.assertRaisesRegex(flushes.Missed, "then rmdir"), flushes.trace_instance():
            pass


class Judge(unittest.TestCase):
    def judge(self, *events):
        return flushes.Trace([line for lines in events for line in lines], {SHARD}).judge()

    def test_a_flush_after_the_write_and_before_its_end(self):
        self.assertEqual(self.judge(write(1, 800), written(1.001, 800), flush(1.002, 1.003), ended(1.004)), (1, 0))

    def test_a_flush_that_began_too_early_or_ended_too_late(self):
        self.assertEqual(self.judge(write(1, 800), flush(1.0005, 1.0015), written(1.001, 800), ended(1.004)), (0, 1))
        self.assertEqual(self.judge(write(1, 800), written(1.001, 800), ended(1.002), flush(1.003, 1.004)), (0, 1))

    def test_a_write_without_bios_is_not_judged_and_was_written_at_no_known_time(self):
        trace = flushes.Trace(write(1, 800)[:1] + ended(1.002), {SHARD})
        self.assertEqual(trace.judge(), (0, 0))
        self.assertIsNone(trace.written(next(iter(trace.requests.values()))[0]))


if __name__ == "__main__":
    unittest.main()
