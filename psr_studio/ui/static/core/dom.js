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
  list: 'M2.5 4h1M2.5 8h1M2.5 12h1M6 4h7.5M6 8h7.5M6 12h7.5',
  lock: 'M3.5 7.5h9v6h-9zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5',
  unlock: 'M3.5 7.5h9v6h-9zM5.5 7.5V5a2.5 2.5 0 0 1 4.8-1',
  eye: 'M1.5 8C3 5.2 5.3 3.8 8 3.8S13 5.2 14.5 8C13 10.8 10.7 12.2 8 12.2S3 10.8 1.5 8M8 6.2a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6',
  saved: 'M4 2.5h8v11l-4-3-4 3z',
  compare: 'M6.5 3.5h-4v9h4M9.5 3.5h4v9h-4M8 1.5v13',
  history: 'M3 8a5 5 0 1 0 1.6-3.7M3 2.5v3h3M8 5.5V8l2 1.5',
  copy: 'M6 6h7.5v7.5H6zM3.5 10H2.5V2.5H10v1',
  swap: 'M3 5.5h9.5M10 3l2.5 2.5L10 8M13 10.5H3.5M6 8l-2.5 2.5L6 13',
  export: 'M8 10V2.5M5 5l3-3 3 3M3 9v4.5h10V9',
  trash: 'M3 4.5h10M6.5 4V2.5h3V4M4.5 4.5l.6 9h5.8l.6-9M7 7v4M9 7v4',
  edit: 'M3 13l.7-3L10.5 3l2.5 2.5L6 12.3z',
  full: 'M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10',
  fold: 'M6 4l4 4-4 4',
  command: 'M2.5 4l4 4-4 4M8 12.5h5.5',
  classes: 'M2.5 3.5h2v2h-2zM7 4.5h6.5M2.5 10.5h2v2h-2zM7 11.5h6.5',
  selector: 'M2.5 4h6M12 4h1.5M2.5 12H4M7.5 12h6M10 2.5v3M6 10.5v3',
  bars: 'M3 13.5v-5M6.3 13.5V5M9.7 13.5V2.5M13 13.5V7',
  gauge: 'M2.5 11.5a5.5 5.5 0 0 1 11 0M8 11.5L11 7',
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

/** A refusal, or what else went wrong, as one message. */
export const messageOf = (error) => [error.problem || String(error), error.fix].filter(Boolean).join(' ');

/** A message as the server writes it: what stands between backticks is something to type. */
export const said = (text) =>
  String(text ?? '')
    .split('`')
    .map((part, k) => (k % 2 ? h('code', {}, part) : part));

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
