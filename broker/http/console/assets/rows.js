// Rows of views and queries, whose cells are JSON texts: numbers stay as exact as they are.
import {h} from './dom.js';
import {oneLine} from './format.js';
import {table} from './table.js';

/** Text of a cell; null is ''. */
export function cellText(json) {
  if (json === undefined || json === 'null') return '';
  return json[0] === '"' ? JSON.parse(json) : json;
}

function cell(json) {
  if (json === undefined || json === 'null') return h('span', {class: 'quiet'}, 'null');
  return h('bdi', {}, oneLine(cellText(json), 400));
}

/** Sorts numbers by value, everything else as text. */
function order(json) {
  const text = cellText(json);
  return json?.[0] !== '"' && text !== '' ? Number(text) : text;
}

const NUMBERS = /^(BIGINT|INTEGER|INT|SMALLINT|DECIMAL|DOUBLE|REAL|FLOAT)/;

/** `columns`: [{name, type}] */
export function rowColumns(columns) {
  return columns.map((c) => ({label: h('span', {title: c.type}, c.name),
    number: NUMBERS.test(c.type ?? ''), sort: (row) => order(row[c.name]),
    cell: (row) => cell(row[c.name])}));
}

export function rowsTable(label, columns) {
  return table({label, none: () => h('p', {class: 'quiet'}, 'No rows.'), columns: rowColumns(columns)});
}
