// Values that serializers wrote with a schema: a zero byte, the schema's id, and what it describes.
import {api, query} from './api.js';
import {avroText} from './avro.js';
import {messageAt, protoSchema} from './proto_schema.js';
import {messageIndexes, messageText} from './protobuf.js';
import {registry, typeOf} from './registry.js';

const FRAME_BYTES = 5;
/** References of references, as deep as they are followed. */
const MOST_REFERENCES = 32;
/** Schemas that are asked for without being there, before glimpse() asks for no more. */
const MOST_MISSES = 8;

/** {id, payload}, or null if the bytes do not begin so. */
export function frameOf(bytes) {
  if (bytes.length < FRAME_BYTES || bytes[0] !== 0) return null;
  const id = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
  return id === 0 ? null : {id, payload: bytes.subarray(FRAME_BYTES)};
}

/** The texts of all schemas that `schema` refers to. */
async function referred(schema, left = {count: MOST_REFERENCES}) {
  const out = [];
  for (const {subject, version} of schema.references ?? []) {
    if (--left.count < 0) throw new Error('The schema refers to too many others.');
    const other = await api(registry`/subjects/${subject}/versions/${version}` + query({deleted: true}));
    out.push(...await referred(other, left), other.schema);
  }
  return out;
}

function avroReader(schema, others) {
  const [own, ...more] = [schema, ...others].map((text) => JSON.parse(text));
  return (payload) => ({text: avroText(payload, own, more)});
}

function protobufReader(schema, others) {
  const defined = protoSchema(schema, others);
  return (payload) => {
    const {indexes, rest} = messageIndexes(payload);
    const message = messageAt(defined, indexes);
    return {text: messageText(rest, message, defined.types), message: message.name};
  };
}

function jsonReader() {
  return (payload) => ({text: new TextDecoder('utf-8', {fatal: true}).decode(payload)});
}

const READERS = {AVRO: avroReader, PROTOBUF: protobufReader, JSON: jsonReader};

async function readerOf(id) {
  const schema = await api(registry`/schemas/ids/${id}`);
  const type = typeOf(schema);
  if (!READERS[type]) return () => ({type, text: null});
  const read = READERS[type](schema.schema, type === 'JSON' ? [] : await referred(schema));
  return (payload) => ({type, ...read(payload)});
}

const readers = new Map();  // id to a promise of what reads its values; a schema never changes

/** {type, text, message}: JSON text of a frame's payload, null if it can't be told here; of Protobuf
    also which message it is. */
export async function decode({id, payload}) {
  if (!readers.has(id)) {
    const asked = readerOf(id);
    readers.set(id, asked);
    asked.catch(() => readers.delete(id));
  }
  return (await readers.get(id))(payload);
}

let misses = 0;

/** JSON text of a frame's payload for a list of many, or null. Values of no schema may begin with a zero
    byte, too: not each of them is asked for. */
export async function glimpse(frame) {
  const isNew = !readers.has(frame.id);
  if (isNew && misses >= MOST_MISSES) return null;
  if (isNew) ++misses;
  try {
    const {text} = await decode(frame);
    if (isNew) --misses;
    return text;
  } catch (error) {
    if (isNew && error.status !== 404) --misses;
    return null;
  }
}
