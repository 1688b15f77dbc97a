// What takes its time, and how far it is.
import {api, path} from './api.js';
import {h, put} from './dom.js';
import {ago, bytes, duration, number, percent, plural, time} from './format.js';
import {heading, link} from './router.js';
import {table} from './table.js';
import {badge, commands, meter, section} from './ui.js';

const STATES = {running: ['Running', 'accent'], open: ['Not finished', 'warn'], idle: ['Nothing to do', ''],
  done: ['Done', 'good'], failed: ['Failed', 'bad']};
const KINDS = {view: 'View', replay: 'Replay', erasure: 'Erasure', cleaner: 'Cleaner', backup: 'Backup'};
const RANK = ['failed', 'running', 'open', 'idle', 'done'];

const amount = (value, unit) => (unit === 'bytes' ? bytes(value) : plural(value, unit.replace(/s$/, '')));

function name(job) {
  if (job.kind === 'view') return h('a', {href: link(['views', job.name])}, h('bdi', {}, job.name));
  if (job.kind === 'replay') {
    return h('a', {href: link(['groups', `runnel-replay.${job.name}`])}, h('bdi', {}, job.name));
  }
  return h('bdi', {}, job.name);
}

/** Rates of what is left, from one look to the next. */
class Speeds {
  constructor() {
    this.before = new Map();
  }

  /** What is done in a second, or null. */
  of(job, now) {
    const key = `${job.kind} ${job.name}`;
    const before = this.before.get(key);
    this.before.set(key, {left: job.left, at: now});
    if (job.left === null || !before || before.left <= job.left) return job.per_second || null;
    return (before.left - job.left) * 1000 / (now - before.at);
  }
}

function progress(job) {
  if (job.state === 'done' || job.state === 'idle') {
    return job.done ? `${amount(job.done, job.unit)} done` : h('span', {class: 'quiet'}, '–');
  }
  const parts = [];
  if (job.kind === 'view' && job.state === 'running' && job.done + job.left > 0) {
    const bar = meter(`${job.name}: how much is done`);
    bar.set(job.done / (job.done + job.left));
    parts.push(h('p', {}, percent(job.done, job.done + job.left)), bar.node);
  }
  const words = [];
  if (job.left !== null) words.push(job.kind === 'backup' ? `${number(job.left)} held` :
    `${amount(job.left, job.unit)} left`);
  if (job.speed && job.left > 0) words.push(`about ${duration(1000 * job.left / job.speed)} more`);
  return [parts, h('p', {class: 'quiet'}, words.join(' · '))];
}

const COLUMNS = [
  {label: 'Job', head: true, sort: (j) => j.name, cell: (j) => [name(j),
    j.problem ? h('p', {class: j.state === 'failed' ? 'bad' : 'hint'}, j.problem) : null]},
  {label: 'Kind', minor: true, sort: (j) => j.kind, cell: (j) => KINDS[j.kind] ?? j.kind},
  {label: 'Topic', minor: true, sort: (j) => j.topic ?? '', cell: (j) => (j.topic ?
    h('a', {href: link(['topics', j.topic])}, j.topic) : '–')},
  {label: 'State', sort: (j) => RANK.indexOf(j.state), cell: (j) => {
    const [label, kind] = STATES[j.state] ?? [j.state, ''];
    return badge(label, kind);
  }},
  {label: 'Progress', sort: (j) => j.left ?? -1, cell: progress},
  {label: 'Got further', number: true, minor: true, sort: (j) => j.changed ?? -1,
    cell: (j) => h('time', {title: time(j.changed ?? j.began)}, ago(j.changed ?? j.began))}];

export async function jobs(context) {
  const speeds = new Speeds();
  const count = h('span', {class: 'quiet', role: 'status'});
  const omitted = h('p', {class: 'quiet'});
  const list = table({label: 'Jobs', sortBy: 3, columns: COLUMNS});

  async function load() {
    const answer = await api(path`/jobs`, {signal: context.signal});
    const now = performance.now();
    for (const job of answer.jobs) job.speed = speeds.of(job, now);
    const busy = answer.jobs.filter((j) => j.state === 'running' || j.state === 'open').length;
    count.textContent = busy === 0 ? 'nothing runs' : `${plural(busy, 'job')} not finished`;
    put(omitted, answer.omitted > 0 ? `${plural(answer.omitted, 'older job')} not shown.` : null);
    list.update(answer.jobs);
  }

  await load();
  context.every(2000, load);
  return [heading('Jobs', count), list.node, omitted,
    section('Begin one', h('p', {class: 'quiet'}, 'Replays, erasures and backups are begun from a ' +
      'terminal. A replay with a name goes on where it was when the same command is given again.'),
    commands('runnel replay orders --from @-48h:-24h --into orders-again --name nightly\n' +
      'runnel erase orders --key ann\nrunnel backup create /var/backups/runnel', 'How to begin jobs'))];
}
