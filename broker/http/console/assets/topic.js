// One topic: its messages, partitions, groups, producers, configs.
import {api, path} from './api.js';
import {h} from './dom.js';
import {bytes, plural} from './format.js';
import {heading, link} from './router.js';
import {configs} from './configs.js';
import {messages} from './messages.js';
import {partitions} from './partitions.js';
import {producers} from './producers.js';
import {produce} from './produce.js';
import {readers} from './readers.js';
import {deleteTopic} from './topic_admin.js';
import {button, tabs} from './ui.js';

const PARTS = {messages: ['Messages', messages], partitions: ['Partitions', partitions],
  groups: ['Groups', readers], producers: ['Producers', producers], configs: ['Configs', configs]};

export async function topic(context) {
  const {topic: name, part = 'messages'} = context.params;
  const info = await api(path`/topics/${name}`, {signal: context.signal});
  const [, show] = PARTS[part] ?? PARTS.messages;
  const offsets = info.partitions.reduce((sum, p) => sum + p.end - p.start, 0);
  const size = info.partitions.reduce((sum, p) => sum + p.bytes, 0);
  const about = h('span', {class: 'quiet'}, `${plural(info.partitions.length, 'partition')} · ` +
    `${plural(offsets, 'offset')} · ${bytes(size)}`);
  return [
    h('nav', {class: 'crumbs', 'aria-label': 'Way back'}, h('a', {href: link(['topics'])}, 'Topics')),
    heading(name, about, h('div', {class: 'actions'},
      button('Append', () => produce(info), {kind: 'primary', pic: 'plus'}),
      button('Delete', () => deleteTopic(name)))),
    tabs('Parts of the topic', Object.entries(PARTS).map(([key, [label]]) =>
      [label, link(['topics', name, key]), key === part])),
    await show(context, info)];
}
