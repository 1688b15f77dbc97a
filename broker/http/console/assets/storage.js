// The disk: segments, stable storage, the cleaner, the scrubber; and all figures with their meaning.
import {sparkline} from './chart.js';
import {h, put} from './dom.js';
import {ago, bytes, duration, number, percent, plural, time} from './format.js';
import {heading} from './router.js';
import {PLACES, all, onSample, rates, value, values} from './sampler.js';
import {table} from './table.js';
import {facts, input, meter, notice, section, tile} from './ui.js';

const v = (name) => value(`store.${name}`);
const lastRate = (name) => rates(`store.${name}`).at(-1) ?? 0;

function lineTile(label) {
  const line = sparkline(`${label}, last three minutes`);
  return {...tile(label, line.node), line};
}

function diskFacts() {
  return facts([
    ['Segments', `${plural(v('segments'), 'file')}, ${bytes(v('segment_bytes'))}`],
    ['Free', bytes(v('free_bytes'))],
    v('snapshots') > 0 ? ['Held for backups', plural(v('snapshots'), 'snapshot')] : null,
    ['Write amplification', v('appended_bytes') > 0 ?
      (v('written_bytes') / v('appended_bytes')).toFixed(2) : '–'],
    ['Served from memory', percent(v('fetched_cached_bytes'), v('fetched_bytes'))],
    ['Group size', v('syncs') > 0 ? `${(v('commits') / v('syncs')).toFixed(1)} commits a sync` : '–']]);
}

function cleanerFacts() {
  const passed = v('scrub_pass_ended');
  return facts([
    ['Still to be cleaned', bytes(v('cleaner_debt_bytes'))],
    ['Rate of the last round', `${bytes(v('cleaner_rate'))}/s`],
    ['Read by the cleaner', bytes(v('cleaner_read_bytes'))],
    ['Written by it', bytes(v('cleaner_written_bytes'))],
    ['Removed by compaction', bytes(v('compacted_bytes'))],
    ['Scrubbed', `${bytes(v('scrubbed_bytes'))}, ${plural(v('scrub_passes'), 'pass', 'passes')}`],
    ['Last whole pass', passed > 0 ? h('time', {title: time(passed)}, ago(passed)) : 'none yet'],
    ['Damages found', number(v('scrub_damages'))]]);
}

/** What somebody has to look at. */
function warnings() {
  return [
    v('low_space') > 0 ? 'The disk is almost full: records are not taken. Free space, or let retention ' +
      'remove more; reading goes on.' : null,
    v('scrub_damages') > 0 ? `The scrubber found ${plural(v('scrub_damages'), 'damaged place')}; the log ` +
      'names each. runnel repair puts them aside.' : null,
    v('lost_ranges') > 0 ? `A repair took out ${number(v('lost_offsets'))} offsets in ` +
      `${number(v('lost_ranges'))} ranges.` : null,
  ].filter(Boolean).map((text) => notice('error', text));
}

function amount(figure) {
  if (figure.unit === 'bytes') return bytes(figure.value);
  if (figure.unit === 'bytes/s') return `${bytes(figure.value)}/s`;
  if (figure.unit === 'microseconds') return duration(figure.value / 1000);
  return number(figure.value);
}

function figureTable(context) {
  const filter = input({type: 'search', placeholder: 'Filter figures', 'data-filter': true,
    'aria-label': 'Filter figures', oninput: () => update()});
  const list = table({label: 'All figures', columns: [
    {label: 'Figure', head: true, sort: (s) => s.name, cell: (s) => h('div', {class: 'config'},
      h('code', {}, s.name), h('p', {class: 'hint'}, s.text))},
    {label: 'Value', number: true, sort: (s) => s.value, cell: amount},
    {label: 'Unit', minor: true, cell: (s) => s.unit}]});
  function update() {
    const wanted = filter.value.toLowerCase();
    list.update(all().filter((s) => `${s.name} ${s.text}`.toLowerCase().includes(wanted)));
  }
  onSample(context, update);
  return [h('div', {class: 'toolbar'}, filter), list.node];
}

export async function storage(context) {
  const trouble = h('div');
  const disk = meter('Disk used by segments, of what there is');
  const space = tile('Segments on disk', disk.node);
  const sync = lineTile('To stable storage, p99');
  const written = lineTile('Written');
  const cleaned = lineTile('Read and written by the cleaner');
  const diskPlace = h('div');
  const cleanerPlace = h('div');
  onSample(context, () => {
    put(trouble, warnings());
    space.set(bytes(v('segment_bytes')), `${bytes(v('free_bytes'))} free`);
    disk.set(v('segment_bytes') / (v('segment_bytes') + v('free_bytes')), v('low_space') ? 'bad' : '');
    sync.set(duration(v('sync_p99_micros') / 1000), `median ${duration(v('sync_p50_micros') / 1000)} · ` +
      `longest ${duration(v('sync_max_micros') / 1000)}`);
    sync.line.set(values('store.sync_p99_micros'), PLACES);
    written.set(`${bytes(lastRate('written_bytes'))}/s`, `${bytes(v('written_bytes'))} since the start`);
    written.line.set(rates('store.written_bytes'), PLACES);
    const both = lastRate('cleaner_read_bytes') + lastRate('cleaner_written_bytes');
    cleaned.set(`${bytes(both)}/s`, `${bytes(v('cleaner_debt_bytes'))} to do`);
    cleaned.line.set(rates('store.cleaner_read_bytes'), PLACES);
    put(diskPlace, diskFacts());
    put(cleanerPlace, cleanerFacts());
  });
  return [heading('Storage'), trouble,
    h('div', {class: 'tiles'}, [space, sync, written, cleaned].map((one) => one.node)),
    h('div', {class: 'columns'}, section('Log', diskPlace), section('Cleaner and scrubber', cleanerPlace)),
    section('All figures', figureTable(context))];
}
