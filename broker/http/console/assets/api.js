// The broker's JSON API. Errors are its problem documents.

/** What the broker said, or that it said nothing (status 0). */
export class ApiError extends Error {
  constructor(problem) {
    super(problem.detail || problem.title);
    this.status = problem.status;
    this.type = (problem.type || '').replace('urn:runnel:problem:', '');
    this.title = problem.title;
    this.line = problem.line;  // of SQL
    this.column = problem.column;
  }
}

/** Tells 'down' and 'up'. */
export const connection = new EventTarget();
let down = false;

function noteDown() {
  if (down) return;
  down = true;
  connection.dispatchEvent(new Event('down'));
  knock(500);
}

function noteUp() {
  if (!down) return;
  down = false;
  connection.dispatchEvent(new Event('up'));
}

/** Asks again and again, ever more slowly, until the broker answers. */
function knock(wait) {
  setTimeout(async () => {
    try {
      await fetch('/livez', {cache: 'no-store'});
      noteUp();
    } catch {
      knock(Math.min(wait * 1.5, 4000));
    }
  }, wait);
}

async function problemOf(response) {
  const text = await response.text();
  try {
    const problem = JSON.parse(text);
    if (problem.title) return problem;
    // The schema registry's paths answer as others' do.
    if (problem.message) return {status: response.status, detail: problem.message, type: 'registry'};
  } catch {
    // No problem document: something between us and the broker has answered.
  }
  return {status: response.status, title: response.statusText,
    detail: text.slice(0, 300) || `The answer was ${response.status} ${response.statusText}.`};
}

/** The response. `options` as fetch has them. Throws ApiError, or AbortError. */
export async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(path, {cache: 'no-store', ...options});
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    noteDown();
    throw new ApiError({status: 0, title: 'no answer',
      detail: 'The broker does not answer. It may be down, or starting.'});
  }
  noteUp();
  if (!response.ok) throw new ApiError(await problemOf(response));
  return response;
}

/** The answer's JSON. `body`: a value, or text that is JSON already. */
export async function api(path, {method = 'GET', body, headers, signal} = {}) {
  const options = {method, signal, headers: {Accept: 'application/json', ...headers}};
  if (body !== undefined) {
    options.body = typeof body === 'string' ? body : JSON.stringify(body);
    options.headers['Content-Type'] ??= 'application/json';
  }
  const response = await request(path, options);
  return response.status === 204 ? null : response.json();
}

/** path`/topics/${name}` with what is put in made safe. */
export function path(strings, ...values) {
  return '/api/v1' + String.raw({raw: strings}, ...values.map(encodeURIComponent));
}

/** "?a=1&b=2" of what is neither null nor empty; arrays repeat. */
export function query(values) {
  const out = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined && one !== '') out.append(name, one);
    }
  }
  return out.size > 0 ? `?${out}` : '';
}

/** All pages of a list, given piece by piece to `take`; the last call has `done` true. */
export async function pages(base, member, take, signal, limit = 2000) {
  let after = '';
  for (;;) {
    const page = await api(base + query({after, limit}), {signal});
    take(page[member], page.next === null);
    if (page.next === null) return;
    after = page.next;
  }
}

/** A name for a request, so that sending it again does nothing twice. */
export function requestKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)),
    (b) => b.toString(16).padStart(2, '0')).join('');
}
