// The groups that read a topic, and how far each is behind in it.
import {h} from './dom.js';
import {duration, number, plural} from './format.js';
import {ages, groupPlaces} from './lags.js';
import {link} from './router.js';
import {table} from './table.js';
import {commands, empty} from './ui.js';

/** One row a group, of its places in the partitions of the topic. */
function rowsOf(places, known) {
  const rows = new Map();
  for (const place of places) {
    const row = rows.get(place.group) ?? {group: place.group, partitions: 0, lag: 0, age: null};
    row.partitions += 1;
    row.lag += place.lag;
    if (known.has(place)) row.age = Math.max(row.age ?? 0, known.get(place));
    rows.set(place.group, row);
  }
  return Array.from(rows.values());
}

export async function readers(context, info) {
  const list = table({label: 'Groups that read the topic', sortBy: 2, descending: true,
    none: () => empty('No group has read it',
      'A group that has committed an offset in this topic is shown here.',
      commands(`runnel consume ${info.name} -g billing`)), columns: [
      {label: 'Group', head: true, sort: (g) => g.group, cell: (g) => h('a', {
        href: link(['groups', g.group])}, h('bdi', {}, g.group))},
      {label: 'Reads', minor: true, sort: (g) => g.partitions,
        cell: (g) => plural(g.partitions, 'partition')},
      {label: 'Records behind', number: true, sort: (g) => g.lag, cell: (g) => number(g.lag)},
      {label: 'Behind by', number: true, sort: (g) => g.age ?? -1,
        cell: (g) => (g.lag === 0 ? '0 s' : g.age === null ? '–' : duration(g.age))}]});

  async function load() {
    const places = await groupPlaces(context.signal, info.name);
    list.update(rowsOf(places, await ages(places, context.signal)));
  }

  await load();
  context.every(4000, load);
  return list.node;
}
