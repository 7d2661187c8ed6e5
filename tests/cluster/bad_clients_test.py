"""Strangers at both ports: a clear end for them, no harm to anybody else, bounded memory."""
import os
import random
import socket
import struct

from cluster_case import CALM, ClusterCase
from processes import wait_until
from tap import PREAMBLE_BYTES, Tap, frames

MEMORY_GROWTH_MAX = 128 << 20
VERSION = 1
CLIENT, PEER = 1, 2


def preamble(role, version=VERSION):
    return b"RINGFORT" + struct.pack("<HHB3x", version, version, role)


def header(length, kind=1, flags=0, reserved=0, request=1):
    return struct.pack("<IBBHQ", length, kind, flags, reserved, request)


def renumbered(frame, request):
    return frame[:8] + struct.pack("<Q", request) + frame[16:]


def credit(request, count):
    """The frame of schemas/README.md's example."""
    body = struct.pack("<IHHHHIII", 12, 0, 6, 8, 4, 6, count, 0)
    return header(16 + len(body), kind=10, request=request) + body


class BadClients(ClusterCase):
    def setUp(self):
        super().setUp()
        self.ring = self.cluster(extra=CALM)
        self.put(self.ring, "witness", "unharmed")
        self.node = self.ring.wait_leader()
        self.ports = [(self.node.client, CLIENT), (self.node.peer, PEER)]
        self.sockets = []
        self.addCleanup(lambda: [each.close() for each in self.sockets])

    def connect(self, address):
        host, port = address.split(":")
        stream = socket.create_connection((host, int(port)), timeout=10)
        self.sockets.append(stream)
        return stream

    def unharmed(self):
        for node in self.ring.nodes:
            self.ring.must_live(node)
            self.assertEqual(self.get(self.ring, "witness", endpoints=node.client), "unharmed")

    def refused(self, address, data, what):
        """The node ends the connection; what it says before is bounded."""
        stream = self.connect(address)
        self.send(stream, data)
        received = 0
        try:
            while piece := stream.recv(65536):
                received += len(piece)
                self.assertLess(received, 1 << 20, f"{address} answers {what} without end")
        except ConnectionError:
            pass
        except TimeoutError:
            self.fail(f"{address} keeps a connection after {what}")

    def send(self, stream, data):
        try:
            stream.sendall(data)
        except (ConnectionError, TimeoutError):
            pass

    def tap_that_saw_everything_asked_for(self):
        """64 MiB of it."""
        def filled():
            load = self.load(self.ring, requests=64, connections=1, in_flight=4, keys=64, value_bytes=1 << 20,
                             extra=["--distribution", "sequential", "--timeout-ms", "60000"])
            return load.result()["failed"] == 0
        wait_until(filled, 60, "64 MiB are there")
        tap = Tap(self.node.client)
        everything = self.ring.must_ctl("get", "", "--prefix", "--command-timeout=60s", endpoints=tap.address, seconds=90)
        self.assertGreater(len(everything), 60 << 20)
        return tap

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.node.process.pid}/fd"))

    def test_garbage_ends_the_connection_and_nothing_else(self):
        generator = random.Random(1)
        for address, role in self.ports:
            for size in (64, 4096, 200000):
                self.refused(address, generator.randbytes(size), f"{size} random bytes")
                self.refused(address, preamble(role) + generator.randbytes(size), f"a preamble and {size} random bytes")
        self.unharmed()

    def test_other_protocols_versions_and_roles_are_refused(self):
        for address, role in self.ports:
            for hello in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                          b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100), preamble(role, 9999),
                          preamble(CLIENT + PEER - role), preamble(77)):
                self.refused(address, hello, f"a beginning like {hello[:12]}")
        self.unharmed()

    def test_wrong_frame_headers_are_refused_before_their_body(self):
        for address, role in self.ports:
            for name, frame in [("a length of 4 GiB", header(0xFFFFFFF8)), ("a length of 1 GiB", header(1 << 30)),
                                ("a length of 0", header(0)), ("a length of 17", header(17)),
                                ("reserved bits", header(24, reserved=1) + bytes(8)),
                                ("an unknown kind", header(24, kind=250) + bytes(8))]:
                self.refused(address, preamble(role) + frame, name)
        self.unharmed()

    def test_hundreds_of_half_frames_cost_little_and_stop_nobody(self):
        before = self.node.memory_bytes()
        for address, role in self.ports:
            for i in range(200):
                whole = preamble(role) + header(1 << 16) + bytes(1000)
                self.send(self.connect(address), whole[:8 + i * 5])
        self.unharmed()
        self.assertLess(self.node.memory_bytes() - before, MEMORY_GROWTH_MAX)

    def test_connections_reset_at_once_by_the_thousand_leak_nothing(self):
        before = self.descriptors()
        for _ in range(1000):
            for address, _ in self.ports:
                host, port = address.split(":")
                stream = socket.create_connection((host, int(port)), timeout=10)
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                stream.close()
        self.unharmed()
        wait_until(lambda: self.descriptors() <= before + 20, 20,
                   lambda: f"descriptors come back: {self.descriptors()}, {before} before")

    def test_clients_that_ask_for_everything_and_read_nothing_are_held_at_their_bound(self):
        tap = self.tap_that_saw_everything_asked_for()
        question = tap.finish()
        before = self.node.memory_bytes()
        for _ in range(20):
            stream = self.connect(self.node.client)
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            self.send(stream, question)
        for _ in range(3):
            self.unharmed()
        self.assertLess(self.node.memory_bytes() - before, MEMORY_GROWTH_MAX)

    def test_one_client_that_asks_any_node_for_everything_often_with_much_credit_is_held_at_its_bound(self):
        tap = self.tap_that_saw_everything_asked_for()
        hello, question = [frame for _, _, frame in frames(tap.finish()[PREAMBLE_BYTES:])][:2]
        for asked in self.ring.nodes:
            before = [node.memory_bytes() for node in self.ring.nodes]
            stream = self.connect(asked.client)
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            self.send(stream, preamble(CLIENT) + hello)
            for request in range(1, 301):
                self.send(stream, renumbered(question, request) + credit(request, 64 << 20))
            for _ in range(3):
                self.unharmed()
            for node, bytes_before in zip(self.ring.nodes, before):
                self.assertLess(node.memory_bytes() - bytes_before, MEMORY_GROWTH_MAX,
                                f"{node.name} grows when {asked.name} is asked")
            self.assertGreater(len(stream.recv(1 << 20)), 1000, f"{asked.name} does not answer")
            stream.close()

    def test_a_client_that_floods_and_never_reads_is_held_at_its_bound(self):
        tap = Tap(self.node.client)
        self.ring.must_ctl("get", "witness", endpoints=tap.address)
        question = tap.finish()
        start, frames = question[:16], question[16:]
        before = self.node.memory_bytes()
        stream = self.connect(self.node.client)
        stream.settimeout(1)
        self.send(stream, start)
        for _ in range(2000):
            try:
                stream.sendall(frames * 100)
            except (ConnectionError, TimeoutError):
                break
        self.unharmed()
        self.assertLess(self.node.memory_bytes() - before, MEMORY_GROWTH_MAX)
