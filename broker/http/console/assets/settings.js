// What the broker was started with, and what each setting is for.
import {api, path} from './api.js';
import {h} from './dom.js';
import {heading} from './router.js';
import {table} from './table.js';
import {badge, commands, input, notice, section} from './ui.js';

function place(setting) {
  return setting.source === 'default' ? h('span', {class: 'quiet'}, 'default') : setting.source;
}

export async function settings(context) {
  let broker;
  try {
    broker = await api(path`/broker`, {signal: context.signal});
  } catch (error) {
    if (error.type !== 'unknown_path') throw error;
    return [heading('Settings'), notice('warning', 'This broker does not tell its settings over HTTP. ' +
      'On its machine, runnel config explain does.')];
  }
  const filter = input({type: 'search', placeholder: 'Filter settings', 'data-filter': true,
    'aria-label': 'Filter settings', oninput: () => update()});
  const list = table({label: 'Settings', columns: [
    {label: 'Setting', head: true, cell: (s) => h('div', {class: 'config'}, h('code', {}, s.name),
      s.reloadable ? badge('reloads on SIGHUP') : null, h('p', {class: 'hint'}, s.text))},
    {label: 'Value', cell: (s) => h('code', {}, s.value || '–')},
    {label: 'From', minor: true, cell: place}]});
  function update() {
    const wanted = filter.value.toLowerCase();
    const found = broker.settings.filter((s) => `${s.name} ${s.text}`.toLowerCase().includes(wanted));
    // What somebody has set first.
    list.update(found.sort((a, b) => (a.source === 'default') - (b.source === 'default') ||
      (a.name < b.name ? -1 : 1)));
  }
  update();
  return [heading('Settings', h('span', {class: 'quiet'}, `Runnel ${broker.version}`)),
    h('p', {}, 'What the broker was started with. Settings come from flags, the environment (RUNNEL_…), ' +
      'or a TOML file; the earlier of these wins. Topics have configs of their own.'),
    h('div', {class: 'toolbar'}, filter), list.node,
    section('Change one', commands('runnel serve --config runnel.toml   # or a flag, or RUNNEL_NAME\n' +
      'runnel config explain               # what is in force and from where\n' +
      'runnel config check runnel.toml', 'How to change settings'))];
}
