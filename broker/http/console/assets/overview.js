// How the broker is now: health, rates, disk, and where to look next.
import {api, path, query, request} from './api.js';
import {sparkline} from './chart.js';
import {h, put} from './dom.js';
import {bytes, compact, duration, number, plural} from './format.js';
import {heading, link} from './router.js';
import {PLACES, onSample, rates, value, values} from './sampler.js';
import {table} from './table.js';
import {groupPlaces, lagsOf} from './lags.js';
import {createTopic} from './topic_admin.js';
import {badge, button, commands, empty, linkButton, meter, notice, section, tile} from './ui.js';

const TOPICS_SHOWN = 6;

/** Tiles of what moves: name, statistic, how it is written. */
const MOVING = [
  ['Records in', 'store.appended_records', (v) => `${compact(v)}/s`],
  ['Written', 'store.appended_bytes', (v) => `${bytes(v)}/s`],
  ['Read', 'store.fetched_bytes', (v) => `${bytes(v)}/s`],
];

function movingTile([name, statistic, format]) {
  const line = sparkline(`${name}, last three minutes`);
  const shown = tile(name, line.node);
  return {node: shown.node, update() {
    const all = rates(statistic);
    const now = all.slice(-3);
    const mean = now.length > 0 ? now.reduce((a, b) => a + b, 0) / now.length : 0;
    shown.set(format(mean), `peak ${format(Math.max(0, ...all))}`);
    line.set(all, PLACES);
  }};
}

function syncTile() {
  const line = sparkline('Time to stable storage, last three minutes');
  const shown = tile('To stable storage, p99', line.node);
  return {node: shown.node, update() {
    shown.set(duration(value('store.sync_p99_micros') / 1000),
      `median ${duration(value('store.sync_p50_micros') / 1000)}`);
    line.set(values('store.sync_p99_micros'), PLACES);
  }};
}

function standingTiles() {
  const disk = meter('Disk used by segments, of what there is');
  const memory = meter('Memory of requests in flight');
  const space = tile('Segments on disk', disk.node);
  const held = tile('Requests in flight', memory.node);
  const links = tile('Connections');
  const things = tile('Topics');
  return {nodes: [things, links, space, held].map((one) => one.node), update() {
    const used = value('store.segment_bytes');
    const free = value('store.free_bytes');
    space.set(bytes(used), `${bytes(free)} free`);
    disk.set(used / (used + free), value('store.low_space') ? 'bad' : '');
    const limit = value('store.memory_limit_bytes');
    held.set(bytes(value('store.memory_held_bytes')), `of ${bytes(limit)}`);
    memory.set(value('store.memory_held_bytes') / limit);
    const [native, kafka, http] = ['native', 'kafka', 'http'].map((p) => value(`${p}.sessions`));
    links.set(number(native + kafka + http),
      `${number(native)} native · ${number(kafka)} Kafka · ${number(http)} HTTP`);
    things.set(number(value('store.topics')), plural(value('store.partitions'), 'partition'));
  }};
}

async function readiness(signal) {
  // 503 is an answer, too.
  const response = await fetch('/readyz', {signal, cache: 'no-store'});
  return response.json();
}

function topicTable() {
  return table({label: 'Largest topics', columns: [
    {label: 'Topic', head: true, cell: (t) => h('a', {href: link(['topics', t.name])}, t.name)},
    {label: 'Offsets', number: true, cell: (t) => number(t.offsets)},
    {label: 'Size', number: true, cell: (t) => bytes(t.bytes)}]});
}

function lagTable() {
  return table({label: 'Groups that are behind', columns: [
    {label: 'Group', head: true, cell: (g) => h('a', {href: link(['groups', g.group])},
      h('bdi', {}, g.group))},
    {label: 'Records behind', number: true, cell: (g) => number(g.lag)}],
  none: () => h('p', {class: 'quiet'}, 'No group is behind.')});
}

function firstSteps(context) {
  return empty('Nothing is stored yet',
    'A topic is a log of records. Make one here or from a terminal, append to it, and watch the ' +
    'records come in live.',
    h('div', {class: 'actions'}, button('Create a topic', () => createTopic(context),
      {kind: 'primary', pic: 'plus'})),
    commands(`export RUNNEL_BROKER=${location.host}\nrunnel topic create orders -p 3\n` +
      "echo 'hello' | runnel produce orders"));
}

export async function overview(context) {
  const moving = [...MOVING.map(movingTile), syncTile()];
  const standing = standingTiles();
  const health = h('span', {});
  const version = h('span', {class: 'quiet'});
  const trouble = h('div');
  const largest = topicTable();
  const behind = lagTable();
  const lists = h('div', {class: 'columns'});
  onSample(context, () => [...moving, standing].forEach((one) => one.update()));

  async function look() {
    const ready = await readiness(context.signal);
    put(health, badge(ready.ready ? 'Ready' : 'Not ready', ready.ready ? 'good' : 'bad'));
    put(trouble, ready.reasons.map((r) => notice('error', r.detail)));
    const {topics} = await api(path`/topics` + query({order: 'bytes', limit: TOPICS_SHOWN}),
      {signal: context.signal});
    if (topics.length === 0) {
      if (!lists.querySelector('.empty')) put(lists, firstSteps(context));
      return;
    }
    if (!largest.node.isConnected) {
      put(lists, section('Largest topics', largest.node,
        linkButton('All topics', link(['topics']), {kind: 'small'})),
      section('Behind', behind.node, linkButton('All groups', link(['groups']), {kind: 'small'})));
    }
    largest.update(topics);
    const lags = lagsOf(await groupPlaces(context.signal));
    behind.update(Array.from(lags, ([group, lag]) => ({group, lag})).filter((g) => g.lag > 0)
      .sort((a, b) => b.lag - a.lag).slice(0, TOPICS_SHOWN));
  }

  api(path`/broker`, {signal: context.signal})
    .then((broker) => put(version, `Runnel ${broker.version}`), () => {});
  context.every(5000, look);
  await request('/livez', {signal: context.signal});
  return [heading('Overview', health, version), trouble,
    h('div', {class: 'tiles'}, moving.map((one) => one.node)),
    h('div', {class: 'tiles'}, standing.nodes), lists];
}
