"""What happens to real nodes: killed, paused, cut off, slow, full, damaged and wiped, several at a time.

The budget is the simulator's: damage (flipped bytes, a lost data directory) hits a minority of the nodes only, the
victims. A victim is wiped in the end and filled anew by the others; only then are other victims drawn, so that no entry
ever has lost most of its copies. Everything else may hit anybody, and all at once.
"""
import shutil
import signal
import time
from dataclasses import dataclass
from typing import Callable

import damage
from processes import NO_DISK_SPACE, Missed, wait_until

# Of a log's newest batches none is damaged: the last one is not yet named durable (src/log/format.h, residual risk).
NEWEST_BATCHES = 64

NETWORK_KINDS = {"isolate": 4, "one way": 3, "split": 2, "pair": 2, "flap": 2, "slow": 3}
DISK_KINDS = {"full disk": 3}
OTHER_KINDS = {"kill": 6, "kill all": 1, "pause": 5, "flip": 3, "flip live": 3, "wipe": 2}
CALM_KINDS = ("rolling restart",)
# How long a fault lasts, in seconds.
LONGEST = {"kill": 5, "kill all": 1, "pause": 6, "flip": 2, "wipe": 2, "flip live": 0, "slow": 10}


@dataclass
class Fault:
    kind: str
    what: str                        # for people
    ends: float
    end: Callable = lambda: None
    step: Callable = lambda: None    # every now and then while it lasts


class Faults:
    """Begins and ends them. Requires a cluster that runs, and only this to start and stop its nodes."""

    def __init__(self, cluster, random, note, network=None, disks=None):
        """network, disks: what there is of a PrivateNetwork and of a SmallDisk for each node. note: told of each fault."""
        self.cluster, self.random, self.note, self.network, self.disks = cluster, random, note, network, disks
        self.weights = {**OTHER_KINDS, **(NETWORK_KINDS if network else {}), **(DISK_KINDS if disks else {})}
        if network and not network.delay:
            del self.weights["slow"]
        self.counts = dict.fromkeys([*self.weights, *CALM_KINDS], 0)
        self.minority = (len(cluster.nodes) - 1) // 2
        self.active = []
        self.down = set()        # nodes that do not run, or stand still
        self.full = set()
        self.starved = set()     # of them: refused their start for want of space
        self.wiped = set()       # victims that were, since they were drawn
        self.victims = self.draw_victims()

    # ---- the life of faults

    def turn(self):
        """Ends what is over and lets the others go on."""
        now = time.monotonic()
        for fault in [each for each in self.active if each.ends <= now]:
            self.active.remove(fault)
            fault.end()
        for fault in self.active:
            fault.step()
        self.watch()

    def end_all(self):
        for fault in self.active:
            fault.end()
        self.active = []
        self.watch()

    def begin(self):
        """One more, of any kind that is possible now; it may turn out to be of a lesser kind."""
        kind = self.random.choices(list(self.weights), list(self.weights.values()))[0]
        fault = getattr(self, "begin_" + kind.replace(" ", "_"))()
        if fault:
            self.counts[fault.kind] += 1
            self.note(f"{fault.kind}: {fault.what}")
            self.active.append(fault)

    def watch(self):
        """No node ends by itself."""
        for node in self.cluster.nodes:
            if node in self.down or node in self.starved or node.alive():
                continue
            if node in self.full and node.process.returncode == NO_DISK_SPACE:
                self.starved.add(node)
            else:
                self.cluster.must_live(node)

    # ---- whom it hits

    def name(self, node):
        return node.name

    def standing(self):
        return [node for node in self.cluster.nodes if node not in self.down and node not in self.starved]

    def one_standing(self):
        """Half of the time the leader, when a majority is left without it."""
        nodes = self.standing()
        if len(nodes) <= len(self.cluster.nodes) - self.minority:
            return None
        leader = self.cluster.leader(nodes, seconds=1) if self.random.random() < 0.5 else None
        return leader or self.random.choice(nodes)

    def draw_victims(self):
        return set(self.random.sample(self.cluster.nodes, self.minority))

    def one_victim(self):
        nodes = [node for node in self.standing() if node in self.victims and node not in self.full]
        return self.random.choice(nodes) if nodes else None

    def lasting(self, kind, what, end, step=lambda: None):
        seconds = self.random.uniform(0.1, LONGEST.get(kind, 8))
        return Fault(kind, f"{what}, {seconds:.1f} s", time.monotonic() + seconds, end, step)

    # ---- processes

    def take_down(self, nodes):
        self.down |= set(nodes)
        for node in nodes:
            node.signal(signal.SIGKILL)   # at once, and only then waited for
        for node in nodes:
            node.kill()

    def bring_up(self, nodes):
        for node in nodes:
            self.cluster.start(node)
        self.down -= set(nodes)

    def begin_kill(self):
        node = self.one_standing()
        if node:
            self.take_down([node])
            return self.lasting("kill", node.name, lambda: self.bring_up([node]))
        return None

    def begin_kill_all(self):
        nodes = self.standing()
        self.take_down(nodes)
        return self.lasting("kill all", " ".join(map(self.name, nodes)), lambda: self.bring_up(nodes))

    def begin_pause(self):
        node = self.one_standing()
        if not node:
            return None
        node.pause()
        self.down.add(node)

        def end():
            node.resume()
            self.down.discard(node)

        return self.lasting("pause", node.name, end)

    # ---- links

    def dropping(self, kind, what, pairs, clients_of=()):
        self.network.cut(pairs, clients_of)
        return self.lasting(kind, what, lambda: self.network.mend(pairs, clients_of))

    def pairs_between(self, some, others):
        return [pair for a in some for b in others for pair in ((a, b), (b, a))]

    def some_index(self):
        leader = self.cluster.leader(self.standing(), seconds=1) if self.random.random() < 0.5 else None
        return self.cluster.nodes.index(leader) if leader else self.random.randrange(len(self.cluster.nodes))

    def others(self, some):
        return [i for i in range(len(self.cluster.nodes)) if i not in some]

    def begin_isolate(self):
        i, whole = self.some_index(), self.random.random() < 0.5
        return self.dropping("isolate", f"n{i + 1} from its peers{' and clients' if whole else ''}",
                             self.pairs_between([i], self.others([i])), [i] if whole else [])

    def begin_one_way(self):
        """One node is not heard, or hears nothing, by all of its peers or by one."""
        i, speaks = self.some_index(), self.random.random() < 0.5
        peers = self.others([i])
        peers = peers if self.random.random() < 0.5 else [self.random.choice(peers)]
        return self.dropping("one way", f"n{i + 1} {'is not heard by' if speaks else 'does not hear'} "
                             + " ".join(f"n{j + 1}" for j in peers), [(i, j) if speaks else (j, i) for j in peers])

    def begin_split(self):
        indices = list(range(len(self.cluster.nodes)))
        self.random.shuffle(indices)
        few, many = indices[:self.minority], indices[self.minority:]
        return self.dropping("split", " ".join(f"n{i + 1}" for i in few) + " from the others",
                             self.pairs_between(few, many))

    def begin_pair(self):
        """A bridge: two nodes cannot talk, and a third one can with both."""
        a, b = self.random.sample(range(len(self.cluster.nodes)), 2)
        return self.dropping("pair", f"n{a + 1} and n{b + 1}", self.pairs_between([a], [b]))

    def begin_flap(self):
        i = self.some_index()
        peers = self.others([i])
        peers = peers if self.random.random() < 0.5 else [self.random.choice(peers)]
        pairs, flapping = self.pairs_between([i], peers), {"cut": False, "next": 0.0}

        def turn_over():
            (self.network.mend if flapping["cut"] else self.network.cut)(pairs)
            flapping["cut"] = not flapping["cut"]
            flapping["next"] = time.monotonic() + self.random.uniform(0.05, 0.7)

        return self.lasting("flap", f"n{i + 1} and " + " ".join(f"n{j + 1}" for j in peers),
                            lambda: turn_over() if flapping["cut"] else None,
                            lambda: turn_over() if time.monotonic() >= flapping["next"] else None)

    def begin_slow(self):
        i = self.random.randrange(len(self.cluster.nodes))
        if any(fault.kind == "slow" for fault in self.active):
            return None   # one at a time: the kernel keeps one discipline a port
        severity = self.random.uniform(0.2, 3)
        self.network.slow(i, severity)
        return self.lasting("slow", f"what goes to n{i + 1} ({self.network.delay}, severity {severity:.1f})",
                            lambda: self.network.hurry(i))

    # ---- disks

    def begin_full_disk(self):
        nodes = [node for node in self.cluster.nodes if node not in self.full]
        if not nodes:
            return None
        few = self.random.sample(nodes, 1 if self.random.random() < 0.6 else len(nodes))
        for node in few:
            self.disk(node).fill(self.random.choice([0, 1 << 20, 8 << 20]))
        self.full |= set(few)

        def end():
            for node in few:
                self.disk(node).free()
            self.full -= set(few)
            starved = self.starved & set(few)
            self.starved -= starved
            self.bring_up(starved)

        return self.lasting("full disk", " ".join(map(self.name, few)), end)

    def disk(self, node):
        return self.disks[self.cluster.nodes.index(node)]

    def damage(self, node, places):
        """Flips bits in the node's logs and checkpoints; where, for people."""
        hit = []
        for _ in range(places):
            checkpoints = sorted(node.data.glob("shard-*/checkpoint-*"))
            if checkpoints and self.random.random() < 0.3:
                path = self.random.choice(checkpoints)
                offset = self.random.randrange(max(1, path.stat().st_size))
            else:
                shards = sorted(node.data.glob("shard-*"))   # none: wiped, and has hardly begun
                found = damage.settled_batches(self.random.choice(shards), NEWEST_BATCHES) if shards else []
                # Not in the older half, whose files may be given another number at any time.
                found = found[len(found) // 2:] if node.alive() else found
                if not found:
                    continue
                path, begin, size = self.random.choice(found)
                offset = begin + self.random.randrange(size)
            try:
                damage.flip(path, offset)
                hit.append(f"{node.name} {path.parent.name}/{path.name} at {offset}")
            except FileNotFoundError:
                pass   # retired meanwhile
        return ", ".join(hit)

    def begin_flip(self):
        node = self.one_victim()
        if not node:
            return None
        self.take_down([node])
        what = self.damage(node, self.random.randint(1, 4))
        kind = "flip" if what else "kill"   # too young to damage
        return self.lasting(kind, what or node.name, lambda: self.bring_up([node]))

    def begin_flip_live(self):
        """Found when the node reads it: when it is killed and started, or when a peer asks for old entries."""
        node = self.one_victim()
        what = self.damage(node, 1) if node else ""
        return Fault("flip live", what, 0.0) if what else None

    def begin_wipe(self):
        node = self.one_victim()
        if not node:
            return None
        self.take_down([node])
        shutil.rmtree(node.data)
        self.wiped.add(node)
        return self.lasting("wipe", node.name, lambda: self.bring_up([node]))

    # ---- between faults

    def calm(self, seconds):
        """Ends all faults and waits until every node is well again and has applied what the others had. Then those that
        were wiped are no victims any more."""
        self.end_all()
        begin = time.monotonic()
        self.cluster.wait_ready(seconds=seconds)
        goal = {}
        for node in self.cluster.nodes:
            for each, (index, _) in self.cluster.replicas(node).items():
                goal[each] = max(index, goal.get(each, 0))
        for node in self.cluster.nodes:
            wait_until(lambda n=node: self.has_applied(n, goal), seconds,
                       lambda n=node: f"{n.name} has applied {goal}: {self.cluster.replicas(n)}", 0.1)
        self.cluster.wait_counted(self.cluster.nodes, seconds)
        self.watch()
        self.note(f"calm: all well after {time.monotonic() - begin:.1f} s")
        self.victims -= self.wiped
        self.wiped = set()
        if not self.victims:
            self.victims = self.draw_victims()

    def has_applied(self, node, goal):
        self.cluster.must_live(node)
        replicas = self.cluster.replicas(node)
        return all(each in replicas and replicas[each][0] >= index for each, index in goal.items())

    def rolling_restart(self):
        """In order, each back before the next. Requires: calm."""
        self.counts["rolling restart"] += 1
        self.note("rolling restart")
        for node in self.cluster.nodes:
            code, _ = node.terminate()
            if code != 0:
                raise Missed(f"{node.name} ended with {code} after SIGTERM:\n{node.log_tail()}")
            self.cluster.start(node)
            self.cluster.wait_ready([node])
