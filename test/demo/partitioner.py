"""The partition of a key, computed without qtopic: Kafka's murmur2 partitioner."""

import functools

MASK = 0xffffffff
M = 0x5bd1e995


def murmur2(data):
    length = len(data)
    h = 0x9747b28c ^ length
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i:i + 4], 'little')
        k = k * M & MASK
        k = (k ^ k >> 24) * M & MASK
        h = h * M & MASK ^ k
    if length > whole:
        h = (h ^ int.from_bytes(data[whole:], 'little')) * M & MASK
    h = (h ^ h >> 13) * M & MASK
    return h ^ h >> 15


@functools.lru_cache(maxsize=None)
def partition_for_key(key, partitions):
    return (murmur2(key.encode()) & 0x7fffffff) % partitions


# Kafka's own test vectors.
assert murmur2(b'21') == -973932308 & MASK
assert murmur2(b'foobar') == -790332482 & MASK
assert murmur2(b'a-little-bit-long-string') == -985981536 & MASK
assert murmur2(b'abc') == 479470107
