// What the user can do to the selection. Requests go out one at a time; of waiting slider moves only the
// newest is kept, and an answer that a newer request has overtaken is dropped by its stamp.

import { ApiError, refusalOf } from './api.js';
import { gainCurve } from './gains.js';
import { lasso } from './lasso.js';
import { buildPicks, diffPicks } from './model.js';
import { newestOnly } from './newest.js';
import { plural } from './numbers.js';
import { followsPreset, mergeBodies, ownWeights, rulesOf } from './settings.js';
import { ready } from './store.js';

/** @import { Answer, AnswerHeader, Api, Change, Diff, Grown, How, Means, Picks, Points, Store } from './types' */
/** @typedef {{ name: string, picks: Picks | null, means?: Means }} Drag what there was before it */
/**
 * @typedef {{ path: string, body: Change, cause: string, did: string, stamp: number, started: number, drag: Drag | null,
 *   passing: boolean }} Job `drag` that it is part of; `passing`: on the way of it, which ends elsewhere
 */

const OVERTAKEN = 409; // another page has changed the selection since this one's last answer
const UNDRAWN_MS = 1000;
const BUSY_AFTER_MS = 250; // quicker answers need no sign of work
const DRAG_MS = 100; // between two selections on the way of a drag
const PAUSE_MS = 250; // without a move of a drag, after which the whole page shows where it stands

/**
 * @param {object} parts
 * @param {Store} parts.store
 * @param {Api} parts.api
 * @param {() => void} parts.hold a new picture is on its way: what is drawn now would only delay it
 * @param {() => Promise<number>} parts.drawn time at which what the store holds has been drawn
 * @param {(header: AnswerHeader) => void} parts.onAnswer told the header of every new selection
 * @param {() => Promise<void>} parts.onOvertaken another page has changed the selection: take over what there is now
 */
export function createActions({ store, api, hold, drawn, onAnswer, onOvertaken }) {
  /** @type {Job[]} */
  const queue = [];
  let running = false;
  let working = Promise.resolve();
  /** @type {Grown | null} */
  let grown = null; // until the first answer after the pool has grown
  let seen = ''; // the fingerprint of the last answer; the screen shows it once that is drawn
  let stamp = 0;
  let wantedCandidate = 0;
  /** @type {Drag | null} */
  let drag = null;
  let pause = 0; // a timer
  const onTheWay = newestOnly((/** @type {Change} */ change) => {
    drag ??= { name: `${Date.now()}-${stamp}`, picks: store.data.picks };
    return enqueue('select', sent(change), { drag, passing: true });
  }, DRAG_MS);

  function settleSoon() {
    clearTimeout(pause);
    // An answer on its way is no pause: a slow machine would lay out the whole page for each of them.
    pause = setTimeout(() => (running ? settleSoon() : store.settle()), PAUSE_MS);
  }

  /** @param {Change} change */
  function sent(change) {
    const { ipc, temperature } = store.data;
    return { ...ownWeights(store.data), ipc, temperature, ...change, ...(drag && { gesture: drag.name }) };
  }

  /**
   * @param {string} path
   * @param {Change} body
   * @param {{ cause?: string, did?: string, drag?: Drag | null, passing?: boolean }} of `cause`: what it comes of, where no user
   *   asked for it; `did`: as in `Diff`; the others as in `Job`
   */
  function enqueue(path, body, { cause = '', did = '', drag: of = null, passing = false } = {}) {
    stamp += 1;
    performance.clearMarks('psr-release');
    performance.mark('psr-release');
    const job = { path, body, cause, did, stamp, started: performance.now(), drag: of, passing };
    const last = queue[queue.length - 1];
    if (path === 'select' && last?.path === 'select') {
      job.body = mergeBodies(last.body, body);
      job.drag ??= last.drag;
      queue.pop();
    }
    queue.push(job);
    if (!running) working = pump();
    return working;
  }

  async function pump() {
    running = true;
    const late = setTimeout(() => store.set({ busy: true }), BUSY_AFTER_MS);
    for (let job = queue.shift(); job; job = queue.shift()) await run(job);
    running = false;
    clearTimeout(late);
    store.set({ busy: false });
  }

  /** @param {Job} job */
  async function run(job) {
    if (!job.passing) hold();
    try {
      const answer = await api.post(job.path, job.body, seen);
      seen = answer.header.shown;
      if (job.drag) job.drag.means ??= answer.header.means;
      const points = await pointsFor(answer);
      if (job.stamp === stamp) apply(answer, points, job);
    } catch (error) {
      if (error instanceof ApiError && error.status === OVERTAKEN) {
        queue.length = 0; // asked for on what is no longer there
        drag = null;
        setTimeout(() => onOvertaken().then(() => refuse(error, () => {})));
        return;
      }
      // A refused slider move that a newer one has overtaken is of no interest; a refused mark always is.
      if (job.stamp === stamp || job.path !== 'select') refuse(error, () => enqueue(job.path, job.body));
    }
  }

  /**
   * Only a lost connection is worth the same request again.
   * @param {unknown} error
   * @param {() => void} again
   */
  function refuse(error, again) {
    const known = error instanceof ApiError;
    const notice = known
      ? refusalOf(error)
      : { problem: 'The answer of the studio could not be read.', fix: String(error) };
    const retry = () => {
      store.set({ notice: null });
      again();
    };
    store.set({ notice: { ...notice, retry: known && error.status === 0 && retry } });
  }

  /**
   * Signals depend on tau: they are fetched again before the picks made with another tau are shown.
   * @param {Answer} answer
   */
  async function pointsFor({ header, arrays }) {
    const { points } = ready(store);
    const moved = Math.abs(header.temperature - points.temperature) > 1e-9;
    return { ...(moved ? await loadPoints(api) : points), diversity: arrays.diversity };
  }

  /**
   * @param {Answer} answer
   * @param {Points} points
   * @param {Job} job
   */
  function apply({ header, arrays }, points, job) {
    const { info, picks: before, focus } = ready(store);
    const picks = buildPicks(header, arrays, info.n_classes);
    const from = job.drag ? job.drag.picks : before;
    const moved = diffPicks(grown ? { order: grown.picks } : from, picks);
    const cause = grown ? GROWN : job.cause;
    const fresh = grown?.fresh ?? [];
    grown = null;
    /** @type {Diff | null} */
    const diff = moved && {
      ...moved,
      path: cause || job.path,
      did: job.did,
      fresh,
      gains: { before: gainCurve(from), after: gainCurve(picks) },
      means: since(job.drag?.means ?? header.means, header.means),
    };
    // Undo, redo, restore and another selector bring sliders; else they stay where the user has put them.
    const keeps = KEEPS.includes(job.path) || (job.path === 'select' && !job.body.selector && !cause);
    store.set(
      {
        points,
        picks,
        diff,
        notice: null,
        news: null,
        timing: null,
        shown: header.shown,
        ...(keeps ? {} : sliders(header)),
        ...rulesOf(header, store.data),
      },
      { passing: job.passing },
    );
    if (job.passing) return settleSoon();
    if (diff) store.set({ said: inWords(diff) });
    const drawing = measure(job, header);
    if (focus !== null) inspect(focus);
    // What the rest of the page makes of it takes as long as the drawing itself, so that comes after it; in a
    // hidden browser tab nothing is ever drawn.
    Promise.race([drawing, new Promise((over) => setTimeout(over, UNDRAWN_MS))]).then(() => onAnswer(header));
  }

  /** @param {AnswerHeader} header */
  function sliders({ weights, ipc, temperature }) {
    const { ipc_presets } = ready(store).info;
    return { weights, ipc, temperature, follow: followsPreset({ weights, ipc, ipc_presets }) };
  }

  /** @param {Job} job @param {AnswerHeader} header */
  async function measure(job, header) {
    const at = await drawn();
    performance.mark('psr-drawn');
    performance.measure('psr-release-to-drawn', 'psr-release', 'psr-drawn');
    if (job.stamp === stamp) store.set({ timing: { drawn: at - job.started, server: header.ms.total } });
  }

  /** @param {number} position */
  async function inspect(position) {
    wantedCandidate += 1;
    const mine = wantedCandidate;
    try {
      const candidate = await api.candidate(position);
      if (mine === wantedCandidate) store.set({ candidate });
    } catch (error) {
      if (mine === wantedCandidate) refuse(error, () => inspect(position));
    }
  }

  /** @param {number | null} position */
  function focus(position) {
    store.set({ focus: position });
    if (position !== null) inspect(position);
  }

  return {
    get idle() {
      return !running && !queue.length && !drag;
    },
    /** When what was asked for so far is answered. */
    settled: () => working,
    /**
     * The page shows what the server has under this fingerprint.
     * @param {string} shown
     * @param {Grown | null} since where the pool has grown
     */
    sees(shown, since) {
      seen = shown;
      grown = since;
    },
    get seen() {
      return seen;
    },
    /** Show the selection that another page has made. @param {string} shown its fingerprint */
    follow(shown) {
      seen = shown;
      return enqueue('select', {}, { cause: FOLLOWED });
    },
    /** @param {Change} change settings of the lab's panels: selector, parameters, own_budgets, locked */
    select(change = {}) {
      onTheWay.drop();
      const [body, ended] = [sent(change), drag];
      drag = null;
      return enqueue('select', body, { drag: ended });
    },
    /**
     * The same on the way of a drag, as often as answers come; `select` ends it, and the whole is one change and one undo.
     * The map and the counts follow, all else at a pause.
     * @param {Change} change
     */
    drag(change = {}) {
      settleSoon();
      onTheWay.ask(change);
    },
    /**
     * Pin, veto or clear the selection, or the focused candidate when nothing is selected.
     * @param {'pin' | 'veto' | 'clear'} mark
     * @param {string} reason
     * @param {number[] | null} only these instead
     */
    mark(mark, reason = '', only = null) {
      const { selection, focus: focused } = store.data;
      const lassoed = selection?.count ? Array.from(selection.list) : null;
      const positions = only ?? lassoed ?? (focused === null ? [] : [focused]);
      if (positions.length) enqueue('mark', { positions, mark, ...(reason && { reason }) });
    },
    /**
     * Give candidates a tag, or take it from them.
     * @param {string} name
     * @param {boolean} on
     * @param {number[]} positions
     */
    tag: (name, on, positions) =>
      enqueue('tag', { tag: name, on, positions }, { did: taggedWords(name, on, positions.length) }),
    /** `sure`: several in a row, where the words on screen only tell of the first. */
    undo(sure = false) {
      if (sure || store.data.undo) enqueue('undo', {});
    },
    redo(sure = false) {
      if (sure || store.data.redo) enqueue('redo', {});
    },
    /**
     * Veto one candidate and pin another in its place, as one action.
     * @param {number} out
     * @param {number} into
     */
    swap: (out, into) => enqueue('swap', { out, into }),
    /** Bring back a saved selection with its settings and marks, as one action. @param {string} name */
    restore: (name) => enqueue(api.restorePath(name), {}),
    /**
     * A click on a candidate: alone it gets the focus, with a modifier it joins or leaves.
     * @param {number} position
     * @param {How} how
     */
    pointed(position, how) {
      if (how === 'replace') focus(position);
      else lasso(store, [position], how);
    },
    focus,
  };
}

/** Actions that move no slider. */
const KEEPS = ['mark', 'tag'];
/** In a diff's path: another page did it, or new candidates did. */
export const FOLLOWED = 'followed';
export const GROWN = 'grown';
/** Means before the first of several answers beside those after the last. @param {Means} first @param {Means} last @returns {Means} */
const since = (first, last) =>
  Object.fromEntries(Object.entries(last).map(([key, [, now]]) => [key, [first[key][0], now]]));

/** @type {Record<string, string>} */
const DONE = {
  undo: 'Undone. ',
  redo: 'Done again. ',
  mark: 'Marked. ',
  swap: 'Swapped. ',
  [FOLLOWED]: 'Changed on another page. ',
  [GROWN]: 'The pool has grown. ',
};

/** 'Tagged 147 candidates "blurry"'. @param {string} tag @param {boolean} on @param {number} n */
function taggedWords(tag, on, n) {
  const many = plural(n, 'candidate');
  return on ? `Tagged ${many} "${tag}"` : `Took the tag "${tag}" from ${many}`;
}

/** For readers of the screen: "+3 / −3. Means: reliability 0.81 to 0.84." @param {Diff} diff */
function inWords({ added, dropped, means, path, did }) {
  const signals = Object.entries(means)
    .filter(([, values]) => values.every(Number.isFinite))
    .map(([key, values]) => `${key} ${values.map((value) => Number(value).toFixed(2)).join(' to ')}`)
    .join(', ');
  const change =
    added.length || dropped.length ? `+${added.length} / −${dropped.length}` : 'Same picks as before';
  return `${did ? `${did}. ` : (DONE[path] ?? '')}${change}${signals && `. Means: ${signals}`}.`;
}

/**
 * points.bin as plain arrays; diversity stays 0 until the first selection answers.
 * @param {Api} api
 * @returns {Promise<Points>}
 */
export async function loadPoints(api) {
  const { header, arrays } = await api.points();
  const diversity = new Float32Array(arrays.label.length);
  return { ...arrays, diversity, temperature: header.temperature };
}
