// All topics: filtered as one types, with what comes in a second.
import {pages, path} from './api.js';
import {h} from './dom.js';
import {bytes, compact, number, plural} from './format.js';
import {heading, link} from './router.js';
import {table} from './table.js';
import {createTopic} from './topic_admin.js';
import {button, commands, empty, input} from './ui.js';

/** Above this asking for all of them again and again would cost the broker more than it tells. */
const MOST_POLLED = 2000;

/** Which offsets came between two looks, in a second. */
class Rates {
  constructor() {
    this.before = new Map();
    this.rates = new Map();
    this.at = 0;
  }

  take(topics) {
    const seconds = (performance.now() - this.at) / 1000;
    for (const topic of topics) {
      const before = this.before.get(topic.name);
      if (before !== undefined) {
        this.rates.set(topic.name, Math.max(0, topic.offsets - before) / seconds);
      }
    }
    this.before = new Map(topics.map((t) => [t.name, t.offsets]));
    this.at = performance.now();
  }
}

function none(context, filter) {
  if (filter.value) {
    return empty('No topic has that in its name', 'Shorten the filter, or create the topic.');
  }
  return empty('No topics yet', 'A topic is a log of records, split into partitions that are read ' +
    'independently. Records with the same key go to the same partition and keep their order.',
  commands('runnel topic create orders -p 3'));
}

export async function topics(context) {
  let all = [];
  const rates = new Rates();
  const count = h('span', {class: 'quiet', role: 'status'});
  const filter = input({type: 'search', placeholder: 'Filter by name', 'data-filter': true,
    'aria-label': 'Filter topics by name', value: context.query.get('filter') ?? '', oninput: () => {
      context.remember({filter: filter.value});
      show({first: true});
    }});
  const list = table({label: 'Topics', sortBy: 0, none: () => none(context, filter), columns: [
    {label: 'Topic', head: true, sort: (t) => t.name,
      cell: (t) => h('a', {href: link(['topics', t.name])}, t.name)},
    {label: 'Partitions', number: true, minor: true, sort: (t) => t.partitions,
      cell: (t) => number(t.partitions)},
    {label: 'Records/s', number: true, sort: (t) => rates.rates.get(t.name) ?? 0,
      cell: (t) => (rates.rates.has(t.name) ? compact(rates.rates.get(t.name)) : '–')},
    {label: 'Offsets', number: true, minor: true, sort: (t) => t.offsets,
      cell: (t) => number(t.offsets)},
    {label: 'Size', number: true, sort: (t) => t.bytes, cell: (t) => bytes(t.bytes)}]});

  function show(how) {
    const wanted = filter.value.toLowerCase();
    const found = wanted ? all.filter((t) => t.name.toLowerCase().includes(wanted)) : all;
    count.textContent = wanted ? `${number(found.length)} of ${plural(all.length, 'topic')}` :
      plural(all.length, 'topic');
    list.update(found, how);
  }

  async function load() {
    const found = [];
    const first = all.length === 0;
    await pages(path`/topics`, 'topics', (some, last) => {
      found.push(...some);
      if (!first && !last) return;
      if (last) rates.take(found);
      all = found;
      show({first});
    }, context.signal, first ? 500 : 5000);
  }

  await load();
  context.every(4000, () => (all.length <= MOST_POLLED ? load() : null));
  return [heading('Topics', count, button('Create topic', () => createTopic(context),
    {kind: 'primary', pic: 'plus'})),
  h('div', {class: 'toolbar'}, filter), list.node];
}
