// Copying text. A browser may refuse (no secure address, no permission): then the text is shown, ready to copy.

import { showText } from './dialogs.js';
import { h } from './dom.js';

/**
 * @param {string} text
 * @param {string} title of the dialog that shows the text where it cannot be copied
 * @returns {Promise<boolean>} true when the text is in the clipboard
 */
export async function copyText(text, title) {
  if (await viaClipboard(text)) return true;
  if (viaCommand(text)) return true;
  showText({ title, text });
  return false;
}

/** @param {string} text */
async function viaClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** The old way, which also works on plain http addresses of another machine. @param {string} text */
function viaCommand(text) {
  const before = document.activeElement;
  const field = h('textarea', {
    value: text,
    'aria-hidden': 'true',
    style: { position: 'fixed', opacity: '0', top: '0' },
  });
  document.body.append(field);
  field.select();
  let done = false;
  try {
    done = document.execCommand('copy');
  } catch {
    // Not offered: the caller shows the text.
  }
  field.remove();
  if (before instanceof HTMLElement) before.focus({ preventScroll: true });
  return done;
}
