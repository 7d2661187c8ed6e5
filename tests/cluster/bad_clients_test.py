"""Strangers at both ports: a clear end for them, no harm to anybody else, bounded memory."""
import os
import random
import socket
import struct

from cluster_case import ClusterCase
from processes import wait_until

MEMORY_GROWTH_MAX = 128 << 20


class BadClients(ClusterCase):
    def setUp(self):
        super().setUp()
        self.ring = self.cluster()
        self.put(self.ring, "witness", "unharmed")
        self.node = self.ring.wait_leader()
        self.sockets = []
        self.addCleanup(lambda: [each.close() for each in self.sockets])

    def ports(self):
        return [self.node.client, self.node.peer]

    def connect(self, address):
        host, port = address.split(":")
        stream = socket.create_connection((host, int(port)), timeout=10)
        stream.settimeout(10)
        self.sockets.append(stream)
        return stream

    def unharmed(self):
        self.ring.must_live(self.node)
        for node in self.ring.nodes:
            self.assertEqual(self.get(self.ring, "witness", endpoints=node.client), "unharmed")

    def closed(self, stream):
        """The node ends the connection; what it says before is its own affair but bounded."""
        received = 0
        try:
            while received < 1 << 20:
                piece = stream.recv(65536)
                if not piece:
                    return True
                received += len(piece)
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        return False

    def send(self, stream, data):
        try:
            stream.sendall(data)
        except (ConnectionError, TimeoutError):
            pass

    def test_garbage_ends_the_connection_and_nothing_else(self):
        generator = random.Random(1)
        for address in self.ports():
            for size in (64, 4096, 200000):
                stream = self.connect(address)
                self.send(stream, generator.randbytes(size))
                self.assertTrue(self.closed(stream), f"{address} keeps a connection that sent {size} random bytes")
        self.unharmed()

    def test_other_protocols_end_the_connection(self):
        for address in self.ports():
            for hello in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 4, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" * 4,
                          b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100)):
                stream = self.connect(address)
                self.send(stream, hello)
                self.assertTrue(self.closed(stream), f"{address} keeps a connection that began with {hello[:8]}")
        self.unharmed()

    def test_a_frame_that_claims_gigabytes_is_refused_at_its_header(self):
        for address in self.ports():
            for length in (0xFFFFFFFF, 0x7FFFFFFF, 1 << 30):
                stream = self.connect(address)
                self.send(stream, preamble(address, self.ring) + struct.pack("<I", length) + bytes(1 << 16))
                self.assertTrue(self.closed(stream), f"{address} waits for a frame of {length} bytes")
        self.unharmed()

    def test_many_connections_with_half_a_frame_cost_little_and_stop_nobody(self):
        before = self.node.memory_bytes()
        for address in self.ports():
            for _ in range(200):
                self.send(self.connect(address), preamble(address, self.ring)[:6])
        self.unharmed()
        self.assertLess(self.node.memory_bytes() - before, MEMORY_GROWTH_MAX)

    def test_connections_closed_at_once_by_the_thousand(self):
        before = self.descriptors()
        for _ in range(1000):
            for address in self.ports():
                host, port = address.split(":")
                stream = socket.create_connection((host, int(port)), timeout=10)
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                stream.close()
        self.unharmed()
        wait_until(lambda: self.descriptors() <= before + 20, 20,
                   lambda: f"descriptors come back: {self.descriptors()}, {before} before")

    def test_a_client_that_floods_and_never_reads_is_held_at_its_bound(self):
        before = self.node.memory_bytes()
        stream = self.connect(self.node.client)
        stream.settimeout(1)
        blob = preamble(self.node.client, self.ring) + os.urandom(1 << 20)
        for _ in range(64):
            try:
                stream.sendall(blob)
            except (ConnectionError, TimeoutError):
                break
        self.unharmed()
        self.assertLess(self.node.memory_bytes() - before, MEMORY_GROWTH_MAX)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.node.process.pid}/fd"))


def preamble(_address, _cluster):
    """The first bytes of a well-meaning connection."""
    return b"RINGFORT"
