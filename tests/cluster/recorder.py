"""Stands between a client and a node and keeps what the client says, so that a test can say it again and misbehave."""
import socket
import threading


class Recorder:
    """One connection, forwarded both ways until either side ends it."""

    def __init__(self, target):
        host, port = target.split(":")
        self.target = (host, int(port))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.said = bytearray()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        client, _ = self.listener.accept()
        with client, socket.create_connection(self.target, timeout=10) as node:
            back = threading.Thread(target=self.forward, args=(node, client), daemon=True)
            back.start()
            self.forward(client, node, self.said)
            back.join(timeout=10)

    @staticmethod
    def forward(source, target, copy=None):
        try:
            while piece := source.recv(65536):
                if copy is not None:
                    copy += piece
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def finish(self):
        """Everything the client said, once it has ended."""
        self.thread.join(timeout=20)
        self.listener.close()
        return bytes(self.said)
