"""Flipped bytes in the files of a node, and where in its log they are sure to hit what was written and told durable."""
import mmap
import os
import struct

BLOCK = 4096
# src/log/format.h: magic, version, flags, instance, shard, zero, segment, offset, epoch, epoch's begin, sequence, durable
# through, bytes.
BATCH_HEADER = struct.Struct("<QIIQIIQQQQQQI")
BATCH_MAGIC = 0x314C474F4C464E52


def flip(path, offset):
    """One bit, under a page cache that may know better: the node reads and writes around it, and so does this."""
    direct = path.stat().st_size % BLOCK == 0
    descriptor = os.open(path, os.O_RDWR | (os.O_DIRECT if direct else 0))
    try:
        with mmap.mmap(-1, BLOCK) as block:
            begin = offset - offset % BLOCK
            count = os.preadv(descriptor, [block], begin)
            block[offset - begin] ^= 0x40
            if direct:
                os.pwritev(descriptor, [block], begin)
            else:
                os.pwrite(descriptor, block[:count], begin)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def segments(shard_folder):
    """The files of a shard's log in order, those being made apart."""
    return sorted(shard_folder.glob("log-" + 16 * "[0-9a-f]"))


def batches(segment):
    """[(offset, bytes)] of the batches written to a segment file since it got its number, up to the first bad header."""
    number, found, at = int(segment.name.removeprefix("log-"), 16), [], 0
    with segment.open("rb") as file:
        while True:
            file.seek(at)
            head = file.read(BATCH_HEADER.size)
            if len(head) < BATCH_HEADER.size:
                return found
            magic, _, _, _, _, _, segment_number, offset, _, _, _, _, size = BATCH_HEADER.unpack(head)
            if magic != BATCH_MAGIC or segment_number != number or offset != at or size == 0 or size % BLOCK:
                return found
            found.append((at, size))
            at += size


def settled_batches(shard_folder, newest):
    """[(path, offset, bytes)] of a shard's log without the newest batches: all others are named durable by later ones,
    so that damage to them is damage and no torn end of the log."""
    found = []
    for segment in segments(shard_folder):
        found += [(segment, *batch) for batch in batches(segment)]
    return found[:-newest] if newest else found
