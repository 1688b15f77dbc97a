// Reads a topic's records: forwards with the broker's cursor, backwards from the newest in windows of
// offsets, in both cases until there is something to show.
import {path, query, request} from './api.js';
import {elements, members} from './json_text.js';

export const PAGE_RECORDS = 50;
/** Offsets that a step backwards looks at when a filter leaves most of them out. */
const FIRST_WINDOW = 2000;
const LARGEST_WINDOW = 200000;
const READ_AT_ONCE = 1000;

const parsed = (text) => (text === undefined ? null : JSON.parse(text));

/** {partition, offset, timestamp, key, keyIsBase64, kind: json|text|base64|none, value, headers} */
export function recordOf(text) {
  const m = members(text);
  const kind = m.text !== undefined ? 'text' : m.base64 !== undefined ? 'base64' :
    m.value === 'null' ? 'none' : 'json';
  return {
    partition: Number(m.partition), offset: Number(m.offset), timestamp: parsed(m.timestamp),
    key: parsed(m.key ?? m.key_base64), keyIsBase64: m.key_base64 !== undefined, kind,
    // JSON stays the text that it is.
    value: kind === 'json' ? m.value : kind === 'none' ? null : JSON.parse(m.text ?? m.base64),
    headers: m.headers ? JSON.parse(m.headers) : []};
}

async function read(topic, values, signal) {
  const response = await request(path`/topics/${topic}/records` + query(values), {signal});
  const page = members(await response.text());
  return {records: elements(page.records).map(recordOf), next: JSON.parse(page.next),
    atEnd: page.at_end === 'true', unreadable: Number(page.unreadable)};
}

/** Conditions as the broker takes them. What is no condition is looked for in the values. */
export function conditionsOf(text) {
  return text.split('&&').map((part) => part.trim()).filter(Boolean).map((part) => {
    if (/^(key|value|header\.[^=!~<>]+|\.[^=!~<>]*)(=|!=|~|<|>)/.test(part)) return part;
    return `value~(?i)${part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')}`;
  });
}

/** From a place on. `from` as the API has it; `partition`: null for all. */
export class Forwards {
  constructor(topic, {from, partition, filter}) {
    this.topic = topic;
    this.place = {from};
    this.more = {partition, filter};
    this.done = false;
    this.unreadable = 0;
  }

  /** The next records. May be none while `done` is false: the filter had no hit so far. */
  async step(signal) {
    const page = await read(this.topic, {...this.place, ...this.more, limit: PAGE_RECORDS}, signal);
    this.place = {cursor: page.next};
    this.done = page.atEnd;
    this.unreadable += page.unreadable;
    return page.records;
  }
}

/** From the newest record back. */
export class Backwards {
  /** `partitions` as the API describes them. */
  constructor(topic, {partitions, filter}) {
    this.topic = topic;
    this.filter = filter;
    this.unreadable = 0;
    this.parts = partitions.map((p) => ({partition: p.partition, start: p.start, low: p.end}))
      .filter((p) => p.low > p.start);
    this.window = filter.length > 0 ? FIRST_WINDOW : Math.ceil(PAGE_RECORDS / (this.parts.length || 1));
  }

  get done() {
    return this.parts.every((p) => p.low <= p.start);
  }

  async step(signal) {
    const open = this.parts.filter((p) => p.low > p.start);
    const found = await Promise.all(open.map((part) => this.back(part, signal)));
    if (this.filter.length > 0) this.window = Math.min(this.window * 2, LARGEST_WINDOW);
    return found.flat();
  }

  /** One window of one partition, to its end. */
  async back(part, signal) {
    const to = part.low;
    const out = [];
    let place = {from: Math.max(part.start, to - this.window)};
    const low = place.from;
    for (;;) {
      const page = await read(this.topic, {...place, to, partition: part.partition,
        filter: this.filter, limit: READ_AT_ONCE}, signal);
      out.push(...page.records);
      this.unreadable += page.unreadable;
      place = {cursor: page.next};
      if (page.atEnd || Number(page.next.split(':')[1]) >= to) break;
    }
    part.low = low;
    return out;
  }
}

export const newestFirst = (a, b) =>
  (b.timestamp ?? 0) - (a.timestamp ?? 0) || a.partition - b.partition || b.offset - a.offset;
