// Values that serializers wrote with a schema: a zero byte, the schema's id, and what it describes.
import {api, query} from './api.js';
import {avroText} from './avro.js';
import {registry, typeOf} from './registry.js';

const FRAME_BYTES = 5;
/** References of references, as deep as they are followed. */
const MOST_REFERENCES = 32;

/** {id, payload}, or null if the bytes do not begin so. */
export function frameOf(bytes) {
  if (bytes.length < FRAME_BYTES || bytes[0] !== 0) return null;
  const id = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
  return id === 0 ? null : {id, payload: bytes.subarray(FRAME_BYTES)};
}

const known = new Map();  // id to a promise of its schema; it never changes

function schemaOf(id) {
  if (!known.has(id)) {
    const asked = api(registry`/schemas/ids/${id}`);
    known.set(id, asked);
    asked.catch(() => known.delete(id));
  }
  return known.get(id);
}

/** All schemas that `schema` refers to, parsed. */
async function referred(schema, left = {count: MOST_REFERENCES}) {
  const out = [];
  for (const {subject, version} of schema.references ?? []) {
    if (--left.count < 0) throw new Error('The schema refers to too many others.');
    const other = await api(registry`/subjects/${subject}/versions/${version}` + query({deleted: true}));
    out.push(...await referred(other, left), JSON.parse(other.schema));
  }
  return out;
}

/** {type, text}: JSON text of a frame's payload; text null: it can't be told here. */
export async function decode({id, payload}) {
  const schema = await schemaOf(id);
  const type = typeOf(schema);
  if (type === 'JSON') return {type, text: new TextDecoder('utf-8', {fatal: true}).decode(payload)};
  if (type !== 'AVRO') return {type, text: null};
  return {type, text: avroText(payload, JSON.parse(schema.schema), await referred(schema))};
}
