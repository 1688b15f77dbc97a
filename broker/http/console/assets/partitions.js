// A topic's partitions, and adding some.
import {api, path} from './api.js';
import {field, h} from './dom.js';
import {ago, bytes, number, time} from './format.js';
import {link, reload} from './router.js';
import {table} from './table.js';
import {button, dialog, input, toast} from './ui.js';

function addPartitions(info) {
  const now = info.partitions.length;
  const count = input({type: 'number', min: now + 1, max: '100000', value: now + 1});
  dialog('Add partitions', [field('Partitions', count, `${now} now. Records that come with a key ` +
    'may go to another partition than before, so a key’s order holds within the old and within ' +
    'the new ones only. The number cannot be lowered again.')],
  {action: 'Add', send: async () => {
    await api(path`/topics/${info.name}`, {method: 'PATCH', body: {partitions: Number(count.value)}});
    toast('The partitions are there.');
    reload();
  }});
}

export async function partitions(context, info) {
  const list = table({label: 'Partitions', sortBy: 0, columns: [
    {label: 'Partition', number: true, head: true, sort: (p) => p.partition, cell: (p) => h('a', {
      href: link(['topics', info.name, 'messages'], {partition: p.partition})}, p.partition)},
    {label: 'First offset', number: true, minor: true, sort: (p) => p.start,
      cell: (p) => number(p.start)},
    {label: 'End', number: true, sort: (p) => p.end, cell: (p) => number(p.end)},
    {label: 'Offsets', number: true, sort: (p) => p.end - p.start, cell: (p) => number(p.end - p.start)},
    {label: 'Size', number: true, sort: (p) => p.bytes, cell: (p) => bytes(p.bytes)},
    {label: 'Newest record', number: true, minor: true, sort: (p) => p.max_timestamp ?? -1,
      cell: (p) => h('time', {title: time(p.max_timestamp)}, ago(p.max_timestamp))}]});
  list.update(info.partitions);
  context.every(3000, async () => {
    const newer = await api(path`/topics/${info.name}`, {signal: context.signal});
    list.update(newer.partitions);
  });
  return [h('div', {class: 'toolbar'}, button('Add partitions', () => addPartitions(info),
    {pic: 'plus'})), list.node];
}
