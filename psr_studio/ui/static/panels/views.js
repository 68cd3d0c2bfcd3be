// The menu of named views: how the map and the grid are looked at, kept with the workspace to come back to.

import { messageOf } from '../core/api.js';
import { ask } from '../core/dialogs.js';
import { button, fill, h } from '../core/dom.js';

/** @import { Api, SavedView, Store } from '../core/types' */
/** @typedef {Pick<import('../core/address.js').Address, 'look' | 'openLook'>} Looks */

const LONGEST_NAME = 40;
const WHAT = 'Place and zoom, map, colours, the class shown alone, and what is lassoed or found.';

/** @param {Store} store @param {Pick<Api, 'views' | 'saveView' | 'deleteView'>} api @param {Looks} looks */
export function createViews(store, api, looks) {
  /** @type {SavedView[]} */
  let known = [];
  const list = h('div', { class: 'psr-views' });
  const refused = h('p', { class: 'psr-query-refusal', role: 'alert' });
  const menu = h(
    'div',
    { class: 'psr-view-menu', popover: 'auto', tabindex: '-1', autofocus: true, 'aria-label': 'Views' },
    list,
    button({ label: 'Save this view…', title: WHAT, className: 'psr-primary', onClick: save }),
    refused,
  );
  const open = button({
    label: 'Views',
    iconName: 'eye',
    className: 'psr-shy',
    title: `Named views to come back to. ${WHAT}`,
    onClick: toggle,
  });
  const node = h('span', { class: 'psr-views-holder' }, open, menu);

  function toggle() {
    if (!menu.togglePopover()) return;
    const { left, bottom } = open.getBoundingClientRect();
    menu.style.inset = `${bottom + 4}px auto auto ${left}px`;
    show(api.views());
  }

  /** @param {Promise<SavedView[]>} answer */
  async function show(answer) {
    refused.textContent = '';
    try {
      known = await answer;
      const none = h('p', { class: 'psr-fine' }, 'No view is saved yet.');
      fill(list, known.length ? known.map(row) : none);
    } catch (error) {
      refused.textContent = messageOf(error);
      if (!menu.matches(':popover-open')) menu.showPopover();
    }
  }

  /** @param {SavedView} view */
  const row = ({ name, look }) =>
    h(
      'div',
      { class: 'psr-view-row' },
      button({
        label: name,
        title: `Show the view "${name}"`,
        className: 'psr-ghost psr-view-name',
        onClick: () => {
          menu.hidePopover();
          looks.openLook(look);
          store.set({ said: `The view "${name}" is shown.` });
        },
      }),
      button({
        label: `Delete the view "${name}"`,
        iconName: 'trash',
        className: 'psr-ghost psr-icon-only psr-tiny',
        onClick: () => remove(name),
      }),
    );

  async function save() {
    const look = looks.look();
    const list = known.map((view) => view.name);
    const given = await ask({
      title: 'Save this view',
      text: `${WHAT} A view of the same name is replaced.`,
      confirmLabel: 'Save',
      fields: [{ name: 'name', label: 'Name', maxlength: LONGEST_NAME, required: true, list }],
    });
    if (!given?.name) return;
    await show(api.saveView(given.name, look));
    store.set({ said: `The view "${given.name}" is saved.` });
  }

  /** @param {string} name */
  async function remove(name) {
    const sure = await ask({ title: `Delete the view "${name}"?`, confirmLabel: 'Delete', danger: true });
    if (sure) await show(api.deleteView(name));
  }

  return { node };
}
