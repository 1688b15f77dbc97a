// A topic's idempotent producers: what each partition remembers of them, and open transactions.
import {pages, path} from './api.js';
import {h} from './dom.js';
import {ago, number, plural, time} from './format.js';
import {link} from './router.js';
import {table} from './table.js';
import {badge, empty, notice} from './ui.js';

/** What is listed; the API has the rest. */
const MOST_SHOWN = 5000;

function transaction(topic, producer) {
  if (producer.transaction === null) return h('span', {class: 'quiet'}, 'none open');
  return h('span', {class: 'quiet'}, badge('open', 'warn'), ' since ', h('a', {href: link(['topics', topic, 'messages'],
    {at: 'offset', place: producer.transaction, partition: producer.partition})},
  `offset ${number(producer.transaction)}`));
}

async function read(topic, signal) {
  const all = [];
  const enough = new AbortController();
  try {
    await pages(path`/topics/${topic}/producers`, 'producers', (some) => {
      all.push(...some);
      if (all.length >= MOST_SHOWN) enough.abort();
    }, AbortSignal.any([signal, enough.signal]));
  } catch (error) {
    if (!enough.signal.aborted) throw error;
  }
  return {all, cut: enough.signal.aborted};
}

export async function producers(context, info) {
  const count = h('p', {class: 'quiet', role: 'status'});
  const more = h('div');
  const list = table({label: 'Producers', sortBy: 4, descending: true,
    none: () => empty('No idempotent producer is known',
      'Producers that number their records are listed here, so that a retry is known and not stored ' +
      'twice: Kafka’s clients with enable.idempotence, which is their default, and transactions. ' +
      'Each is forgotten a day after its last record.'), columns: [
      {label: 'Partition', number: true, sort: (p) => p.partition, cell: (p) => p.partition},
      {label: 'Producer', head: true, number: true, sort: (p) => p.producer, cell: (p) => p.producer},
      {label: 'Epoch', number: true, minor: true, sort: (p) => p.epoch, cell: (p) => p.epoch},
      {label: 'Last sequence', number: true, minor: true, sort: (p) => p.last_sequence,
        cell: (p) => (p.last_sequence < 0 ? '–' : number(p.last_sequence))},
      {label: 'Last seen', number: true, minor: true, sort: (p) => p.last_seen ?? -1,
        cell: (p) => h('time', {title: time(p.last_seen)}, ago(p.last_seen))},
      {label: 'Transaction', sort: (p) => p.transaction ?? Infinity,
        cell: (p) => transaction(info.name, p)}]});

  async function load() {
    const {all, cut} = await read(info.name, context.signal);
    const open = all.filter((p) => p.transaction !== null).length;
    count.textContent = open === 0 ? '' : `${plural(open, 'transaction')} open: who reads committed ` +
      'records waits at the first offset of the oldest one.';
    more.replaceChildren(...(cut ? [notice('info', `The first ${number(MOST_SHOWN)} are shown; the API ` +
      'has the others.')] : []));
    list.update(all);
  }

  await load();
  context.every(10000, load);
  return [count, more, list.node];
}
