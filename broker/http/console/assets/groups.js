// All consumer groups, with how far each is behind.
import {pages, path} from './api.js';
import {h} from './dom.js';
import {duration, number, plural} from './format.js';
import {agesOfGroups, groupPlaces, lagsOf} from './lags.js';
import {heading, link} from './router.js';
import {table} from './table.js';
import {badge, commands, empty, input} from './ui.js';

export const STATES = {stable: ['Consuming', 'good'], reconciling: ['Rebalancing', 'warn'],
  empty: ['No members', '']};

export function stateBadge(state) {
  const [label, kind] = STATES[state] ?? [state, ''];
  return badge(label, kind);
}

export async function groups(context) {
  let all = [];
  let lags = new Map();
  let late = new Map();
  const count = h('span', {class: 'quiet', role: 'status'});
  const filter = input({type: 'search', placeholder: 'Filter by name', 'data-filter': true,
    'aria-label': 'Filter groups by name', value: context.query.get('filter') ?? '', oninput: () => {
      context.remember({filter: filter.value});
      show({first: true});
    }});
  const none = () => (filter.value ? empty('No group has that in its name', 'Shorten the filter.') :
    empty('No consumer groups yet', 'A group is consumers that share a topic’s partitions. The broker ' +
      'remembers what each group has read; how far it is behind is shown here.',
    commands('runnel consume orders -g billing')));
  const list = table({label: 'Consumer groups', sortBy: 0, none, columns: [
    {label: 'Group', head: true, sort: (g) => g.group, cell: (g) => h('a', {
      href: link(['groups', g.group])}, h('bdi', {}, g.group))},
    {label: 'State', minor: true, sort: (g) => g.state, cell: (g) => stateBadge(g.state)},
    {label: 'Records behind', number: true, sort: (g) => lags.get(g.group) ?? -1,
      cell: (g) => (lags.has(g.group) ? number(lags.get(g.group)) : '–')},
    {label: 'Behind by', number: true, sort: (g) => late.get(g.group) ?? -1, cell: (g) => (late.has(g.group) ?
      duration(late.get(g.group)) : lags.get(g.group) === 0 ? '0 s' : '–')}]});

  function show(how) {
    const wanted = filter.value.toLowerCase();
    const found = all.filter((g) => g.group.toLowerCase().includes(wanted));
    count.textContent = plural(found.length, 'group');
    list.update(found, how);
  }

  async function load() {
    const found = [];
    await pages(path`/groups`, 'groups', (some) => found.push(...some), context.signal);
    const places = await groupPlaces(context.signal);
    lags = lagsOf(places);
    all = found;
    show();
    late = await agesOfGroups(places, context.signal);
    show();
  }

  await load();
  context.every(4000, load);
  return [heading('Groups', count), h('div', {class: 'toolbar'}, filter), list.node];
}
