"""A network of its own for each node: namespaces, a bridge between them, and frames that get lost or late on the way.

Everything is made inside a network and mount namespace of this process's own (enter()), and goes with its last process,
however that ends. No address in it exists outside.
"""
import os
import shutil
import sys
from collections import Counter

from processes import Missed, run

INSIDE = "--inside-namespaces"
BRIDGE = "bridge"
CLIENTS_ADDRESS = "10.77.0.1"
RULES = """
table bridge chaos {
    set links { type ifname . ifname; }
    set silent { type ifname; }
    set deaf { type ifname; }
    chain forward { type filter hook forward priority 0; iifname . oifname @links drop; }
    chain input { type filter hook input priority 0; iifname @silent drop; }
    chain output { type filter hook output priority 0; oifname @deaf drop; }
}
"""


def enter():
    """Starts this program again inside namespaces of its own. Returns, with the reason, where that is not allowed."""
    if INSIDE in sys.argv:
        return None
    whys = []
    for program in ("unshare", "nsenter", "ip", "nft"):
        if not shutil.which(program):
            return f"no program '{program}' here"
    for how in ([], ["--user", "--map-root-user"]):
        command = ["unshare", *how, "--mount", "--net", "--propagation", "private", "--"]
        code, _, error = run([*command, "true"])
        if code == 0:
            os.execvp(command[0], [*command, sys.executable, *sys.argv, INSIDE])
        whys.append(error.strip())
    return whys[-1]


def must(*command, text=None):
    code, output, error = run(command, 20, text)
    if code != 0:
        raise Missed(f"{' '.join(map(str, command))}: {(error or output).strip()}")


class PrivateNetwork:
    """Nodes 0 .. count - 1, each in a namespace behind one port of a bridge, and this process's end of the bridge, where
    clients are. Requires: inside enter()'s namespaces."""

    def __init__(self, folder, count):
        self.count = count
        self.dropped = {"links": Counter(), "silent": Counter(), "deaf": Counter()}
        self.addresses = [f"10.77.0.{11 + i}" for i in range(count)]
        self.namespaces = [folder / f"n{i + 1}.network" for i in range(count)]
        must("ip", "link", "set", "lo", "up")
        must("ip", "link", "add", BRIDGE, "type", "bridge", "stp_state", "0", "forward_delay", "0")
        must("ip", "address", "add", f"{CLIENTS_ADDRESS}/24", "dev", BRIDGE)
        must("ip", "link", "set", BRIDGE, "up")
        for i in range(count):
            self.attach(i)
        must("nft", "-f", "-", text=RULES)
        self.delay = self.find_delay()

    def close(self):
        """Requires: no process is left in the nodes' networks."""
        for file in self.namespaces:
            run(["umount", file])   # those that were made; the bridge goes with this process

    @staticmethod
    def port(i):
        return f"port{i + 1}"

    def attach(self, i):
        self.namespaces[i].touch()
        must("unshare", f"--net={self.namespaces[i]}", "true")
        must("ip", "link", "add", self.port(i), "type", "veth", "peer", "name", "inside", "netns", str(self.namespaces[i]))
        must("ip", "link", "set", self.port(i), "master", BRIDGE, "up")
        for command in (["link", "set", "lo", "up"], ["address", "add", f"{self.addresses[i]}/24", "dev", "inside"],
                        ["link", "set", "inside", "up"]):
            must(*self.prefix(i), "ip", *command)

    def prefix(self, i):
        """What runs a command in a node's network."""
        return ["nsenter", f"--net={self.namespaces[i]}", "--"]

    # ---- lost frames: what several faults want dropped is dropped until the last of them ends

    def _change(self, name, elements, by):
        wanted = self.dropped[name]
        wanted.update({element: by for element in elements})
        present = ", ".join(element for element, faults in wanted.items() if faults > 0)
        add = f"add element bridge chaos {name} {{ {present} }}" if present else ""
        must("nft", "-f", "-", text=f"flush set bridge chaos {name}\n{add}\n")

    def _links(self, pairs):
        return [f'"{self.port(a)}" . "{self.port(b)}"' for a, b in pairs]

    def cut(self, pairs, clients_of=()):
        """Drops every frame from a to b for each pair, and both ways between those nodes and the clients."""
        self._change("links", self._links(pairs), 1)
        for name in ("silent", "deaf"):
            self._change(name, [f'"{self.port(i)}"' for i in clients_of], 1)

    def mend(self, pairs, clients_of=()):
        self._change("links", self._links(pairs), -1)
        for name in ("silent", "deaf"):
            self._change(name, [f'"{self.port(i)}"' for i in clients_of], -1)

    # ---- late frames

    def find_delay(self):
        """How this kernel can hold frames up: 'netem', a rate as 'tbf', or None."""
        for name in ("netem", "tbf"):
            if run(["tc", "qdisc", "replace", "dev", self.port(0), "root", *self.discipline(name, 1.0)])[0] == 0:
                self.hurry(0)
                return name
        return None

    @staticmethod
    def discipline(name, severity):
        if name == "netem":
            late = int(100 * severity)
            return ["netem", "delay", f"{late}ms", f"{late // 2}ms", "loss", f"{2 * severity:.1f}%"]
        return ["tbf", "rate", f"{int(1000 / severity)}kbit", "burst", "16kb", "latency", "300ms"]

    def slow(self, i, severity):
        """What goes to the node is late, for severity 1 about 100 ms, and some of it is lost."""
        must("tc", "qdisc", "replace", "dev", self.port(i), "root", *self.discipline(self.delay, severity))

    def hurry(self, i):
        must("tc", "qdisc", "del", "dev", self.port(i), "root")
