// All materialised views.
import {ApiError, pages, path} from './api.js';
import {h} from './dom.js';
import {number, plural} from './format.js';
import {heading, link} from './router.js';
import {table} from './table.js';
import {badge, commands, empty, input, linkButton, notice} from './ui.js';

const STATES = {running: ['Current', 'good'], building: ['Building', 'warn'],
  paused: ['Paused', 'warn'], failed: ['Failed', 'bad']};

export function viewState(state) {
  const [label, kind] = STATES[state] ?? [state, ''];
  return badge(label, kind);
}

/** What is shown where the broker has no such path; other errors go on. */
export function notOffered(error, title) {
  if (!(error instanceof ApiError) || error.type !== 'unknown_path') throw error;
  return [heading(title), notice('warning', `This broker does not offer ${title} over HTTP. ` +
    'A newer version does; on the command line there is runnel sql.')];
}

function none(filter) {
  if (filter.value) return empty('No view has that in its name', 'Shorten the filter.');
  return empty('No views yet', 'A view is a question that is asked once, in SQL, and answered from then ' +
    'on: its rows are current while records arrive.',
  h('div', {class: 'actions'}, linkButton('Write one in SQL', '#/sql', {kind: 'primary'})),
  commands('CREATE SOURCE facts (kind VARCHAR, amount DECIMAL(12,2)) ON TOPIC \'orders\' FORMAT JSON;\n' +
    'CREATE MATERIALIZED VIEW totals AS\nSELECT kind, count(*) AS n, sum(amount) AS total\n' +
    'FROM facts GROUP BY kind;', 'SQL to begin with'));
}

export async function views(context) {
  let all = [];
  const count = h('span', {class: 'quiet', role: 'status'});
  const filter = input({type: 'search', placeholder: 'Filter by name', 'data-filter': true,
    'aria-label': 'Filter views by name', oninput: () => show({first: true})});
  const list = table({label: 'Views', sortBy: 0, none: () => none(filter), columns: [
    {label: 'View', head: true, sort: (v) => v.name, cell: (v) => h('a', {
      href: link(['views', v.name])}, h('bdi', {}, v.name))},
    {label: 'State', sort: (v) => v.state, cell: (v) => viewState(v.state)},
    {label: 'Of topic', minor: true, sort: (v) => v.topic, cell: (v) => (v.topic ?
      h('a', {href: link(['topics', v.topic])}, v.topic) : '–')},
    {label: 'Records behind', number: true, sort: (v) => v.lag ?? -1, cell: (v) =>
      (v.lag === null || v.lag === undefined ? '–' : number(v.lag))},
    {label: 'Problem', minor: true, cell: (v) => v.problem ?? ''}]});

  function show(how) {
    const found = all.filter((v) => v.name.toLowerCase().includes(filter.value.toLowerCase()));
    count.textContent = plural(found.length, 'view');
    list.update(found, how);
  }

  async function load() {
    const found = [];
    await pages(path`/views`, 'views', (some) => found.push(...some), context.signal, 1000);
    all = found;
    show();
  }

  try {
    await load();
  } catch (error) {
    return notOffered(error, 'Views');
  }
  context.every(3000, load);
  return [heading('Views', count, linkButton('SQL', '#/sql')),
    h('div', {class: 'toolbar'}, filter), list.node];
}
