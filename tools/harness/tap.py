"""Stands between those who connect and a node, and keeps what both sides say."""
import socket
import struct
import threading

KEPT_MAX = 4 << 20   # of each direction of a connection; what comes later is forwarded only
# schemas/README.md: what opens the stream of the one who connects, and the header of a frame.
PREAMBLE_BYTES = 16
FRAME_HEADER = struct.Struct("<IBBHQ")
FRAME_HEADER_BYTES = FRAME_HEADER.size


def frames(stream):
    """(kind, flags, the frame with its header) of each whole frame of a stream, up to a header that cannot be one. What
    opens the stream must be cut off."""
    at = 0
    while at + FRAME_HEADER_BYTES <= len(stream):
        length, kind, flags, _, _ = FRAME_HEADER.unpack_from(stream, at)
        if length < FRAME_HEADER_BYTES or at + length > len(stream):
            return
        yield kind, flags, stream[at:at + length]
        at += length


class Tap:
    """Forwards every connection to its address on to the target, both ways, until either side ends it."""

    def __init__(self, target):
        host, port = target.rsplit(":", 1)
        self.target = (host, int(port))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.streams = []   # of each connection: what the one who connected said, and what the target said
        self.threads = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return   # closed
            self.threads.append(threading.Thread(target=self.serve, args=(client,), daemon=True))
            self.threads[-1].start()

    def serve(self, client):
        try:
            node = socket.create_connection(self.target, timeout=10)
        except OSError:
            client.close()
            return
        node.settimeout(None)
        said, heard = bytearray(), bytearray()
        self.streams.append((said, heard))
        with client, node:
            back = threading.Thread(target=self.forward, args=(node, client, heard), daemon=True)
            back.start()
            self.forward(client, node, said)
            back.join()

    @staticmethod
    def forward(source, target, copy):
        """What cannot be forwarded ends the connection."""
        try:
            while piece := source.recv(65536):
                if len(copy) < KEPT_MAX:
                    copy += piece
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            for each in (source, target):
                try:
                    each.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass   # ended already

    def finish(self):
        """Everything the first one who connected said, once all have ended."""
        for thread in self.threads:
            thread.join(timeout=20)
        self.close()
        return bytes(self.streams[0][0])

    def close(self):
        self.listener.close()
