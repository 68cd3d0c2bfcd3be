// What stands in the address behind "#", as text: read, written in a fixed order, and lists of positions as ranges.

const MAX_RANGES = 200; // a link must stay a link
const MOST_POSITIONS = 1e6;
/**
 * Keys of the workbench, in the order in which they stand; others, such as `tab`, come before and are left
 * alone.
 */
const OWN = [
  ...['selection', 'focus', 'class', 'view', 'marked', 'pool', 'find', 'map'],
  ...['colour', 'scale', 'size', 'contours', 'show', 'compare'],
];

/** What the address says now. */
export const readAddress = () => new URLSearchParams(location.hash.slice(1));

/**
 * Put the workbench's values into the address of the page.
 * @param {Record<string, string | number | null | undefined>} values
 */
export function writeAddress(values) {
  const text = linkText(readAddress(), values);
  if (`#${text}` !== location.hash)
    history.replaceState(history.state, '', text ? `#${text}` : location.pathname + location.search);
}

/** Put the open tab into the address, in front of the rest. @param {string} tab */
export function writeTab(tab) {
  const rest = [...readAddress()].filter(([key]) => key !== 'tab');
  history.replaceState(history.state, '', `#${asText(new URLSearchParams([['tab', tab], ...rest]))}`);
}

/** Commas are plain in the address, or it would be hard to read. @param {URLSearchParams} params */
const asText = (params) => params.toString().replaceAll('%2C', ',');

/**
 * The same values always give the same text; null, undefined and '' leave a key out.
 * @param {URLSearchParams} params
 * @param {Record<string, string | number | null | undefined>} values
 */
export function linkText(params, values) {
  const next = new URLSearchParams(params);
  for (const key of OWN) next.delete(key);
  for (const key of OWN) {
    const value = values[key];
    if (value !== null && value !== undefined && value !== '') next.set(key, String(value));
  }
  return asText(next);
}

/**
 * "3-9,20" of ascending positions; '' when there are none or too many.
 * @param {Iterable<number>} list
 * @param {number} [most] ranges
 */
export function toRanges(list, most = MAX_RANGES) {
  /** @type {[number, number][]} */
  const ranges = [];
  for (const position of list) {
    const last = ranges[ranges.length - 1];
    if (last && position === last[1] + 1) last[1] = position;
    else ranges.push([position, position]);
    if (ranges.length > most) return '';
  }
  return ranges.map(([from, to]) => (from === to ? from : `${from}-${to}`)).join();
}

/** The positions again; none for a text of another form. @param {string | null} text */
export function fromRanges(text) {
  /** @type {number[]} */
  const positions = [];
  if (!text || !/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(text)) return positions;
  for (const range of text.split(',')) {
    const [from, to = from] = range.split('-').map(Number);
    for (let p = from; p <= to && positions.length < MOST_POSITIONS; p += 1) positions.push(p);
  }
  return positions;
}
