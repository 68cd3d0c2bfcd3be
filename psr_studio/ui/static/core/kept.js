// What the page remembers for this browser alone: widths, folded panes, the open panel. Never the user's work.

const PREFIX = 'psr-studio-';

/**
 * @template Value
 * @param {string} name
 * @param {Value} fallback where nothing is kept
 * @returns {Value} what was kept is taken to be of the same kind
 */
export function recall(name, fallback) {
  try {
    const text = localStorage.getItem(PREFIX + name);
    return text === null ? fallback : JSON.parse(text);
  } catch {
    return fallback; // private mode, or a value of another version
  }
}

/** @param {string} name @param {unknown} value */
export function remember(name, value) {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // Private mode: not remembered.
  }
}
