// Small DOM helpers. Text always enters through text nodes or attributes, never as markup, so class names and
// messages from disk cannot inject anything.
//
// How the parts of the page are written: a part with an element is made by `createX(store, ...)`, which returns
// `{ node, ... }`, its element and what others may ask of it. It follows the store by itself and lives as long as
// its element; what it hangs on the window or the document goes with a `signal`. What keeps state and has no element
// is a class (camera, renderers, the map's data). Nothing is added to either of them after it was made.

import { ICONS } from './icons.js';

/** @import { ButtonSpec, Child, Props } from './types' */

const SVG_NS = 'http://www.w3.org/2000/svg';
const PROPERTIES = ['value', 'checked', 'disabled'];

/**
 * Build an element. `props.on` holds listeners; `class`, `title`, `aria-*`, `data-*` are attributes.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Props} props
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === 'on') listen(node, props.on);
    else if (key === 'style') Object.assign(node.style, props.style);
    else if (PROPERTIES.includes(key)) Object.assign(node, { [key]: value });
    else node.setAttribute(key, value === true ? '' : String(value));
  }
  append(node, children);
  return node;
}

/** @param {Element} node @param {Props['on']} on */
function listen(node, on = {}) {
  for (const [name, fn] of Object.entries(on)) node.addEventListener(name, /** @type {EventListener} */ (fn));
}

/**
 * Build an element of a drawing.
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number>} attributes
 * @param {...(Node | string)} children
 * @returns {SVGElementTagNameMap[Tag]}
 */
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG_NS, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value));
  node.append(...children);
  return node;
}

/** @param {Element} node @param {Child[]} children */
function append(node, children) {
  for (const child of children) {
    if (child === undefined || child === null || child === false) continue;
    if (Array.isArray(child)) append(node, child);
    else node.append(child instanceof Node ? child : String(child));
  }
}

/**
 * Replace all children of `node`.
 * @template {Element} Node
 * @param {Node} node
 * @param {...Child} children
 */
export function fill(node, ...children) {
  node.replaceChildren();
  append(node, children);
  return node;
}

/**
 * A message as the server writes it: what stands between backticks is something to type.
 * @param {string | null | undefined} text
 * @returns {Child}
 */
export const said = (text) => (text ?? '').split('`').map((part, k) => (k % 2 ? h('code', {}, part) : part));

/** A 16 px line icon; decorative, so hidden from screen readers. @param {string} name */
export const icon = (name) =>
  svg(
    'svg',
    { viewBox: '0 0 16 16', class: 'psr-icon', 'aria-hidden': 'true' },
    svg('path', { d: ICONS[name] }),
  );

/**
 * A push button with an icon and a text that narrow panes may hide (the label stays for screen readers).
 * @param {ButtonSpec} spec
 */
export const button = ({ label, iconName, title, onClick, className = '', pressed }) =>
  h(
    'button',
    {
      type: 'button',
      class: `psr-btn ${className}`,
      title: title || label,
      'aria-label': label,
      'aria-pressed': pressed === undefined ? undefined : String(pressed),
      on: onClick && { click: onClick },
    },
    iconName && icon(iconName),
    h('span', { class: 'psr-btn-text' }, label),
  );

/**
 * A row of mutually exclusive buttons.
 * @template {string} Value
 * @param {string} label
 * @param {(ButtonSpec & { value: Value })[]} options
 * @param {(value: Value) => void} onPick
 */
export function segmented(label, options, onPick) {
  const buttons = options.map((option) =>
    button({ ...option, pressed: false, onClick: () => onPick(option.value) }),
  );
  const node = h('div', { class: 'psr-seg', role: 'group', 'aria-label': label }, buttons);
  /** @param {string} value */
  const show = (value) => {
    buttons.forEach((item, k) => {
      item.setAttribute('aria-pressed', String(options[k].value === value));
    });
  };
  return { node, show };
}

/** What a text field offers, by `list` with this id. @param {string} id @param {string[]} [values] */
export const suggestions = (id, values = []) => fill(h('datalist', { id }), values.map(option));
/** @param {string} value */
const option = (value) => h('option', { value });
/** Offer other values. @param {HTMLDataListElement} list @param {string[]} values */
export const suggest = (list, values) => fill(list, values.map(option));

const TIGHT = ['is-tight', 'is-tighter'];

/**
 * Hide the shy texts of a row that has no room for them, then the less shy: their width depends on the theme's font.
 * @param {Element} row
 */
export function fitRow(row) {
  row.classList.remove(...TIGHT);
  for (const name of TIGHT) if (row.scrollWidth > row.clientWidth) row.classList.add(name);
}

export const prefersStill = () => window.matchMedia('(prefers-reduced-motion: reduce)').matches;

/** @param {() => void} then once what changed now has been drawn */
export const drawn = (then) => requestAnimationFrame(() => requestAnimationFrame(then));

/** Run `fn` at most once per frame. @param {() => void} fn */
export function oncePerFrame(fn) {
  let waiting = 0;
  return () => {
    if (waiting) return;
    waiting = requestAnimationFrame(() => {
      waiting = 0;
      fn();
    });
  };
}
