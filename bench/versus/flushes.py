"""Holds the log's writes under load against the device's flushes, as the kernel traced both."""
import argparse
import bisect
import os
import re
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "harness"))

import building  # noqa: E402
from load import Load  # noqa: E402
from processes import Cluster, Missed, file_system, run  # noqa: E402

TRACEFS = Path("/sys/kernel/tracing")
EVENTS = ["io_uring/io_uring_submit_req", "io_uring/io_uring_queue_async_work", "io_uring/io_uring_complete",
          "block/block_bio_queue", "block/block_rq_issue", "block/block_rq_complete"]
BUFFER_KIB = 64 * 1024   # for each core
LINE = re.compile(r"^\s*.+-(\d+)\s+\[\d+\]\s+\S+\s+([\d.]+): (\w+): (.*)$")
URING = re.compile(r"ring (\w+), req(?:uest)? \w+, user_data (\w+), (?:opcode (\w+))?")
BLOCK = re.compile(r"^\d+,\d+ (\w+) (?:\d+ )?(?:\(.*?\) )?(\d+) \+ (\d+)")


@dataclass
class Request:
    """A write or a sync that a shard gave to its ring."""
    sync: bool
    begin: float
    bios: list = field(default_factory=list)   # (first sector, sectors)
    new_blocks: bool = False                   # handed to a worker thread: zeros for a new segment, or a checkpoint
    end: float | None = None                   # the shard learned of its end


def require_tracefs():
    """Root is needed, and tracefs, which is mounted here where nobody has done it yet."""
    if os.geteuid() != 0:
        raise Missed("the kernel's trace is for root alone: run bench/versus/flushes as root")
    if (TRACEFS / "instances").is_dir():
        return
    code, _, said = run(["mount", "-t", "tracefs", "tracefs", TRACEFS])
    if code != 0:
        raise Missed(f"tracefs is not mounted at {TRACEFS}, and cannot be: {said.strip()}; in a container, run "
                     "bench/versus/flushes on its host")
    print(f"flushes: mounted tracefs at {TRACEFS}; it stays mounted", file=sys.stderr)


@contextmanager
def trace_instance():
    """A trace buffer of our own, so that nobody else's settings change."""
    folder = TRACEFS / "instances" / "ringfort-flushes"
    try:
        folder.mkdir()
    except FileExistsError:
        raise Missed(f"another bench/versus/flushes runs, or one was killed: then rmdir {folder}") from None
    except OSError as error:
        raise Missed(f"the kernel's trace at {TRACEFS} cannot be used: {error}") from None
    try:
        yield folder
    finally:
        (folder / "tracing_on").write_text("0")
        folder.rmdir()


def record(seconds):
    """The trace's lines of so many seconds."""
    with trace_instance() as folder:
        (folder / "buffer_size_kb").write_text(str(BUFFER_KIB))
        (folder / "trace_clock").write_text("mono")
        for event in EVENTS:
            (folder / "events" / event / "enable").write_text("1")
        time.sleep(seconds)
        (folder / "tracing_on").write_text("0")
        text = (folder / "trace").read_text()
    counts = re.search(r"entries-in-buffer/entries-written: (\d+)/(\d+)", text)
    if counts is None or counts[1] != counts[2]:
        raise Missed("the trace's buffer was too small: events were lost")
    return text.splitlines()


class Trace:
    """What the shards' rings and the device did."""

    def __init__(self, lines, threads):
        self.threads = threads
        self.requests, self.open, self.newest = {}, {}, {}
        self.flushes, self.flush_begins, self.writes = [], [], []
        for line in lines:
            if found := LINE.match(line):
                self.take(int(found[1]), float(found[2]), found[3], found[4])

    def take(self, thread, at, event, text):
        if event.startswith("io_uring") and (found := URING.match(text)):
            ring, name, kind = found.groups()
            if event == "io_uring_submit_req" and thread in self.threads:
                self.newest[thread] = None
                if kind in ("WRITE", "FSYNC"):
                    request = self.open[ring, name] = self.newest[thread] = Request(kind == "FSYNC", at)
                    self.requests.setdefault(ring, []).append(request)
            elif event == "io_uring_queue_async_work" and (ring, name) in self.open:
                self.open[ring, name].new_blocks = True
            elif event == "io_uring_complete" and (ring, name) in self.open:
                self.open.pop((ring, name)).end = at
        elif event.startswith("block") and (found := BLOCK.match(text)):
            flags, sector, count = found[1], int(found[2]), int(found[3])
            if event == "block_bio_queue":
                if count > 0 and "W" in flags and self.newest.get(thread):
                    self.newest[thread].bios.append((sector, count))
            elif count == 0 and "F" in flags:
                if event == "block_rq_issue":
                    self.flush_begins.append(at)
                elif self.flush_begins:   # the device has one under way at a time
                    self.flushes.append((self.flush_begins.pop(0), at))
            elif event == "block_rq_complete" and "W" in flags:
                self.writes.append((at, sector, count))

    def written(self, request):
        """When the device had written all of it; None: that is not in the trace, or not all of it."""
        ends = []
        for first, count in request.bios:
            held = [at for at, sector, length in within(self.writes, request.begin, request.end)
                    if sector <= first and first + count <= sector + length]
            if not held:
                return None
            ends.append(held[0])
        return max(ends, default=None)

    def flushed(self, begin, end):
        return any(last <= end for _, last in within(self.flushes, begin, end))

    def judge(self):
        """(batches with a flush, batches without): a batch is a write to blocks that were there, and is durable by its own
        flush or by the next sync of its ring."""
        good = bad = 0
        for ring in self.requests.values():
            syncs = [request for request in ring if request.sync]
            for request in ring:
                if request.sync or request.new_blocks or request.end is None or not request.bios:
                    continue
                ended = self.written(request)
                if ended is not None and self.flushed(ended, request.end):
                    good += 1
                    continue
                sync = next((one for one in syncs if one.begin >= request.end), None)
                if sync is not None and sync.end is None:
                    continue   # the trace ended first
                if sync is not None and self.flushed(sync.begin, sync.end):
                    good += 1
                else:
                    bad += 1
        return good, bad


def within(events, begin, end):
    """Those of a rising list of tuples whose time, their first, lies between the two."""
    first = bisect.bisect_left(events, begin, key=lambda event: event[0])
    return events[first:bisect.bisect_right(events, end, key=lambda event: event[0])]


def threads_of(nodes):
    return {int(task.name) for node in nodes for task in Path(f"/proc/{node.process.pid}/task").iterdir()}


def main():
    parser = argparse.ArgumentParser(prog="bench/versus/flushes", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="how long to trace (default 1)")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--in-flight", type=int, default=16)
    parser.add_argument("--folder", type=Path, default=ROOT / "build", help="data goes below it; not on tmpfs")
    options = parser.parse_args()
    try:
        require_tracefs()
        programs = building.release_binaries(["ringfort", "ringctl", "ringload"])
    except Missed as missed:
        sys.exit(f"flushes: {missed}")
    except building.BuildFailed as failure:
        sys.exit(f"flushes: the build failed\n{failure}")
    options.folder.mkdir(exist_ok=True)
    if file_system(options.folder) in ("tmpfs", "ramfs"):
        sys.exit("flushes: --folder lies in memory; flushes there mean nothing")
    folder = Path(tempfile.mkdtemp(prefix="flushes-", dir=options.folder))
    cluster = Cluster(programs, folder)
    load = None
    try:
        cluster.start()
        cluster.wait_ready()
        load = Load(programs, cluster.wait_leader().client, folder, connections=options.connections,
                    in_flight=options.in_flight, seconds=options.seconds + 4)
        time.sleep(2)   # into the load: what is traced should be its middle
        trace = Trace(record(options.seconds), threads_of(cluster.nodes))
        result = load.result()
    except Missed as missed:
        sys.exit(f"flushes: {missed}")
    finally:
        if load is not None:
            load.kill()
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)
    good, bad = trace.judge()
    print(f"{options.seconds:g} s of {options.connections}x{options.in_flight} puts ({result['per_second']:,.0f} a second "
          f"over the whole load, tracing included), three nodes:\n"
          f"  {good + bad:,} batches written to the logs; the device made {len(trace.flushes):,} flushes\n"
          f"  {good:,} batches with a flush that began after their write had ended, and ended before the node knew\n"
          f"  {bad:,} without")
    return 0 if good > 0 and bad == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
