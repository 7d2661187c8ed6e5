"""Three etcd nodes on loopback, and the load generator that drives them."""
import json
import os
import shutil
import subprocess
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from processes import Missed, Node, die_with_parent, free_ports, run, wait_until

HERE = Path(__file__).resolve().parent
QUOTA_BYTES = 8 << 30   # the largest that etcd advises


class EtcdNode(Node):
    """The same handles as a ringfort process has, with etcd's command line."""

    def command(self, initial_cluster, extra=()):
        return [*super().command(initial_cluster, extra), "--log-level", "error", "--quota-backend-bytes", str(QUOTA_BYTES)]

    def leads(self):
        try:
            with urlopen(f"http://{self.client}/metrics", timeout=2) as answer:
                return b"\netcd_server_is_leader 1" in answer.read()
        except (URLError, OSError):
            return False


class Programs:
    """The etcd to compare with, and the load for it, built in a folder."""

    def __init__(self, folder):
        self.etcd = os.environ.get("ETCD") or shutil.which("etcd")
        self.load = Path(folder) / "etcd_load"
        self.build_load(Path(folder))

    def version(self):
        return run([self.etcd, "--version"])[1].split("\n")[0].removeprefix("etcd Version: ")

    def build_load(self, folder):
        """Debian's packages hold the client's sources under /usr/share/gocode: no module is fetched."""
        sources = folder / "gopath" / "src" / "etcd_load"
        shutil.copytree(HERE / "etcd_load", sources)
        gopath = f"{sources.parents[1]}:/usr/share/gocode"
        environment = {**os.environ, "GO111MODULE": "off", "GOFLAGS": "", "GOPATH": gopath}
        result = subprocess.run(["go", "build", "-o", str(self.load), "etcd_load"], env=environment,
                                capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise Missed(f"go build: {result.stderr}")


class Etcd:
    """Three new nodes, running."""

    def __init__(self, programs, folder):
        self.programs = programs
        ports = free_ports(6)
        self.nodes = [EtcdNode(programs.etcd, f"e{i + 1}", folder, ports[2 * i], ports[2 * i + 1]) for i in range(3)]
        self.endpoints = ",".join(node.client for node in self.nodes)
        self.leader = None   # its endpoint

    def start(self):
        members = ",".join(f"{node.name}=http://{node.peer}" for node in self.nodes)
        for node in self.nodes:
            node.start(members)
        leads = lambda: next((node for node in self.nodes if node.leads()), None)
        self.leader = wait_until(leads, 30, "etcd elects a leader", 0.1).client

    def stop(self):
        for node in self.nodes:
            node.kill()

    def load(self, endpoints, **options):
        """A load's JSON, with server_cpu_us: the CPU of the three servers for each request."""
        command = [str(self.programs.load), "-endpoints", endpoints]
        command += [word for name, value in options.items() for word in (f"-{name.replace('_', '-')}", str(value))]
        before = sum(node.cpu_seconds() for node in self.nodes)
        result = subprocess.run(command, capture_output=True, text=True, timeout=900,
                                preexec_fn=die_with_parent, check=False)
        if result.returncode != 0:
            raise Missed(f"etcd_load: {result.stderr}")
        answer = json.loads(result.stdout)
        answer["server_cpu_us"] = (sum(node.cpu_seconds() for node in self.nodes) - before) * 1e6 / answer["requests"]
        return answer


# One that ends before its first load (a shell script whose pipe was closed under it) is tried again.
BASELINE_ATTEMPTS = 6
# What another program calls our figures: operation, connections, requests in flight in all.
BASELINE_LOADS = {("put", 1, 1): "put_one", ("put", 16, 256): "put", ("get", 1, 1): "get_one", ("get", 16, 256): "get"}


def baseline(program, quick):
    """Name of a figure -> what the program says of it. It prints a line of name=value words for each load, and the CPU of
    the three servers on the next one."""
    for _ in range(BASELINE_ATTEMPTS):
        code, output, error = run([program, *(["--quick"] if quick else [])], 900)
        if code == 0 or "op=" in output:
            break
    if code != 0:
        raise Missed(f"{program}: exit {code}: {error}")
    figures, current = {}, {}
    for line in output.splitlines():
        words = dict(word.split("=", 1) for word in line.split() if "=" in word)
        if "op" in words:
            current = {name: float(words[name]) for name in ("per_second", "p50_us", "p99_us", "failed")}
            figures[BASELINE_LOADS.get((words["op"], int(words["conns"]), int(words["concurrent"])))] = current
        elif "server_cpu_us_per_request" in words:
            current["server_cpu_us"] = float(words["server_cpu_us_per_request"])
    figures.pop(None, None)
    if not figures:
        raise Missed(f"{program} printed no load that is known here:\n{output}")
    return figures
