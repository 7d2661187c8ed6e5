"""Ringfort beside etcd in the same sitting: three nodes and the load on this machine, default settings, durable."""
import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "harness"))

import building  # noqa: E402
from etcd import QUOTA_BYTES, Etcd, Programs, baseline  # noqa: E402
from load import Load, measure  # noqa: E402
from processes import Cluster, Missed, file_system, run, wait_until  # noqa: E402
from table import AT_LEAST, AT_MOST, Row, as_json, as_text, ratio  # noqa: E402

# Debian's etcd 3.4 reads 2.7 times slower than 3.5 under load; against 3.4 the reads are counted up.
READ_FACTOR = {"3.4": 2.7}
# Others' flushes add to what the device counts: the least of so many loads is the node's. Two that wait for the device at
# the same time, one of them the file system's, may become one; more than one in a hundred would be flushes left out.
ALONE_TRIES = 5
ALONE_MERGED_MAX = 0.01
# A machine's speed changes by the minute: what is measured in seconds is measured in so many rounds, and the median counts.
ROUNDS = 3
# A million keys overwritten for half a minute, all revisions kept, are more than the default quota on a small machine.
MANY_QUOTA_BYTES = 6 << 30
# Puts a second of one key that is watched.
WATCH_RATE = 100
LEASES = 1000
# Floors of a bare durable replication loop without a store, single client, as measured when the design was made.
PUT_FLOOR_US, PUT_FLOOR_POLLING_US = 310.0, 190.0


class Sitting:
    """Everything measured, by name; a part of Ringfort's that fails leaves its figures out and says why.

    Etcd and Ringfort take turns, figure by figure, each with a new cluster, in several rounds: what one load leaves behind
    would be the next one's handicap: a checkpoint or a compaction under way, and memory that the host of a virtual machine
    has yet to find for it (measured: 11 us for 4 KiB, 2 us where another process had it before). What goes on for long is
    shown by the figure of many keys, once: filled, then overwritten for half a minute."""

    def __init__(self, programs, etcd_programs, folder, options):
        self.programs, self.etcd_programs, self.folder, self.options = programs, etcd_programs, folder, options
        self.rounds, self.seconds, self.long_seconds = (1, 3, 9) if options.quick else (ROUNDS, 6, 30)
        self.many = {"keys": 100_000 if options.quick else 1_000_000, "key_bytes": 32}
        self.etcd, self.ours = defaultdict(list), defaultdict(list)   # name -> what each round measured
        self.from_baseline, self.faults = set(), []

    def say(self, text):
        print(f"# {text}", file=sys.stderr, flush=True)

    def told(self, who, name, result):
        self.say(f"{who:8} {name:16} {result['per_second']:>10,.0f}/s  p50 {result['p50_us']:>8,.0f} us  "
                 f"p99 {result['p99_us']:>8,.0f} us  server CPU {result['server_cpu_us']:6.1f} us  "
                 f"failed {result['failed']}")
        if result["failed"]:
            self.faults.append(f"{who} {name}: {result['failed']} requests failed")
        return result

    @contextmanager
    def new_folder(self, name):
        folder = self.folder / name
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    # -- etcd --

    def with_etcd(self, name, body):
        with self.new_folder(f"etcd-{name}") as folder:
            etcd = Etcd(self.etcd_programs, folder)
            try:
                etcd.start()
                body(etcd)
            finally:
                etcd.stop()

    def load_etcd(self, etcd, name, endpoints=None, op="put", connections=16, in_flight=16, **options):
        if name in self.from_baseline:
            return
        options.setdefault("seconds", self.seconds)
        result = etcd.load(endpoints or etcd.leader, op=op, connections=connections, in_flight=in_flight, **options)
        self.etcd[name].append(self.told("etcd", name, result))

    def etcd_gets(self, etcd):
        self.load_etcd(etcd, "fill_few", op="fill")
        self.load_etcd(etcd, "get", op="get")
        self.load_etcd(etcd, "get_spread", etcd.endpoints, op="get")

    def etcd_one_client(self, etcd):
        self.load_etcd(etcd, "put_one", connections=1, in_flight=1)
        self.load_etcd(etcd, "get_one", op="get", connections=1, in_flight=1)

    def etcd_watch(self, etcd):
        self.load_etcd(etcd, "watch", op="watch-latency", connections=10, watches=10, rate=WATCH_RATE,
                       value_bytes=32)

    def etcd_leases(self, etcd):
        self.load_etcd(etcd, "keep_alive", op="lease-keepalive", keys=LEASES)

    def etcd_many(self, etcd):
        self.load_etcd(etcd, "fill", op="fill", **self.many)
        self.load_etcd(etcd, "put_many", seconds=self.long_seconds / 3, **self.many)

    def measure_baseline(self, program):
        """Another program that measures etcd: what it has is not measured again."""
        for name, result in baseline(program, self.options.quick).items():
            self.etcd[name].append(self.told("baseline", name, result))
            self.from_baseline.add(name)

    # -- Ringfort --

    def with_cluster(self, name, body, count=3, extra=()):
        with self.new_folder(name) as folder:
            cluster = Cluster(self.programs, folder, count=count, extra=extra)
            try:
                cluster.start()
                cluster.wait_ready()
                body(cluster)
            except (Missed, KeyError, ValueError) as fault:
                self.faults.append(f"{name}: {fault}")
                self.say(f"FAULT in {name}: {fault}")
            finally:
                cluster.stop()

    def load(self, cluster, name, endpoints=None, seconds=None, **options):
        if "requests" not in options:
            options["seconds"] = seconds or self.seconds
        endpoints = endpoints or cluster.wait_leader().client
        result = measure(self.programs, endpoints, self.folder, name, cluster.nodes, **options)
        self.ours[name].append(self.told("ringfort", name, result))

    def gets(self, cluster):
        self.load(cluster, "get", op="get")
        self.load(cluster, "get_spread", cluster.endpoints, op="get")

    def polling(self, cluster):
        self.load(cluster, "put_one_polling", connections=1, in_flight=1)
        self.load(cluster, "get_one_polling", op="get", connections=1, in_flight=1)

    def without_polling(self, cluster):
        self.load(cluster, "put_one", connections=1, in_flight=1)
        self.load(cluster, "get_one", op="get", connections=1, in_flight=1)

    def watch(self, cluster):
        leader = cluster.wait_leader().client
        load = Load(self.programs, leader, self.folder, "watch", op="watch-latency", connections=10, keys=1, key_bytes=32,
                    value_bytes=32, seconds=self.seconds,
                    extra=["--watch-per-stream", "10", "--rate", str(WATCH_RATE)])
        try:
            result = load.result()
        finally:
            load.kill()
        if result["missing"] or result["ended"]:
            raise Missed(f"{result['missing']} events are missing, {result['ended']} watches ended")
        self.ours["watch"].append(self.told("ringfort", "watch", {
            **result["since_due"], "per_second": result["events_per_second"], "server_cpu_us": result["server_cpu_us"],
            "failed": result["puts_failed"]}))

    def leases(self, cluster):
        self.load(cluster, "keep_alive", op="lease-keepalive", keys=LEASES)

    def many_keys(self, cluster):
        leader = cluster.wait_leader()
        before = leader.memory_bytes()
        keys = self.many["keys"]
        self.load(cluster, "fill", requests=keys, extra=["--distribution", "sequential"], **self.many)
        raw = keys * (32 + 256)
        self.ours["memory"] = [(leader.memory_bytes() - before) / raw]
        self.ours["memory_counted"] = [int(cluster.status(leader)["dbSize"]) / raw]
        start = self.log_counters(cluster)
        self.load(cluster, "put_many", seconds=self.long_seconds, **self.many)
        end = self.log_counters(cluster)
        self.ours["written_per_byte"] = [(end["log_bytes_written"] - start["log_bytes_written"])
                                         / (end["log_entry_bytes"] - start["log_entry_bytes"])]

    @staticmethod
    def log_counters(cluster):
        names = ("log_bytes_written", "log_entry_bytes", "log_flushes")
        statuses = [wait_until(lambda n=node: cluster.status(n), 20, f"{node.name} tells its status")
                    for node in cluster.nodes]
        return {name: sum(int(status[name]) for status in statuses) for name in names}

    def one_node_alone(self, cluster):
        """One batch in flight: the node's flushes and the device's must be the same number."""
        device = device_stat(cluster.nodes[0].data)
        if device is None:
            self.faults.append("flushes per batch: the data lies on no block device whose flushes can be counted")
            return
        ratios = []
        for _ in range(ALONE_TRIES):
            before, flushed = self.log_counters(cluster), device_flushes(device)
            self.load(cluster, "alone", requests=2000, connections=1, in_flight=1)
            after, flushed_after = self.log_counters(cluster), device_flushes(device)
            ratios.append((flushed_after - flushed) / (after["log_flushes"] - before["log_flushes"]))
        if min(ratios) < 1 - ALONE_MERGED_MAX:
            self.faults.append(f"flushes per batch: the device saw fewer than the node asked for ({min(ratios):.4f})")
            return
        self.ours["device_flushes_per_batch"] = [min(ratios)]

    def measure_in_turns(self, baseline_program):
        for number in range(self.rounds):
            self.say(f"round {number + 1} of {self.rounds}")
            if baseline_program:
                self.measure_baseline(baseline_program)
            self.one_round()
        self.with_etcd("many", self.etcd_many)
        self.with_cluster("many", self.many_keys, extra=["--quota-backend-bytes", str(MANY_QUOTA_BYTES)])
        self.with_cluster("alone", self.one_node_alone, count=1)

    def one_round(self):
        if not self.from_baseline >= {"put_one", "get_one"}:
            self.with_etcd("one", self.etcd_one_client)
        self.with_cluster("polling", self.polling)
        self.with_cluster("nopoll", self.without_polling, extra=["--poll-us", "0"])
        if "put" not in self.from_baseline:
            self.with_etcd("put", lambda etcd: self.load_etcd(etcd, "put"))
        self.with_cluster("put", lambda cluster: self.load(cluster, "put"))
        self.with_cluster("put_256", lambda cluster: self.load(cluster, "put_256", connections=256, in_flight=1))
        self.with_etcd("put_spread", lambda etcd: self.load_etcd(etcd, "put_spread", etcd.endpoints))
        self.with_cluster("put_spread", lambda cluster: self.load(cluster, "put_spread", cluster.endpoints))
        self.with_etcd("get", self.etcd_gets)
        self.with_cluster("get", self.gets)
        self.with_etcd("watch", self.etcd_watch)
        self.with_cluster("watch", self.watch)
        self.with_etcd("leases", self.etcd_leases)
        self.with_cluster("leases", self.leases)

    def measure_round_trip(self, program):
        for name, flags in (("ping_pong", []), ("ping_pong_polling", ["--poll"])):
            code, output, error = run([program, *flags], 120)
            if code != 0:
                raise Missed(f"ping_pong: {error}")
            self.ours[name] = [json.loads(output)["p50_us"]]
            self.say(f"machine  {name:18} p50 {self.ours[name][0]:.1f} us")

    # -- the table --

    @staticmethod
    def figure(side, name, field=None):
        """The median of the rounds; None: not measured."""
        values = [result[field] if field else result for result in side.get(name, ())]
        return statistics.median(values) if values else None

    def times_etcd(self, text, ours, theirs, field, done, aim, direction=AT_LEAST, factor=1.0, note=""):
        we, they = self.figure(self.ours, ours, field), self.figure(self.etcd, theirs, field)
        they = they * factor if they is not None else None
        return Row(text, they, we, ratio(we, they), "x", direction, done, aim, note)

    def rows(self, etcd_version):
        reads = READ_FACTOR.get(etcd_version[:3], 1.0)
        counted_up = f"etcd {etcd_version} measured, times {reads}" if reads != 1.0 else ""
        ping, ping_polling = self.figure(self.ours, "ping_pong"), self.figure(self.ours, "ping_pong_polling")
        put_one, get_one = (self.figure(self.etcd, name, "p50_us") for name in ("put_one", "get_one"))
        since_due = f"{WATCH_RATE} puts a second of one key; counted from when each put was due"
        million = f"{self.many['keys']:,} keys"

        def one_client(text, name, theirs, done, aim):
            ours = self.figure(self.ours, name, "p50_us")
            return Row(text, theirs, ours, ours, " us", AT_MOST, done, aim)

        def plain(text, name, unit, done, aim):
            value = self.figure(self.ours, name)
            return Row(text, None, value, value, unit, AT_MOST, done, aim)

        return [
            self.times_etcd("put 16x16, per second", "put", "put", "per_second", 12, 20),
            self.times_etcd("put 16x16, p99 us", "put", "put", "p99_us", 1 / 7, 1 / 10, AT_MOST),
            self.times_etcd("put 16x16 over all nodes, per second", "put_spread", "put_spread", "per_second", 12, 20),
            self.times_etcd("put 16x16 over all nodes, p99 us", "put_spread", "put_spread", "p99_us", 1 / 7, 1 / 10,
                            AT_MOST),
            self.times_etcd("put 256x1, per second", "put_256", "put", "per_second", 6, 8, note="etcd's at 16x16"),
            self.times_etcd(f"put 16x16, {million} of 32 B, per second", "put_many", "put_many", "per_second", 10, 15),
            Row("CPU per put 16x16, three servers", self.figure(self.etcd, "put", "server_cpu_us"),
                *[self.figure(self.ours, "put", "server_cpu_us")] * 2, " us", AT_MOST, 7, 5),
            one_client("put, one client, p50, no polling", "put_one", put_one, put_one / 2, 1.3 * PUT_FLOOR_US),
            one_client("put, one client, p50, polling", "put_one_polling", put_one, put_one / 3,
                       1.3 * PUT_FLOOR_POLLING_US),
            self.times_etcd("get 16x16, per second", "get", "get", "per_second", 15, 25, factor=reads, note=counted_up),
            self.times_etcd("get 16x16 over all nodes, per second", "get_spread", "get_spread", "per_second", 15, 25,
                            factor=reads),
            one_client("get, one client, p50, no polling", "get_one", get_one, 2.5 * ping, 2 * ping),
            one_client("get, one client, p50, polling", "get_one_polling", get_one, get_one / 3, 2 * ping_polling),
            self.times_etcd("event to 100 watches, p50 us", "watch", "watch", "p50_us", 1, 1 / 2, AT_MOST, note=since_due),
            self.times_etcd("event to 100 watches, p99 us", "watch", "watch", "p99_us", 1, 1 / 2, AT_MOST),
            self.times_etcd("keep-alives 16x16, per second", "keep_alive", "keep_alive", "per_second", 1, 10),
            self.times_etcd("keep-alives 16x16, p99 us", "keep_alive", "keep_alive", "p99_us", 1, 1 / 10, AT_MOST),
            plain("device flushes per batch", "device_flushes_per_batch", "", 1, 1),
            plain(f"bytes written per byte of entries, {million}", "written_per_byte", "x", 2.5, 2),
            plain(f"memory, {million}, of the raw bytes", "memory", "x", 1.6, 1.3),
        ]


def device_stat(path):
    """The kernel's counters of the whole device under a path; None when there is no such device."""
    number = os.stat(path).st_dev
    link = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    if not link.exists():
        return None
    device = link.resolve()
    if (device / "partition").exists():
        device = device.parent
    return device / "stat" if len((device / "stat").read_text(encoding="utf-8").split()) >= 17 else None


def device_flushes(stat):
    return int(stat.read_text(encoding="utf-8").split()[15])


def parse():
    parser = argparse.ArgumentParser(prog="bench/versus/compare", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, 3 s a load, 100,000 keys instead of a million")
    parser.add_argument("--json", action="store_true", help="the rows as JSON on standard output")
    parser.add_argument("--etcd-baseline", metavar="PROGRAM", default=os.environ.get("ETCD_BASELINE"),
                        help="a program that measures etcd and prints lines of op=... conns=... per_second=...: its figures "
                             "are taken where it has them (also: ETCD_BASELINE in the environment)")
    parser.add_argument("--folder", type=Path, default=ROOT / "build", help="data goes below it; not on tmpfs")
    return parser.parse_args()


def main():
    options = parse()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    try:
        programs = building.release_binaries(["ringfort", "ringctl", "ringload"])
        ping_pong = building.release_binaries(["ping_pong"], "bench", ["-Dbench=true"])["ping_pong"]
    except building.BuildFailed as failure:
        sys.exit(f"compare: the build failed\n{failure}")
    options.folder.mkdir(exist_ok=True)
    if file_system(options.folder) in ("tmpfs", "ramfs"):
        sys.exit("compare: --folder lies in memory; flushes there mean nothing")
    folder = Path(tempfile.mkdtemp(prefix="versus-", dir=options.folder))
    begin = time.monotonic()
    try:
        etcd_programs = Programs(folder)
        sitting = Sitting(programs, etcd_programs, folder, options)
        sitting.measure_round_trip(ping_pong)
        sitting.measure_in_turns(options.etcd_baseline)
        rows = sitting.rows(etcd_programs.version())
    except Missed as missed:
        sys.exit(f"compare: {missed}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    about = {"etcd": etcd_programs.version(), "cores": os.cpu_count(), "kernel": platform.release(), "quick": options.quick,
             "minutes": round((time.monotonic() - begin) / 60, 1), "rounds": sitting.rounds,
             "memory_counted": sitting.figure(sitting.ours, "memory_counted"),
             "ping_pong_us": [sitting.figure(sitting.ours, name) for name in ("ping_pong", "ping_pong_polling")],
             "faults": sitting.faults}
    print(as_json(rows, about) if options.json else f"{as_text(rows)}\n{about_text(about)}")
    return 1 if any(row.met() in ("MISSED", "not measured") for row in rows) or sitting.faults else 0


def about_text(about):
    lines = [f"etcd {about['etcd']}, {about['cores']} cores, Linux {about['kernel']}; ping-pong p50 "
             f"{about['ping_pong_us'][0]:.0f} us, polling {about['ping_pong_us'][1]:.0f} us; {about['minutes']} minutes",
             "--quick: one round, short loads and 100,000 keys: a look, not a measurement" if about["quick"]
             else f"times and rates are medians of {about['rounds']} rounds; many keys are measured once",
             f"no automatic compaction on either side; --quota-backend-bytes: etcd {QUOTA_BYTES >> 30} GiB, ringfort its "
             f"default, with many keys {MANY_QUOTA_BYTES >> 30} GiB"]
    return "\n".join([*lines, *(f"FAULT {fault}" for fault in about["faults"])])


if __name__ == "__main__":
    sys.exit(main())
