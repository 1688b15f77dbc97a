// Avro's binary encoding, as JSON text. Numbers keep all their digits; unions show the value alone.
// Whatever the bytes say, no more than MOST_VALUES values are read, MOST_DEPTH deep.
import {pad} from './format.js';
import {decimalText, doubleText, floatText, hexText} from './value_text.js';

const MOST_VALUES = 100000;
const MOST_DEPTH = 64;

/** Names of `schema` and its references to their definitions. */
function definitions(schema, space, into) {
  if (Array.isArray(schema)) {
    for (const one of schema) definitions(one, space, into);
  } else if (typeof schema === 'object' && schema !== null) {
    const within = schema.namespace ?? space;
    if (schema.name) {
      const full = schema.name.includes('.') || !within ? schema.name : `${within}.${schema.name}`;
      into.set(full, schema).set(schema.name, schema);
    }
    for (const field of schema.fields ?? []) definitions(field.type, within, into);
    for (const part of [schema.items, schema.values]) if (part) definitions(part, within, into);
    if (typeof schema.type === 'object') definitions(schema.type, within, into);
  }
}

const MILLIS_A_DAY = 86400000n;

/** What a number stands for; the number itself where it is too far from now. */
function timeText(value, logical) {
  const millis = logical === 'date' ? value * MILLIS_A_DAY :
    logical.endsWith('-micros') ? value / 1000n : value;
  const at = new Date(Number(millis));
  if (Number.isNaN(at.getTime())) return String(value);
  const iso = at.toISOString();
  if (logical === 'date') return JSON.stringify(iso.slice(0, 10));
  const micros = logical.endsWith('-micros') ? pad(((value % 1000n) + 1000n) % 1000n, 3) : '';
  return JSON.stringify(`${iso.slice(0, -1)}${micros}${logical.startsWith('local') ? '' : 'Z'}`);
}

class Reader {
  constructor(bytes, names) {
    Object.assign(this, {bytes, names, at: 0, values: 0});
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  take(count) {
    if (count < 0 || count > this.bytes.length - this.at) throw new Error('The bytes end too early.');
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  /** A zigzag number. */
  long() {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const [byte] = this.take(1);
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n));
    }
    throw new Error('A number has too many bytes.');
  }

  length() {
    const value = this.long();
    if (value < 0n || value > BigInt(this.bytes.length)) throw new Error('A length is not possible.');
    return Number(value);
  }

  /** Items of an array or a map, in blocks. */
  blocks(item) {
    const out = [];
    for (;;) {
      let count = this.long();
      if (count === 0n) return out;
      if (count < 0n) {
        this.long();  // the block's bytes
        count = -count;
      }
      for (; count > 0n; --count) out.push(item());
    }
  }

  value(schema, depth) {
    if (++this.values > MOST_VALUES || depth > MOST_DEPTH) throw new Error('It has too many values to show.');
    if (Array.isArray(schema)) {
      const branch = schema[Number(this.long())];
      if (branch === undefined) throw new Error('A union has no such branch.');
      return this.value(branch, depth + 1);
    }
    if (typeof schema === 'string') {
      if (this.names.has(schema)) return this.value(this.names.get(schema), depth + 1);
      return this.primitive(schema, {});
    }
    return this.complex(schema, depth);
  }

  complex(schema, depth) {
    switch (schema.type) {
      case 'record': case 'error':
        return `{${schema.fields.map((f) =>
          `${JSON.stringify(f.name)}:${this.value(f.type, depth + 1)}`).join()}}`;
      case 'array':
        return `[${this.blocks(() => this.value(schema.items, depth + 1)).join()}]`;
      case 'map':
        return `{${this.blocks(() => `${JSON.stringify(this.text())}:${
          this.value(schema.values, depth + 1)}`).join()}}`;
      case 'enum':
        return JSON.stringify(schema.symbols[this.length()] ?? null);
      case 'fixed':
        return this.binary(this.take(schema.size), schema);
      default:
        if (typeof schema.type !== 'string') return this.value(schema.type, depth + 1);
        if (this.names.has(schema.type)) return this.value(this.names.get(schema.type), depth + 1);
        return this.primitive(schema.type, schema);
    }
  }

  text() {
    return new TextDecoder().decode(this.take(this.length()));
  }

  binary(bytes, {logicalType, scale = 0}) {
    if (logicalType === 'decimal') return decimalText(bytes, scale);
    return hexText(bytes);
  }

  primitive(type, more) {
    const logical = more.logicalType ?? '';
    switch (type) {
      case 'null': return 'null';
      case 'boolean': return this.take(1)[0] === 1 ? 'true' : 'false';
      case 'int': case 'long': {
        const value = this.long();
        return logical === 'date' || logical.includes('timestamp-') ? timeText(value, logical) : String(value);
      }
      case 'float': this.take(4); return floatText(this.view.getFloat32(this.at - 4, true));
      case 'double': this.take(8); return doubleText(this.view.getFloat64(this.at - 8, true));
      case 'string': return JSON.stringify(this.text());
      case 'bytes': return this.binary(this.take(this.length()), more);
      default: throw new Error(`The schema has a type '${type}' that is not known here.`);
    }
  }
}

/** JSON text of `bytes` as `schema` (parsed) has it; `others`: schemas that it refers to. */
export function avroText(bytes, schema, others = []) {
  const names = new Map();
  for (const one of [...others, schema]) definitions(one, '', names);
  const reader = new Reader(bytes, names);
  const text = reader.value(schema, 0);
  if (reader.at !== bytes.length) throw new Error('There are bytes behind the value.');
  return text;
}
