// Addresses and words of the schema registry.

/** registry`/subjects/${name}` with what is put in made safe. */
export function registry(strings, ...values) {
  return String.raw({raw: strings}, ...values.map(encodeURIComponent));
}

/** Schemas of Avro do not say so. */
export const typeOf = (schema) => schema.schemaType ?? 'AVRO';
