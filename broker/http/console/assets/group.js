// One consumer group: its members, where it is in each partition, and moving it.
import {api, path} from './api.js';
import {field, h, put} from './dom.js';
import {ago, duration, number, plural, time} from './format.js';
import {ages} from './lags.js';
import {heading, link, go, reload} from './router.js';
import {table} from './table.js';
import {stateBadge} from './groups.js';
import {STAY, badge, button, dialog, empty, input, notice, section, select, tile, toast} from './ui.js';

const TO = [['end', 'The newest: skip what is there'], ['start', 'The oldest that is kept'],
  ['time', 'A time'], ['offset', 'An offset'], ['back', 'So many before the end']];

function target(kind, text) {
  const typed = text.trim();
  if (kind === 'end' || kind === 'start') return kind;
  if (typed === '') throw new Error('Say where to.');
  if (kind === 'back') return `-${typed.replace(/^-/, '')}`;
  if (kind === 'time' && /^\d+\s*(s|m|h|d)$/.test(typed)) return `-${typed.replace(/\s/g, '')}`;
  const at = new Date(typed.replace(' ', 'T'));
  return kind === 'time' && !Number.isNaN(at.getTime()) ? `@${at.getTime()}` : typed;
}

function movesTable(moves) {
  const shown = table({label: 'What moving would do', columns: [
    {label: 'Topic', head: true, cell: (m) => `${m.topic} / ${m.partition}`},
    {label: 'Now', number: true, cell: (m) => (m.before < 0 ? '–' : number(m.before))},
    {label: 'Then', number: true, cell: (m) => (m.after < 0 ? '–' : number(m.after))},
    {label: 'Behind then', number: true, cell: (m) => (m.lag_after === null ? '–' : number(m.lag_after))}]});
  shown.update(moves);
  return shown.node;
}

/** First tells what would be done; the button does it only after that, for the same wish. */
function move(group, offsets) {
  const topics = Array.from(new Set(offsets.map((p) => p.topic)));
  const topic = topics.length > 0 ? select(topics.map((t) => [t, t]), topics[0]) : input();
  const partition = input({placeholder: 'all', inputmode: 'numeric'});
  const to = select(TO, 'end', () => draw());
  const place = input();
  const placeField = field('Where', place, '2h, or 2026-11-22 05:00, or a number.');
  const outcome = h('div', {'aria-live': 'polite'});
  let tried = null;
  function draw() {
    placeField.hidden = to.value === 'end' || to.value === 'start';
  }
  draw();
  const shown = dialog(`Move ${group}`, [
    h('p', {}, 'The group reads on from where it is moved to: earlier means that records come again, ' +
      'later that some are left out. Its members have to be stopped first.'),
    h('div', {class: 'field-row'}, field('Topic', topic), field('Partition', partition)),
    field('To', to), placeField, outcome,
  ], {action: 'Try it', send: async () => {
    const wish = {topic: topic.value, to: target(to.value, place.value)};
    if (partition.value.trim() !== '') wish.partition = Number(partition.value);
    const text = JSON.stringify(wish);
    const really = tried === text;
    const answer = await api(path`/groups/${group}/offsets`, {method: 'PUT',
      body: {dry_run: !really, offsets: [wish]}});
    if (really) {
      toast(`Moved ${group} in ${plural(answer.offsets.length, 'partition')}.`);
      reload();
      return null;
    }
    tried = text;
    put(outcome, notice('info', 'Nothing has been moved yet. This is what would be:'),
      movesTable(answer.offsets));
    submit.textContent = 'Move it';
    return STAY;
  }});
  const submit = shown.querySelector('[type=submit]');
  const changed = () => {
    tried = null;
    put(outcome);
    submit.textContent = 'Try it';
  };
  shown.addEventListener('input', changed);
  shown.addEventListener('change', changed);
}

function remove(group) {
  dialog('Delete the group?', [h('p', {}, h('bdi', {}, group)), notice('warning', 'What it has read is ' +
    'forgotten: if its consumers come back, they begin anew.')], {action: 'Delete group',
    kind: 'danger', send: async () => {
      await api(path`/groups/${group}`, {method: 'DELETE'});
      toast('The group is deleted.');
      go(link(['groups']));
    }});
}

function assignmentText(member) {
  return member.assignment.map((a) => `${a.topic}: ${a.partitions.join(', ')}`).join(' · ') || 'nothing';
}

export async function group(context) {
  const {group: name} = context.params;
  let known = new Map();
  let found = null;
  const state = h('span', {});
  const behind = tile('Records behind');
  const late = tile('Behind by');
  const people = tile('Members');
  const places = table({label: 'Where the group is', sortBy: 0,
    none: () => empty('It has read nothing yet', 'The group has not committed an offset.'), columns: [
      {label: 'Topic', head: true, sort: (p) => p.topic, cell: (p) => h('a', {
        href: link(['topics', p.topic])}, p.topic)},
      {label: 'Partition', number: true, sort: (p) => p.partition, cell: (p) => p.partition},
      {label: 'Next', number: true, minor: true, sort: (p) => p.offset, cell: (p) => number(p.offset)},
      {label: 'End', number: true, minor: true, sort: (p) => p.end ?? -1,
        cell: (p) => (p.end === null ? badge('gone', 'warn') : number(p.end))},
      {label: 'Behind', number: true, sort: (p) => p.lag ?? -1,
        cell: (p) => (p.lag === null ? '–' : number(p.lag))},
      {label: 'By', number: true, sort: (p) => known.get(p) ?? 0, cell: (p) =>
        (known.has(p) ? duration(known.get(p)) : '–')},
      {label: 'Committed', number: true, minor: true, sort: (p) => p.committed,
        cell: (p) => h('time', {title: time(p.committed)}, ago(p.committed))}]});
  const who = table({label: 'Members', none: () => h('p', {class: 'quiet'}, 'Nobody is in the group now.'),
    columns: [
      {label: 'Client', head: true, cell: (m) => h('bdi', {}, m.client || m.member)},
      {label: 'Host', minor: true, cell: (m) => m.host},
      {label: 'Reads', cell: (m) => assignmentText(m)}]});

  async function load() {
    found = await api(path`/groups/${name}`, {signal: context.signal});
    known = await ages(found.offsets, context.signal);
    const oldest = Math.max(0, ...known.values());
    put(state, stateBadge(found.state));
    behind.set(number(found.lag), plural(found.offsets.length, 'partition'));
    late.set(found.lag === 0 ? '0 s' : known.size > 0 ? duration(oldest) : '–',
      'age of the oldest record not read');
    people.set(number(found.members.length));
    places.update(found.offsets);
    who.update(found.members);
  }

  await load();
  context.every(3000, load);
  return [
    h('nav', {class: 'crumbs', 'aria-label': 'Way back'}, h('a', {href: link(['groups'])}, 'Groups')),
    heading(name, state, h('div', {class: 'actions'},
      button('Move…', () => move(name, found.offsets), {kind: 'primary'}),
      button('Delete', () => remove(name)))),
    h('div', {class: 'tiles'}, [behind, late, people].map((one) => one.node)),
    section('Where it is', places.node), section('Members', who.node)];
}
