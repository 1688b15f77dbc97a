// Protobuf's binary encoding, as JSON text. Fields have their names in the schema; what the schema does
// not have is shown under its number. Numbers keep all their digits.
// Whatever the bytes say, no more than MOST_VALUES values are read, MOST_DEPTH deep.
import {pad} from './format.js';
import {decimalText, doubleText, floatText, hexText} from './value_text.js';

const MOST_VALUES = 100000;
const MOST_DEPTH = 64;
const MOST_SCALE = 1000;  // digits behind a decimal's point

const WIRE = {VARINT: 0, BITS64: 1, BYTES: 2, GROUP: 3, GROUP_END: 4, BITS32: 5};

const zigzag = (value) => (value >> 1n) ^ -(value & 1n);
const view = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Type to how it stands in the bytes and the text of it. */
const SCALARS = {
  __proto__: null,
  int32: [WIRE.VARINT, (v) => String(BigInt.asIntN(32, v))],
  int64: [WIRE.VARINT, (v) => String(BigInt.asIntN(64, v))],
  uint32: [WIRE.VARINT, (v) => String(BigInt.asUintN(32, v))],
  uint64: [WIRE.VARINT, (v) => String(v)],
  sint32: [WIRE.VARINT, (v) => String(BigInt.asIntN(32, zigzag(BigInt.asUintN(32, v))))],
  sint64: [WIRE.VARINT, (v) => String(BigInt.asIntN(64, zigzag(v)))],
  bool: [WIRE.VARINT, (v) => String(v !== 0n)],
  fixed32: [WIRE.BITS32, (b) => String(view(b).getUint32(0, true))],
  sfixed32: [WIRE.BITS32, (b) => String(view(b).getInt32(0, true))],
  float: [WIRE.BITS32, (b) => floatText(view(b).getFloat32(0, true))],
  fixed64: [WIRE.BITS64, (b) => String(view(b).getBigUint64(0, true))],
  sfixed64: [WIRE.BITS64, (b) => String(view(b).getBigInt64(0, true))],
  double: [WIRE.BITS64, (b) => doubleText(view(b).getFloat64(0, true))],
  string: [WIRE.BYTES, (b) => JSON.stringify(new TextDecoder().decode(b))],
  bytes: [WIRE.BYTES, hexText],
};
const DEFAULTS = {bool: 'false', string: '""', bytes: '""'};

class Wire {
  constructor(bytes) {
    Object.assign(this, {bytes, at: 0});
  }

  get done() {
    return this.at === this.bytes.length;
  }

  take(count) {
    if (count > this.bytes.length - this.at) throw new Error('The bytes end too early.');
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  varint() {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const [byte] = this.take(1);
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return BigInt.asUintN(64, value);
    }
    throw new Error('A number has too many bytes.');
  }

  value(wire) {
    switch (wire) {
      case WIRE.VARINT: return this.varint();
      case WIRE.BITS64: return this.take(8);
      case WIRE.BITS32: return this.take(4);
      case WIRE.BYTES: return this.take(Number(this.varint()));
      default: throw new Error(`There is no wire type ${wire}.`);
    }
  }

  /** A field's number, wire type and value; a group's value is the bytes in it, as a message's. */
  field() {
    const tag = this.varint();
    const number = Number(tag >> 3n);
    const wire = Number(tag & 7n);
    if (number === 0) throw new Error('A field has the number 0.');
    if (wire !== WIRE.GROUP) return {number, wire, value: wire === WIRE.GROUP_END ? null : this.value(wire)};
    const open = [number];
    const begin = this.at;
    for (;;) {
      const end = this.at;
      const inner = this.varint();
      const kind = Number(inner & 7n);
      if (kind === WIRE.GROUP) open.push(Number(inner >> 3n));
      else if (kind !== WIRE.GROUP_END) this.value(kind);
      else if (open.pop() !== Number(inner >> 3n)) throw new Error('A group ends that did not begin.');
      if (open.length === 0) return {number, wire: WIRE.BYTES, value: this.bytes.subarray(begin, end)};
    }
  }
}

function concatenated(parts) {
  if (parts.length === 1) return parts[0];
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** `nanos` behind the point, in three, six or nine digits. */
function fraction(nanos) {
  const digits = pad(nanos, 9).replace(/(000){1,3}$/, '');
  return digits === '' ? '' : `.${digits}`;
}

function timestampText(seconds, nanos) {
  const at = new Date(Number(seconds) * 1000);
  if (Number.isNaN(at.getTime()) || nanos < 0 || nanos > 999999999) return null;
  return JSON.stringify(`${at.toISOString().slice(0, -5)}${fraction(nanos)}Z`);
}

function durationText(seconds, nanos) {
  if ((seconds < 0n && nanos > 0) || (seconds > 0n && nanos < 0)) return null;
  const sign = seconds < 0n || nanos < 0 ? '-' : '';
  return JSON.stringify(`${sign}${seconds < 0n ? -seconds : seconds}${fraction(Math.abs(nanos))}s`);
}

/** Messages that have a form of their own; what they give is null where they do not fit it. */
const SPECIAL = {
  __proto__: null,
  'google.protobuf.Timestamp': (r, m, found) =>
    timestampText(BigInt(r.only(m, found, 1)), Number(r.only(m, found, 2))),
  'google.protobuf.Duration': (r, m, found) =>
    durationText(BigInt(r.only(m, found, 1)), Number(r.only(m, found, 2))),
  'google.protobuf.Any': (r, m, found, depth) => r.any(m, found, depth),
  'google.protobuf.Struct': (r, m, found, depth) => r.field(m.fields.get(1), found.get(1), depth),
  'google.protobuf.ListValue': (r, m, found, depth) => r.field(m.fields.get(1), found.get(1), depth),
  'google.protobuf.Value': (r, m, found, depth) => {
    const [number] = found.keys();
    return number === undefined || number === 1 ? 'null' : r.field(m.fields.get(number), found.get(number), depth);
  },
  'confluent.type.Decimal': (r, m, found) => {
    const scale = Number(r.only(m, found, 3));
    return scale < 0 || scale > MOST_SCALE ? null : decimalText(found.get(1)?.at(-1).value ?? [], scale);
  },
};
for (const name of ['Double', 'Float', 'Int64', 'UInt64', 'Int32', 'UInt32', 'Bool', 'String', 'Bytes']) {
  SPECIAL[`google.protobuf.${name}Value`] = (r, m, found) => r.only(m, found, 1);
}

class Reader {
  constructor(types) {
    Object.assign(this, {types, values: 0});
  }

  count(depth) {
    if (++this.values > MOST_VALUES || depth > MOST_DEPTH) throw new Error('It has too many values to show.');
  }

  /** Numbers to what was found of each; of a oneof only the last. */
  fields(message, bytes) {
    const wire = new Wire(bytes);
    const found = new Map();
    while (!wire.done) {
      const one = wire.field();
      if (one.wire === WIRE.GROUP_END) throw new Error('A group ends that did not begin.');
      this.count(0);
      for (const other of message.fields.get(one.number)?.oneof ?? []) {
        if (other !== one.number) found.delete(other);
      }
      if (!found.has(one.number)) found.set(one.number, []);
      found.get(one.number).push(one);
    }
    return found;
  }

  message(message, bytes, depth) {
    this.count(depth);
    const found = this.fields(message, bytes);
    const special = SPECIAL[message.name]?.(this, message, found, depth);
    if (special !== undefined && special !== null) return special;
    const out = [];
    for (const field of message.fields.values()) {
      const all = found.get(field.number);
      if (!all && field.isExtension) continue;
      const text = this.field(field, all, depth);
      if (text !== null) out.push(`${JSON.stringify(field.name)}:${text}`);
    }
    for (const [number, all] of found) {
      if (!message.fields.has(number)) out.push(`"${number}":${this.unknown(all)}`);
    }
    return `{${out.join()}}`;
  }

  /** The text of a scalar field that stands alone. */
  only(message, found, number) {
    return this.field({...message.fields.get(number), presence: false}, found.get(number), 0);
  }

  /** null: it is not there, and nothing is what that means. */
  field(field, found = [], depth) {
    const type = SCALARS[field.type] ? null : this.types.find(field.type, field.scope);
    if (field.map) return this.map(field, type, found, depth);
    if (field.repeated) return this.list(field, type, found, depth);
    if (found.length === 0) return this.absent(field, type);
    if (type?.fields) {
      const parts = found.map((one) => this.expected(field, one, WIRE.BYTES));
      return this.message(type, concatenated(parts), depth + 1);  // that is how they are merged
    }
    return this.value(field, type, found.at(-1), depth);
  }

  absent(field, type) {
    if (field.presence || type?.fields || (!type && !SCALARS[field.type])) return null;
    if (type) return this.named(type, type.keys().next().value ?? 0);
    return DEFAULTS[field.type] ?? '0';
  }

  expected(field, {wire, value}, wanted) {
    if (wire !== wanted) throw new Error(`The field ${field.name} is not what the schema says.`);
    return value;
  }

  named(names, number) {
    return names.has(number) ? JSON.stringify(names.get(number)) : String(number);
  }

  value(field, type, one, depth) {
    this.count(depth);
    if (type?.fields) return this.message(type, this.expected(field, one, WIRE.BYTES), depth + 1);
    if (type) return this.named(type, Number(BigInt.asIntN(32, this.expected(field, one, WIRE.VARINT))));
    if (!SCALARS[field.type]) return this.unknown([one]);
    const [wire, text] = SCALARS[field.type];
    return text(this.expected(field, one, wire));
  }

  /** Numbers may stand one by one or packed, whatever the schema says. */
  list(field, type, found, depth) {
    const wire = type && !type.fields ? WIRE.VARINT : SCALARS[field.type]?.[0] ?? WIRE.BYTES;
    const out = [];
    for (const one of found) {
      if (wire === WIRE.BYTES || one.wire !== WIRE.BYTES) {
        out.push(this.value(field, type, one, depth));
      } else {
        const packed = new Wire(one.value);
        while (!packed.done) out.push(this.value(field, type, {wire, value: packed.value(wire)}, depth));
      }
    }
    return `[${out.join()}]`;
  }

  map(field, type, found, depth) {
    const entry = {name: '', fields: new Map([[1, {number: 1, name: 'key', type: field.map.key, scope: ''}],
      [2, {number: 2, name: 'value', type: field.type, scope: field.scope}]])};
    const out = new Map();
    for (const one of found) {
      const parts = this.fields(entry, this.expected(field, one, WIRE.BYTES));
      const key = this.only(entry, parts, 1);
      const value = this.field(entry.fields.get(2), parts.get(2), depth);
      const empty = () => (type?.fields ? this.message(type, new Uint8Array(), depth + 1) : 'null');
      out.set(key.startsWith('"') ? key : `"${key}"`, value ?? empty());
    }
    return `{${Array.from(out, ([key, value]) => `${key}:${value}`).join()}}`;
  }

  any(message, found, depth) {
    const url = this.only(message, found, 1);
    const type = this.types.messages.get(JSON.parse(url).split('/').at(-1));
    const bytes = found.get(2)?.at(-1).value ?? new Uint8Array();
    return `{"@type":${url},"value":${type ? this.message(type, bytes, depth + 1) : hexText(bytes)}}`;
  }

  /** Of fields that no schema tells of: bytes in hexadecimal, numbers without a sign. */
  unknown(all) {
    const texts = all.map(({wire, value}) => (wire === WIRE.VARINT ? String(value) : hexText(value)));
    return texts.length === 1 ? texts[0] : `[${texts.join()}]`;
  }
}

/** JSON text of `bytes`, a `message` of `types`. */
export function messageText(bytes, message, types) {
  return new Reader(types).message(message, bytes, 0);
}

/** What stands before a value in a record: which message it is, as places in the file and in what is
    there; and the rest. */
export function messageIndexes(bytes) {
  const wire = new Wire(bytes);
  const count = zigzag(wire.varint());
  if (count < 0n || count > BigInt(MOST_DEPTH)) throw new Error('It does not say which message it is.');
  const indexes = [];
  for (let i = 0n; i < count; ++i) indexes.push(Number(zigzag(wire.varint())));
  return {indexes: count === 0n ? [0] : indexes, rest: bytes.subarray(wire.at)};
}
