// What belongs to the page as a whole, around all tabs. It runs as the script of the bar above them.

import { placeMeanings } from './core/meanings.js';
import { showNamed } from './core/named_field.js';
import { showOpened } from './core/opened.js';
import { markPressed } from './core/pressed.js';
import { guardTypedFields } from './core/typed_fields.js';
import { openConfusions } from './panels/confusion.js';
import { createTopbar } from './panels/topbar.js';

/** @param {import('./panels/topbar.js').Host} host */
export function mountPage(host) {
  createTopbar(host);
  guardTypedFields(document);
  markPressed(document);
  showOpened(document);
  showNamed(document);
  placeMeanings(document);
  openConfusions(document);
}
