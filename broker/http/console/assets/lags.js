// How far all groups are behind, in one request: /metrics has it for each partition.
import {request} from './api.js';

const LINE = /^kafka_consumergroup_lag\{(.*)\} (-?\d+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** Group to records, summed over partitions. Only groups that have committed. */
export async function groupLags(signal) {
  const text = await (await request('/metrics', {signal})).text();
  const out = new Map();
  for (const line of text.split('\n')) {
    const found = LINE.exec(line);
    if (!found) continue;
    const labels = Object.fromEntries(Array.from(found[1].matchAll(LABEL), ([, name, value]) =>
      [name, value.replace(/\\(.)/g, (_, sign) => (sign === 'n' ? '\n' : sign))]));
    out.set(labels.consumergroup, (out.get(labels.consumergroup) ?? 0) + Number(found[2]));
  }
  return out;
}
