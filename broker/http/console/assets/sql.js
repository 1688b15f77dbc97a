// Statements on topics and views: an editor, the answers, their plan, and CSV.
import {path, query, request} from './api.js';
import {h, put} from './dom.js';
import {duration, plural} from './format.js';
import {elements, members} from './json_text.js';
import {heading} from './router.js';
import {rowsTable} from './rows.js';
import {notOffered} from './views.js';
import {button, notice, section} from './ui.js';

const MOST_ROWS = 5000;
const EXPLAIN = 'EXPLAIN ';

async function run(sql, signal) {
  const response = await request(path`/sql` + query({max_rows: MOST_ROWS}), {method: 'POST', signal,
    body: JSON.stringify({sql}), headers: {'Content-Type': 'application/json', Accept: 'application/json'}});
  const {answers} = members(await response.text());
  return elements(answers).map((text) => {
    const m = members(text);
    return {tag: JSON.parse(m.tag), columns: JSON.parse(m.columns ?? '[]'),
      rows: elements(m.rows ?? '[]').map(members), notices: JSON.parse(m.notices ?? '[]')};
  });
}

function answerNode(answer) {
  const notes = answer.notices.map((text) => notice('info', text));
  if (answer.columns.length === 0) return [notes, notice('good', answer.tag)];
  const rows = rowsTable(answer.tag, answer.columns);
  rows.update(answer.rows);
  return [notes, rows.node, h('p', {class: 'quiet'}, plural(answer.rows.length, 'row') +
    (answer.rows.length >= MOST_ROWS ? ', and there may be more: the page shows no more than these' : ''))];
}

/** Has the browser save what it was given. */
function save(text, name) {
  const url = URL.createObjectURL(new Blob([text], {type: 'text/csv'}));
  h('a', {href: url, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

export async function sql(context) {
  const editor = h('textarea', {class: 'code', rows: '8', spellcheck: 'false', autocapitalize: 'off',
    'aria-label': 'SQL', 'data-filter': true, 'data-live': true, placeholder: 'SELECT * FROM totals ORDER BY total DESC LIMIT 10'});
  editor.value = context.query.get('sql') ?? '';
  const results = h('div', {class: 'results', 'aria-live': 'polite'});
  let running = null;

  /** Runs `work` with what is in the editor, or its selected part; `prefix` is what it puts before. */
  async function attempt(work, prefix = '') {
    const part = editor.value.slice(editor.selectionStart, editor.selectionEnd);
    const text = (part.trim() === '' ? editor.value : part).trim();
    if (text === '') return editor.focus();
    context.remember({sql: editor.value.length < 2000 ? editor.value : ''});
    running?.abort();
    running = new AbortController();
    const begun = performance.now();
    put(results, h('p', {class: 'quiet'}, 'Running…'));
    try {
      const shown = await work(text, AbortSignal.any([running.signal, context.signal]));
      put(results, shown, h('p', {class: 'hint'}, `Took ${duration(performance.now() - begun)}.`));
    } catch (error) {
      if (error.name === 'AbortError') return;
      put(results, error.type === 'unknown_path' ? notOffered(error, 'SQL')[1] :
        notice('error', error.message));
      if (error.line && part.trim() === '') {
        pointAt(error.line, error.column - (error.line === 1 ? prefix.length : 0));
      }
    }
  }

  /** Puts the cursor where the statement went wrong. Lines and columns count from 1. */
  function pointAt(line, column) {
    const lead = editor.value.length - editor.value.trimStart().length;
    const before = editor.value.trimStart().split('\n').slice(0, line - 1);
    const at = lead + before.reduce((sum, one) => sum + one.length + 1, 0) + column - 1;
    editor.focus();
    editor.setSelectionRange(at, at);
  }

  const runAll = () => attempt(async (text, signal) => (await run(text, signal)).map((answer) =>
    section(answer.tag, answerNode(answer))));
  const explain = () => attempt(async (text, signal) => (await run(EXPLAIN + text, signal)).map((answer) =>
    section('Plan', answerNode(answer))), EXPLAIN);
  const csv = () => attempt(async (text, signal) => {
    const response = await request(path`/sql` + query({format: 'csv', read_only: true}), {method: 'POST',
      signal, body: JSON.stringify({sql: text}), headers: {'Content-Type': 'application/json', Accept: 'text/csv'}});
    save(await response.text(), 'query.csv');
    return notice('good', 'The rows are in query.csv.');
  });
  editor.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    runAll();
  });
  return [heading('SQL'), editor, h('div', {class: 'toolbar'},
    button('Run', runAll, {kind: 'primary', pic: 'play'}), button('Explain', explain),
    button('Download CSV', csv), h('span', {class: 'hint'}, 'Ctrl+Enter runs; a selected part alone.')),
  results];
}
