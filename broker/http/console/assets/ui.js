// What pages are put together from: notices, empty states, buttons, dialogs, tabs, short messages.
import {h, freshId, put} from './dom.js';
import {icon} from './icons.js';

export const STAY = Symbol('stay');

/** kind: 'info', 'warning', 'error', 'good' */
export function notice(kind, ...text) {
  const role = kind === 'error' || kind === 'warning' ? 'alert' : null;
  return h('div', {class: `notice ${kind}`, role},
    kind === 'error' || kind === 'warning' ? icon('warning') : null, h('div', {}, text));
}

/** Tells what would be here and how it comes here. */
export function empty(title, text, ...more) {
  return h('div', {class: 'empty'}, h('h2', {}, title), h('p', {}, text), more);
}

/** Lines to copy into a terminal. */
export function commands(text, label = 'Commands') {
  return h('div', {class: 'commands', role: 'group', tabindex: '0', 'aria-label': label},
    h('pre', {}, text), copyButton(() => text, 'Copy'));
}

export function button(label, onclick, {kind = '', pic = null, ...more} = {}) {
  return h('button', {type: 'button', class: `button ${kind}`, onclick, ...more},
    pic ? icon(pic, 16) : null, h('span', {}, label));
}

export function linkButton(label, href, {kind = ''} = {}) {
  return h('a', {class: `button ${kind}`, href}, label);
}

export function copyButton(text, label = 'Copy') {
  return button(label, async () => {
    try {
      await navigator.clipboard.writeText(text());
      toast('Copied.');
    } catch {
      toast('The browser does not let pages copy here.', 'error');
    }
  }, {kind: 'small', pic: 'copy'});
}

/** A message that goes away by itself; read out. */
export function toast(text, kind = 'good') {
  const shown = h('div', {class: `toast ${kind}`}, text);
  document.getElementById('toasts').append(shown);
  setTimeout(() => shown.remove(), 6000);
}

export function badge(text, kind = '') {
  return h('span', {class: `badge ${kind}`}, text);
}

export function select(options, chosen, onchange, props = {}) {
  const out = h('select', {onchange: () => onchange?.(out.value), ...props},
    options.map(([value, label]) => h('option', {value, selected: String(value) === String(chosen)},
      label)));
  return out;
}

export function input(props = {}) {
  return h('input', {type: 'text', autocomplete: 'off', spellcheck: 'false', ...props});
}

/**
 * A form in a modal dialog. `send` returns when it is done (STAY: the form stays open), or throws what
 * is shown in the form.
 */
export function dialog(title, content, {action = 'Save', kind = 'primary', send}) {
  const problem = h('div', {'aria-live': 'assertive'});
  const submit = h('button', {type: 'submit', class: `button ${kind}`}, action);
  const id = freshId('dialog');
  const close = () => {
    shown.close();
    shown.remove();
  };
  const form = h('form', {method: 'dialog', novalidate: true, onsubmit: async (event) => {
    event.preventDefault();
    submit.disabled = true;
    put(problem);
    try {
      if (await send() !== STAY) close();
    } catch (error) {
      put(problem, notice('error', error.message));
    }
    submit.disabled = false;
  }}, h('h2', {id}, title), content, problem,
  h('div', {class: 'actions'}, button('Cancel', close), submit));
  const shown = h('dialog', {'aria-labelledby': id, oncancel: () => shown.remove()}, form);
  document.body.append(shown);
  window.addEventListener('hashchange', close, {once: true});
  shown.showModal();
  return shown;
}

/** Links to the parts of a page. `items`: [label, address, is current]. */
export function tabs(label, items) {
  return h('nav', {class: 'tabs', 'aria-label': label}, items.map(([name, href, is]) =>
    h('a', {href, 'aria-current': is ? 'page' : null}, name)));
}

/** A figure with its name, and what is drawn below it. */
export function tile(label, ...content) {
  const value = h('p', {class: 'tile-value'}, '–');
  const note = h('p', {class: 'tile-note'});
  const node = h('div', {class: 'tile'}, h('p', {class: 'tile-name'}, label), value, note, content);
  return {node, set(text, more = '') {
    value.textContent = text;
    note.textContent = more;
  }};
}

/** How full something is. */
export function meter(label) {
  const bar = h('div', {class: 'meter-bar'});
  const node = h('div', {class: 'meter', role: 'meter', 'aria-label': label, 'aria-valuemin': '0',
    'aria-valuemax': '100', 'aria-valuenow': '0'}, bar);
  return {node, set(part, kind = '') {
    const full = Math.max(0, Math.min(100, 100 * part || 0));
    bar.style.width = `${full}%`;
    bar.className = `meter-bar ${kind}`;
    node.setAttribute('aria-valuenow', full.toFixed(1));
  }};
}

export function section(title, ...content) {
  return h('section', {class: 'section'}, h('h2', {}, title), content);
}

/** Names and values beside each other. */
export function facts(rows) {
  return h('dl', {class: 'facts'}, rows.filter(Boolean).map(([name, ...value]) =>
    h('div', {}, h('dt', {}, name), h('dd', {}, value))));
}
