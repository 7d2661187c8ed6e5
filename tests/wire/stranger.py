#!/usr/bin/python3
"""A client written from schemas/README.md and flatc alone: it shares no code with Ringfort.

usage: tests/wire/stranger.py HOST:PORT     put, get, a transaction, a delete and a long range against a running node
       tests/wire/stranger.py --frames FILE the frames it would send first, for whoever wants to look at them

Needs flatc and python3-flatbuffers. Changes only keys that begin with "stranger/".
"""
import importlib
import os
import socket
import struct
import subprocess
import sys
import tempfile

import flatbuffers

HELLO, RANGE, PUT, DELETE_RANGE, TXN, CREDIT = 1, 2, 3, 4, 5, 10
MORE, ERROR = 1, 2


def generate():
    """Makes the tables of client.fbs importable."""
    schema = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "schemas", "client.fbs")
    folder = tempfile.mkdtemp(prefix="stranger-")
    subprocess.run(["flatc", "--python", "-o", folder, schema], check=True)
    sys.path.insert(0, folder)


def table(name):
    return importlib.import_module("ringfort.protocol." + name)


def vector(builder, items):
    builder.StartVector(4, len(items), 4)
    for item in reversed(items):
        builder.PrependUOffsetTRelative(item)
    return builder.EndVector()


def build(builder, name, **fields):
    """A table of these fields; offsets must have been made before."""
    module = table(name)
    getattr(module, name + "Start")(builder)
    for field, value in fields.items():
        getattr(module, name + "Add" + field)(builder, value)
    return getattr(module, name + "End")(builder)


def put_op(builder, key, value):
    key, value = builder.CreateByteVector(key), builder.CreateByteVector(value)
    return build(builder, "PutRequest", Key=key, Value=value)


def range_op(builder, key, range_end=b"", **fields):
    key, range_end = builder.CreateByteVector(key), builder.CreateByteVector(range_end)
    return build(builder, "RangeRequest", Key=key, RangeEnd=range_end, **fields)


def delete_op(builder, key, range_end=b""):
    key, range_end = builder.CreateByteVector(key), builder.CreateByteVector(range_end)
    return build(builder, "DeleteRangeRequest", Key=key, RangeEnd=range_end)


def txn_op(builder, compare, success, failure):
    """Lists of offsets of Compare, and of (type, offset) of operations."""
    branches = []
    for branch in (success, failure):
        branches.append(vector(builder, [build(builder, "RequestOp", OpType=kind, Op=op) for kind, op in branch]))
    return build(builder, "TxnRequest", Compare=vector(builder, compare), Success=branches[0], Failure=branches[1])


def frame(kind, request_id, builder, root):
    builder.Finish(root)
    body = bytes(builder.Output())
    body += bytes(-len(body) % 8)
    return struct.pack("<IBBHQ", 16 + len(body), kind, 0, 0, request_id) + body


def request(kind, request_id, make):
    """`make(builder)` gives the operation."""
    builder = flatbuffers.Builder(256)
    op = make(builder)
    return frame(kind, request_id, builder, build(builder, "Request", OpType=kind - 1, Op=op))


def greeting(credit):
    builder = flatbuffers.Builder(64)
    name = builder.CreateString("stranger")
    hello = build(builder, "Hello", ClientName=name, ReplyCreditBytes=credit)
    return b"RINGFORT" + struct.pack("<HHB3x", 1, 1, 1) + frame(HELLO, 0, builder, hello)


class Refused(Exception):
    pass


class Client:
    def __init__(self, host, port, credit=64 * 1024):
        self.socket = socket.create_connection((host, port), timeout=10)
        self.next_id = 1
        self.socket.sendall(greeting(credit))
        kind, flags, _, body = self.receive()
        assert kind == HELLO
        self.check(flags, body)
        self.hello = table("HelloReply").HelloReply.GetRootAs(body, 0)

    def exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise ConnectionError("the node closed the connection")
            data += more
        return data

    def receive(self):
        length, kind, flags, reserved, request_id = struct.unpack("<IBBHQ", self.exactly(16))
        assert length % 8 == 0 and length >= 16 and reserved == 0
        return kind, flags, request_id, bytearray(self.exactly(length - 16))

    @staticmethod
    def check(flags, body):
        if flags & ERROR:
            error = table("Error").Error.GetRootAs(body, 0)
            raise Refused(f"code {error.Code()} class {error.ErrorClass()}: {error.Detail()}")

    def call(self, kind, make):
        """The result's tables, one a frame, and the revision; grants credit for what it has taken."""
        request_id = self.next_id
        self.next_id += 1
        self.socket.sendall(request(kind, request_id, make))
        name = {RANGE: "RangeResponse", PUT: "PutResponse", DELETE_RANGE: "DeleteRangeResponse", TXN: "TxnResponse"}[kind]
        results = []
        while True:
            got_kind, flags, got_id, body = self.receive()
            assert (got_kind, got_id) == (kind, request_id)
            self.check(flags, body)
            reply = table("Reply").Reply.GetRootAs(body, 0)
            assert reply.ResultType() == kind - 1
            result = getattr(table(name), name)()
            result.Init(reply.Result().Bytes, reply.Result().Pos)
            results.append(result)
            if not flags & MORE:
                return results, reply.Revision()
            builder = flatbuffers.Builder(32)
            self.socket.sendall(frame(CREDIT, request_id, builder, build(builder, "Credit", Bytes=16 + len(body))))


def bytes_of(pair, field):
    """A byte vector as bytes, without numpy."""
    return bytes(getattr(pair, field)(i) for i in range(getattr(pair, field + "Length")()))


def pairs(results):
    return [(bytes_of(result.Kvs(i), "Key"), bytes_of(result.Kvs(i), "Value"))
            for result in results for i in range(result.KvsLength())]


def expect(what, got, wanted):
    print(f"{what}: {'as it should' if got == wanted else f'{got!r} instead of {wanted!r}'}")
    if got != wanted:
        sys.exit(1)


def create(builder, key, value):
    """A transaction that puts the key if it is not there, and reads it otherwise."""
    compare = build(builder, "Compare", Key=builder.CreateByteVector(key), Target=1, Number=0)
    return txn_op(builder, [compare], [(2, put_op(builder, key, value))], [(1, range_op(builder, key))])


def talk(host, port):
    client = Client(host, port)
    print(f"cluster {client.hello.ClusterId():x} member {client.hello.MemberId():x} version {client.hello.ServerVersion()}")
    client.call(DELETE_RANGE, lambda b: delete_op(b, b"stranger/", b"stranger0"))

    _, first = client.call(PUT, lambda b: put_op(b, b"stranger/hello", b"world"))
    _, second = client.call(PUT, lambda b: put_op(b, b"stranger/hello", b"again"))
    expect("each put makes a revision", second, first + 1)
    results, _ = client.call(RANGE, lambda b: range_op(b, b"stranger/hello"))
    expect("get", pairs(results), [(b"stranger/hello", b"again")])
    results, _ = client.call(RANGE, lambda b: range_op(b, b"stranger/hello", Revision=first))
    expect("get at the revision before", pairs(results), [(b"stranger/hello", b"world")])

    results, _ = client.call(TXN, lambda b: create(b, b"stranger/new", b"1"))
    expect("create what is not there", results[0].Succeeded(), True)
    results, _ = client.call(TXN, lambda b: create(b, b"stranger/new", b"2"))
    expect("create what is there", results[0].Succeeded(), False)
    expect("the other branch read", results[0].Responses(0).OpType(), 1)

    wanted = [(b"stranger/long/%04d" % i, bytes([i % 256]) * 1000) for i in range(1000)]
    for key, value in wanted:
        client.call(PUT, lambda b, key=key, value=value: put_op(b, key, value))
    results, _ = client.call(RANGE, lambda b: range_op(b, b"stranger/long/", b"stranger/long0"))
    print(f"a megabyte in {len(results)} frames, under a credit of 64 KiB")
    expect("it is in several frames", len(results) > 1, True)
    expect("its content", pairs(results), wanted)

    try:
        client.call(PUT, lambda b: put_op(b, b"", b"x"))
        expect("an empty key", "taken", "refused")
    except Refused as refused:
        expect("an empty key is refused", str(refused).startswith("code 1 class 0"), True)
    results, _ = client.call(DELETE_RANGE, lambda b: delete_op(b, b"stranger/", b"stranger0"))
    expect("all is deleted", results[0].Deleted(), 1002)


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--frames":
        generate()
        with open(sys.argv[2], "wb") as file:
            file.write(greeting(64 * 1024))
            file.write(request(PUT, 1, lambda b: put_op(b, b"stranger/hello", b"world")))
            file.write(request(RANGE, 2, lambda b: range_op(b, b"stranger/hello", Limit=3)))
            file.write(request(TXN, 3, lambda b: create(b, b"stranger/new", b"1")))
            file.write(request(DELETE_RANGE, 4, lambda b: delete_op(b, b"stranger/", b"stranger0")))
    elif len(sys.argv) == 2 and ":" in sys.argv[1]:
        generate()
        host, port = sys.argv[1].rsplit(":", 1)
        talk(host, int(port))
    else:
        sys.exit(__doc__)


main()
