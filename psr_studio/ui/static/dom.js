// Small DOM helpers. Text always enters through text nodes or attributes, never as markup, so class names and
// messages from disk cannot inject anything.

const SVG_NS = 'http://www.w3.org/2000/svg';

const ICONS = {
  pan: 'M8 2v12M2 8h12M6 4l2-2 2 2M6 12l2 2 2-2M4 6L2 8l2 2M12 6l2 2-2 2',
  box: 'M3 3h2M7 3h2M11 3h2v2M13 7v2M13 11v2h-2M9 13H7M5 13H3v-2M3 9V7M3 5V3',
  lasso: 'M8 2.5c3.3 0 6 1.7 6 3.9s-2.7 3.9-6 3.9-6-1.7-6-3.9 2.7-3.9 6-3.9M4.6 9.6c-1 1.3.6 2 .2 3.9',
  zoom: 'M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M10.3 10.3L14 14M5 7h4M7 5v4',
  reset: 'M2.5 8L8 3l5.5 5M4 7v6h8V7',
  undo: 'M5.5 3.5L2.5 6.5l3 3M2.5 6.5H10a3.5 3.5 0 0 1 0 7H7',
  redo: 'M10.5 3.5l3 3-3 3M13.5 6.5H6a3.5 3.5 0 0 0 0 7h3',
  pin: 'M8 14.5V10M4.5 10h7l-1.3-3V2.5H5.8V7z',
  veto: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2M3.8 3.8l8.4 8.4',
  clear: 'M4 4l8 8M12 4l-8 8',
  revert: 'M13 8a5 5 0 1 1-1.6-3.7M13 2v3h-3',
  chevron: 'M4 6l4 4 4-4',
};

/** Build an element. `props.on` holds listeners; `class`, `title`, `aria-*`, `data-*` are attributes. */
export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === 'on') for (const [name, fn] of Object.entries(value)) node.addEventListener(name, fn);
    else if (key === 'style') Object.assign(node.style, value);
    else if (key === 'value' || key === 'checked' || key === 'disabled') node[key] = value;
    else node.setAttribute(key, value === true ? '' : value);
  }
  append(node, children);
  return node;
}

function append(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/** Replace all children of `node`. */
export function fill(node, ...children) {
  node.replaceChildren();
  append(node, children);
  return node;
}

/** A 16 px line icon; decorative, so hidden from screen readers. */
export function icon(name) {
  const svg = document.createElementNS(SVG_NS, 'svg');
  svg.setAttribute('viewBox', '0 0 16 16');
  svg.setAttribute('class', 'psr-icon');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG_NS, 'path');
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}

/** A push button with an icon and a text that narrow panes may hide (the label stays for screen readers). */
export function button({ label, iconName, title, onClick, className = '', pressed }) {
  const node = h(
    'button',
    {
      type: 'button',
      class: `psr-btn ${className}`,
      title: title || label,
      'aria-label': label,
      'aria-pressed': pressed === undefined ? undefined : String(pressed),
      on: { click: onClick },
    },
    iconName && icon(iconName),
    h('span', { class: 'psr-btn-text' }, label),
  );
  return node;
}

/** A row of mutually exclusive buttons. Returns the node and `show(value)`. */
export function segmented(label, options, onPick) {
  const buttons = new Map();
  const node = h('div', { class: 'psr-seg', role: 'group', 'aria-label': label });
  for (const option of options) {
    const item = button({ ...option, pressed: false, onClick: () => onPick(option.value) });
    buttons.set(option.value, item);
    node.append(item);
  }
  const show = (value) =>
    buttons.forEach((item, key) => item.setAttribute('aria-pressed', String(key === value)));
  return { node, show, buttons };
}

/** Hide the shy texts of a row that has no room for them: their width depends on the theme's font. */
export function fitRow(row) {
  row.classList.remove('is-tight');
  row.classList.toggle('is-tight', row.scrollWidth > row.clientWidth);
}

export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** Short fixed notation: three digits that matter, a true minus sign. */
export function fixed(value, digits = 3) {
  if (!Number.isFinite(value)) return '–';
  return value.toFixed(digits).replace('-', '−');
}

export const count = (value) => Number(value).toLocaleString('en-US');

export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

export const prefersStill = () => window.matchMedia('(prefers-reduced-motion: reduce)').matches;

/** Run `fn` at most once per frame. */
export function oncePerFrame(fn) {
  let waiting = 0;
  return () => {
    if (!waiting)
      waiting = requestAnimationFrame(() => {
        waiting = 0;
        fn();
      });
  };
}
