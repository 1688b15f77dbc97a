// The schema registry: subjects with their newest version, and what is asked of new schemas.
import {api} from './api.js';
import {field, h, put} from './dom.js';
import {plural} from './format.js';
import {registry, typeOf} from './registry.js';
import {go, heading, link, reload} from './router.js';
import {table} from './table.js';
import {STAY, badge, button, commands, dialog, empty, input, notice, select, toast} from './ui.js';

const LEVELS = [['BACKWARD', 'Backward: new schemas read the latest one’s data'],
  ['BACKWARD_TRANSITIVE', 'Backward, all versions'],
  ['FORWARD', 'Forward: the latest one reads new data'], ['FORWARD_TRANSITIVE', 'Forward, all versions'],
  ['FULL', 'Full: both'], ['FULL_TRANSITIVE', 'Full, all versions'], ['NONE', 'Nothing is asked']];
const INHERITED = ['', 'What is asked of all'];
export const TYPES = {AVRO: 'Avro', JSON: 'JSON Schema', PROTOBUF: 'Protobuf'};
/** Subjects whose versions are read at a time. */
const AT_ONCE = 50;

/** Changes what is asked of new schemas; `subject` null: of all. */
export function editLevel(subject, now) {
  const level = select(subject === null ? LEVELS : [INHERITED, ...LEVELS], now ?? '');
  const where = subject === null ? registry`/config` : registry`/config/${subject}`;
  dialog(subject === null ? 'Compatibility of all subjects' : 'Compatibility of the subject', [
    h('p', {}, 'A schema that does not keep to it is refused as a new version.'),
    field('Asked of new schemas', level)], {send: async () => {
    if (level.value === '') await api(where, {method: 'DELETE'});
    else await api(where, {method: 'PUT', body: {compatibility: level.value}});
    toast('The next schema is asked that.');
    reload();
  }});
}

/** Registers a version. It is tried first: the button does it only after that, for the same text. */
export function register(subject, before) {
  const name = input({value: subject ?? '', required: true});
  const type = select(Object.entries(TYPES),
    before ? typeOf(before) : 'JSON');
  const text = h('textarea', {rows: '12', spellcheck: 'false', class: 'code'});
  text.value = before?.schema ?? '{"type": "object"}';
  const outcome = h('div', {'aria-live': 'polite'});
  let tried = null;
  const shown = dialog(subject === null ? 'Register a schema' : 'Register a version', [
    subject === null ? field('Subject', name, 'TOPIC-value or TOPIC-key, as serializers have it.') : null,
    field('Type', type), field('Schema', text), outcome], {action: 'Try it', send: async () => {
    const of = name.value.trim();
    const body = {schemaType: type.value, schema: text.value};
    const wish = JSON.stringify([of, body]);
    if (tried === wish) {
      const {id} = await api(registry`/subjects/${of}/versions`, {method: 'POST', body});
      toast(`Registered with the id ${id}.`);
      if (subject === null) go(link(['schemas', of]));
      else reload();
      return null;
    }
    const answer = await api(registry`/compatibility/subjects/${of}/versions?verbose=true`,
      {method: 'POST', body});
    if (!answer.is_compatible) throw new Error(['It is not compatible.', ...answer.messages].join(' '));
    tried = wish;
    put(outcome, notice('info', 'Nothing has been registered yet. It would be taken. ',
      ...(answer.messages ?? [])));
    submit.textContent = 'Register it';
    return STAY;
  }});
  const submit = shown.querySelector('[type=submit]');
  shown.addEventListener('input', () => {
    tried = null;
    put(outcome);
    submit.textContent = 'Try it';
  });
}

export async function schemas(context) {
  const {compatibilityLevel: level} = await api('/config', {signal: context.signal});
  const {mode} = await api('/mode', {signal: context.signal});
  const count = h('span', {class: 'quiet', role: 'status'});
  const filter = input({type: 'search', placeholder: 'Filter by name', 'data-filter': true,
    'aria-label': 'Filter subjects by name', oninput: () => show({first: true})});
  let names = [];
  const known = new Map();
  const latest = (name) => known.get(name);
  const list = table({label: 'Subjects', sortBy: 0, onPage: (rows) => look(rows),
    none: () => (filter.value ? empty('No subject has that in its name', 'Shorten the filter.') :
      empty('No schemas yet', 'Serializers of Kafka’s clients register the schemas of what they write ' +
        'here, and take those of what they read. Set their schema.registry.url to this address.',
      commands(`schema.registry.url=${location.origin}`))), columns: [
      {label: 'Subject', head: true, sort: (s) => s, cell: (s) => h('a', {href: link(['schemas', s])},
        h('bdi', {}, s))},
      {label: 'Type', minor: true, cell: (s) => (latest(s) ? TYPES[typeOf(latest(s))] : '…')},
      {label: 'Latest version', number: true, cell: (s) => latest(s)?.version ?? '…'},
      {label: 'Id', number: true, minor: true, cell: (s) => latest(s)?.id ?? '…'}]});

  function show(how) {
    const found = names.filter((s) => s.toLowerCase().includes(filter.value.toLowerCase()));
    count.textContent = plural(found.length, 'subject');
    list.update(found, how);
  }

  /** Reads of those that are shown what is not known yet. */
  async function look(rows) {
    const wanted = rows.filter((s) => !known.has(s)).slice(0, AT_ONCE);
    if (wanted.length === 0) return;
    for (const name of wanted) known.set(name, null);
    await Promise.all(wanted.map(async (name) => {
      try {
        known.set(name, await api(registry`/subjects/${name}/versions/latest`, {signal: context.signal}));
      } catch {
        // Deleted meanwhile, or the page has ended.
      }
    }));
    if (!context.signal.aborted) show();
  }

  async function load() {
    names = await api('/subjects', {signal: context.signal});
    show();
  }

  await load();
  context.every(5000, load);
  return [heading('Schemas', count, h('div', {class: 'actions'},
    button('Register', () => register(null, null), {kind: 'primary', pic: 'plus'}),
    button('Compatibility…', () => editLevel(null, level)))),
  h('p', {}, 'Asked of new schemas: ', badge(level, 'accent'), ' ',
    mode === 'READWRITE' ? null : badge(`mode ${mode}`, 'warn')),
  h('div', {class: 'toolbar'}, filter), list.node];
}
