// The broker's figures over the last minutes, from the moment the console was opened.
import {api, path} from './api.js';

const EVERY_MILLIS = 2000;
export const PLACES = 90; // three minutes

const samples = []; // {at: milliseconds, values: Map of name to value}
const listeners = new Set();
let meanings = [];

async function sample() {
  if (!document.hidden) {
    try {
      const {statistics} = await api(path`/statistics`);
      meanings = statistics;
      const values = new Map(statistics.map((s) => [s.name, s.value]));
      const last = samples.at(-1);
      // Another process counts anew.
      if (last && last.values.get('process.id') !== values.get('process.id')) samples.length = 0;
      samples.push({at: performance.now(), values});
      if (samples.length > PLACES + 1) samples.shift();
      for (const listener of listeners) listener();
    } catch {
      // The banner tells; the line has a gap.
    }
  }
  setTimeout(sample, EVERY_MILLIS);
}

export function startSampling() {
  sample();
}

/** Calls `work` with each new sample, and now if there is one, until the page ends. */
export function onSample(context, work) {
  listeners.add(work);
  context.onEnd(() => listeners.delete(work));
  if (samples.length > 0) work();
}

/** The newest value; 0 if there is none. */
export function value(name) {
  return samples.at(-1)?.values.get(name) ?? 0;
}

export function values(name) {
  return samples.map((s) => s.values.get(name) ?? null);
}

/** How much a counter rose in a second, between each two samples. */
export function rates(name) {
  const out = [];
  for (let i = 1; i < samples.length; ++i) {
    const seconds = (samples[i].at - samples[i - 1].at) / 1000;
    out.push(Math.max(0, (samples[i].values.get(name) - samples[i - 1].values.get(name)) / seconds));
  }
  return out;
}

/** All statistics with units and meanings, as they were last. */
export function all() {
  return meanings;
}
