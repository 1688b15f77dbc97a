// A topic's configs: what each is for, what it is set to, and changing it.
import {api, path} from './api.js';
import {field, h} from './dom.js';
import {reload} from './router.js';
import {table} from './table.js';
import {badge, button, dialog, input, toast} from './ui.js';

/** The broker describes what can be set in its own API document. */
async function known(signal) {
  const document = await api(path`/openapi.json`, {signal});
  return document.components.schemas.Configs.properties;
}

async function set(topic, name, value) {
  await api(path`/topics/${topic}`, {method: 'PATCH', body: {configs: {[name]: value}}});
  toast(value === null ? `${name} is at its default again.` : `${name} is ${value} now.`);
  reload();
}

function edit(info, row) {
  const value = input({value: row.value ?? row.standard ?? ''});
  dialog(row.name, [h('p', {}, row.text),
    field('Value', value, row.standard ? `Default: ${row.standard}` : null)],
  {action: 'Save', send: () => set(info.name, row.name, value.value.trim())});
}

export async function configs(context, info) {
  const schema = await known(context.signal);
  const rows = Object.entries(schema).map(([name, {description, default: standard}]) =>
    ({name, text: description, standard, value: info.configs[name]}));
  // What is set first: that is what one comes for. Last what Kafka knows and is of no use here.
  const rank = (row) => (row.value !== undefined ? 0 : row.text.startsWith('No effect') ? 2 : 1);
  rows.sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
  const list = table({label: 'Configs', columns: [
    {label: 'Config', head: true, cell: (c) => h('div', {class: 'config'},
      h('code', {}, c.name), c.value !== undefined ? badge('set', 'accent') : null,
      h('p', {class: 'hint'}, c.text))},
    {label: 'Value', cell: (c) => (c.value !== undefined ? h('code', {}, c.value) :
      h('span', {class: 'quiet'}, c.standard || 'default'))},
    {label: 'Change', cell: (c) => h('div', {class: 'actions'},
      button('Edit', () => edit(info, c), {kind: 'small', 'aria-label': `Edit ${c.name}`}),
      c.value !== undefined ? button('Reset', () => set(info.name, c.name, null),
        {kind: 'small', 'aria-label': `Reset ${c.name} to its default`}) : null)}]});
  list.update(rows);
  return list.node;
}
