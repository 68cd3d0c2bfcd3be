// The history: every pin, veto and setting of this workspace, and what undo and redo would do, in words.

import { messageOf } from '../core/api.js';
import { button, fill, h, said } from '../core/dom.js';
import { day } from './saved.js';

/** @import { Actions, Api, HistoryRow, Panel, Store } from '../core/types' */

const SHOWN = 100;

/** @param {Store} store @param {Api} api @param {Actions} actions @returns {Panel} */
export function createHistoryPanel(store, api, actions) {
  const step = (/** @type {string} */ label, /** @type {'undo' | 'redo'} */ way) =>
    button({ label, iconName: way, className: 'psr-wide', onClick: () => actions[way]() });
  const undo = step('Undo', 'undo');
  const redo = step('Redo', 'redo');
  const list = h('ol', { class: 'psr-history', 'aria-label': 'Actions, the newest first' });
  const node = h('div', {}, h('div', { class: 'psr-form' }, undo, redo), list);
  let asked = 0;

  function refreshButtons() {
    showStep(undo, 'Undo', store.data.undo);
    showStep(redo, 'Redo', store.data.redo);
  }

  /** @param {HTMLButtonElement} item @param {string} word @param {string | null} what */
  function showStep(item, word, what) {
    const words = what ? `${word}: ${what}` : `Nothing to ${word.toLowerCase()}`;
    item.disabled = !what;
    item.title = words;
    item.setAttribute('aria-label', words);
    const text = item.querySelector('.psr-btn-text');
    if (text) text.textContent = words;
  }

  async function load() {
    if (store.data.dock !== 'history' || store.data.phase !== 'ready') return;
    asked += 1;
    const mine = asked;
    try {
      const rows = await api.history(SHOWN);
      if (mine === asked) show([...rows].sort((a, b) => b.id - a.id));
    } catch (error) {
      if (mine === asked) fill(list, h('li', { class: 'psr-note' }, said(messageOf(error))));
    }
  }

  /** @param {HistoryRow[]} rows */
  function show(rows) {
    const none = 'Nothing done yet. Pins, vetoes, sliders and budgets are noted here.';
    if (!rows.length) return void fill(list, h('li', { class: 'psr-note' }, none));
    const newest = rows.findIndex((row) => !row.undone);
    fill(
      list,
      rows.map((row, at) => entry(row, at, newest < 0 ? rows.length : newest)),
    );
  }

  /**
   * A click goes to the moment right after the action: back over the newer ones, or forward to it.
   * @param {HistoryRow} row
   * @param {number} at
   * @param {number} newest place of the action after which the screen stands
   */
  function entry({ description, created, undone }, at, newest) {
    const steps = Math.abs(at - newest);
    const go = () => {
      for (let k = 0; k < steps; k += 1) actions[at < newest ? 'redo' : 'undo'](true);
    };
    const where = at === newest ? 'Where the screen stands' : undone ? `Redo ${steps}` : `Undo ${steps}`;
    return h(
      'li',
      {},
      h(
        'button',
        {
          type: 'button',
          class: `psr-history-row${undone ? ' is-undone' : ''}`,
          title: at === newest ? where : `${where}: go to the moment after "${description}"`,
          'aria-current': at === newest ? 'step' : undefined,
          on: { click: go },
        },
        h('span', {}, description),
        h('span', { class: 'psr-fine' }, undone ? 'undone' : day(created)),
      ),
    );
  }

  store.on(['undo', 'redo', 'phase'], refreshButtons);
  store.on(['picks'], load);
  refreshButtons();
  return {
    id: 'history',
    label: 'History',
    title: 'History',
    iconName: 'history',
    key: 'H',
    node,
    shown: load,
  };
}
