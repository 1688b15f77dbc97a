"""Kafka's messages as dictionaries, read and written by the schemas inside Kafka's own jar.

Nothing here shares a line with the broker's codec, so a mistake there shows as a difference.
"""
import json
import re
import struct
import zipfile

NEVER = (1, 0)
INTEGERS = {"int8": ">b", "int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I",
            "int64": ">q", "float64": ">d", "bool": ">?"}
NO_UUID = bytes(16)


def versions(text):
    """"3+", "0-4", "2", "none" as (first, last)."""
    if not text or text == "none":
        return NEVER
    first, sign, last = re.fullmatch(r"(\d+)([+-]?)(\d*)", text).groups()
    return int(first), 32767 if sign == "+" else int(last) if sign else int(first)


class Field:
    """One field of a struct, with what its versions say."""

    def __init__(self, spec, flexible, structs):
        self.name = spec["name"]
        self.versions = versions(spec.get("versions", "0+"))
        self.nullable = versions(spec.get("nullableVersions"))
        self.flexible = versions(spec["flexibleVersions"]) if "flexibleVersions" in spec else flexible
        self.tag = spec.get("tag")
        self.tagged = versions(spec.get("taggedVersions"))
        kind = spec["type"]
        self.array = kind.startswith("[]")
        self.kind = kind[2:] if self.array else kind
        self.entity = spec.get("entityType")
        self.key = spec.get("mapKey", False)
        if "fields" in spec:
            self.fields = [Field(each, flexible, structs) for each in spec["fields"]]
            structs[self.kind] = self.fields
        else:
            self.fields = structs.get(self.kind)
        self.default = self.default_of(spec.get("default"))

    def default_of(self, text):
        if text == "null":
            return None
        if self.array:
            return []
        if self.kind == "bool":
            return text in (True, "true")
        if self.kind == "float64":
            return float(text or 0)
        if self.kind in INTEGERS:
            return int(str(text or 0), 0)
        return {"string": text or "", "bytes": b"", "records": None, "uuid": NO_UUID}.get(self.kind)

    def is_in(self, version):
        return self.versions[0] <= version <= self.versions[1]

    def is_tagged(self, version):
        return self.tag is not None and self.tagged[0] <= version <= self.tagged[1]

    def may_be_null(self, version):
        return self.nullable[0] <= version <= self.nullable[1]


class Message:
    """A request or a response in all its versions."""

    def __init__(self, spec):
        self.name = spec["name"]
        self.key = spec.get("apiKey")
        self.versions = versions(spec["validVersions"])
        self.flexible = versions(spec.get("flexibleVersions"))
        # Filled in place: one common struct may name another that comes later.
        structs = {each["name"]: [] for each in spec.get("commonStructs", [])}
        for each in spec.get("commonStructs", []):
            structs[each["name"]] += [Field(f, self.flexible, structs) for f in each["fields"]]
        self.fields = [Field(f, self.flexible, structs) for f in spec["fields"]]

    def is_flexible(self, version):
        return self.flexible[0] <= version <= self.flexible[1]

    def encode(self, value, version):
        out = []
        write_struct(out, self.fields, value, version, self.is_flexible(version), self.name)
        return b"".join(out)

    def decode(self, data, version):
        reader = Reader(data)
        value = reader.struct(self.fields, version, self.is_flexible(version))
        if reader.at != len(data):
            raise ValueError(f"{self.name} {version}: {len(data) - reader.at} bytes are left")
        return value


def load(jar):
    """{API key: (request, response)} of a kafka-clients jar."""
    requests, responses = {}, {}
    with zipfile.ZipFile(jar) as files:
        for name in files.namelist():
            if not re.fullmatch(r"common/message/\w+(Request|Response)\.json", name):
                continue
            text = re.sub(r"^\s*//.*$", "", files.read(name).decode(), flags=re.M)
            text = re.sub(r"(?<=[\]},\"])\s*//.*$", "", text, flags=re.M)
            spec = json.loads(text)
            if spec["validVersions"] != "none":
                side = requests if spec["type"] == "request" else responses
                side[spec["apiKey"]] = Message(spec)
    return {key: (requests[key], responses[key]) for key in requests if key in responses}


# ---------------------------------------------------------------- writing
def unsigned_varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def write_length(out, size, compact, short):
    """`size` None: null."""
    if compact:
        out.append(unsigned_varint(0 if size is None else size + 1))
    else:
        out.append(struct.pack(">h" if short else ">i", -1 if size is None else size))


def write_one(out, field, value, version, compact, path):
    if value is None and field.fields is not None:
        out.append(b"\xff")
    elif field.fields is not None:
        if field.may_be_null(version):
            out.append(b"\x01")
        write_struct(out, field.fields, value, version, compact, path)
    elif field.kind in INTEGERS:
        out.append(struct.pack(INTEGERS[field.kind], value))
    elif field.kind == "uuid":
        out.append(value)
    else:
        data = value.encode() if isinstance(value, str) else value
        write_length(out, None if data is None else len(data), compact, field.kind == "string")
        out.append(data or b"")


def write_field(out, field, value, version, flexible, path):
    compact = flexible and field.flexible[0] <= version <= field.flexible[1]
    if field.array:
        write_length(out, None if value is None else len(value), compact, False)
        for each in value or []:
            if field.fields is not None:
                write_struct(out, field.fields, each, version, flexible, path)
            else:
                write_one(out, field, each, version, compact, path)
    else:
        write_one(out, field, value, version, compact, path)


def write_struct(out, fields, value, version, flexible, path):
    unknown = set(value) - {field.name for field in fields}
    if unknown:
        raise KeyError(f"{path} has no field {sorted(unknown)}")
    tagged = []
    for field in fields:
        inner = f"{path}.{field.name}"
        if field.is_tagged(version):
            chosen = value.get(field.name, field.default)
            if chosen != field.default:
                content = []
                write_field(content, field, chosen, version, flexible, inner)
                tagged.append((field.tag, b"".join(content)))
        elif field.is_in(version):
            chosen = value.get(field.name, field.default)
            if chosen is None and field.fields is None and not field.may_be_null(version):
                chosen = [] if field.array else field.default
            write_field(out, field, chosen, version, flexible, inner)
    if flexible:
        out.append(unsigned_varint(len(tagged)))
        for tag, content in sorted(tagged):
            out += [unsigned_varint(tag), unsigned_varint(len(content)), content]


# ---------------------------------------------------------------- reading
class Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, size):
        if size < 0 or self.at + size > len(self.data):
            raise ValueError(f"{size} bytes wanted at {self.at} of {len(self.data)}")
        self.at += size
        return self.data[self.at - size:self.at]

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def uvarint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def length(self, compact, short):
        size = self.uvarint() - 1 if compact else self.number(">h" if short else ">i")
        return None if size < 0 else size

    def one(self, field, version, compact):
        if field.kind in INTEGERS:
            return self.number(INTEGERS[field.kind])
        if field.kind == "uuid":
            return self.take(16)
        size = self.length(compact, field.kind == "string")
        if size is None:
            return None
        data = self.take(size)
        return data.decode() if field.kind == "string" else data

    def field(self, field, version, flexible):
        compact = flexible and field.flexible[0] <= version <= field.flexible[1]
        if field.array:
            size = self.length(compact, False)
            if size is None:
                return None
            if field.fields is not None:
                return [self.struct(field.fields, version, flexible) for _ in range(size)]
            return [self.one(field, version, compact) for _ in range(size)]
        if field.fields is not None:
            if field.may_be_null(version) and self.number(">b") < 0:
                return None
            return self.struct(field.fields, version, flexible)
        return self.one(field, version, compact)

    def struct(self, fields, version, flexible):
        value = {}
        tagged = {}
        for field in fields:
            if field.is_tagged(version):
                tagged[field.tag] = field
                value[field.name] = field.default
            elif field.is_in(version):
                value[field.name] = self.field(field, version, flexible)
        if flexible:
            for _ in range(self.uvarint()):
                tag, size = self.uvarint(), self.uvarint()
                end = self.at + size
                if tag in tagged:
                    value[tagged[tag].name] = self.field(tagged[tag], version, flexible)
                    if self.at != end:
                        raise ValueError(f"tag {tag} is not {size} bytes long")
                else:
                    value[f"tag {tag}"] = self.take(size)
        return value


# ---------------------------------------------------------------- frames
def request_frame(request, version, correlation, client_id, value):
    body = request.encode(value, version)
    client = client_id.encode() if client_id is not None else b""
    head = struct.pack(">hhih", request.key, version, correlation,
                       -1 if client_id is None else len(client)) + client
    if request.is_flexible(version):
        head += b"\0"
    return struct.pack(">i", len(head) + len(body)) + head + body


def read_response(response, version, frame):
    """(correlation id, value) of a frame without its length."""
    at = 4
    if response.is_flexible(version) and response.key != 18:
        if frame[4] != 0:
            raise ValueError("tags in a response header")
        at = 5
    return struct.unpack_from(">i", frame)[0], response.decode(frame[at:], version)
