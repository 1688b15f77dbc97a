// Numbers, sizes, times and bytes as people read them.

const count = new Intl.NumberFormat('en', {maximumFractionDigits: 0});
const short = new Intl.NumberFormat('en', {maximumSignificantDigits: 3});

/** 1,234,567 */
export function number(value) {
  return count.format(value);
}

/** 950, 1.25 k, 3.4 M */
export function compact(value) {
  for (const [size, unit] of [[1e9, ' G'], [1e6, ' M'], [1e4, ' k']]) {
    if (value >= size) return short.format(value / (unit === ' k' ? 1e3 : size)) + unit;
  }
  return value >= 100 || Number.isInteger(value) ? count.format(value) : short.format(value);
}

/** 3.2 MiB */
export function bytes(value) {
  let rest = value;
  for (const unit of ['B', 'KiB', 'MiB', 'GiB', 'TiB']) {
    if (rest < 1024 || unit === 'TiB') {
      return `${unit === 'B' ? count.format(rest) : short.format(rest)} ${unit}`;
    }
    rest /= 1024;
  }
  return '';
}

export function percent(part, whole) {
  return whole > 0 ? `${short.format(100 * part / whole)} %` : '–';
}

/** 850 µs, 3.2 ms, 4 s, 3 min, 5 h, 2 d */
export function duration(millis) {
  if (millis < 1) return `${short.format(millis * 1000)} µs`;
  if (millis < 1000) return `${short.format(millis)} ms`;
  const seconds = millis / 1000;
  if (seconds < 120) return `${short.format(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

export const pad = (value, width = 2) => String(value).padStart(width, '0');

/** 2026-11-22 05:04:03.210, in the browser's time zone. */
export function time(millis) {
  if (millis === null || millis === undefined) return '–';
  const at = new Date(Number(millis));
  if (Number.isNaN(at.getTime())) return String(millis);
  return `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())} ` +
    `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}.` +
    pad(at.getMilliseconds(), 3);
}

/** "3 min ago" */
export function ago(millis, now = Date.now()) {
  if (millis === null || millis === undefined || millis < 0) return '–';
  const since = now - millis;
  return since < 1000 && since > -1000 ? 'now' :
    since < 0 ? `in ${duration(-since)}` : `${duration(since)} ago`;
}

export function plural(value, one, many = `${one}s`) {
  return `${number(value)} ${value === 1 ? one : many}`;
}

// What can't be seen, or turns the direction of the text around it.
const HIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** With signs for what is hidden in it. */
export function visible(text) {
  return text.replace(HIDDEN, (sign) =>
    `⟨U+${sign.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`);
}

/** On one line, cut to `most` characters. */
export function oneLine(text, most = 240) {
  const cut = text.length > most ? `${text.slice(0, most)}…` : text;
  return visible(cut.replace(/\s+/g, ' '));
}

export function fromBase64(text) {
  const raw = atob(text);
  return Uint8Array.from(raw, (sign) => sign.charCodeAt(0));
}

/** Sixteen bytes a line: place, hexadecimal, ASCII. */
export function hexDump(data) {
  const lines = [];
  for (let at = 0; at < data.length; at += 16) {
    const part = Array.from(data.subarray(at, at + 16));
    const hex = part.map((b) => b.toString(16).padStart(2, '0'));
    const left = hex.slice(0, 8).join(' ');
    const right = hex.slice(8).join(' ');
    const ascii = part.map((b) => (b >= 32 && b < 127 ? String.fromCharCode(b) : '·')).join('');
    lines.push(`${at.toString(16).padStart(8, '0')}  ${left.padEnd(23)}  ${right.padEnd(23)}  ${ascii}`);
  }
  return lines.join('\n');
}
