// How far groups are behind: in records from one request, in time from the record that is read next.
import {api, path, query} from './api.js';

/** Partitions for which the next record is read to know how old it is. */
const MOST_AGES = 32;

/** Where groups are: [{group, topic, partition, offset, lag}]; `topic`: only in this one. */
export async function groupPlaces(signal, topic) {
  return (await api(path`/lags` + query({topic}), {signal})).lags;
}

/** Group to records, summed over partitions. */
export function lagsOf(places) {
  const out = new Map();
  for (const {group, lag} of places) out.set(group, (out.get(group) ?? 0) + lag);
  return out;
}

/** The time of the record that is read next; null if there is none. */
async function nextTime(place, signal) {
  const answer = await api(path`/topics/${place.topic}/records` + query({
    partition: place.partition, cursor: `${place.partition}:${place.offset}`, limit: 1}), {signal});
  return answer.records[0]?.timestamp ?? null;
}

/**
 * How old what is read next is, in milliseconds: place to age, for those of `places` that are behind
 * most.
 */
export async function ages(places, signal) {
  const behind = places.filter((p) => p.lag > 0).sort((a, b) => b.lag - a.lag).slice(0, MOST_AGES);
  const out = new Map();
  await Promise.all(behind.map(async (place) => {
    try {
      const at = await nextTime(place, signal);
      if (at !== null) out.set(place, Math.max(0, Date.now() - at));
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      // The topic has gone meanwhile, or its record can't be read: its age is not known.
    }
  }));
  return out;
}

/** Group to the age of the oldest record that it has not read, as far as `ages` knows. */
export async function agesOfGroups(places, signal) {
  const worst = new Map();
  for (const place of places) {
    if (place.lag > (worst.get(place.group)?.lag ?? 0)) worst.set(place.group, place);
  }
  const out = new Map();
  for (const [place, age] of await ages(Array.from(worst.values()), signal)) out.set(place.group, age);
  return out;
}
