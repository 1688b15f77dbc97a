// Tables: sorted by their heads, a page of rows at a time however many there are.
import {h, put} from './dom.js';
import {button} from './ui.js';
import {number} from './format.js';

const PAGE_ROWS = 100;

/**
 * `columns`: {label, cell(row) -> node or text, number: right aligned, sort(row) -> value, minor: left
 * out on narrow screens, head: the row's header}. `label` names the table for screen readers. `none`:
 * what is shown without rows. `onPage(rows)`: told which rows are shown.
 */
export function table({columns, label, none, sortBy = null, descending = false, onPage}) {
  const state = {rows: [], page: 0, column: sortBy, descending};
  const body = h('tbody');
  const pager = h('div', {class: 'pager'});
  const heads = columns.map((column, i) => head(column, i));
  const frame = h('div', {class: 'table-frame', role: 'region', tabindex: '0', 'aria-label': label},
    h('table', {}, h('caption', {class: 'unseen'}, label), h('thead', {}, h('tr', {}, heads)), body));
  const node = h('div', {class: 'table'}, frame, pager);
  const nothing = h('div');

  function head(column, i) {
    const classes = [column.number ? 'number' : '', column.minor ? 'minor' : ''].join(' ').trim();
    if (!column.sort) return h('th', {scope: 'col', class: classes}, column.label);
    return h('th', {scope: 'col', class: classes}, h('button', {type: 'button', class: 'sorter',
      onclick: () => {
        state.descending = state.column === i ? !state.descending : Boolean(column.number);
        state.column = i;
        state.page = 0;
        draw();
      }}, column.label));
  }

  function sorted() {
    const column = columns[state.column];
    if (!column?.sort) return state.rows;
    const sign = state.descending ? -1 : 1;
    const keyed = state.rows.map((row) => [column.sort(row), row]);
    keyed.sort(([a], [b]) => (a < b ? -sign : a > b ? sign : 0));
    return keyed.map(([, row]) => row);
  }

  function cells(row) {
    return h('tr', {}, columns.map((column) => h(column.head ? 'th' : 'td', {
      scope: column.head ? 'row' : null,
      class: [column.number ? 'number' : '', column.minor ? 'minor' : '', column.wide ? 'wide' : '']
        .join(' ').trim()}, column.cell(row))));
  }

  function draw() {
    const pages = Math.max(1, Math.ceil(state.rows.length / PAGE_ROWS));
    state.page = Math.min(state.page, pages - 1);
    heads.forEach((cell, i) => {
      if (i === state.column) cell.setAttribute('aria-sort', state.descending ? 'descending' : 'ascending');
      else cell.removeAttribute('aria-sort');
    });
    const from = state.page * PAGE_ROWS;
    const shown = sorted().slice(from, from + PAGE_ROWS);
    put(body, shown.map(cells));
    drawPager(pages, from);
    frame.hidden = state.rows.length === 0 && Boolean(none);
    put(nothing, frame.hidden ? none() : null);
    if (!nothing.isConnected) node.append(nothing);
    onPage?.(shown);
  }

  function drawPager(pages, from) {
    if (pages === 1) return put(pager);
    const to = Math.min(from + PAGE_ROWS, state.rows.length);
    const turn = (by, label) => button(label, () => {
      state.page += by;
      draw();
      pager.querySelectorAll('button')[by < 0 ? 0 : 1]?.focus();
    }, {kind: 'small', disabled: by < 0 ? state.page === 0 : state.page === pages - 1});
    return put(pager, turn(-1, 'Previous'), turn(1, 'Next'), h('span', {role: 'status'},
      `${number(from + 1)}–${number(to)} of ${number(state.rows.length)}`));
  }

  return {node, update(rows, {first = false} = {}) {
    state.rows = rows;
    if (first) state.page = 0;
    draw();
  }};
}
