"""ringctl lock and elect on real processes: who has the turn, and what becomes of it when its holder or the leader ends."""
import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import time

from cluster_case import ClusterCase
from processes import die_with_parent, wait_until

TTL_SECONDS = 4
# An election, the wheel, and a busy machine.
LATE_SECONDS = 5
# Up once ringctl, which started it, waits for its end. It tells of each interrupt, and stays a while after the first.
COUNTS = """
import os, signal, time
told = []
signal.signal(signal.SIGINT, lambda *_: (told.append(1), print("told", flush=True)))
while open(f"/proc/{os.getppid()}/stat").read().rpartition(")")[2].split()[0] != "S":
    time.sleep(0.01)
print("up", flush=True)
begin = time.monotonic()
while not told and time.monotonic() - begin < 60:
    time.sleep(0.02)
time.sleep(0.5)
"""


def take_signals(ignored=()):
    """In a child: whoever runs the tests may ignore some (nohup, &), and ringctl then does, too."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)


class Lock(ClusterCase):
    def run_ctl(self, cluster, *words, ignored=()):
        """In the background: the process, and the file with what it printed."""
        def begin():
            die_with_parent()
            take_signals(ignored)

        told = tempfile.NamedTemporaryFile("w+")
        self.addCleanup(told.close)
        command = [cluster.programs["ringctl"], "--endpoints", cluster.endpoints, *words]
        process = subprocess.Popen(command, stdout=told, stderr=subprocess.PIPE, preexec_fn=begin)
        self.addCleanup(lambda: (process.kill(), process.communicate()))
        process.told = told.name
        return process

    @staticmethod
    def said(process):
        with open(process.told, encoding="utf-8") as text:
            return text.read()

    def wait_turn(self, process, seconds=10):
        wait_until(lambda: self.said(process), seconds, "its turn comes")
        return self.said(process).splitlines()

    def standing(self, cluster, name):
        return cluster.must_ctl("get", name + "/", "--prefix", "--keys-only").split()

    def queue(self, cluster, count, *words):
        """So many that wait for one name, in this order."""
        waiting = []
        for number in range(count):
            waiting.append(self.run_ctl(cluster, *words))
            wait_until(lambda: len(self.standing(cluster, words[1])) == number + 1, 10, "it stands in line")
        return waiting

    def in_terminal(self, cluster, *words):
        """What it says there, interrupted once it said "up"."""
        child, terminal = pty.fork()
        if child == 0:
            take_signals()
            os.execv(cluster.programs["ringctl"], ["ringctl", "--endpoints", cluster.endpoints, *words])
        said, interrupted = b"", False
        with contextlib.suppress(OSError):   # its end
            while read := os.read(terminal, 1000):
                said += read
                if b"up" in said and not interrupted:
                    os.write(terminal, b"\x03")
                    interrupted = True
        os.close(terminal)
        os.waitpid(child, 0)
        return said.decode()

    def must_end(self, process, code=0, seconds=10):
        _, error = process.communicate(timeout=seconds)
        self.assertEqual(process.returncode, code, error.decode())
        return error.decode()

    def test_lock_of_a_killed_holder_is_the_next_ones_after_its_time(self):
        cluster = self.cluster()
        first, second, third = self.queue(cluster, 3, "lock", "report", "--ttl", str(TTL_SECONDS))
        key, value = self.wait_turn(first)
        self.assertRegex(key, r"\Areport/[0-9a-f]+\Z")
        self.assertEqual(value, "")
        first.kill()
        died = time.monotonic()
        self.wait_turn(second, TTL_SECONDS + LATE_SECONDS)
        waited = time.monotonic() - died
        self.note(f"the next one's {waited:.1f} s after its holder's end")
        self.assertGreaterEqual(waited, TTL_SECONDS * 2 / 3 - 1)
        self.assertEqual(self.said(third), "")
        leader = cluster.wait_leader()
        leader.kill()
        cluster.wait_leader(self.without(cluster, leader))
        second.send_signal(signal.SIGTERM)
        self.must_end(second)
        self.wait_turn(third)
        third.send_signal(signal.SIGINT)
        self.must_end(third)
        self.assertEqual(self.standing(cluster, "report"), [])
        cluster.start(leader)
        cluster.wait_ready()
        self.same_state(cluster)

    def test_lock_runs_a_command_and_ends_as_it_does(self):
        cluster = self.cluster()
        done = self.run_ctl(cluster, "lock", "l", "sh", "-c", "echo $ETCD_LOCK_KEY $ETCD_LOCK_REV; exit 7")
        self.assertIn("exit status 7", self.must_end(done, 7))
        self.assertRegex(self.said(done), r"\Al/[0-9a-f]+ \d+\n\Z")
        self.assertEqual(self.standing(cluster, "l"), [])
        self.must_end(self.run_ctl(cluster, "lock", "l", "--", "nosuchprogram"), 127)
        # Signals are the command's, and the lock is free when it ended.
        command = "trap 'kill $!; echo told; exit 143' TERM; sleep 60 & echo up; wait"
        running = self.run_ctl(cluster, "lock", "l", "sh", "-c", command)
        waiting = self.run_ctl(cluster, "lock", "l", "echo", "mine")
        wait_until(lambda: self.said(running) == "up\n", 10, "the command runs")
        running.send_signal(signal.SIGTERM)
        self.must_end(running, 143)
        self.assertEqual(self.said(running), "up\ntold\n")
        self.must_end(waiting)
        self.assertEqual(self.said(waiting), "mine\n")

    def test_lock_and_its_command_in_a_terminal_and_where_signals_are_ignored(self):
        cluster = self.cluster()
        self.assertEqual(self.in_terminal(cluster, "lock", "l", sys.executable, "-c", COUNTS).count("told"), 1)
        broken = self.run_ctl(cluster, "lock", "l", "sh", "-c", "kill -PIPE $$")
        self.must_end(broken, 128 + signal.SIGPIPE)
        command = [cluster.programs["ringctl"], "--endpoints", cluster.endpoints, "lock", "l"]
        deaf = subprocess.run([*command, "true"], timeout=20, check=False,
                              preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
        self.assertEqual(deaf.returncode, 0)
        # Ways out of one who holds: whoever waits has it at once, not after the session's time.
        reads, writes = os.pipe()
        os.close(reads)
        unread = subprocess.run([*command, "--ttl", "60"], stdout=writes, timeout=20, check=False)
        os.close(writes)
        self.assertEqual(unread.returncode, 1)
        self.assertEqual(self.standing(cluster, "l"), [])
        for number in (signal.SIGHUP, signal.SIGQUIT):
            holder = self.run_ctl(cluster, "lock", "l", "--ttl", "60")
            self.wait_turn(holder)
            holder.send_signal(number)
            self.must_end(holder)
            self.assertEqual(self.standing(cluster, "l"), [])
        holder = self.run_ctl(cluster, "lock", "l", "--ttl", "60", ignored=[signal.SIGINT])
        self.wait_turn(holder)
        holder.send_signal(signal.SIGINT)
        waiting = self.run_ctl(cluster, "lock", "l", "--ttl", "60")
        wait_until(lambda: len(self.standing(cluster, "l")) == 2, 10, "another one stands in line")
        self.assertIsNone(holder.poll(), "ended by what it was started to ignore")
        for each in (holder, waiting):
            self.wait_turn(each)
            each.send_signal(signal.SIGTERM)
            self.must_end(each)

    def test_who_gives_up_waiting_leaves_the_line_and_a_lost_session_is_said(self):
        cluster = self.cluster()
        holder, waiting = self.queue(cluster, 2, "lock", "l", "--ttl", str(TTL_SECONDS))
        key = self.wait_turn(holder)[0]
        waiting.send_signal(signal.SIGTERM)
        self.assertIn("context canceled", self.must_end(waiting, 1))
        self.assertEqual(self.standing(cluster, "l"), [key])
        cluster.must_ctl("lease", "revoke", key.rsplit("/", maxsplit=1)[-1])
        self.assertIn("session expired", self.must_end(holder, 1))

    def test_elections_over_the_leaders_end_are_seen_in_order(self):
        cluster = self.cluster()
        listener = self.run_ctl(cluster, "elect", "-l", "e")
        one = self.run_ctl(cluster, "elect", "e", "p1", "--ttl", str(TTL_SECONDS))
        self.wait_turn(one)
        self.wait_turn(listener)
        two = self.run_ctl(cluster, "elect", "e", "p2", "--ttl", str(TTL_SECONDS))
        wait_until(lambda: len(self.standing(cluster, "e")) == 2, 10, "it campaigns")
        leader = cluster.wait_leader()
        leader.kill()
        cluster.wait_leader(self.without(cluster, leader))
        self.assertEqual(self.said(two), "")
        one.send_signal(signal.SIGTERM)
        self.must_end(one)
        self.wait_turn(two)
        wait_until(lambda: self.said(listener).count("\n") == 4, 10, "both are seen")
        seen = re.fullmatch(r"(e/[0-9a-f]+)\np1\n(e/[0-9a-f]+)\np2\n", self.said(listener))
        self.assertTrue(seen, self.said(listener))
        self.assertEqual(self.said(one) + self.said(two), self.said(listener))
        listener.send_signal(signal.SIGINT)
        self.must_end(listener)
        two.kill()
        wait_until(lambda: self.standing(cluster, "e") == [], TTL_SECONDS + LATE_SECONDS, "nobody leads any more")
