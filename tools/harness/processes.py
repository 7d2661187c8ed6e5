"""Real processes on this machine: nodes, clusters of them, and waiting for what they do.

Every process is started, signalled and reaped by its own id; a process outlives its starter only when asked to.
Nothing sleeps for luck: whatever is waited for has a condition and a deadline.
"""
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

READY_SECONDS = 60
PR_SET_PDEATHSIG = 1
TCP_ESTABLISHED = "01"   # of /proc/net/tcp
loopback = "127.0.0.1"   # where nodes listen that are not told
NO_DISK_SPACE = 23   # how a node ends then: src/server/exit_codes.h


class Missed(Exception):
    """A condition did not come true before its deadline."""


def wait_until(condition, seconds, what, pause=0.02):
    """Polls until the condition's value is true, and returns it. A round counts for 10 s at most: a machine that stood still
    gave nobody the time."""
    left, begin = seconds, time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        if left <= 0:
            raise Missed(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(pause)
        now = time.monotonic()
        left, begin = left - min(now - begin, 10), now


def free_ports(count):
    """Ports nobody listens on now. Held open together, so that they differ."""
    sockets = []
    for _ in range(count):
        probe = socket.socket()
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((loopback, 0))
        sockets.append(probe)
    ports = [probe.getsockname()[1] for probe in sockets]
    for probe in sockets:
        probe.close()
    return ports


def socket_address(address):
    """"HOST:PORT" as /proc/net/tcp has it."""
    host, _, port = address.partition(":")
    return f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}:{int(port):04X}"


def tcp_connections():
    """Of every established one of this machine: (its local address, how many received bytes nobody has read)."""
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        _, local, _, state, queues, *_ = line.split()
        if state == TCP_ESTABLISHED:
            yield local, int(queues.partition(":")[2], 16)


def file_system(path):
    """Name of the file system that holds an existing path, as the kernel's mount table gives it."""
    path, best, name = Path(path).resolve(), -1, "unknown"
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        fields, _, rest = line.partition(" - ")
        point = Path(fields.split()[4].replace("\\040", " "))
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, name = len(point.parts), rest.split()[0]
    return name


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def run(command, seconds=20, text=None):
    """(exit code or None on timeout, standard output, standard error)."""
    try:
        result = subprocess.run([str(word) for word in command], input=text or "", capture_output=True, text=True,
                                errors="replace", timeout=seconds, check=False)
        return result.returncode, result.stdout, result.stderr
    except subprocess.TimeoutExpired as expired:
        said = [part.decode(errors="replace") if part else "" for part in (expired.stdout, expired.stderr)]
        return None, *said


class Node:
    """One ringfort process, its data directory and its log file."""

    def __init__(self, program, name, folder, client_port, peer_port, address=None):
        self.program, self.name, self.folder = program, name, Path(folder)
        self.data, self.log = self.folder / f"{name}.data", self.folder / f"{name}.log"
        address = address or loopback
        self.client, self.peer = f"{address}:{client_port}", f"{address}:{peer_port}"
        self.listen_peer = self.peer   # another one when somebody stands between the nodes
        self.process = None
        self.outlives_us = False
        self.prefix = []   # of the command: how to get to the node's own network

    def command(self, initial_cluster, extra=()):
        return [*self.prefix, str(self.program), "--name", self.name, "--data-dir", str(self.data),
                "--listen-client-urls", f"http://{self.client}", "--advertise-client-urls", f"http://{self.client}",
                "--listen-peer-urls", f"http://{self.listen_peer}", "--initial-advertise-peer-urls", f"http://{self.peer}",
                "--initial-cluster", initial_cluster, *extra]

    def start(self, initial_cluster, extra=()):
        assert not self.alive(), f"{self.name} runs already"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command(initial_cluster, extra), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT, start_new_session=self.outlives_us,
                                            preexec_fn=None if self.outlives_us else die_with_parent)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        if self.alive():
            self.process.send_signal(number)

    def kill(self):
        """SIGKILL, and wait until the kernel has taken the process away."""
        if self.alive():
            self.signal(signal.SIGKILL)
            self.process.wait(timeout=30)

    def pause(self):
        """SIGSTOP, and wait until it stands."""
        self.signal(signal.SIGSTOP)
        wait_until(lambda: self.state() == "T", 10, f"{self.name} stands still")

    def resume(self):
        self.signal(signal.SIGCONT)

    def state(self):
        return Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]

    def cpu_seconds(self):
        """utime + stime since the process began."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_bytes(self):
        """Resident memory of the process's own, files apart."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
        return 0

    def terminate(self, seconds=30):
        """SIGTERM; (exit code, seconds it took). Missed when it does not end."""
        begin = time.monotonic()
        self.signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=seconds), time.monotonic() - begin
        except subprocess.TimeoutExpired:
            raise Missed(f"{self.name} still runs {seconds} s after SIGTERM") from None

    def log_tail(self, lines=15):
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


class Cluster:
    """Nodes that know each other, and the ringctl that asks them."""

    def __init__(self, programs, folder, ports=None, count=3, extra=(), token=None, addresses=None):
        """ports: [(client, peer)] for each node; without it free ones are taken. addresses: of each, else `loopback`."""
        self.programs, self.folder, self.extra = programs, Path(folder), list(extra)
        if token:
            self.extra += ["--initial-cluster-token", token]
        if ports is None:
            free = free_ports(2 * count)
            ports = list(zip(free[::2], free[1::2]))
        addresses = addresses or [loopback] * len(ports)
        self.nodes = [Node(programs["ringfort"], f"n{i + 1}", folder, *pair, address)
                      for i, (pair, address) in enumerate(zip(ports, addresses))]
        self.initial_cluster = ",".join(f"{node.name}=http://{node.peer}" for node in self.nodes)

    @property
    def endpoints(self):
        return ",".join(node.client for node in self.nodes)

    def start(self, node=None, extra=()):
        for each in [node] if node else self.nodes:
            each.start(self.initial_cluster, [*self.extra, *extra])

    def ctl(self, *arguments, endpoints=None, seconds=20, text=None):
        command = [self.programs["ringctl"], "--endpoints", endpoints or self.endpoints, *arguments]
        return run(command, seconds, text)

    def must_ctl(self, *arguments, seconds=30, **options):
        """Its output. More patient than ringctl is by itself, as a busy machine may need it."""
        told = any(str(word).startswith("--command-timeout") for word in arguments)
        code, output, error = self.ctl(*([] if told else ["--command-timeout=15s"]), *arguments, seconds=seconds, **options)
        if code != 0:
            raise Missed(f"ringctl {' '.join(map(str, arguments))}: exit {code}: {error.strip() or output.strip()}")
        return output

    def healthy(self, node):
        """Whether it answers linearizable requests, and knows a leader of every range."""
        self.must_live(node)
        if self.ctl("endpoint", "health", endpoints=node.client, seconds=5)[0] != 0:
            return False
        found = self.ranges(node)
        return bool(found) and all(each["leader"] for each in found)

    def must_live(self, node):
        if not node.alive():
            code = node.process.returncode if node.process else "never started"
            raise Missed(f"{node.name} has ended ({code}):\n{node.log_tail()}")

    def wait_ready(self, nodes=None, seconds=READY_SECONDS):
        """Until every node is healthy."""
        for node in nodes or self.nodes:
            wait_until(lambda n=node: self.healthy(n), seconds, lambda n=node: f"{n.name} is healthy\n{n.log_tail()}", 0.1)

    def ranges(self, node):
        """What its status says of each range, once it has all that anybody has: the directory and others; else nothing."""
        found = self.statuses([each for each in self.nodes if each.alive() and each.state() != "T"])
        numbers = {client: {each["range"] for each in status["ranges"]} for client, status in found.items()}
        whole = set().union(*numbers.values())
        return found[node.client]["ranges"] if len(whole) > 1 and numbers.get(node.client) == whole else []

    def counts(self, node):
        """Whether it has all its ranges and is in doubt in none: it answers clients before its quorums count it."""
        found = self.ranges(node)
        return bool(found) and not any(each["inDoubt"] for each in found)

    def wait_counted(self, nodes, seconds=READY_SECONDS):
        """Until the loss of another node is within what the cluster survives, whatever these have forgotten."""
        for node in nodes:
            wait_until(lambda n=node: self.counts(n), seconds, lambda n=node: f"{n.name} counts again\n{n.log_tail()}", 0.1)

    def statuses(self, nodes, seconds=5):
        """What `endpoint status` says of nodes, all asked at once: client address -> status of each that answers."""
        _, output, _ = self.ctl("endpoint", "status", "-w", "json", endpoints=",".join(node.client for node in nodes),
                                seconds=seconds)
        try:
            return {each["Endpoint"]: each["Status"] for each in json.loads(output)}
        except ValueError:
            return {}

    def status(self, node, seconds=5):
        """None when it does not answer."""
        return self.statuses([node], seconds).get(node.client)

    def peer_connections(self):
        """How many connections between nodes there are. Requires: nobody else connects to the peers' ports."""
        accepted_at = {socket_address(node.peer) for node in self.nodes}
        return sum(local in accepted_at for local, _ in tcp_connections())

    def unread_by(self, node):
        """Whether there is something that a client said, or the begin of a connection, which the node has not read."""
        return any(local == socket_address(node.client) and unread > 0 for local, unread in tcp_connections())

    def leader(self, among=None, seconds=5):
        """The node that says of itself that it leads the data range; None when nobody does."""
        for node in among or self.nodes:
            status = self.status(node, seconds) if node.alive() and node.state() != "T" else None
            if status and status.get("leader") and status["leader"] == status["header"]["member_id"]:
                return node
        return None

    def wait_leader(self, among=None, seconds=READY_SECONDS):
        return wait_until(lambda: self.leader(among), seconds, "a node leads", 0.05)

    def followers(self):
        leader = self.wait_leader()
        return [node for node in self.nodes if node is not leader]

    def replicas(self, node, seconds=5):
        """range -> (applied index, hash) of one node's replicas; empty when it does not answer."""
        return self.all_replicas([node], seconds)[0]

    def all_replicas(self, nodes, seconds=5):
        """The replicas of each node."""
        found = self.statuses(nodes, seconds)
        return [{each["range"]: (each["raftAppliedIndex"], each["hash"])
                 for each in found.get(node.client, {"ranges": []})["ranges"]} for node in nodes]

    def same_state(self, seconds=30):
        """Once no more is applied: every replica holds the same. The state of each range."""
        def applied(replicas):
            return {each: index for each, (index, _) in replicas.items()}

        def settled():
            states = self.all_replicas(self.nodes)
            return states if states[0] and all(applied(each) == applied(states[0]) for each in states) else None

        found = wait_until(settled, seconds, lambda: "every replica has applied the same: "
                           f"{self.all_replicas(self.nodes)}", 0.1)
        for node, state in zip(self.nodes, found):
            if state != found[0]:
                raise Missed(f"{node.name} holds another state than {self.nodes[0].name}: {state}, {found[0]}")
        self.same_hashes()
        return found[0]

    def same_hashes(self):
        """What each node's memory holds, read whole: keys and values of every domain. Requires: nothing is written."""
        status = wait_until(lambda: self.status(self.nodes[0]), 20, f"{self.nodes[0].name} tells its status", 0.1)
        for domain in sorted({each["domain"] for each in status["ranges"] if each["range"] != 0}):
            text = self.must_ctl("endpoint", "hashkv", "-w", "json", "--domain", str(domain))
            answers = [each["HashKV"] for each in json.loads(text)]
            seen = {(each["hash"], each["hash_revision"], each.get("compact_revision", 0)) for each in answers}
            if len(answers) != len(self.nodes) or len(seen) != 1:
                raise Missed(f"keys and values of domain {domain} differ: {text}")

    def stop(self):
        """Ends every process, paused ones too, the hard way: for the end of a run whatever its state."""
        for node in self.nodes:
            node.kill()
