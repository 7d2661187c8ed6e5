"""What a node must refuse, each in one clear sentence."""
import ctypes
import errno
import os
import re
import resource
import struct
import subprocess
from pathlib import Path

from cluster_case import ClusterCase
from processes import Cluster, Node, free_ports, run, wait_until

NO_URING = 20   # src/server/exit_codes.h


class Refusals(ClusterCase):
    def test_data_directory_in_use(self):
        cluster = self.cluster()
        first = cluster.nodes[0]
        client, peer = free_ports(2)
        second = Node(self.programs["ringfort"], "n1", self.folder, client, peer)
        # The first one in all it says of itself, but with ports of its own, so that nothing but the directory is in its way.
        second.listen_peer, second.peer = second.peer, first.peer
        second.log = self.folder / "second.log"
        self.addCleanup(second.kill)
        second.start(cluster.initial_cluster)
        # It waits a while for the first one to end.
        self.assertGreater(second.process.wait(timeout=60), 0)
        self.assertIn("in use by another process", second.log_tail())
        self.put(cluster, "first", "unharmed")

    def test_data_directory_of_another_cluster(self):
        cluster = self.cluster()
        node = cluster.nodes[0]
        self.assertEqual(node.terminate()[0], 0)
        self.refused(node, cluster, "cluster", extra=["--initial-cluster-token", "another"])

    def test_data_directory_of_another_node(self):
        cluster = self.cluster()
        for node in cluster.nodes:
            self.assertEqual(node.terminate()[0], 0)
        mine, other = cluster.nodes[0], cluster.nodes[1]
        mine.data, other.data = other.data, mine.data
        self.refused(mine, cluster, "n2")

    def test_data_directory_of_a_newer_format(self):
        cluster = self.cluster()
        node = cluster.nodes[0]
        self.assertEqual(node.terminate()[0], 0)
        self.make_newer(node)
        self.refused(node, cluster, "format")

    def test_data_directory_not_writable(self):
        cluster = self.cluster(start=False)
        node = cluster.nodes[0]
        if os.geteuid() == 0:
            # Root may write everywhere but below a file.
            (self.folder / "file").write_text("not a folder", encoding="utf-8")
            node.data = self.folder / "file" / "data"
        else:
            node.data.mkdir()
            node.data.chmod(0o500)
            self.addCleanup(node.data.chmod, 0o700)
        self.refused(node, cluster, str(node.data))

    def test_data_directory_on_tmpfs(self):
        memory = Path("/dev/shm")
        if not memory.is_dir() or not os.access(memory, os.W_OK):
            self.skipTest("no tmpfs at /dev/shm to try it on")
        cluster = self.cluster(start=False)
        node = cluster.nodes[0]
        node.data = memory / f"ringfort-refused-{os.getpid()}"
        self.addCleanup(run, ["rm", "-rf", node.data])
        self.refused(node, cluster, "tmpfs")

    def test_port_taken(self):
        cluster = self.cluster()
        twin = Cluster(self.programs, self.folder / "twin", [tuple(int(a.split(":")[1]) for a in (n.client, n.peer))
                                                             for n in cluster.nodes])
        (self.folder / "twin").mkdir()
        self.addCleanup(twin.stop)
        self.refused(twin.nodes[0], twin, cluster.nodes[0].client.split(":")[1])

    def test_wrong_flags(self):
        node = self.cluster(start=False).nodes[0]
        good = node.command(f"{node.name}=http://{node.peer}")
        cases = [
            (["--no-such-flag"], "no-such-flag"),
            (["--heartbeat-interval", "0"], "heartbeat-interval"),
            (["--heartbeat-interval", "banana"], "heartbeat-interval"),
            (["--heartbeat-interval", "1000", "--election-timeout", "1000"], "election-timeout"),
            (["--shards", "0x"], "shards"),
            (["--shards", "100000"], "shards"),
            (["--initial-cluster-state", "maybe"], "initial-cluster-state"),
            (["--initial-domains", "a,a"], "initial-domains"),
            (["--auto-compaction-mode", "sometimes"], "auto-compaction-mode"),
            (["--quota-backend-bytes", "many"], "quota-backend-bytes"),
            (["--poll-us", "soon"], "poll-us"),
            (["--shard-cpus", "100000"], "shard-cpus"),
            (["--cert-file", "x"], "TLS"),
            (["--config-file", "/nonexistent"], "config-file"),
            (["stray"], "stray"),
        ]
        for extra, word in cases:
            with self.subTest(flags=extra):
                self.refuses_flags([*good, *extra], word)
        for name, value, word in [("--name", "n9", "n9"), ("--listen-client-urls", "nonsense", "listen-client-urls"),
                                  ("--initial-cluster", f"n1=http://{node.peer},n1=http://{node.peer}", "n1"),
                                  ("--initial-cluster", "n1", "initial-cluster")]:
            with self.subTest(flag=name, value=value):
                command = list(good)
                command[command.index(name) + 1] = value
                self.refuses_flags(command, word)
        self.assertFalse(node.data.exists(), "a refused start left a data directory behind")

    def test_io_uring_that_is_forbidden_absent_or_too_old_is_told_in_one_sentence(self):
        node = self.cluster(start=False).nodes[0]
        # A sandbox or sysctl answers the first, a kernel without io_uring the second, one that knows none of our flags
        # the third.
        for answer, words in ((errno.EPERM, ("seccomp", "kernel.io_uring_disabled")), (errno.ENOSYS, ("Linux 6.1",)),
                              (errno.EINVAL, ("Linux 6.1",))):
            with self.subTest(answer=errno.errorcode[answer]):
                code, said = self.end_of(node.command(f"n1=http://{node.peer}"), lambda a=answer: answer_io_uring(a))
                self.assertEqual(code, NO_URING, said)
                errors = [line for line in said.splitlines() if "io_uring" in line]
                self.assertEqual(len(errors), 1, said)
                for word in words:
                    self.assertIn(word, errors[0])

    def test_clients_work_where_io_uring_is_forbidden(self):
        cluster = self.cluster()
        for program, words in (("ringctl", ["put", "key", "value"]), ("ringload", ["--requests", "100", "--json"])):
            command = [str(self.programs[program]), "--endpoints", cluster.endpoints, *words]
            code, said = self.end_of(command, lambda: answer_io_uring(errno.EPERM))
            self.assertEqual(code, 0, said)

    def test_no_locked_memory_at_all_is_enough_or_refused_in_one_sentence(self):
        cluster = self.cluster(start=False)
        node = cluster.nodes[0]

        def without_locked_memory():
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
            if os.geteuid() == 0:   # the limit does not bind who may pass it
                pr_capbset_drop, cap_ipc_lock = 24, 14
                if ctypes.CDLL(None).prctl(pr_capbset_drop, cap_ipc_lock, 0, 0, 0) != 0:
                    raise OSError("CAP_IPC_LOCK stays")

        process = subprocess.Popen(node.command(f"n1=http://{node.peer}"), stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, preexec_fn=without_locked_memory)
        self.addCleanup(process.kill)
        wait_until(lambda: process.poll() is not None or
                   cluster.ctl("endpoint", "health", endpoints=node.client, seconds=5)[0] == 0, 60, "it serves or ends", 0.1)
        if process.poll() is None:
            process.terminate()
            said = process.communicate(timeout=30)[0]
            self.assertEqual(process.returncode, 0, said)
            return
        said = process.communicate()[0]
        self.assertGreater(process.returncode, 0, said)
        self.assertIn("memlock", said.lower())

    def test_version_and_help_end_well(self):
        for flag, word in (("--version", "ringfort"), ("--help", "--data-dir")):
            code, output, _ = run([self.programs["ringfort"], flag])
            self.assertEqual(code, 0)
            self.assertIn(word, output)

    def test_every_flag_of_the_help_stands_in_the_readme(self):
        _, help_text, _ = run([self.programs["ringfort"], "--help"])
        flags = set(re.findall(r"^  --([a-z-]+) ", help_text, re.MULTILINE))
        readme = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
        self.assertGreater(len(flags), 20, help_text)
        self.assertEqual({flag for flag in flags if f"`--{flag}`" not in readme}, {"version"} & flags)

    def end_of(self, command, prepare):
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20,
                                preexec_fn=prepare, check=False)
        return result.returncode, result.stdout

    def refuses_flags(self, command, word):
        code, output, error = run(command, seconds=10)
        said = (output + error).strip()
        self.assertIsNotNone(code, f"it started all the same: {said}")
        self.assertGreater(code, 0, said)
        self.assertIn(word, said)
        self.assertLessEqual(len(said.splitlines()), 3, f"more than a sentence: {said}")

    def make_newer(self, node):
        """Raises the format version in the directory's identity file."""
        identity = self.identity_file(node)
        document = bytearray(identity.read_bytes())
        self.assertTrue(document, f"{identity} is empty")
        text = document.decode(errors="replace")
        self.assertIn("format", text, "the identity file names its format version")
        identity.write_text(raise_format(text), encoding="utf-8")

    def identity_file(self, node):
        files = [path for path in node.data.iterdir() if path.is_file() and b"format" in path.read_bytes()[:4096]]
        self.assertEqual(len(files), 1, f"one file of {sorted(p.name for p in node.data.iterdir())} names the format")
        return files[0]


def answer_io_uring(error):
    """What the default seccomp profiles of containers do with EPERM: io_uring_setup and its sisters answer the error."""
    load, jump_equal, answer, allow, refuse = 0x20, 0x15, 0x06, 0x7FFF0000, 0x00050000 | error
    # seccomp_data begins with the system call's number; 425 to 427 are io_uring's on every architecture.
    steps = [(load, 0, 0, 0), (jump_equal, 3, 0, 425), (jump_equal, 2, 0, 426), (jump_equal, 1, 0, 427),
             (answer, 0, 0, allow), (answer, 0, 0, refuse)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    header = ctypes.create_string_buffer(struct.pack("=HxxxxxxQ", len(steps), ctypes.addressof(program)))
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, set_seccomp, filter_mode = 38, 22, 2
    if libc.prctl(no_new_privileges, 1, 0, 0, 0) != 0 or libc.prctl(set_seccomp, filter_mode, header, 0, 0) != 0:
        os._exit(99)


def raise_format(text):
    lines = []
    for line in text.splitlines(keepends=True):
        digits = "".join(filter(str.isdigit, line))
        lines.append(line.replace(digits, str(int(digits) + 1000)) if "format" in line and digits else line)
    return "".join(lines)
