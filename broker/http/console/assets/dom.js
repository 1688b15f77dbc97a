// Elements. Everything that is text becomes a text node: what a record holds is never markup.

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === 'function') node.addEventListener(name.slice(2), value);
    else if (name === 'value') node.value = value;
    else node.setAttribute(name, value === true ? '' : value);
  }
  append(node, children);
  return node;
}

function append(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/** h('a', {href: '#/', onclick: go}, 'text', node, [more]) */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** The same for SVG. */
export function svg(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

/** Replaces what `node` holds. */
export function put(node, ...children) {
  node.replaceChildren();
  append(node, children);
  return node;
}

let last = 0;
/** An id that nothing else on the page has. */
export function freshId(what = 'id') {
  return `${what}-${++last}`;
}

/** A label above a control, with a hint below it. The control gets the label's id. */
export function field(label, control, hint) {
  control.id ||= freshId('field');
  const note = hint ? h('p', {class: 'hint', id: `${control.id}-hint`}, hint) : null;
  if (note) control.setAttribute('aria-describedby', note.id);
  return h('div', {class: 'field'}, h('label', {for: control.id}, label), control, note);
}
