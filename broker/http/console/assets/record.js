// How a record is shown: one row, and opened: decoded, as text, as bytes.
import {decode, frameOf, glimpse} from './decode.js';
import {h, put} from './dom.js';
import {icon} from './icons.js';
import {bytes, fromBase64, hexDump, number, oneLine, time, visible} from './format.js';
import {pretty} from './json_text.js';
import {link} from './router.js';
import {badge, button, copyButton, facts, notice} from './ui.js';

/** What is shown of a large value until one asks for all of it. */
const MOST_COLOURED = 64 << 10;
const MOST_SHOWN = 256 << 10;
const MOST_HEX = 4 << 10;
/** A value that is decoded before one opens it. */
const MOST_PREVIEWED = 16 << 10;

function bytesOf(record) {
  if (record.kind === 'none') return new Uint8Array();
  return record.kind === 'base64' ? fromBase64(record.value) : new TextEncoder().encode(record.value);
}

function keyText(record) {
  if (record.key === null) return h('span', {class: 'quiet'}, 'null');
  if (record.keyIsBase64) return [badge('bytes'), h('code', {}, oneLine(record.key, 60))];
  return h('bdi', {}, oneLine(record.key, 120) || '""');
}

/** Of a value that was written with a schema; else null. */
function framed(record) {
  const begins = record.kind === 'text' ? '\u0000' : record.kind === 'base64' ? 'AA' : null;
  return begins !== null && record.value.startsWith(begins) ? frameOf(bytesOf(record)) : null;
}

/** The bytes as text until they are decoded, and where they can't be. */
function framedPreview(frame) {
  const shown = h('bdi', {}, oneLine(new TextDecoder().decode(frame.payload.subarray(0, 240))));
  if (frame.payload.length <= MOST_PREVIEWED) {
    glimpse(frame).then((text) => text !== null && put(shown, oneLine(text)));
  }
  return shown;
}

function preview(record) {
  const frame = framed(record);
  if (frame) return [badge(`schema ${frame.id}`, 'accent minor'), framedPreview(frame)];
  if (record.kind === 'none') return h('span', {class: 'quiet'}, 'no value (deletes the key)');
  if (record.kind !== 'base64') return h('bdi', {}, oneLine(record.value));
  return [badge('bytes'), h('code', {}, oneLine(record.value, 120))];
}

function coloured(text) {
  if (text.length > MOST_COLOURED) return [];
  return pretty(text).map(([kind, part]) =>
    (kind === 'sign' ? part : h('span', {class: `json-${kind}`}, visible(part))));
}

/** A long text, cut until one asks for the rest. */
function textBlock(text, label, content = null) {
  const pre = h('pre', {class: 'code-block', tabindex: '0', role: 'group', 'aria-label': label});
  if (content?.length > 0) return put(pre, content);
  if (text.length <= MOST_SHOWN) return put(pre, visible(text));
  const all = h('div', {class: 'cut'}, `${bytes(MOST_SHOWN)} of about ${bytes(text.length)} are shown. `,
    button('Show all', () => {
      put(pre, visible(text));
      all.remove();
    }, {kind: 'small'}));
  return [put(pre, visible(text.slice(0, MOST_SHOWN))), all];
}

function hexBlock(record) {
  const data = bytesOf(record);
  const pre = h('pre', {class: 'code-block', tabindex: '0', role: 'group', 'aria-label': 'Bytes'},
    hexDump(data.subarray(0, MOST_HEX)));
  if (data.length <= MOST_HEX) return pre;
  return [pre, h('p', {class: 'hint'}, `The first ${bytes(MOST_HEX)} of ${bytes(data.length)}.`)];
}

/** Filled when the schema is there; `told` gets the text. */
function schemaBlock(frame, told) {
  const place = h('div', {}, h('p', {class: 'quiet'}, `Asking for the schema ${frame.id}…`));
  decode(frame).then(({type, text, message}) => {
    if (place.isConnected) told(text);
    put(place, text === null ?
      notice('info', `It was written with the schema ${frame.id} of type ${type}, which is not decoded ` +
        'here. Hex has the bytes.') : [
        message ? h('p', {class: 'hint'}, 'Message ', h('code', {}, visible(message))) : null,
        textBlock(text, 'Value by its schema', coloured(text))]);
  },
  (error) => put(place, notice('warning', `It can’t be read by the schema ${frame.id}: ${error.message}`)));
  return place;
}

/** Names and what makes them; `told` gets a text that another form has than is stored. */
function forms(record, told) {
  const frame = framed(record);
  const out = frame ? [['Schema', () => schemaBlock(frame, told)]] : [];
  if (record.kind === 'json') {
    out.push(['JSON', () => textBlock(record.value, 'Value as JSON', coloured(record.value))]);
  }
  if (record.kind === 'json' || record.kind === 'text') {
    out.push(['Text', () => textBlock(record.value, 'Value as text')]);
  }
  if (record.kind === 'base64') {
    out.push(['Text', () => textBlock(new TextDecoder().decode(bytesOf(record)), 'Value as text')]);
  }
  out.push(['Hex', () => hexBlock(record)]);
  // Bytes first, unless somebody knows what they mean.
  return record.kind === 'base64' && !frame ? out.reverse() : out;
}

function headerValue(header) {
  if (header.base64 !== undefined) return [badge('bytes'), h('code', {}, header.base64)];
  if (header.value === null) return h('span', {class: 'quiet'}, 'null');
  return h('bdi', {}, visible(header.value));
}

function headerTable(headers) {
  if (headers.length === 0) return null;
  return h('table', {class: 'headers'}, h('caption', {}, 'Headers'), h('tbody', {}, headers.map((one) =>
    h('tr', {}, h('th', {scope: 'row'}, h('bdi', {}, visible(one.name))), h('td', {}, headerValue(one))))));
}

function details(topic, record) {
  const shown = h('div');
  let decoded = null;  // while that is what is shown
  const choices = forms(record, (text) => { decoded = text; });
  const buttons = choices.map(([name, make], i) => h('button', {type: 'button', class: 'choice',
    'aria-pressed': 'false', onclick: () => choose(i)}, name));
  function choose(which) {
    buttons.forEach((one, i) => one.setAttribute('aria-pressed', String(i === which)));
    decoded = null;
    put(shown, choices[which][1]());
  }
  const size = bytesOf(record).length;
  const here = link(['topics', topic, 'messages'],
    {at: 'offset', place: record.offset, partition: record.partition});
  const value = record.kind === 'none' ? h('p', {class: 'quiet'}, 'The record has no value.') :
    [h('div', {class: 'toolbar'}, h('div', {class: 'choices', role: 'group', 'aria-label': 'Show as'},
      buttons), copyButton(() => decoded ?? record.value, 'Copy value')), shown];
  if (record.kind !== 'none') choose(0);
  return h('div', {class: 'record'}, facts([
    ['Key', record.key === null ? keyText(record) :
      h('bdi', {class: 'long'}, visible(oneLine(record.key, 2000)))],
    ['Time', `${time(record.timestamp)}`], ['Place', h('a', {href: here},
      `partition ${record.partition}, offset ${number(record.offset)}`)],
    ['Value', record.kind === 'none' ? 'none' : `${bytes(size)}, ${
      {json: 'JSON', text: 'text', base64: 'bytes'}[record.kind]}`]]), value, headerTable(record.headers));
}

/** The body of a table of records; new ones come at its top or its end. */
export class RecordList {
  constructor(topic) {
    this.topic = topic;
    this.body = h('tbody');
    const heads = [['', ''], ['Time', 'minor'], ['Part.', 'number minor'], ['Offset', 'number'],
      ['Key', ''], ['Value', 'wide']];
    this.node = h('div', {class: 'table-frame', role: 'region', tabindex: '0', 'aria-label': 'Records'},
      h('table', {class: 'records'}, h('caption', {class: 'unseen'}, 'Records'), h('thead', {},
        h('tr', {}, heads.map(([label, kind]) => h(label ? 'th' : 'td', {class: kind,
          scope: label ? 'col' : null, title: label === 'Part.' ? 'Partition' : null}, label)))),
      this.body));
  }

  rowOf(record) {
    let opened = null;
    const toggle = h('button', {type: 'button', class: 'toggle', 'aria-expanded': 'false',
      'aria-label': `Record at partition ${record.partition}, offset ${record.offset}`,
      onclick: (event) => {
        event.stopPropagation();
        turn();
      }}, icon('right', 14));
    const row = h('tr', {class: 'record-row', onclick: () => {
      if (String(getSelection()) === '') turn();
    }}, h('td', {}, toggle), h('td', {class: 'minor time'}, time(record.timestamp)),
    h('td', {class: 'number minor'}, record.partition),
    h('td', {class: 'number'}, number(record.offset)), h('td', {class: 'key'}, keyText(record)),
    h('td', {class: 'wide value'}, preview(record)));
    const turn = () => {
      if (opened) opened.remove();
      else row.after(h('tr', {class: 'opened'}, h('td', {
        // Columns that a narrow screen leaves out do not count.
        colspan: Array.from(row.cells).filter((cell) => cell.offsetParent !== null).length,
      }, details(this.topic, record))));
      opened = opened ? null : row.nextSibling;
      toggle.setAttribute('aria-expanded', String(opened !== null));
    };
    row.openRecord = turn;
    return row;
  }

  set(records) {
    put(this.body, records.map((record) => this.rowOf(record)));
  }

  append(records) {
    this.body.append(...records.map((record) => this.rowOf(record)));
  }

  /** The last one of `records` comes to the top. At most `most` rows stay. */
  prepend(records, most) {
    this.body.prepend(...records.map((record) => this.rowOf(record)).reverse());
    while (this.body.rows.length > most) this.body.lastChild.remove();
  }

  openFirst() {
    this.body.firstChild?.openRecord?.();
  }
}
