"""What history and size cost on this machine: compaction beside puts, space given back, and many keys."""
import argparse
import json
import re
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools" / "harness"))

import building  # noqa: E402
from load import Load, measure  # noqa: E402
from processes import Cluster, Missed, wait_until  # noqa: E402

KEY_BYTES, VALUE_BYTES = 32, 256
QUOTA_BYTES = 20 << 30
CHANGED = {"key_bytes": KEY_BYTES, "value_bytes": VALUE_BYTES}
# Of the greatest rate of puts: what a cluster has to bear while something else goes on.
STEADY_SHARE = 0.5
STEADY_SECONDS = 15
CATCH_UP_SECONDS = 300   # the load beside it ends with it
LIGHT_SHARE = 0.1
COMPACTION_ROUNDS = 3
COMPACTION_SECONDS = 3


def disk_bytes(folder):
    """What its files take, without holes."""
    total = 0
    for path in Path(folder).rglob("*"):
        try:
            total += path.stat().st_blocks * 512 if path.is_file() else 0
        except OSError:
            pass   # the node has removed it meanwhile
    return total


class Sitting:
    """Everything measured, as lines; a part that fails says why."""

    def __init__(self, programs, folder, options):
        self.programs, self.folder, self.options = programs, folder, options
        self.figures, self.faults = [], []
        self.read_to = {}   # of nodes' logs

    def say(self, text):
        print(f"# {text}", file=sys.stderr, flush=True)

    def note(self, figure, value, unit, wanted=""):
        self.figures.append({"figure": figure, "value": value, "unit": unit, "wanted": wanted})
        self.say(f"{figure}: {value:,.2f} {unit}{f' (wanted: {wanted})' if wanted else ''}")

    @contextmanager
    def cluster(self, name, count=3, extra=()):
        folder = self.folder / name
        folder.mkdir()
        cluster = Cluster(self.programs, folder, count=count, extra=["--quota-backend-bytes", str(QUOTA_BYTES), *extra])
        try:
            cluster.start()
            cluster.wait_ready()
            yield cluster
        finally:
            cluster.stop()
            shutil.rmtree(folder, ignore_errors=True)

    def measure(self, name, part):
        try:
            part(self)
        except (Missed, KeyError, ValueError) as fault:
            self.faults.append(f"{name}: {fault}")
            self.say(f"FAULT in {name}: {fault}")

    def fill(self, cluster, keys):
        return self.load(cluster, "fill", keys, requests=keys, extra=["--distribution", "sequential"])

    def load(self, cluster, name, keys, **options):
        result = measure(self.programs, cluster.wait_leader().client, cluster.folder, name, cluster.nodes, keys=keys,
                         **CHANGED, **options)
        return self.sound(name, result)

    @staticmethod
    def sound(name, result):
        if result["failed"]:
            raise Missed(f"{name}: {result['failed']} requests failed")
        return result

    def steady(self, cluster, name, keys, rate, seconds=STEADY_SECONDS):
        """Puts that begin at their times, whatever else goes on."""
        return self.load(cluster, name, keys, seconds=seconds, extra=["--rate", str(rate)])

    def begin_steady(self, cluster, name, keys, rate, seconds):
        return Load(self.programs, cluster.wait_leader().client, cluster.folder, name, keys=keys, seconds=seconds,
                    extra=["--rate", str(rate)], **CHANGED)

    @staticmethod
    def revision(cluster):
        return json.loads(cluster.must_ctl("get", "none", "-w", "json"))["header"]["revision"]

    # -- compaction --

    def compaction(self):
        """In turns without and with: puts at a rate at which the disk does not stall by itself, and for about as long as the
        compaction takes, so that its own time is what the p99 is of."""
        keys, revisions = self.options.keys // 100, self.options.keys // 10
        quiet, during, took = [], [], []
        with self.cluster("compaction") as cluster:
            self.say(f"{revisions:,} revisions of {keys:,} keys, {COMPACTION_ROUNDS} rounds")
            for i in range(COMPACTION_ROUNDS):
                most = self.load(cluster, f"history{i}", keys, requests=revisions)["per_second"]
                rate = most * LIGHT_SHARE
                quiet.append(self.steady(cluster, f"quiet{i}", keys, rate, COMPACTION_SECONDS)["p99_us"])
                load = self.begin_steady(cluster, f"during{i}", keys, rate, COMPACTION_SECONDS)
                wait_until(load.answered, 30, "the load is answered")
                begin, revision = time.monotonic(), self.revision(cluster)
                cluster.must_ctl("compaction", str(revision), "--physical", "--command-timeout=120s", seconds=150)
                took.append(time.monotonic() - begin)
                during.append(self.sound(f"during{i}", load.result())["p99_us"])
        self.note("compaction: took", median(took), "s")
        self.note("compaction: p99 of puts, quiet", median(quiet), "us")
        self.note("compaction: p99 of puts, a load with it", median(during), "us")
        self.note("compaction: ratio", median(during) / median(quiet), "x", "<= 1.5")

    # -- space --

    def space(self):
        keys = self.options.keys // 10
        with self.cluster("space") as cluster:
            leader = cluster.wait_leader()
            empty = leader.memory_bytes()
            self.fill(cluster, keys)
            full = leader.memory_bytes(), disk_bytes(leader.data)
            tenth = f"k{keys // 10:0{KEY_BYTES - 1}d}"
            cluster.must_ctl("del", tenth, "l", "--command-timeout=60s", seconds=90)
            cluster.must_ctl("compaction", str(self.revision(cluster)), "--physical", "--command-timeout=120s", seconds=150)
            counted = json.loads(cluster.must_ctl("get", "", "--prefix", "--count-only", "-w", "json"))["count"]
            self.note("space: keys left", 100 * counted / keys, "%", "10")
            self.note("space: memory before", (full[0] - empty) / 2**20, "MiB")
            self.note("space: memory after", (leader.memory_bytes() - empty) / 2**20, "MiB", "falls accordingly")
            self.note("space: disk before", full[1] / 2**20, "MiB")
            # A log becomes quiet after a minute; what falls later than another minute after that is not waited for.
            begin = fell = time.monotonic()
            disk = full[1]
            while time.monotonic() - max(fell, begin + 60) < 60:
                time.sleep(1)
                if disk_bytes(leader.data) < disk:
                    disk, fell = disk_bytes(leader.data), time.monotonic()
            self.note("space: disk after", disk / 2**20, "MiB", "falls accordingly")
            self.note("space: disk, fell for", fell - begin, "s")

    # -- leases --

    def leases(self):
        """Keep-alives of many leases, each asked for by itself, and the end of one lease with as many keys."""
        many = self.options.keys // 100
        with self.cluster("leases", extra=["--log-level", "debug"]) as cluster:
            self.load(cluster, "warm", many, op="lease-keepalive", requests=many)
            before = self.applied(cluster)
            kept = self.load(cluster, "kept", many, op="lease-keepalive", seconds=10)
            self.note("leases: how many", many, "")
            self.note("leases: keep-alives", kept["per_second"], "/s")
            self.note("leases: p99 of keep-alives", kept["p99_us"], "us")
            self.note("leases: log entries a keep-alive", (self.applied(cluster) - before) / kept["requests"], "")
            self.note("leases: CPU of three nodes a keep-alive", kept["server_cpu_us"], "us")
            lease = cluster.must_ctl("lease", "grant", "3600").split()[1]
            self.load(cluster, "hang on", many, requests=many, extra=["--distribution", "sequential", "--lease", lease])
            self.longest_turn(cluster)
            begin = time.monotonic()
            cluster.must_ctl("lease", "revoke", lease, "--command-timeout=60s", seconds=90)
            self.note("leases: revoke of one with as many keys", (time.monotonic() - begin) * 1000, "ms")
            self.note("leases: longest turn meanwhile, 0: below 1 ms", self.longest_turn(cluster), "us", "<= 1000")

    def longest_turn(self, cluster):
        """Since it was asked for last, in microseconds of CPU: nodes tell of turns above a millisecond."""
        longest = 0
        for node in cluster.nodes:
            said = node.log.read_text(encoding="utf-8", errors="replace")
            turns = re.findall(r"a turn used (\d+) us of CPU", said[self.read_to.get(node.name, 0):])
            self.read_to[node.name] = len(said)
            longest = max([longest, *map(int, turns)])
        return longest

    @staticmethod
    def applied(cluster):
        return sum(index for index, _ in cluster.replicas(cluster.wait_leader()).values())

    # -- size --

    def size(self):
        keys = self.options.keys
        with self.cluster("size", count=1) as cluster:
            node = cluster.nodes[0]
            self.say(f"{keys:,} keys on one node")
            fill = self.fill(cluster, keys)
            self.note("size: load", fill["seconds"], "s")
            self.note("size: memory", node.memory_bytes() / 2**20, "MiB")
            self.note("size: memory a byte of keys and values", node.memory_bytes() / keys / (KEY_BYTES + VALUE_BYTES), "x")
            self.note("size: disk", disk_bytes(node.data) / 2**20, "MiB")
            reads = self.load(cluster, "reads", keys, op="get", seconds=10, extra=["--prefill", "never"])
            self.note("size: gets", reads["per_second"], "/s")
            self.note("size: p99 of gets", reads["p99_us"], "us")
            node.kill()
            begin = time.monotonic()
            cluster.start(node)
            cluster.wait_ready(seconds=600)
            self.note("size: restart after SIGKILL until it serves", time.monotonic() - begin, "s")

    def catch_up(self):
        keys = self.options.keys
        with self.cluster("catch-up") as cluster:
            self.say(f"{keys:,} keys on three nodes, a follower comes back with nothing")
            most = self.fill(cluster, keys)["per_second"]
            most = min(most, self.load(cluster, "most", keys, seconds=5)["per_second"])
            rate = most * STEADY_SHARE
            quiet = self.steady(cluster, "quiet", keys, rate)
            victim = cluster.followers()[0]
            victim.kill()
            shutil.rmtree(victim.data)
            load = self.begin_steady(cluster, "during", keys, rate, CATCH_UP_SECONDS)
            begin = time.monotonic()
            cluster.start(victim)
            wait_until(lambda: self.caught_up(cluster, victim), CATCH_UP_SECONDS,
                       lambda: f"it catches up\n{victim.log_tail()}", 0.2)
            took = time.monotonic() - begin
            load.stop()   # what comes after it is quiet again, and would make the figure better
            during = self.sound("during", load.result())
            self.note("catch-up: took", took, "s")
            self.note("catch-up: puts meanwhile", during["per_second"] / most, "of the most", "0.5")
            self.note("catch-up: p99 of puts, quiet", quiet["p99_us"], "us")
            self.note("catch-up: ratio of p99 during it", during["p99_us"] / quiet["p99_us"], "x", "<= 2")

    @staticmethod
    def caught_up(cluster, node):
        """It has applied what the leader had a moment before."""
        leader = cluster.leader()
        ours, theirs = cluster.replicas(leader) if leader else {}, cluster.replicas(node)
        return bool(ours) and all(theirs.get(each, (0, 0))[0] >= index for each, (index, _) in ours.items())


def main():
    parts = {"compaction": Sitting.compaction, "space": Sitting.space, "leases": Sitting.leases, "size": Sitting.size,
             "catch-up": Sitting.catch_up}
    parser = argparse.ArgumentParser(prog="bench/space", description=__doc__)
    parser.add_argument("--keys", type=int, default=10_000_000, help="of the large node (default 10,000,000)")
    parser.add_argument("--quick", action="store_true", help="a tenth of them")
    parser.add_argument("--only", action="append", choices=parts, help="this part; may be repeated")
    parser.add_argument("--folder", help="where the nodes keep their data (default: a new one under build)")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    options = parser.parse_args()
    if options.quick:
        options.keys //= 10
    try:
        programs = building.release_binaries(["ringfort", "ringctl", "ringload"])
    except building.BuildFailed as failure:
        sys.exit(str(failure))
    with tempfile.TemporaryDirectory(prefix="space-", dir=options.folder or ROOT / "build") as folder:
        sitting = Sitting(programs, Path(folder), options)
        for name in options.only or parts:
            sitting.measure(name, parts[name])
    if options.json:
        print(json.dumps({"keys": options.keys, "figures": sitting.figures, "faults": sitting.faults}, indent=2))
    else:
        for each in sitting.figures:
            wanted = f"   wanted: {each['wanted']}" if each["wanted"] else ""
            print(f"{each['figure']:45} {each['value']:>14,.2f} {each['unit']}{wanted}")
        for fault in sitting.faults:
            print(f"FAULT {fault}")
    return 1 if sitting.faults else 0


if __name__ == "__main__":
    sys.exit(main())
