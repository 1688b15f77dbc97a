// Records as they come: server-sent events that go on where they were when the broker comes back.
import {ApiError, api, path, query} from './api.js';
import {h, put} from './dom.js';
import {number} from './format.js';
import {recordOf} from './reader.js';
import {RecordList} from './record.js';
import {button, notice} from './ui.js';

const MOST_ROWS = 500;
const MOST_HELD = 5000;
const RETRY_MILLIS = 1500;

/** Follows events at `address` until `signal` ends, over lost connections and restarts. */
export class Follower {
  /**
   * `values`: the query of the first connection; `say(state, text)`: live, lost, ended; `resumes`:
   * whether the path takes the last event's id as `cursor`.
   */
  constructor(address, values, {signal, onEvent, say, events = ['message'], resumes = true}) {
    Object.assign(this, {address, values, signal, onEvent, say, events, resumes, last: ''});
    signal.addEventListener('abort', () => this.stop(), {once: true});
    this.open();
  }

  open() {
    if (this.signal.aborted) return;
    const {from, ...others} = this.values;
    const place = this.last && this.resumes ? {cursor: this.last} : {from};
    const source = this.source = new EventSource(this.address + query({...others, ...place}));
    source.onopen = () => this.say('live');
    for (const name of this.events) {
      source.addEventListener(name, (event) => {
        if (event.lastEventId) this.last = event.lastEventId;
        this.onEvent(event);
      });
    }
    source.addEventListener('end', (event) => {
      source.close();
      let why = {};
      try {
        why = JSON.parse(event.data);
      } catch {
        // Told without a reason.
      }
      this.lost(why.retriable === false ? why.detail : null);
    });
    source.onerror = () => {
      source.close();
      this.lost(null);
    };
  }

  stop() {
    this.source?.close();
    clearTimeout(this.timer);
  }

  /** Connects again after a moment, unless the broker says that there is nothing to follow. */
  lost(why) {
    if (this.signal.aborted) return;
    if (why) return this.say('ended', why);
    this.say('lost');
    this.timer = setTimeout(async () => {
      try {
        await api(this.address.replace(/\/events$/, ''), {signal: this.signal});
      } catch (error) {
        if (error.name === 'AbortError') return;
        if (error instanceof ApiError && error.status === 404) return this.say('ended', error.message);
        if (error instanceof ApiError && error.status === 0) return this.lost(null);
      }
      this.open();
    }, RETRY_MILLIS);
  }
}

/** `values`: partition and filter. */
export function tail(context, topic, values) {
  const list = new RecordList(topic);
  const state = h('span', {class: 'live-state', role: 'status'}, 'Connecting…');
  const trouble = h('div');
  const waiting = h('div', {class: 'empty'}, h('h2', {}, 'Waiting for records'),
    h('p', {}, 'What is appended from now on appears here, newest first.'));
  let held = [];
  let skipped = 0;
  let paused = false;
  let seen = 0;
  let frame = 0;

  const pause = button('Pause', () => {
    paused = !paused;
    pause.querySelector('span').textContent = paused ? 'Go on' : 'Pause';
    pause.setAttribute('aria-pressed', String(paused));
    if (paused) tell();
    else draw();
  }, {pic: 'pause', 'aria-pressed': 'false'});

  function tell(what = 'live') {
    const words = {live: paused ? `Paused, ${number(held.length)} more so far` :
      `Live, ${number(seen)} so far`, lost: 'Connection lost. Connecting again…', ended: 'Ended'};
    state.className = `live-state ${paused && what === 'live' ? 'paused' : what}`;
    state.textContent = words[what] + (skipped > 0 ? `, ${number(skipped)} not shown` : '');
  }

  function draw() {
    frame = 0;
    if (paused || held.length === 0) return;
    // A screen takes no more than this; the rest is in the topic.
    skipped += Math.max(0, held.length - MOST_ROWS);
    list.prepend(held.slice(-MOST_ROWS), MOST_ROWS);
    held = [];
    waiting.hidden = true;
    list.node.hidden = false;
    tell();
  }

  list.node.hidden = true;
  new Follower(path`/topics/${topic}/events`, {from: 'end', ...values}, {
    signal: context.signal,
    onEvent: (event) => {
      if (!event.data) return;
      held.push(recordOf(event.data));
      ++seen;
      if (held.length > MOST_HELD) {
        held.shift();
        ++skipped;
      }
      if (paused) tell();
      else frame ||= requestAnimationFrame(draw);
    },
    say: (what, text) => {
      tell(what);
      if (text) put(trouble, notice('warning', text));
    }});
  return h('div', {'data-live': true}, h('div', {class: 'toolbar live-bar'}, pause, state), trouble,
    waiting, list.node);
}
