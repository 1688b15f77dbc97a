// JSON as it stands. JSON.parse would round large numbers and drop the zeros of 12.50, so records are
// taken apart without being parsed, and shown as they are stored.

const NUMBER_OR_NAME = /[^\s,\]}]*/y;
const BLANK = /\s*/y;

function skip(pattern, text, at) {
  pattern.lastIndex = at;
  pattern.test(text);
  return pattern.lastIndex;
}

function endOfString(text, at) {
  for (let i = at + 1; i < text.length; ++i) {
    if (text[i] === '\\') ++i;
    else if (text[i] === '"') return i + 1;
  }
  throw new SyntaxError('a string without an end');
}

/** Behind the value that begins at `at`. The text has to be JSON. */
function endOfValue(text, at) {
  if (text[at] === '"') return endOfString(text, at);
  if (text[at] !== '{' && text[at] !== '[') return skip(NUMBER_OR_NAME, text, at);
  let depth = 0;
  for (let i = at; i < text.length; ++i) {
    const sign = text[i];
    if (sign === '"') i = endOfString(text, i) - 1;
    else if (sign === '{' || sign === '[') ++depth;
    else if ((sign === '}' || sign === ']') && --depth === 0) return i + 1;
  }
  throw new SyntaxError('an object or array without an end');
}

/** The members of an object: name to the text of its value. */
export function members(text) {
  const out = {};
  let at = skip(BLANK, text, 0) + 1;
  for (;;) {
    at = skip(BLANK, text, at);
    if (text[at] !== '"') return out;
    const nameEnd = endOfString(text, at);
    const name = JSON.parse(text.slice(at, nameEnd));
    at = skip(BLANK, text, skip(BLANK, text, nameEnd) + 1);
    const end = endOfValue(text, at);
    out[name] = text.slice(at, end);
    at = skip(BLANK, text, end);
    if (text[at] === ',') ++at;
  }
}

/** The texts of an array's elements. */
export function elements(text) {
  const out = [];
  let at = skip(BLANK, text, 0) + 1;
  for (;;) {
    at = skip(BLANK, text, at);
    if (at >= text.length || text[at] === ']') return out;
    const end = endOfValue(text, at);
    out.push(text.slice(at, end));
    at = skip(BLANK, text, end);
    if (text[at] === ',') ++at;
  }
}

const TOKEN = /\s+|"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/** Indented, as [kind, text] pieces: kind is key, string, number, word or sign. */
export function pretty(text) {
  const out = [];
  const tokens = text.match(TOKEN)?.filter((token) => token.trim() !== '') ?? [];
  let depth = 0;
  const line = () => out.push(['sign', `\n${'  '.repeat(depth)}`]);
  tokens.forEach((token, i) => {
    const next = tokens[i + 1];
    if (token === '{' || token === '[') {
      out.push(['sign', token]);
      if (next === '}' || next === ']') return;
      ++depth;
      line();
    } else if (token === '}' || token === ']') {
      const before = tokens[i - 1];
      if (before !== '{' && before !== '[') {
        --depth;
        line();
      }
      out.push(['sign', token]);
    } else if (token === ',') {
      out.push(['sign', token]);
      line();
    } else if (token === ':') {
      out.push(['sign', ': ']);
    } else if (token[0] === '"') {
      out.push([next === ':' ? 'key' : 'string', token]);
    } else {
      out.push([/^[-\d]/.test(token) ? 'number' : 'word', token]);
    }
  });
  return out;
}
