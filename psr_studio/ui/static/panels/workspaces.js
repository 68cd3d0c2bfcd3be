// The menu under the name of the workspace: those opened last, another by its folder, a new one from a preset. And what
// a page shows once another workspace stands behind its address.

import { ApiError, messageOf } from '../core/api.js';
import { h } from '../core/dom.js';

/** @typedef {(path: string, options?: RequestInit) => Promise<Response>} Request */
/**
 * @typedef {object} Known
 * @property {string} here
 * @property {string} folder
 * @property {{ path: string, name: string, opened: number }[]} recent
 * @property {string[]} presets
 * @property {string} preset
 */

const GONE = 410; // this page belongs to an earlier opening
const LOOK_MS = 3000;

/** @param {{ request: Request }} parts */
export function createWorkspaces({ request }) {
  const content = h('div', { class: 'psr-workspaces' });
  const said = h('p', { class: 'psr-queue-refused', role: 'alert' });
  const node = h(
    'div',
    {
      class: 'psr-menu is-left',
      popover: 'auto',
      tabindex: '-1',
      autofocus: true,
      'aria-label': 'Workspaces',
    },
    h('h3', {}, 'Workspaces'),
    content,
    said,
  );

  async function look() {
    try {
      draw(await (await request('psr/workspaces')).json());
    } catch (error) {
      said.textContent = messageOf(error);
    }
  }

  /** @param {string} path @param {string | null} preset */
  async function open(path, preset) {
    said.textContent = '';
    node.toggleAttribute('data-busy', true);
    try {
      await request('psr/workspaces/open', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ path, preset }),
      });
      reload();
    } catch (error) {
      said.textContent = messageOf(error);
      node.toggleAttribute('data-busy', false);
    }
  }

  /** @param {Known} known */
  function draw({ here, folder, recent, presets, preset }) {
    const listed = recent.map((row) => recentRow(row, open));
    content.replaceChildren(
      h('p', { class: 'psr-note' }, `Open now: ${here}`),
      ...(listed.length ? [h('ul', { class: 'psr-recent' }, listed)] : []),
      openForm(open),
      newForm(folder, presets, preset, open),
      h('p', { class: 'psr-note' }, 'From your own pictures: "New project from pictures" on the Pool tab.'),
    );
  }

  function toggle() {
    if (node.togglePopover()) look();
  }

  return { node, toggle };
}

/** @param {Known['recent'][0]} row @param {(path: string, preset: null) => void} open */
const recentRow = ({ path, name, opened }, open) =>
  h(
    'li',
    {},
    h(
      'button',
      { type: 'button', class: 'psr-link', title: path, on: { click: () => open(path, null) } },
      name,
    ),
    h('span', { class: 'psr-note' }, new Date(1000 * opened).toLocaleString()),
    h('span', { class: 'psr-note is-path' }, path),
  );

/** @param {(path: string, preset: null) => void} open */
function openForm(open) {
  const path = h('input', { class: 'psr-field-input', 'aria-label': 'Folder of a workspace' });
  const send = h('button', { type: 'submit', class: 'psr-btn' }, 'Open');
  return form('Another, by its folder on this machine', [path, send], () => open(path.value, null));
}

/**
 * @param {string} folder
 * @param {string[]} presets
 * @param {string} preset
 * @param {(path: string, preset: string) => void} open
 */
function newForm(folder, presets, preset, open) {
  const value = `${folder}/`;
  const path = h('input', { class: 'psr-field-input', 'aria-label': 'Folder of the new workspace', value });
  const choice = h(
    'select',
    { class: 'psr-field-input', 'aria-label': 'Preset' },
    presets.map((name) => h('option', { value: name, selected: name === preset }, name)),
  );
  const send = h('button', { type: 'submit', class: 'psr-btn' }, 'Make');
  return form('A new one, from a preset', [path, choice, send], () => open(path.value, choice.value));
}

/** @param {string} title @param {HTMLElement[]} fields @param {() => void} send */
const form = (title, fields, send) =>
  h(
    'form',
    {
      class: 'psr-workspace-form',
      on: {
        submit: (event) => {
          event.preventDefault();
          send();
        },
      },
    },
    h('b', {}, title),
    h('div', {}, fields),
  );

/** What the address says of the workspace before says nothing here, but for the tab. */
function reload() {
  const tab = new URLSearchParams(location.hash.slice(1)).get('tab');
  history.replaceState(null, '', tab ? `#tab=${tab}` : location.pathname + location.search);
  location.reload();
}

/** Ask now and then whether what this page shows is still open, and cover the page where it is not. @param {Request} request */
export function watchOpening(request) {
  const look = async () => {
    try {
      await request('psr/workspaces/shown');
    } catch (error) {
      if (error instanceof ApiError && error.status === GONE) return cover(error);
    }
    setTimeout(look, LOOK_MS);
  };
  setTimeout(look, LOOK_MS);
}

/** @param {ApiError} gone */
function cover(gone) {
  if (document.querySelector('.psr-cover')) return;
  const show = h('button', { type: 'button', class: 'psr-btn', on: { click: reload } }, 'Show it');
  const dialog = h(
    'dialog',
    { class: 'psr-cover', 'aria-label': 'Another workspace' },
    h('h3', {}, gone.problem),
    h('p', {}, gone.fix),
    show,
  );
  dialog.addEventListener('cancel', (event) => event.preventDefault());
  (document.querySelector('.gradio-container') ?? document.body).append(dialog); // the colours are set there
  document.body.classList.add('psr-gone');
  dialog.showModal();
}
