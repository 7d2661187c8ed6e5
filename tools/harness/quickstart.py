"""Three nodes on this machine, a load, the leader killed under it, and a table of what happened."""
import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import building
from building import ROOT, say
from load import Load, gaps_between
from processes import Cluster, Missed, file_system, wait_until

PROGRAMS = ["ringfort", "ringctl", "ringload"]
MEMORY_FILE_SYSTEMS = ("tmpfs", "ramfs")


def parse():
    parser = argparse.ArgumentParser(prog="tools/quickstart", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the cluster running")
    parser.add_argument("--seconds", type=int, default=12, help="how long the load runs (default 12, at least 8)")
    parser.add_argument("--ports", default="12379,12380,22379,22380,32379,32380",
                        help="client and peer port of each node (default %(default)s)")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "quickstart",
                        help="made anew for the nodes' data and logs; not on tmpfs (default build/quickstart)")
    options = parser.parse_args()
    ports = [int(port) for port in options.ports.split(",") if port.isdigit()]
    if len(ports) != 6 or len(set(ports)) != 6:
        parser.error("--ports takes six different numbers")
    if options.seconds < 8:
        parser.error("--seconds: at least 8, so that there is time to kill and to come back")
    options.ports = list(zip(ports[::2], ports[1::2]))
    return options


def make_folder(wanted):
    """An empty folder on a disk: the wanted one, or one beside the system's temporary files."""
    mark = wanted / "pids"
    if mark.exists():
        running = [pid for pid in mark.read_text(encoding="utf-8").split() if is_ringfort(pid)]
        if running:
            sys.exit(f"quickstart: a cluster kept earlier still runs in {wanted}; end it with: kill {' '.join(running)}")
    wanted.parent.mkdir(parents=True, exist_ok=True)
    if file_system(wanted.parent) in MEMORY_FILE_SYSTEMS:
        wanted = Path(tempfile.mkdtemp(prefix="ringfort-", dir="/var/tmp"))
        if file_system(wanted) in MEMORY_FILE_SYSTEMS:
            sys.exit("quickstart: found no folder on a disk; name one with --folder")
    shutil.rmtree(wanted, ignore_errors=True)
    wanted.mkdir(parents=True)
    return wanted


def is_ringfort(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() == "ringfort"
    except OSError:
        return False


class Totals:
    """Counters of every process of the run, those that were killed included: each process counts from its own start."""

    def __init__(self):
        self.ended = {"log_flushes": 0, "log_bytes_written": 0, "log_entry_bytes": 0, "cpu_seconds": 0.0}

    @staticmethod
    def of(cluster, node):
        status = wait_until(lambda: cluster.status(node), 10, f"{node.name} tells its status")
        return {"cpu_seconds": node.cpu_seconds(),
                **{name: int(status[name]) for name in ("log_flushes", "log_bytes_written", "log_entry_bytes")}}

    def before_kill(self, cluster, node):
        for name, value in self.of(cluster, node).items():
            self.ended[name] += value

    def now(self, cluster):
        totals = dict(self.ended)
        for node in cluster.nodes:
            for name, value in self.of(cluster, node).items():
                totals[name] += value
        return totals


def drive(cluster, options, folder):
    """The load with the kill in it. Returns what ringload measured, what the nodes counted, and the verdict."""
    programs, totals = cluster.programs, Totals()
    started = totals.now(cluster)
    load = Load(programs, cluster.endpoints, folder, seconds=options.seconds, history=True, live=True)
    try:
        begin = time.monotonic()
        ran = lambda share: not load.running() or time.monotonic() - begin >= options.seconds * share
        wait_until(lambda: ran(1 / 3), options.seconds, "the load runs")
        leader = cluster.wait_leader()
        totals.before_kill(cluster, leader)
        leader.kill()
        killed = time.monotonic()
        say(f"--- killed the leader, {leader.name}, with SIGKILL ---")
        others = [node for node in cluster.nodes if node is not leader]
        successor = cluster.wait_leader(others)
        say(f"--- {successor.name} leads: seen {(time.monotonic() - killed) * 1000:.0f} ms after the kill ---")
        wait_until(lambda: ran(2 / 3), options.seconds, "the load runs")
        cluster.start(leader)
        cluster.wait_ready([leader])
        say(f"--- {leader.name} was started again and answers ---")
        result = load.result(options.seconds + 60)
    finally:
        load.kill()
    ended = totals.now(cluster)
    spent = {name: ended[name] - started[name] for name in ended}
    say("\nreading every key back and comparing with what was acknowledged")
    code, verdict = load.verify()
    return result, spent, (killed, code, verdict)


def resumed(result, killed):
    """How writes came back after the kill: the longest time without an answer that lies around it."""
    around = gaps_between(result, killed, killed + 0.5)
    if not around:
        return "acknowledgements never paused for 20 ms"
    return f"writes resumed {(max(around)[1] - killed) * 1000:.0f} ms later"


def told_otherwise(result):
    if result["failed_indefinite"] == result["failed"]:
        return f"{result['failed']:,} on their way when the leader died, reported as unknown"
    return f"{result['failed']:,} failed ({result['failures']})"


def show(result, spent, outcome):
    killed, code, verdict = outcome
    requests = max(1, result["requests"])
    done = result["requests"] - result["failed"]
    rows = [
        ("writes", f"{done:,} acknowledged; {told_otherwise(result)}"),
        ("throughput", f"{result['per_second']:,.0f} writes/s over the whole run, the kill included"),
        ("p50 / p99 / p99.9", " / ".join(f"{result[name] / 1000:.2f}" for name in ("p50_us", "p99_us", "p999_us")) + " ms"),
        ("leader killed", f"{killed - result['began_monotonic_s']:.2f} s into the run; {resumed(result, killed)}"),
        ("longest gap", f"{result['longest_gap_ms']:.0f} ms without an acknowledged write, from "
                        f"{result['longest_gap_at_s']:.2f} s on"),
        ("flushes", f"{spent['log_flushes']:,} on three nodes: one for {3 * requests / max(1, spent['log_flushes']):.0f} "
                    "writes"),
        ("bytes written", f"{spent['log_bytes_written'] / 1e6:,.0f} MB on three nodes: "
                          f"{spent['log_bytes_written'] / max(1, spent['log_entry_bytes']):.2f} per byte of log entries"),
        ("CPU per request", f"{spent['cpu_seconds'] * 1e6 / requests:.1f} us, the three nodes together"),
    ]
    say("\nput: 16 connections x 16 in flight over all nodes, 10,000 keys of 8 bytes, values of 256 bytes, every write on")
    say("disk on two nodes before its answer. --auto-compaction-retention 0 (the default: all revisions are kept),")
    say("--quota-backend-bytes 0 (the default: a quarter of the machine's memory for each node)\n")
    for name, value in rows:
        say(f"  {name:18} {value}")
    for line in verdict.splitlines():
        say(f"  {line}")
    if code != 0 or "acknowledged writes lost: 0" not in verdict:
        raise Missed(f"ringload verify found something wrong (exit {code})")


def go_on(cluster, options, folder):
    for arguments in (("put", "hello", "world"), ("get", "hello")):
        say(f"\n$ ringctl {' '.join(arguments)}\n{cluster.must_ctl(*arguments).rstrip()}")
    if not options.keep:
        for node in cluster.nodes:
            code, seconds = node.terminate()
            if code != 0:
                raise Missed(f"{node.name} was to stop and ended with {code} after {seconds:.1f} s:\n{node.log_tail()}")
        say("\nThe cluster has been stopped. To go on: tools/quickstart --keep, then ringctl put hello world")
        return
    pids = " ".join(str(node.process.pid) for node in cluster.nodes)
    (folder / "pids").write_text(pids, encoding="utf-8")
    say(f"""
The cluster runs on; data and logs are in {folder}. To go on:
  export RINGCTL_ENDPOINTS={cluster.endpoints} PATH="$PATH:{cluster.programs['ringctl'].parent}"
  ringctl put hello world
  ringctl endpoint status -w table
  {os.path.relpath(cluster.programs['ringload'], ROOT)} --endpoints $RINGCTL_ENDPOINTS --seconds 10
  kill {pids}   # stops it in order""")


def main():
    options = parse()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    say("building a release (from nothing some minutes on two cores)")
    try:
        programs = building.release_binaries(PROGRAMS)
    except building.BuildFailed as failure:
        sys.exit(f"quickstart: the build failed\n{failure}")
    folder = make_folder(options.folder)
    cluster = Cluster(programs, folder, options.ports)
    kept = False
    try:
        for node in cluster.nodes:
            node.outlives_us = options.keep
        cluster.start()
        say(f"started three nodes: {cluster.endpoints}; data and logs in {folder}")
        cluster.wait_ready()
        say(f"they answer; loading them for {options.seconds} s, a line a second; the leader is killed after a third\n")
        show(*drive(cluster, options, folder))
        go_on(cluster, options, folder)
        kept = options.keep
        return 0
    except KeyboardInterrupt:
        say("\nquickstart: interrupted")
        return 130
    except Missed as missed:
        say(f"\nquickstart: {missed}\nlogs: {folder}/*.log")
        return 1
    finally:
        if not kept:
            cluster.stop()


if __name__ == "__main__":
    sys.exit(main())
