// The text of .proto files: what messages and enums it defines. Of options only those that change how
// values are read are looked at.

const MOST_DEPTH = 32;  // messages within each other
// Blanks and comments, which NO_TOKEN is for, strings, names, numbers, signs.
const TOKEN = new RegExp([/\s+|\/\/[^\n]*|\/\*[^]*?\*\//, /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/,
  /\.?[A-Za-z_][\w.]*/, /\d[\w.]*/, /[^]/].map((part) => part.source).join('|'), 'g');
const NO_TOKEN = /^(\s|\/\/|\/\*)/;

const LABELS = ['optional', 'required', 'repeated'];

export const join = (scope, name) => (scope === '' ? name : `${scope}.${name}`);

/** What files define, together: full names to messages, and to enums (Maps of numbers to names). */
export class Types {
  constructor() {
    Object.assign(this, {messages: new Map(), enums: new Map(), extensions: []});
  }

  /** What a file in which a message or package `scope` stands means by `name`. */
  find(name, scope) {
    const kinds = (full) => this.messages.get(full) ?? this.enums.get(full);
    if (name.startsWith('.')) return kinds(name.slice(1));
    for (let within = scope; within !== ''; within = within.slice(0, Math.max(0, within.lastIndexOf('.')))) {
      const found = kinds(`${within}.${name}`);
      if (found) return found;
    }
    return kinds(name);
  }

  /** A field for a message that another file may define. */
  addExtension(extendee, field) {
    this.extensions.push({extendee, field: {...field, name: `[${join(field.scope, field.name)}]`,
      isExtension: true}});
  }

  /** Gives extensions to the messages that they extend; when all files are there. */
  extend() {
    for (const {extendee, field} of this.extensions) {
      const message = this.find(extendee, field.scope);
      if (message?.fields) message.fields.set(field.number, field);
    }
  }
}

/** A field that is absent is not its default value, but not there. */
function hasPresence(label, file, options) {
  if (file.syntax === 'proto2') return true;
  if (file.syntax === 'proto3') return label === 'optional';
  return (options['features.field_presence'] ?? file.presence) !== 'IMPLICIT';
}

class Parser {
  constructor(text, types) {
    this.tokens = text.match(TOKEN)?.filter((token) => !NO_TOKEN.test(token)) ?? [];
    Object.assign(this, {types, at: 0, package: '', syntax: 'proto2', presence: 'EXPLICIT'});
  }

  take() {
    if (this.at === this.tokens.length) throw new Error('The schema ends too early.');
    return this.tokens[this.at++];
  }

  expect(...tokens) {
    for (const token of tokens) {
      const found = this.take();
      if (found !== token) throw new Error(`The schema has '${found}' where '${token}' belongs.`);
    }
  }

  /** To `end`, outside of brackets; gives the names in between that something is assigned to. */
  skip(end) {
    const assigned = {};
    for (let depth = 0, before = '';;) {
      const token = this.take();
      if (token.length === 1 && '{[('.includes(token)) ++depth;
      if (token.length === 1 && '}])'.includes(token)) --depth;
      if (token === end && depth <= 0) return assigned;
      if (token === '=') assigned[before] = this.tokens[this.at];
      before = token;
    }
  }

  file() {
    const messages = [];
    while (this.at < this.tokens.length) {
      const word = this.take();
      if (word === 'syntax' || word === 'edition') {
        this.expect('=');
        const name = this.take().slice(1, -1);
        this.syntax = word === 'edition' ? `edition ${name}` : name;
      } else if (word === 'package') {
        this.package = this.take();
      } else if (word === 'option') {
        this.presence = this.skip(';')['features.field_presence'] ?? this.presence;
      } else if (word === 'message') {
        messages.push(this.message(this.package, this.take(), 0));
      } else if (word === 'enum') {
        this.enumeration(this.package);
      } else if (word === 'extend') {
        this.extension(this.package, 0);
      } else if (word === 'service') {
        this.skip('}');
      } else if (word === 'import') {
        this.skip(';');
      } else if (word !== ';') {
        throw new Error(`The schema has '${word}', which does not begin a definition.`);
      }
    }
    return messages;
  }

  message(scope, name, depth) {
    if (depth > MOST_DEPTH) throw new Error('The schema has too many messages within each other.');
    const message = {name: join(scope, name), fields: new Map(), nested: []};
    this.types.messages.set(message.name, message);
    this.expect('{');
    for (;;) {
      const word = this.take();
      if (word === '}') return message;
      if (word === 'message') message.nested.push(this.message(message.name, this.take(), depth + 1));
      else if (word === 'enum') this.enumeration(message.name);
      else if (word === 'extend') this.extension(message.name, depth);
      else if (word === 'oneof') this.oneof(message, depth);
      else if (['option', 'reserved', 'extensions'].includes(word)) this.skip(';');
      else if (word !== ';') this.put(message, this.field(message.name, word, message, depth));
    }
  }

  put(message, field) {
    message.fields.set(field.number, field);
    return field;
  }

  oneof(message, depth) {
    this.take();  // its name
    this.expect('{');
    const members = [];
    for (;;) {
      const word = this.take();
      if (word === '}') return;
      if (word === 'option') {
        this.skip(';');
      } else if (word !== ';') {
        const field = this.put(message, this.field(message.name, word, message, depth));
        members.push(field.number);
        Object.assign(field, {oneof: members, presence: true});
      }
    }
  }

  extension(scope, depth) {
    const extendee = this.take();
    this.expect('{');
    for (;;) {
      const word = this.take();
      if (word === '}') return;
      if (word !== ';') this.types.addExtension(extendee, this.field(scope, word, null, depth));
    }
  }

  /** `word` begins it; `message`, if there is one, gets a group's message. */
  field(scope, word, message, depth) {
    const label = LABELS.includes(word) ? word : '';
    let type = label ? this.take() : word;
    let map = null;
    if (type === 'map' && this.tokens[this.at] === '<') {
      this.expect('<');
      map = {key: this.take()};
      this.expect(',');
      map.value = type = this.take();
      this.expect('>');
    }
    let name = this.take();
    this.expect('=');
    const number = Number(this.take());
    const options = this.tokens[this.at] === '[' ? this.skip(']') : {};
    if (type === 'group') {
      const group = this.message(scope, name, depth + 1);
      message?.nested.push(group);
      type = `.${group.name}`;
      name = name.toLowerCase();
    } else {
      this.expect(';');
    }
    return {name, number, type, scope, map, repeated: label === 'repeated',
      presence: hasPresence(label, this, options)};
  }

  enumeration(scope) {
    const names = new Map();
    this.types.enums.set(join(scope, this.take()), names);
    this.expect('{');
    for (;;) {
      const word = this.take();
      if (word === '}') return;
      if (word === 'option' || word === 'reserved') {
        this.skip(';');
      } else if (word !== ';') {
        this.expect('=');
        const negative = this.tokens[this.at] === '-';
        if (negative) this.take();
        const number = Number(this.take()) * (negative ? -1 : 1);
        if (!names.has(number)) names.set(number, word);
        this.skip(';');
      }
    }
  }
}

/** The messages that `text` defines, in its order; all of its types are put into `types`. */
export function readProto(text, types) {
  return new Parser(text, types).file();
}
