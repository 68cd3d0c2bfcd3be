// Tags for many candidates at once.

import { ask } from './dialogs.js';
import { lassoWord } from './lasso.js';
import { count, plural } from './numbers.js';

/** @import { Actions, Store } from './types' */

/**
 * Ask for a tag of what is lassoed or found, or of the focused candidate where nothing is.
 * @param {Store} store
 * @param {Actions} actions
 */
export async function askForTag(store, actions) {
  const { info, selection, focus, tags } = store.data;
  const many = selection?.count ? Array.from(selection.list) : null;
  const positions = many ?? (focus === null ? [] : [focus]);
  if (!info || !positions.length) return;
  const given = await ask({
    title: many ? `Tag the ${count(many.length)} ${lassoWord(store.data)}` : 'Tag the candidate',
    text: `${plural(positions.length, 'candidate')} will have the tag beside those they have. Undo takes it back.`,
    confirmLabel: 'Tag',
    fields: [
      {
        name: 'tag',
        label: 'Name',
        maxlength: info.names.longest_tag,
        required: true,
        list: Object.keys(tags),
      },
    ],
  });
  if (given?.tag) actions.tag(given.tag, true, positions);
}
