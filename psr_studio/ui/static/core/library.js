// What is kept beyond the moment: named selections, exported groups of candidates, the command line.

import { refusalOf } from './api.js';
import { copyText } from './clipboard.js';
import { ask } from './dialogs.js';
import { count, plural } from './numbers.js';
import { ready } from './store.js';

/** @import { Actions, Api, Marked, Saved, Store } from './types' */

const AFTER_MS = 400;
const SAVING = '#psr-save, #psr-to-refine, #psr-to-export';
const NAME_FIELD = '#psr-save-name :is(input, textarea)';

/**
 * @param {object} parts
 * @param {Store} parts.store
 * @param {Api} parts.api
 * @param {Actions} parts.actions
 * @param {AbortSignal} parts.signal
 */
export function createLibrary({ store, api, actions, signal }) {
  let timer = 0;

  /**
   * Run a request; a refusal stands in the strip in its two sentences.
   * @template Result
   * @param {() => Promise<Result>} job
   */
  async function tried(job) {
    try {
      return await job();
    } catch (error) {
      store.set({ notice: refusalOf(error) });
      return undefined;
    }
  }

  async function refresh() {
    const list = await tried(api.selections);
    if (list) take(list);
  }

  /** The list after a new selection: which of them is on screen may have changed. Silent when it fails. */
  function refreshSoon() {
    const { saved } = store.data;
    if (saved.some((record) => record.current))
      store.set({ saved: saved.map((record) => ({ ...record, current: false })) });
    clearTimeout(timer);
    timer = setTimeout(() => api.selections().then(take, () => {}), AFTER_MS);
  }

  /** @param {Saved[]} list */
  function take(list) {
    if (JSON.stringify(list) !== JSON.stringify(store.data.saved)) store.set({ saved: list });
  }

  /** @param {string} name @param {string} note */
  async function save(name, note) {
    if (isTaken(name) && !(await replaceIt(name, 'what is on screen'))) return false;
    const done = await tried(() => api.saveSelection(name, note, store.data.shown));
    if (done) store.set({ said: `Saved as ${name}.` });
    await refresh();
    return Boolean(done);
  }

  /** @param {string} name */
  const isTaken = (name) => store.data.saved.some((s) => s.name === name);
  /** @param {string} name @param {string} by */
  const replaceIt = (name, by) =>
    ask({
      title: 'Replace the saved selection?',
      text: `"${name}" is saved already. It is replaced by ${by}; this cannot be undone.`,
      confirmLabel: 'Replace',
      danger: true,
    });

  /**
   * The page's own buttons save too: a name that holds other picks, as the studio knows it at this moment, is asked
   * about before Gradio hears the click.
   */
  let asking = false;
  let agreed = false;
  /** @param {MouseEvent} event */
  async function askBeforeSaving(event) {
    const pressed = event.target instanceof Element && event.target.closest(SAVING);
    if (!(pressed instanceof HTMLElement) || agreed) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (asking) return;
    asking = true;
    try {
      if (!(await mayReplace())) return;
    } finally {
      asking = false;
    }
    agreed = true;
    pressed.click();
    agreed = false;
  }

  async function mayReplace() {
    await actions.settled();
    await api.selections().then(take, () => {}); // a page that hears nothing is refused by the studio, with a reason
    const field = /** @type {HTMLInputElement | null} */ (document.querySelector(NAME_FIELD));
    const earlier = store.data.saved.find(({ name }) => name === field?.value.trim());
    // The working name is replaced without a question: it is there for what nobody has named.
    if (!earlier || earlier.current || earlier.name === store.data.info?.names.working) return true;
    return replaceIt(earlier.name, 'what is on screen');
  }
  document.addEventListener('click', askBeforeSaving, { capture: true, signal });

  /**
   * A page that opens on a saved selection has its name in the box, or else that of the selection that is worked on, as
   * on the page it was saved on; one that somebody has typed stays.
   */
  function fillName() {
    const { info, saved } = store.data;
    const newest = saved.find((record) => record.current);
    const field = /** @type {HTMLInputElement | null} */ (document.querySelector(NAME_FIELD));
    if (!info || field?.value.trim() !== info.names.working) return;
    field.value = newest?.name ?? info.names.open;
    field.dispatchEvent(new Event('input', { bubbles: true }));
  }
  store.on(['info'], fillName);

  /** @param {Saved} record */
  async function remove({ name, images }) {
    const sure = await ask({
      title: 'Delete the saved selection?',
      text: `"${name}" with ${plural(images, 'image')} is deleted; this cannot be undone. The candidates stay.`,
      confirmLabel: 'Delete',
      danger: true,
    });
    if (!sure) return;
    if (await tried(() => api.deleteSelection(name))) store.set({ said: `${name} is deleted.` });
    await refresh();
  }

  /** @param {Saved} record */
  async function editNote({ name, note }) {
    const given = await ask({
      title: `Note of "${name}"`,
      confirmLabel: 'Keep',
      fields: [{ name: 'note', label: 'Note', value: note, rows: 4 }],
    });
    if (!given) return;
    if (await tried(() => api.editNote(name, given.note))) store.set({ said: 'The note is kept.' });
    await refresh();
  }

  /** The lassoed become a selection of their own, which the Export tab can write out. */
  async function exportSelection() {
    const { selection } = store.data;
    if (!selection?.count) return;
    const given = await ask({
      title: `Export ${plural(selection.count, 'candidate')}`,
      text: `They are saved as a selection under this name. The Export tab writes it out.${labelsNote(selection)}`,
      confirmLabel: 'Save for export',
      fields: [{ name: 'name', label: 'Name', value: freeName('lassoed'), maxlength: 60, required: true }],
    });
    if (!given?.name) return;
    if (isTaken(given.name) && !(await replaceIt(given.name, 'the lassoed'))) return;
    const made = await tried(() =>
      api.exportPositions(Array.from(selection.list), given.name, store.data.shown),
    );
    if (!made) return;
    await refresh();
    const words = `${count(made.images)} images are saved as "${made.name}".`;
    store.set({ said: words, news: { text: words, tab: 'export', label: 'Open Export' } });
  }

  /** A set without some of the classes is a task of its own. @param {Marked} selection */
  function labelsNote({ list }) {
    const { points, info } = ready(store);
    const held = new Set(Array.from(list, (position) => points.label[position])).size;
    if (held === info.n_classes) return '';
    return ` It holds ${held} of ${plural(info.n_classes, 'class', 'classes')}: its labels count from 0 among them, and soft labels have ${plural(held, 'number')} each.`;
  }

  /** "lassoed", or the first of "lassoed-2", "lassoed-3" that is not taken. @param {string} stem */
  function freeName(stem) {
    let name = stem;
    for (let k = 2; isTaken(name); k += 1) name = `${stem}-${k}`;
    return name;
  }

  async function copyCommand() {
    const answer = await tried(api.command);
    if (!answer) return;
    if (await copyText(answer.command, 'Command that makes this selection'))
      store.set({
        said: 'The command is copied.',
        news: { text: `Copied, to be run when this program has ended: ${answer.command}` },
      });
  }

  return {
    refresh,
    refreshSoon,
    save,
    remove,
    editNote,
    restore: actions.restore,
    exportSelection,
    copyCommand,
  };
}
