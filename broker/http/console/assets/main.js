// The console: its frame, its pages, and what is told when the broker goes.
import {connection} from './api.js';
import {h, put} from './dom.js';
import {icon} from './icons.js';
import {route, start} from './router.js';
import {startSampling} from './sampler.js';
import {overview} from './overview.js';
import {topics} from './topics.js';
import {topic} from './topic.js';
import {groups} from './groups.js';
import {group} from './group.js';
import {views} from './views.js';
import {view} from './view.js';
import {sql} from './sql.js';
import {schemas} from './schemas.js';
import {subject} from './subject.js';
import {jobs} from './jobs.js';
import {storage} from './storage.js';
import {settings} from './settings.js';

const PAGES = [['', 'Overview', 'overview'], ['topics', 'Topics', 'topics'],
  ['groups', 'Groups', 'groups'], ['views', 'Views', 'views'], ['sql', 'SQL', 'sql'],
  ['schemas', 'Schemas', 'schemas'], ['jobs', 'Jobs', 'jobs'], ['storage', 'Storage', 'storage'],
  ['settings', 'Settings', 'settings']];
const THEMES = [['', 'System theme', 'screen'], ['light', 'Light theme', 'sun'],
  ['dark', 'Dark theme', 'moon']];

function themeSwitch() {
  const root = document.documentElement;
  const out = h('button', {type: 'button', class: 'theme', onclick: () => {
    const now = THEMES.findIndex(([name]) => name === (root.dataset.theme ?? ''));
    const [next] = THEMES[(now + 1) % THEMES.length];
    if (next) root.dataset.theme = next;
    else delete root.dataset.theme;
    try {
      localStorage.setItem('runnel.theme', next);
    } catch {
      // Chosen for this page only, then.
    }
    draw();
  }});
  function draw() {
    const [, label, pic] = THEMES.find(([name]) => name === (root.dataset.theme ?? ''));
    put(out, icon(pic), h('span', {}, label));
  }
  draw();
  return out;
}

function frame() {
  const nav = document.getElementById('nav');
  const menu = document.getElementById('menu');
  const toggle = (open) => {
    nav.classList.toggle('open', open);
    menu.setAttribute('aria-expanded', String(open));
    put(menu, icon(open ? 'close' : 'menu', 22));
  };
  toggle(false);
  menu.addEventListener('click', () => toggle(!nav.classList.contains('open')));
  const links = PAGES.map(([address, name, pic]) =>
    h('a', {href: `#/${address}`, 'data-page': address}, icon(pic), name));
  put(nav, h('div', {class: 'nav-links'}, links), themeSwitch());
  document.addEventListener('page', ({detail}) => {
    toggle(false);
    for (const one of links) {
      if (one.dataset.page === detail) one.setAttribute('aria-current', 'page');
      else one.removeAttribute('aria-current');
    }
  });
  document.querySelector('.skip').addEventListener('click', (event) => {
    event.preventDefault();
    document.getElementById('main').focus();
  });
}

function watchConnection() {
  const banner = document.getElementById('offline');
  connection.addEventListener('down', () => put(banner, icon('warning', 16),
    'The broker does not answer. Trying again…'));
  connection.addEventListener('up', () => put(banner));
}

/** "/" goes to the page's filter, where there is one. */
function watchKeys() {
  document.addEventListener('keydown', (event) => {
    if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey) return;
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName)) return;
    const filter = document.querySelector('main [data-filter]');
    if (!filter) return;
    event.preventDefault();
    filter.focus();
  });
}

route('/', overview);
route('/topics', topics);
route('/topics/:topic', topic);
route('/topics/:topic/:part', topic);
route('/groups', groups);
route('/groups/:group', group);
route('/views', views);
route('/views/:view', view);
route('/sql', sql);
route('/schemas', schemas);
route('/schemas/:subject', subject);
route('/jobs', jobs);
route('/storage', storage);
route('/settings', settings);
frame();
watchConnection();
watchKeys();
startSampling();
start();
