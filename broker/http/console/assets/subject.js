// One subject: its versions, the schema of each, what is asked of the next one.
import {api} from './api.js';
import {h, put} from './dom.js';
import {visible} from './format.js';
import {pretty} from './json_text.js';
import {compiledText, isCompiled} from './proto_schema.js';
import {registry, typeOf} from './registry.js';
import {go, heading, link, reload} from './router.js';
import {TYPES, editLevel, register} from './schemas.js';
import {badge, button, copyButton, dialog, notice, select, toast} from './ui.js';

/** As its source may have been; Copy has what is registered. */
function compiled(version, pre) {
  try {
    put(pre, visible(compiledText(version.schema)));
  } catch {
    return put(pre, visible(version.schema));
  }
  return [h('p', {class: 'hint'}, 'It was registered as a compiled file, in base64; this is what it defines. ' +
    'Copy has it as it was registered.'), pre];
}

function schemaText(version) {
  const label = `Schema of version ${version.version}`;
  const pre = h('pre', {class: 'code-block', tabindex: '0', role: 'group', 'aria-label': label});
  if (typeOf(version) === 'PROTOBUF' && isCompiled(version.schema)) return compiled(version, pre);
  try {
    JSON.parse(version.schema);
    return put(pre, pretty(version.schema).map(([kind, part]) =>
      (kind === 'sign' ? part : h('span', {class: `json-${kind}`}, visible(part)))));
  } catch {
    return put(pre, visible(version.schema));  // Protobuf
  }
}

function references(version) {
  return version.references.map((r, i) => [i > 0 ? ', ' : '', h('a', {
    href: link(['schemas', r.subject], {version: r.version})}, `${r.subject} ${r.version}`)]);
}

function removeVersion(subject, version, all) {
  const last = all.length === 1;
  dialog(last ? 'Delete the subject?' : `Delete version ${version.version}?`, [
    h('p', {}, h('bdi', {}, subject)),
    notice('warning', 'Records that were written with it keep their id, and whoever reads them can still ' +
      'ask for the schema by it. New records can’t be written with it by this subject.')],
  {action: 'Delete', kind: 'danger', send: async () => {
    await api(registry`/subjects/${subject}/versions/${version.version}`, {method: 'DELETE'});
    toast('It is deleted.');
    if (last) go(link(['schemas']));
    else go(link(['schemas', subject]));
    if (!last) reload();
  }});
}

/** What is asked of the subject's new schemas; `own`: by itself. */
async function levelOf(subject, signal) {
  try {
    return {level: (await api(registry`/config/${subject}`, {signal})).compatibilityLevel, own: true};
  } catch (error) {
    if (error.status !== 404) throw error;
    return {level: (await api('/config', {signal})).compatibilityLevel, own: false};
  }
}

/** TOPIC-value and TOPIC-key are the names that serializers give to a topic's schemas. */
function topicOf(subject) {
  return /^(.+)-(key|value)$/.exec(subject)?.[1];
}

export async function subject(context) {
  const name = context.params.subject;
  const versions = await api(registry`/subjects/${name}/versions`, {signal: context.signal});
  const asked = Number(context.query.get('version'));
  const chosen = versions.includes(asked) ? asked : versions.at(-1);
  const about = h('span', {class: 'quiet grow'});
  const shown = h('div');
  const {level, own} = await levelOf(name, context.signal);
  let version = null;

  async function show(number) {
    version = await api(registry`/subjects/${name}/versions/${number}`, {signal: context.signal});
    const topic = topicOf(name);
    put(about, badge(TYPES[typeOf(version)] ?? typeOf(version)), ` id ${version.id}`,
      topic ? [' · topic ', h('a', {href: link(['topics', topic])}, topic)] : null,
      version.references?.length ? [' · refers to ', references(version)] : null);
    put(shown, schemaText(version));
  }

  await show(chosen);
  const choice = select(versions.map((v) => [v, `Version ${v}`]).reverse(), chosen, (value) => {
    context.remember({version: value});
    show(Number(value));
  }, {'aria-label': 'Version'});
  return [
    h('nav', {class: 'crumbs', 'aria-label': 'Way back'}, h('a', {href: link(['schemas'])}, 'Schemas')),
    heading(name, badge(level, 'accent'),
      h('span', {class: 'quiet'}, own ? 'is asked of this subject' : 'is asked of all subjects'),
      h('div', {class: 'actions'},
        button('New version', () => register(name, version), {kind: 'primary', pic: 'plus'}),
        button('Compatibility…', () => editLevel(name, own ? level : null)))),
    h('div', {class: 'toolbar'}, choice, about, copyButton(() => version.schema, 'Copy schema'),
      button('Delete version', () => removeVersion(name, version, versions), {kind: 'small'})), shown];
}
