// One view: its rows as they change, a chart where it has windows, its SQL, what became of the records.
import {api, path, query, request} from './api.js';
import {bars} from './chart.js';
import {field, h, put} from './dom.js';
import {number, plural, time} from './format.js';
import {elements, members} from './json_text.js';
import {go, heading, link} from './router.js';
import {cellText, rowColumns, rowsTable} from './rows.js';
import {table} from './table.js';
import {Follower} from './tail.js';
import {notOffered, viewState} from './views.js';
import {badge, button, dialog, facts, input, linkButton, notice, section, select, tile, toast} from './ui.js';

const MOST_ROWS = 200;
const MOST_BARS = 96;
const MOST_CHANGES = 12;
/** Rows that a chart is made of: the newest windows of all groups. */
const MOST_CHARTED = 3000;
/** Between two reads of the rows while changes come in. */
const READ_MILLIS = 500;

/** {rows: [{column: JSON text}], next} */
async function readRows(view, values, signal) {
  const response = await request(path`/views/${view}/rows` + query(values), {signal});
  const answer = members(await response.text());
  return {rows: elements(answer.rows).map(members), next: JSON.parse(answer.next ?? 'null')};
}

const isWindow = (column) => column.name === 'window_start' || column.type === 'TIMESTAMPTZ';
const isNumber = (column) => /^(BIGINT|INTEGER|DECIMAL|DOUBLE|INT)/.test(column.type);

/** One chart per window view: a measure by window, of all groups together or of one. */
class WindowChart {
  constructor(info) {
    this.start = info.key.find(isWindow) ?? info.columns.find((c) => c.role === 'dimension' && isWindow(c));
    this.measures = info.columns.filter((c) => c.role === 'measure' && isNumber(c));
    this.choice = select(this.measures.map((c) => [c.name, c.name]), this.measures[0]?.name,
      () => this.draw());
    this.place = h('div');
    this.rows = [];
  }

  get possible() {
    return Boolean(this.start) && this.measures.length > 0;
  }

  get node() {
    return h('div', {class: 'panel'}, h('div', {class: 'toolbar'}, field('Measure', this.choice)),
      this.place);
  }

  set(rows) {
    this.rows = rows;
    this.draw();
  }

  draw() {
    const sums = new Map();
    for (const row of this.rows) {
      const at = cellText(row[this.start.name]);
      const add = Number(cellText(row[this.choice.value]) || 0);
      sums.set(at, (sums.get(at) ?? 0) + add);
    }
    const points = Array.from(sums, ([at, value]) => ({at, value}))
      .sort((a, b) => (a.at < b.at ? -1 : 1)).slice(-MOST_BARS)
      .map(({at, value}) => ({value, label: at.replace('T', ' ').replace(/(:00)?Z$/, ' UTC')}));
    put(this.place, points.length === 0 ? h('p', {class: 'quiet'}, 'No windows yet.') :
      bars(`${this.choice.value} by ${this.start.name}`, points, (v) => number(v)));
  }
}

const CHANGES = {is: ['is now', 'accent'], deleted: ['gone', 'warn']};

/** The rows that changed last, the newest on top. */
class Ticker {
  constructor(columns) {
    this.changes = [];
    this.seen = 0;
    this.list = table({label: 'Changes as they come',
      none: () => h('p', {class: 'quiet'}, 'Nothing has changed since the page was opened.'),
      columns: [{label: 'At', minor: true, cell: (c) => time(c.at).slice(11)},
        {label: 'Change', cell: (c) => badge(...CHANGES[c.kind])}, ...rowColumns(columns).map((column) =>
          ({...column, sort: null, cell: (c) => column.cell(c.row)}))]});
    this.list.update([]);
  }

  /** `text`: the data of a delta. */
  take(text) {
    const {rows = '[]', added = '[]', deleted = '[]'} = members(text);
    const at = Date.now();
    // `added`: further sessions of a group whose first one is in `rows`.
    [...elements(rows), ...elements(added)].forEach((row) => this.note({at, kind: 'is', row: members(row)}));
    elements(deleted).forEach((row) => this.note({at, kind: 'deleted', row: members(row)}));
    this.list.update(this.changes);
  }

  note(change) {
    ++this.seen;
    this.changes.unshift(change);
    this.changes.length = Math.min(this.changes.length, MOST_CHANGES);
  }
}

function counters(info) {
  const {records = 0, applied = 0, filtered = 0, late = 0, errors = 0} = info.counters ?? {};
  return facts([['Records read', number(records)], ['Applied', number(applied)],
    ['Left out by WHERE', number(filtered)], ['Too late', number(late)],
    ['Could not be read', number(errors)]]);
}

function drop(name) {
  dialog(`Drop ${name}?`, [notice('warning', 'Its rows go. The records that they are made of stay, so ' +
    'it can be made again.')], {action: 'Drop view', kind: 'danger', send: async () => {
    await api(path`/views/${name}`, {method: 'DELETE'});
    toast(`Dropped ${name}.`);
    go(link(['views']));
  }});
}

export async function view(context) {
  const {view: name} = context.params;
  let info;
  try {
    info = await api(path`/views/${name}`, {signal: context.signal});
  } catch (error) {
    return notOffered(error, 'Views');
  }
  const rows = rowsTable(`Rows of ${name}`, info.columns);
  const chart = new WindowChart(info);
  const live = h('span', {class: 'live-state', role: 'status'}, 'Connecting…');
  const behind = tile('Records behind');
  const changes = tile('Changes seen');
  const ticker = new Ticker(info.columns);
  const trouble = h('div');
  const state = h('span', {});
  const where = input({placeholder: "campaign = 'sea'", value: context.query.get('where') ?? ''});
  const more = h('p', {class: 'quiet'});
  let timer = 0;

  function draw() {
    put(state, viewState(info.state));
    behind.set(number(info.lag ?? 0), `generation ${info.generation}`);
    put(trouble, info.problem ? notice('error', info.problem) : null);
  }

  async function load() {
    timer = 0;
    try {
      const wish = {where: where.value.trim(), limit: chart.possible ? MOST_CHARTED : MOST_ROWS,
        order: chart.possible ? `${chart.start.name} desc` : ''};
      const answer = await readRows(name, wish, context.signal);
      rows.update(answer.rows.slice(0, MOST_ROWS));
      more.textContent = answer.rows.length > MOST_ROWS || answer.next ?
        `The first ${MOST_ROWS} rows are shown.` : plural(answer.rows.length, 'row');
      if (chart.possible) chart.set(answer.rows);
    } catch (error) {
      if (error.name !== 'AbortError') put(trouble, notice('error', error.message));
    }
  }

  const form = h('form', {class: 'toolbar search', role: 'search', 'aria-label': 'Rows', onsubmit: (event) => {
    event.preventDefault();
    context.remember({where: where.value.trim()});
    load();
  }}, h('div', {class: 'grow'}, field('WHERE', where)), h('button', {type: 'submit', class: 'button'}, 'Show'),
  live);
  changes.set('0', 'since the page was opened');
  draw();
  context.every(3000, async () => {
    info = await api(path`/views/${name}`, {signal: context.signal});
    draw();
  });
  new Follower(path`/views/${name}/events`, {snapshot: false}, {signal: context.signal,
    events: ['delta', 'reset'], resumes: false,
    onEvent: (event) => {
      if (event.type === 'delta') ticker.take(event.data);
      changes.set(number(ticker.seen), 'since the page was opened');
      timer ||= setTimeout(load, READ_MILLIS);
    },
    say: (what) => {
      // What changed meanwhile was not told.
      if (what === 'live') timer ||= setTimeout(load, 0);
      live.className = `live-state ${what}`;
      live.textContent = {live: 'Live', lost: 'Connection lost. Connecting again…', ended: 'Not live'}[what];
    }});
  return [
    h('nav', {class: 'crumbs', 'aria-label': 'Way back'}, h('a', {href: link(['views'])}, 'Views')),
    heading(name, state, h('div', {class: 'actions'}, linkButton('Query', link(['sql'],
      {sql: `SELECT * FROM ${name}`})), button('Drop', () => drop(name)))),
    trouble, h('div', {class: 'tiles', 'data-live': true}, behind.node, changes.node),
    chart.possible ? section('By window', chart.node) : null,
    section('Rows', form, rows.node, more), section('Changes as they come', ticker.list.node),
    section('What became of the records', counters(info)),
    section('SQL', h('pre', {class: 'code-block', tabindex: '0', role: 'group', 'aria-label': 'SQL'}, info.sql)),
    info.created ? h('p', {class: 'quiet'}, `Created ${time(info.created)}`) : null];
}
