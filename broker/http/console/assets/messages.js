// A topic's records: from the newest, the oldest, an offset, a time, or live; filtered by the broker.
import {api, path} from './api.js';
import {field, h, put} from './dom.js';
import {number, plural} from './format.js';
import {Backwards, Forwards, PAGE_RECORDS, conditionsOf, newestFirst} from './reader.js';
import {RecordList} from './record.js';
import {produce} from './produce.js';
import {tail} from './tail.js';
import {button, commands, empty, input, notice, select} from './ui.js';

/** The broker reads as many partitions at once. */
const MOST_PARTITIONS = 64;

const PLACES = [['newest', 'Newest'], ['oldest', 'Oldest'], ['offset', 'From offset'],
  ['time', 'From time'], ['live', 'Live']];

/** What is typed into the box of a time: 2h, 2026-11-22 05:00, or what the API takes. */
function timePlace(text) {
  const typed = text.trim();
  if (/^\d+\s*(ms|s|m|h|d|w)$/.test(typed)) return `-${typed.replace(/\s/g, '')}`;
  const local = new Date(typed.replace(' ', 'T'));
  if (/^\d{4}-/.test(typed) && !Number.isNaN(local.getTime())) return `@${local.getTime()}`;
  return typed;
}

class Browser {
  constructor(context, info, results) {
    Object.assign(this, {context, info, results});
    this.stopper = null;
  }

  /** Reads and shows; `wish`: {at, place, partition, filter}. */
  async show(wish) {
    this.stopper?.abort();
    this.stopper = new AbortController();
    const signal = AbortSignal.any([this.stopper.signal, this.context.signal]);
    const filter = conditionsOf(wish.filter);
    if (wish.at === 'live') {
      const context = {signal};
      put(this.results, tail(context, this.info.name, {partition: wish.partition, filter}));
      return;
    }
    // The end may have moved since the page was opened.
    if (wish.at === 'newest') Object.assign(this.info, await api(path`/topics/${this.info.name}`, {signal}));
    await new Listing(this, this.readerOf(wish, filter), wish, signal).more();
  }

  /** A reader of what is wished for. */
  readerOf({at, place, partition}, filter) {
    const topic = this.info.name;
    if (at === 'newest') {
      const partitions = this.info.partitions.filter((p) => partition === '' ||
        p.partition === Number(partition));
      return new Backwards(topic, {partitions, filter});
    }
    const from = at === 'offset' ? place || '0' : at === 'time' ? timePlace(place || '1h') : 'start';
    return new Forwards(topic, {from, partition, filter});
  }
}

/** What one reader has found, growing by a page at a time. */
class Listing {
  constructor(browser, reader, wish, signal) {
    Object.assign(this, {browser, reader, wish, signal});
    this.records = [];
    this.list = new RecordList(browser.info.name);
    this.list.node.hidden = true;
    this.foot = h('div', {class: 'pager', role: 'status'});
    this.problem = h('div');
    put(browser.results, this.problem, this.list.node, this.foot);
  }

  async more() {
    const wanted = this.records.length + PAGE_RECORDS;
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, this.signal]);
    const drawLater = setTimeout(() => put(this.foot, h('span', {}, 'Searching…'),
      button('Stop', () => stop.abort(), {kind: 'small'})), 300);
    try {
      while (this.records.length < wanted && !(this.reader.done && this.begun)) {
        this.begun = true;
        this.take(await this.reader.step(signal));
      }
    } catch (error) {
      if (this.signal.aborted) return;
      if (error.name !== 'AbortError') put(this.problem, notice('error', error.message));
    } finally {
      clearTimeout(drawLater);
    }
    this.finish();
  }

  take(records) {
    const first = this.records.length === 0;
    const newest = this.wish.at === 'newest';
    if (newest) records.sort(newestFirst);
    // Partitions may have grown at different times: then rows come between those that are there.
    const behind = first || !newest || records.length === 0 ||
      newestFirst(this.records.at(-1), records[0]) <= 0;
    this.records.push(...records);
    if (behind) this.list.append(records);
    else this.list.set(this.records.sort(newestFirst));
    this.list.node.hidden = this.records.length === 0;
    if (first && this.wish.at === 'offset' && records.length > 0) this.list.openFirst();
  }

  finish() {
    const {done, unreadable} = this.reader;
    const words = [plural(this.records.length, 'record')];
    if (done) words.push(this.wish.at === 'newest' ? 'from the oldest on' : 'up to the newest');
    if (unreadable > 0) words.push(`${number(unreadable)} could not be judged by the filter`);
    put(this.foot, done ? null : button(this.wish.at === 'newest' ? 'Older' : 'More',
      () => this.more(), {kind: 'small'}), h('span', {}, words.join(' · ')));
    if (this.records.length > 0 || !done || this.problem.hasChildNodes()) return;
    put(this.foot);
    this.nothing();
  }

  nothing() {
    const {info} = this.browser;
    if (this.wish.filter) {
      put(this.problem, empty('No record is like that', 'The whole range was searched. Conditions are ' +
        'key=…, value~…, header.NAME=… and .path>=…, joined by &&; other text is looked for in values.'));
    } else {
      put(this.problem, empty('No records here', 'Append one, or follow the topic live while something ' +
        'else does.', h('div', {class: 'actions'}, button('Append a record', () => produce(info),
        {kind: 'primary', pic: 'plus'})), commands(`echo 'hello' | runnel produce ${info.name}`)));
    }
  }
}

function partitionChoice(info, chosen) {
  const all = info.partitions.length <= MOST_PARTITIONS ? [['', 'All partitions']] : [];
  return select([...all, ...info.partitions.map((p) => [p.partition, `Partition ${p.partition}`])],
    chosen);
}

export async function messages(context, info) {
  const asked = context.query;
  const results = h('div', {class: 'results'});
  const browser = new Browser(context, info, results);
  const at = select(PLACES, asked.get('at') ?? 'newest', () => {
    draw();
    if (!placeField.hidden) place.focus();
    else send();
  });
  const place = input({value: asked.get('place') ?? ''});
  const placeField = field('Place', place);
  const partition = partitionChoice(info, asked.get('partition') ?? '');
  partition.addEventListener('change', () => send());
  const filter = input({type: 'search', value: asked.get('filter') ?? '', 'data-filter': true,
    placeholder: 'key=ann && .amount>=10'});

  function draw() {
    placeField.hidden = at.value !== 'offset' && at.value !== 'time';
    place.placeholder = at.value === 'offset' ? '0' : '2h, or 2026-11-22 05:00';
    placeField.querySelector('label').textContent = at.value === 'offset' ? 'Offset' : 'Time';
  }

  function send() {
    const wish = {at: at.value, place: placeField.hidden ? '' : place.value.trim(),
      partition: partition.value, filter: filter.value.trim()};
    context.remember(wish);
    browser.show(wish).catch((error) => {
      if (error.name !== 'AbortError') put(results, notice('error', error.message));
    });
  }

  draw();
  const form = h('form', {class: 'toolbar search', role: 'search', 'aria-label': 'Records',
    onsubmit: (event) => {
      event.preventDefault();
      send();
    }}, field('Show', at), placeField, field('Partition', partition),
  h('div', {class: 'grow'}, field('Filter', filter)),
  h('button', {type: 'submit', class: 'button'}, 'Show'));
  document.addEventListener('appended', () => {
    if (at.value === 'newest') send();
  }, {signal: context.signal});
  send();
  return [form, results];
}
