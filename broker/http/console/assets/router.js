// Pages by the part of the address behind '#'. (Paths of their own are taken: the broker serves other
// protocols' paths there.) One page is shown at a time; what it started ends with it.
import {freshId, h, put} from './dom.js';
import {ApiError, connection} from './api.js';
import {notice} from './ui.js';

const routes = [];
let current = null;

/** `pattern`: '/topics/:topic'; `page`: context => node, or a promise of one. */
export function route(pattern, page) {
  routes.push({parts: pattern.split('/').slice(1), page});
}

/** '#/topics/a%2Fb?partition=1' */
export function link(parts, values = {}) {
  const shown = Object.entries(values).filter(([, v]) => v !== '' && v !== null && v !== undefined);
  const search = new URLSearchParams(shown).toString();
  return `#/${parts.map(encodeURIComponent).join('/')}${search ? `?${search}` : ''}`;
}

function parse() {
  const [path, search] = location.hash.replace(/^#\/?/, '').split('?');
  let parts;
  try {
    parts = path.split('/').map(decodeURIComponent);
  } catch {
    parts = ['not-a-page'];
  }
  return {parts, query: new URLSearchParams(search ?? '')};
}

function find(parts) {
  for (const {parts: pattern, page} of routes) {
    if (pattern.length !== parts.length) continue;
    const params = {};
    const fits = pattern.every((part, i) => {
      if (!part.startsWith(':')) return part === parts[i];
      params[part.slice(1)] = parts[i];
      return parts[i] !== '';
    });
    if (fits) return {page, params};
  }
  return null;
}

/** What a page gets. `signal` ends with it. */
class Context {
  constructor(params, query) {
    this.params = params;
    this.query = query;
    this.controller = new AbortController();
    this.signal = this.controller.signal;
  }

  /** Runs `work` now and then every `millis`, while the page is to be seen. */
  every(millis, work) {
    const tick = async () => {
      if (this.signal.aborted) return;
      if (!document.hidden) {
        try {
          await work();
        } catch (error) {
          if (error.name === 'AbortError') return;
          if (!(error instanceof ApiError)) console.error(error);
        }
      }
      if (!this.signal.aborted) setTimeout(tick, millis);
    };
    tick();
  }

  onEnd(work) {
    this.signal.addEventListener('abort', work, {once: true});
  }

  /** Remembers in the address what the page shows. */
  remember(values) {
    const {parts} = parse();
    history.replaceState(null, '', link(parts, values));
    this.query = new URLSearchParams(values);
  }
}

/** A page's heading, which also names the window. */
export function heading(title, ...more) {
  document.title = `${title} · Runnel`;
  return h('div', {class: 'page-head'},
    h('h1', {tabindex: '-1', id: freshId('title')}, h('bdi', {}, title)), ...more);
}

function failed(error) {
  if (error.status === 404 && error.type !== 'unknown_path') {
    return [heading('Not here'), notice('warning', error.message)];
  }
  if (error.status === 404) {
    return [heading('Not offered'),
      notice('warning', 'This broker does not have what the page needs; a newer version may.')];
  }
  return [heading('That did not work'), notice('error', error.message)];
}

async function show(focus) {
  current?.controller.abort();
  const {parts, query} = parse();
  const found = find(parts);
  const main = document.getElementById('main');
  document.dispatchEvent(new CustomEvent('page', {detail: parts[0]}));
  const context = current = new Context(found?.params ?? {}, query);
  let shown;
  try {
    shown = found ? await found.page(context) : [heading('No such page'),
      notice('warning', 'There is nothing at this address. '), h('a', {href: '#/'}, 'Overview')];
  } catch (error) {
    if (error.name === 'AbortError') return;
    if (!(error instanceof ApiError)) console.error(error);
    shown = failed(error);
  }
  if (context !== current) return;
  put(main, shown);
  main.dataset.page = parts[0] || 'overview';
  // Narrow screens have no room for all of them.
  main.querySelector('.tabs [aria-current]')?.scrollIntoView({block: 'nearest', inline: 'center'});
  if (!focus) return;
  main.querySelector('h1')?.focus({preventScroll: true});
  window.scrollTo(0, 0);
}

/** Shows the page anew, as when it was opened. */
export function reload() {
  return show(false);
}

export function go(target) {
  if (location.hash === target) reload();
  else location.hash = target;
}

export function start() {
  window.addEventListener('hashchange', () => {
    // The skip link's target is no page.
    if (location.hash === '#main') {
      history.replaceState(null, '', '#/');
      return;
    }
    show(true);
  });
  connection.addEventListener('up', () => {
    // A page that follows something goes on by itself, and what is typed into one is not to be lost.
    if (!document.querySelector('[data-live]') && !document.querySelector('dialog[open]')) reload();
  });
  show(false);
}
