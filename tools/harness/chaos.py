"""Real nodes through bad minutes: kills, pauses, cut and slow links, full disks, damaged and wiped data, under load.

Three or five nodes run in network namespaces of their own, joined by a bridge that exists nowhere else; where the system
allows none, on loopback addresses, with the faults that are possible there. What clients are told meanwhile is judged:
answers are strictly serializable, watches are told everything once and in order, leases end neither early nor long after
their time, acknowledged writes are there at the end and after all nodes were killed once more, every replica holds the
same. Ends with a table; exit code 0: no violation, 1: some, or the run did not come about,
130: interrupted.
"""
import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import building
import private_network
from building import ROOT, say
from faults import Faults
from historian import Historian
from load import Load
from processes import Cluster, Missed, file_system, free_ports
from small_disks import SmallDisk, why_no_small_disks

PROGRAMS = ["ringfort", "ringctl", "ringload", "historian"]
# Two domains for the judged clients, and one for the load, whose revisions they need not know.
JUDGED_DOMAINS = 2
# Of what the historian counts.
JUDGED = ("failed", "unknown", "writes", "reads", "watches", "events told", "resumptions", "leases granted", "renewals",
          "leases expired", "leases revoked")
NODE_FLAGS = ["--shards", "2", "--initial-domains", "d01/,k"]
DISK_MEGABYTES = 4096
WELL_SECONDS = 60         # after the last fault of some has ended, all nodes are well within that
CALM_EVERY_SECONDS = 25


def parse():
    parser = argparse.ArgumentParser(prog="tools/chaos", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2, help="how long faults happen (default 2)")
    parser.add_argument("--nodes", type=int, choices=(3, 5), default=3,
                        help="how many nodes; damage and wipes hit one of 3, two of 5 (default 3)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 2**31),
                        help="of the faults' order and places (default: a new one, printed)")
    parser.add_argument("--pace", type=float, default=2.0, help="seconds between two faults on average (default 2)")
    parser.add_argument("--rate", type=int, default=300, help="puts a second of the load beside (default 300)")
    parser.add_argument("--loopback", action="store_true", help="no namespaces, even where they are allowed")
    parser.add_argument("--json", type=Path, help="writes the report there as well")
    parser.add_argument("--folder", type=Path, default=ROOT / "build",
                        help="a folder for data and logs is made in it, and kept after a failure; not tmpfs (build)")
    for name in PROGRAMS:
        parser.add_argument(f"--{name}", type=Path, help=argparse.SUPPRESS)
    parser.add_argument(private_network.INSIDE, action="store_true", dest="inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.minutes <= 0 or options.pace <= 0 or options.rate <= 0:
        parser.error("--minutes, --pace and --rate must be above 0")
    return options


class Chaos:
    """One run. close() takes away whatever it made, in whatever state it is."""

    def __init__(self, options, programs, folder, no_network):
        self.options, self.folder, self.programs = options, folder, programs
        self.random = random.Random(options.seed)
        self.began = time.monotonic()
        self.violations, self.undecided, self.left_out = [], [], []
        self.disks, self.historian, self.load, self.cluster = [], None, None, None
        self.diary = (folder / "faults.log").open("w", encoding="utf-8")
        self.network = None if no_network else private_network.PrivateNetwork(folder, options.nodes)
        if no_network:
            self.left_out.append(f"cut and slow links: {no_network}")
        elif self.network.delay != "netem":
            self.left_out.append("late and lost packets: no netem in this kernel"
                                 + ("; a low rate instead" if self.network.delay else ""))

    def note(self, text):
        self.diary.write(f"{time.monotonic() - self.began:8.2f} {text}\n")
        self.diary.flush()

    def start(self):
        count = self.options.nodes
        if self.network:
            self.cluster = Cluster(self.programs, self.folder, [(2379, 2380)] * count, extra=NODE_FLAGS,
                                   addresses=self.network.addresses)
        else:
            ports = free_ports(2 * count)
            self.cluster = Cluster(self.programs, self.folder, list(zip(ports[::2], ports[1::2])), extra=NODE_FLAGS,
                                   addresses=[f"127.0.0.{11 + i}" for i in range(count)])
        for i, node in enumerate(self.cluster.nodes):
            node.prefix = self.network.prefix(i) if self.network else []
        self.give_disks()
        self.cluster.start()
        self.cluster.wait_ready()
        domains = ["--domains", JUDGED_DOMAINS, "--think", 8]
        seconds = int(60 * self.options.minutes) + 3600   # it is told when to end
        self.historian = Historian(self.programs, self.cluster.endpoints, self.folder, seconds,
                                   [*domains, "--live", "--history", self.folder / "history"])
        self.load = Load(self.programs, self.cluster.endpoints, self.folder, connections=8, seconds=seconds, keys=5000,
                         value_bytes=512, history=True, extra=["--rate", self.options.rate, "--prefill", "never"])

    def give_disks(self):
        """A small disk for each node, where they can be had."""
        reason = why_no_small_disks()
        try:
            for node in self.cluster.nodes if not reason and self.network else []:
                self.disks.append(SmallDisk(self.folder, node.name, DISK_MEGABYTES))
                node.data = self.disks[-1].point / "data"
        except Missed as missed:
            reason = str(missed)
        if len(self.disks) < len(self.cluster.nodes):
            self.left_out.append(f"full disks: {reason or 'without namespaces nothing is mounted'}")

    # ---- the bad minutes

    def trouble(self):
        disks = self.disks if len(self.disks) == len(self.cluster.nodes) else None
        self.faults = Faults(self.cluster, self.random, self.note, self.network, disks)
        seconds, calms, begin = 60 * self.options.minutes, 0.0, time.monotonic()
        calm_every = min(CALM_EVERY_SECONDS, seconds / 2)
        next_fault, next_calm, spoken = begin + 1, begin + calm_every, begin
        while (passed := (now := time.monotonic()) - begin - calms) < seconds:
            self.faults.turn()
            self.watch_clients()
            if now >= next_calm:
                self.faults.calm(WELL_SECONDS)
                if self.random.random() < 0.5:
                    self.faults.rolling_restart()
                calms += time.monotonic() - now
                next_calm = time.monotonic() + calm_every
            elif now >= next_fault:
                self.faults.begin()
                next_fault = time.monotonic() + self.random.expovariate(1 / self.options.pace)
            if now - spoken >= (1 if sys.stdout.isatty() else 10):
                spoken = now
                self.speak(passed, seconds)
            time.sleep(0.03)
        self.faults.calm(WELL_SECONDS)

    def watch_clients(self):
        for name, client in (("historian", self.historian), ("ringload", self.load)):
            if not client.running():
                said = client.errors.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise Missed(f"{name} ended with {client.process.returncode}: {said}")

    def speak(self, passed, seconds):
        live, faults = self.historian.live(), sum(self.faults.counts.values())
        now = ", ".join(f"{fault.kind} {fault.what.split(',')[0]}" for fault in self.faults.active) or "quiet"
        text = (f"  {passed:4.0f} of {seconds:.0f} s: {live.get('answered', 0):,} answered, "
                f"{live.get('failed', 0):,} failed, {live.get('unknown', 0):,} unknown; {faults} faults; {now}")
        terminal = sys.stdout.isatty()
        print(f"\r{text[:118]}\x1b[K" if terminal else text, end="" if terminal else "\n", flush=True)

    # ---- the judges

    def judge(self, *steps):
        """Each step judges for itself."""
        for step in steps:
            try:
                step()
            except Missed as missed:
                self.violations.append(str(missed))
                self.note(f"violation: {missed}")

    def judge_history(self):
        self.history = self.historian.live()   # should it be found bad
        self.history = self.historian.judge(seconds=600)
        if not self.history["told"]:
            self.undecided.append("history: too many writes of unknown outcome to try all their orders")

    def end_load(self):
        self.load.stop()
        self.written = self.load.result()

    def read_back(self):
        code, verdict = self.load.verify(seconds=300)
        self.note(verdict)
        if code != 0 or "acknowledged writes lost: 0" not in verdict:
            raise Missed(f"ringload verify: {verdict}")

    def same_state(self):
        states = self.cluster.same_state(seconds=WELL_SECONDS)
        if len(states) != JUDGED_DOMAINS + 2:
            raise Missed(f"the directory and {JUDGED_DOMAINS + 1} ranges were to be compared, not {states}")

    def kill_all_and_start(self):
        for node in self.cluster.nodes:
            node.signal(signal.SIGKILL)
        for node in self.cluster.nodes:
            node.kill()
        self.cluster.start()
        self.cluster.wait_ready()

    def stop_in_order(self):
        for node in self.cluster.nodes:
            code, _ = node.terminate()
            if code != 0:
                raise Missed(f"{node.name} ended with {code} after SIGTERM:\n{node.log_tail()}")

    def run(self):
        self.history, self.written = {}, {}
        self.start()
        self.judge(self.trouble)
        self.judge(self.end_load, self.judge_history)
        if not self.violations:
            self.judge(self.read_back, self.same_state)
        if not self.violations:
            self.judge(self.kill_all_and_start)
        if not self.violations:
            self.judge(self.read_back, self.same_state, self.stop_in_order)

    def report(self):
        answered, written = self.history.get("answered", 0), self.written.get("requests", 0)
        return {
            "seed": self.options.seed, "nodes": self.options.nodes, "minutes": self.options.minutes,
            "operations": self.history.get("operations", 0) + written,
            "judged": {"ok": answered,
                       **{name.replace(" ", "_"): self.history.get(name, 0) for name in JUDGED},
                       "longest_gap_ms": self.history.get("longest gap", 0)},
            "load": {"requests": written, "failed": self.written.get("failed", 0),
                     "longest_gap_ms": round(self.written.get("longest_gap_ms", 0))},
            "faults": self.faults.counts, "left_out": self.left_out, "undecided": self.undecided,
            "violations": self.violations,
        }

    def close(self):
        for each in (self.historian, self.load):
            if each:
                each.kill()
        if self.cluster:
            self.cluster.stop()
        for disk in self.disks:
            disk.free()
            disk.unmount()
        if self.network:
            self.network.close()
        self.diary.close()


def table(report):
    judged, load, faults = report["judged"], report["load"], report["faults"]
    rows = [
        ("operations", f"{report['operations']:,} on {report['nodes']} nodes in {report['minutes']:g} minutes"),
        ("judged clients", f"{judged['ok']:,} ok ({judged['writes']:,} writes, {judged['reads']:,} reads), "
                           f"{judged['failed']:,} failed, {judged['unknown']:,} unknown"),
        ("their watches", f"{judged['watches']:,}, told {judged['events_told']:,} events, {judged['resumptions']:,} times "
                          "over a lost connection or node"),
        ("their leases", f"{judged['leases_granted']:,}, renewed {judged['renewals']:,} times; "
                         f"{judged['leases_expired']:,} expired, {judged['leases_revoked']:,} revoked"),
        ("load", f"{load['requests']:,} puts, {load['failed']:,} of them failed or unknown"),
        ("longest gap", f"{judged['longest_gap_ms']:,} ms without an answer to any judged client, while majorities were "
                        "down, too"),
        ("faults", f"{sum(faults.values())}: " + ", ".join(f"{kind} {count}" for kind, count in faults.items())),
        *(("left out", text) for text in report["left_out"]),
        *(("undecided", text) for text in report["undecided"]),
        ("violations", str(len(report["violations"]))),
    ]
    for name, value in rows:
        say(f"  {name:16} {value}")
    for text in report["violations"]:
        say("\n".join(f"    {line}" for line in text.splitlines()))


def make_folder(parent):
    parent.mkdir(parents=True, exist_ok=True)
    if file_system(parent) in ("tmpfs", "ramfs"):
        sys.exit("chaos: the nodes' data must lie on a disk; name a folder with --folder")
    return Path(tempfile.mkdtemp(prefix="chaos-", dir=parent)).resolve()


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    options = parse()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    programs = {name: getattr(options, name) for name in PROGRAMS}
    if None in programs.values():
        try:
            programs = building.release_binaries(PROGRAMS)
        except building.BuildFailed as failure:
            sys.exit(f"chaos: the build failed\n{failure}")
    no_network = "--loopback was given" if options.loopback else private_network.enter()
    folder = make_folder(options.folder)
    say(f"seed {options.seed}: {options.nodes} nodes "
        f"{'on loopback addresses' if no_network else 'in namespaces of their own'}; logs and data in {folder}")
    try:
        return bad_minutes(options, programs, folder, no_network)
    except Missed as missed:
        what = str(missed).splitlines()[0].rstrip(":")
        print(f"chaos: {what}; logs and data: {folder}", file=sys.stderr)
        return 1


def bad_minutes(options, programs, folder, no_network):
    """One run in its folder, which goes unless it found something; the exit code. Missed when it does not come about."""
    chaos, report = Chaos(options, programs, folder, no_network), None
    try:
        chaos.run()
        report = chaos.report()
    except KeyboardInterrupt:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)   # what follows is short, and must be whole
        say("\nchaos: interrupted")
    finally:
        chaos.close()
    if report:
        say()
        table(report)
        if options.json:
            options.json.write_text(json.dumps(report), encoding="utf-8")
    failed = report is None or report["violations"]
    if report and report["violations"]:
        say(f"logs, data and history: {folder}")
    else:
        shutil.rmtree(folder)
    return 130 if report is None else 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
