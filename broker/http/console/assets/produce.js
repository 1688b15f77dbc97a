// The form that appends a record.
import {api, path, query, requestKey} from './api.js';
import {field, h, put} from './dom.js';
import {number} from './format.js';
import {STAY, dialog, input, notice, select} from './ui.js';

const KINDS = [['value', 'JSON'], ['text', 'Text'], ['base64', 'Base64'], ['null', 'No value (delete the key)']];

/** The value's member as it is to be stored: JSON is sent as it was typed, to the last digit. */
function valueMember(kind, text) {
  if (kind === 'null') return '"value":null';
  if (kind !== 'value') return `"${kind}":${JSON.stringify(text)}`;
  try {
    JSON.parse(text);
  } catch (error) {
    throw new Error(`The value is not JSON: ${error.message}. Mend it, or send it as text.`);
  }
  return `"value":${text}`;
}

/** "name: value" a line. */
function headersOf(text) {
  return text.split('\n').filter((line) => line.trim() !== '').map((line) => {
    const colon = line.indexOf(':');
    if (colon <= 0) throw new Error(`“${line}” is no header; write name: value.`);
    return {name: line.slice(0, colon).trim(), value: line.slice(colon + 1).trim()};
  });
}

export function produce(info) {
  const key = input();
  const kind = select(KINDS, 'value', () => { value.disabled = kind.value === 'null'; });
  const value = h('textarea', {rows: '8', spellcheck: 'false', class: 'code'});
  value.value = '{\n  "hello": "world"\n}';
  const headers = h('textarea', {rows: '2', spellcheck: 'false', class: 'code',
    placeholder: 'trace: 7f'});
  const partition = select([['', 'By its key'], ...info.partitions.slice(0, 1000).map((p) =>
    [p.partition, p.partition])], '');
  const result = h('div', {'aria-live': 'polite'});
  // The same record sent again after a lost answer is stored once.
  let attempt = null;
  dialog(`Append to ${info.name}`, [
    h('div', {class: 'field-row'}, field('Key', key, 'Empty: none.'), field('Partition', partition)),
    h('div', {class: 'field-row'}, field('Value is', kind)),
    field('Value', value), field('Headers', headers, 'One a line.'), result,
  ], {action: 'Append', send: async () => {
    const record = [valueMember(kind.value, value.value)];
    if (key.value !== '') record.push(`"key":${JSON.stringify(key.value)}`);
    const list = headersOf(headers.value);
    if (list.length > 0) record.push(`"headers":${JSON.stringify(list)}`);
    const body = `{${record.join(',')}}`;
    const target = path`/topics/${info.name}/records` + query({partition: partition.value});
    if (attempt?.body !== body || attempt.target !== target) attempt = {body, target, key: requestKey()};
    const answer = await api(target, {method: 'POST', body, headers: {'Idempotency-Key': attempt.key}});
    attempt = null;
    const [placed] = answer.records;
    put(result, notice('good', `Stored in partition ${placed.partition} at offset ` +
      `${number(placed.offset)}, ${placed.durability}.`));
    document.dispatchEvent(new CustomEvent('appended'));
    return STAY;  // for the next one
  }});
}
