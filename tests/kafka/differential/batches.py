"""Record batches (magic 2), made and taken apart."""
import gzip
import struct

HEADER = struct.Struct(">qiibIhiqqqhii")
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
LOG_APPEND_TIME = 8
TRANSACTIONAL = 16
CONTROL = 32


def crc_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


TABLE = crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def varint(n):
    n = n << 1 ^ n >> 63
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def sized(data):
    return varint(-1) if data is None else varint(len(data)) + data


def record(index, time_delta, key, value, headers):
    body = b"\0" + varint(time_delta) + varint(index) + sized(key) + sized(value)
    body += varint(len(headers))
    for name, content in headers:
        body += sized(name) + sized(content)
    return varint(len(body)) + body


def batch(records, first_time, codec="none", producer=(-1, -1, -1), attributes=0, **lies):
    """`records`: (time delta, key, value, headers). `producer`: id, epoch, first sequence.

    `lies` replace what would be true: count, last_delta, crc, magic, length, base_offset, body.
    """
    body = b"".join(record(i, *each) for i, each in enumerate(records))
    if codec == "gzip":
        body = gzip.compress(body, mtime=0)
    body = lies.get("body", body)
    count = lies.get("count", len(records))
    last_delta = lies.get("last_delta", len(records) - 1)
    last_time = first_time + max((each[0] for each in records), default=0)
    checked = struct.pack(">hiqqqhii", attributes | CODECS[codec], last_delta, first_time,
                          lies.get("max_time", last_time), *producer, count) + body
    crc = lies.get("crc", crc32c(checked))
    length = lies.get("length", len(checked) + 9)
    return struct.pack(">qiibI", lies.get("base_offset", 0), length, lies.get("leader_epoch", -1),
                       lies.get("magic", 2), crc) + checked


def parse(data):
    """The whole batches of a fetch as dictionaries; what is left of a cut one is dropped."""
    out = []
    at = 0
    while at + HEADER.size <= len(data or b""):
        (base, length, epoch, magic, crc, attributes, last_delta, first_time, max_time, producer,
         producer_epoch, sequence, count) = HEADER.unpack_from(data, at)
        end = at + 12 + length
        if end > len(data):
            break
        out.append({"base": base, "epoch": epoch, "magic": magic, "attributes": attributes,
                    "last_delta": last_delta, "first_time": first_time, "max_time": max_time,
                    "producer": producer, "producer_epoch": producer_epoch, "sequence": sequence,
                    "count": count, "body": data[at + HEADER.size:end],
                    "crc_ok": crc == crc32c(data[at + 21:end])})
        at = end
    return out


def whole(data):
    """How many of the bytes are of whole batches."""
    return sum(HEADER.size + len(each["body"]) for each in parse(data))
