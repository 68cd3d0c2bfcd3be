// Queries over candidates: what one finds is lassoed, and found again whenever the picks, marks or tags have changed.

import { ApiError, messageOf } from './api.js';
import { foundPatch, unlasso } from './lasso.js';
import { newestOnly } from './newest.js';
import { count } from './numbers.js';
import { makeSelection } from './selection.js';

/** @import { Api, Found, Marked, Store } from './types' */
/** @typedef {{ text: string, again: boolean }} Query `again`: nobody has asked for it just now */

const LEAST_MS = 300; // between two queries

/** @param {{ store: Store, api: Pick<Api, 'where'> }} parts */
export function createSearch({ store, api }) {
  /** What the user has asked for and is not answered. @type {Query | null} */
  let wanted = null;
  const queries = newestOnly(run, LEAST_MS);

  /** @param {Query} query */
  async function run(query) {
    try {
      const answer = await api.where(query.text);
      if (isWanted(query)) take(query, answer);
    } catch (error) {
      if (query.again && error instanceof ApiError && error.status) return nothing(query);
      if (query !== wanted) return; // the next action will say what is wrong
      wanted = null;
      store.set({ refused: { text: query.text, message: messageOf(error) } });
    }
  }

  /** @param {Query} query */
  const isWanted = (query) => (query.again ? !wanted && store.data.found === query.text : query === wanted);

  /** @param {Query} query @param {Found} answer */
  function take({ text, again }, { positions, apart, of }) {
    const { data } = store;
    if (data.phase !== 'ready' || of !== data.info.n) return; // of another pool, which is on its way
    const marked = makeSelection(of, positions);
    if (again && same(marked, data.selection)) return;
    const distances = apart && new Map(positions.map((position, k) => [position, apart[k]]));
    store.set({ ...foundPatch(data, text, marked, !again, distances), refused: again ? data.refused : null });
    if (again) return;
    wanted = null;
    store.set({ said: foundWords(marked.count, of) });
  }

  /** What a query named has gone meanwhile, such as the last of a tag. @param {Query} query */
  function nothing(query) {
    const { info } = store.data;
    if (info && isWanted(query)) take(query, { positions: [], apart: null, of: info.n });
  }

  function repeat() {
    const { found } = store.data;
    if (wanted) queries.ask(wanted);
    else if (found !== null) queries.ask({ text: found, again: true });
  }

  function leave() {
    wanted = null;
    if (store.data.found !== null) unlasso(store);
    store.set({ refused: null });
  }

  store.on(['picks'], repeat);

  return {
    /** The query in force, or on its way to be; '' for none. */
    get text() {
      return wanted?.text ?? store.data.found ?? '';
    },
    /** Find what a query names; an empty one leaves the last. What is refused changes nothing else. @param {string} text */
    ask(text) {
      if (!text.trim()) return leave();
      wanted = { text: text.trim(), again: false };
      queries.ask(wanted);
    },
    leave,
  };
}

/** The picture that a query looks near to; null for none. @param {string | null} query */
export const pictureOf = (query) => /\bnear\s+(picture-[0-9a-f]+)/.exec(query ?? '')?.[1] ?? null;

/** @param {number} n @param {number} of */
export const foundWords = (n, of) => `${count(n)} of ${count(of)} found`;

/** @param {Marked} a @param {Marked} b */
const same = (a, b) => a.count === b.count && a.list.every((position, k) => position === b.list[k]);
