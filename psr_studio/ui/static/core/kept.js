// What the page remembers for this browser alone: widths, folded panes, the open panel. Never the user's work.

const PREFIX = 'psr-studio-';

export function recall(name, fallback = null) {
  try {
    const text = localStorage.getItem(PREFIX + name);
    return text === null ? fallback : JSON.parse(text);
  } catch {
    return fallback; // private mode, or a value of another version
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // Private mode: not remembered.
  }
}
