// Values of Avro and Protobuf that JSON has no form for, as JSON text.

/** A number in big-endian bytes, whose last `scale` digits are behind the point. */
export function decimalText(bytes, scale) {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  if (bytes.length > 0 && bytes[0] > 127) value -= 1n << BigInt(8 * bytes.length);
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, '0');
  const cut = digits.length - scale;
  return `${value < 0n ? '-' : ''}${digits.slice(0, cut)}${scale > 0 ? `.${digits.slice(cut)}` : ''}`;
}

export function doubleText(value) {
  return Number.isFinite(value) ? String(value) : `"${value}"`;
}

/** As many tell each float from all others. */
const FLOAT_DIGITS = 9;

/** Of four bytes: the shortest text that is this number, 0.1 rather than 0.10000000149011612. */
export function floatText(value) {
  for (let digits = 6; digits <= FLOAT_DIGITS; ++digits) {
    const shorter = Number(value.toPrecision(digits));
    if (Math.fround(shorter) === value) return doubleText(shorter);
  }
  return doubleText(value);
}

export function hexText(bytes) {
  return JSON.stringify(Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(''));
}
