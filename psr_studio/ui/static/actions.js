// What the user can do to the selection. Requests go out one at a time; of waiting slider moves only the
// newest is kept, and an answer that a newer request has overtaken is dropped by its stamp.

import { gainCurve } from './gain_curve.js';
import { labState, mergeBodies, ownWeights } from './lab_model.js';
import { buildPicks, diffPicks, followsPreset, meanSignals } from './model.js';
import { combine } from './selection.js';

const UNDRAWN_MS = 1000;
const BUSY_AFTER_MS = 250; // quicker answers need no sign of work

/** @param {{store, api, hold: function(), drawn: function(): Promise<number>, onAnswer: function(object)}} parts */
export function createActions({ store, api, hold, drawn, onAnswer }) {
  const queue = [];
  let running = false;
  let revision = null; // of the last answer; another page may have selected since
  let stamp = 0;
  let wantedCandidate = 0;
  const timing = { lastReleaseToDrawMs: null };

  function enqueue(job) {
    stamp += 1;
    performance.clearMarks('psr-release');
    performance.mark('psr-release');
    const item = { ...job, stamp, started: performance.now() };
    const last = queue[queue.length - 1];
    if (item.path === 'select' && last?.path === 'select')
      item.body = mergeBodies(queue.pop().body, item.body);
    queue.push(item);
    return pump();
  }

  async function pump() {
    if (running) return;
    running = true;
    const late = setTimeout(() => store.set({ busy: true }), BUSY_AFTER_MS);
    while (queue.length) {
      const job = queue.shift();
      hold();
      try {
        const answer = await api.post(job.path, job.body);
        job.alone = revision === null || answer.header.revision === revision + 1;
        revision = answer.header.revision;
        const points = await pointsFor(answer.header, answer.arrays);
        if (job.stamp === stamp) apply(answer, points, job);
      } catch (error) {
        // A refused slider move that a newer one has overtaken is of no interest; a refused mark always is.
        if (job.stamp === stamp || job.path !== 'select') refuse(error, () => enqueue(job));
      }
    }
    running = false;
    clearTimeout(late);
    store.set({ busy: false });
  }

  /** Only a lost connection is worth the same request again; a refusal would be refused again. */
  function refuse(error, again) {
    const retry =
      error.status === 0 &&
      (() => {
        store.set({ notice: null });
        again();
      });
    store.set({
      notice: {
        problem: error.problem || 'The answer of the studio could not be read.',
        fix: error.fix || String(error),
        retry,
      },
    });
  }

  /** Signals depend on tau: they are fetched again before the picks made with another tau are shown. */
  async function pointsFor(header, arrays) {
    const { points } = store.data;
    const tau = header.temperature ?? store.data.temperature;
    const fresh = Math.abs(tau - points.temperature) > 1e-9 ? await loadPoints(api, tau) : points;
    return { ...fresh, diversity: arrays.diversity || points.diversity };
  }

  function apply({ header, arrays }, points, job) {
    const { info, picks: before, points: oldPoints } = store.data;
    const picks = buildPicks(header, arrays, info.n, info.n_classes);
    const moved = diffPicks(before, picks);
    const diff = moved && {
      ...moved,
      path: job.path,
      gains: { before: gainCurve(before), after: gainCurve(picks) },
      means: header.means ?? means(meanSignals(oldPoints, before), meanSignals(points, picks)),
    };
    store.set({
      points,
      picks,
      diff,
      notice: null,
      news: null,
      timing: null,
      undo: header.undo ?? null,
      redo: header.redo ?? null,
      pinned: setOf(header.pinned, store.data.pinned),
      vetoed: setOf(header.vetoed, store.data.vetoed),
      ...settings(header, job),
      ...labState(header, store.data),
    });
    if (diff) store.set({ said: inWords(diff, job.path) });
    const drawing = measure(job, header);
    if (store.data.focus !== null) inspect(store.data.focus);
    // What the rest of the page makes of it takes as long as the drawing itself, so that comes after it; in a
    // hidden browser tab nothing is ever drawn.
    Promise.race([drawing, new Promise((over) => setTimeout(over, UNDRAWN_MS))]).then(() => onAnswer(header));
  }

  /** Undo, redo, restore and another selector bring settings; else the sliders stay where the user has put them. */
  function settings(header, job) {
    if ((job.path === 'select' && !job.body.selector) || (job.path === 'mark' && job.alone)) return {};
    const weights = header.weights || store.data.weights;
    const ipc = header.ipc ?? store.data.ipc;
    const follow = followsPreset({ ...store.data.info, weights, ipc });
    return { weights, ipc, temperature: header.temperature ?? store.data.temperature, follow };
  }

  async function measure(job, header) {
    const at = await drawn();
    timing.lastReleaseToDrawMs = at - job.started;
    performance.mark('psr-drawn');
    performance.measure('psr-release-to-drawn', 'psr-release', 'psr-drawn');
    if (job.stamp === stamp)
      store.set({ timing: { drawn: at - job.started, server: header.ms?.total ?? NaN } });
  }

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

  return {
    timing,
    get idle() {
      return !running && !queue.length;
    },
    get revision() {
      return revision;
    },
    /** @param {object} change settings of the lab's panels: selector, parameters, own_budgets, locked */
    select(change = {}) {
      const { ipc, temperature } = store.data;
      return enqueue({ path: 'select', body: { ...ownWeights(store.data), ipc, temperature, ...change } });
    },
    /** Pin, veto or clear the selection, or the focused candidate when nothing is selected. */
    mark(mark, reason = '', only = null) {
      const { selection, focus } = store.data;
      const positions =
        only ?? (selection?.count ? Array.from(selection.list) : focus === null ? [] : [focus]);
      if (!positions.length) return undefined;
      return enqueue({ path: 'mark', body: { positions, mark, ...(reason ? { reason } : {}) } });
    },
    /** `sure`: several in a row, where the words on screen only tell of the first. */
    undo: (sure = false) => (sure === true || store.data.undo) && enqueue({ path: 'undo', body: {} }),
    redo: (sure = false) => (sure === true || store.data.redo) && enqueue({ path: 'redo', body: {} }),
    /** Veto one candidate and pin another in its place, as one action. */
    swap: (out, into) => enqueue({ path: 'swap', body: { out, into } }),
    /** Bring back a saved selection with its settings and marks, as one action. */
    restore: (name) => enqueue({ path: api.restorePath(name), body: {} }),
    /** A click on a candidate: alone it gets the focus, with a modifier it joins or leaves the selection. */
    pointed(position, how) {
      if (how === 'replace') this.focus(position);
      else store.set({ selection: combine(store.data.selection, [position], how) });
    },
    focus(position) {
      store.set({ focus: position });
      if (position !== null) inspect(position);
    },
  };
}

function means(before, after) {
  if (!before || !after) return {};
  return Object.fromEntries(Object.keys(after).map((key) => [key, [before[key], after[key]]]));
}

const DONE = { undo: 'Undone. ', redo: 'Done again. ', mark: 'Marked. ', swap: 'Swapped. ' };

/** For readers of the screen: "+3 / −3, means of the picks ...". */
function inWords({ added, dropped, means: moved }, path) {
  const signals = Object.entries(moved)
    .filter(([, values]) => values.every(Number.isFinite))
    .map(([key, [from, to]]) => `${key} ${from.toFixed(2)} to ${to.toFixed(2)}`)
    .join(', ');
  const change =
    added.length || dropped.length ? `+${added.length} / −${dropped.length}` : 'Same picks as before';
  return `${DONE[path] ?? ''}${change}${signals && `. Means: ${signals}`}.`;
}

/** The old set where nothing changed, so that nobody listening to it redraws. */
function setOf(positions, old) {
  const list = positions || [];
  return list.length === old.size && list.every((p) => old.has(p)) ? old : new Set(list);
}

/** points.bin as plain arrays; diversity stays 0 until the first selection answers. */
export async function loadPoints(api, temperature) {
  const { header, arrays } = await api.points();
  const label = arrays.label;
  return {
    ...arrays,
    diversity: arrays.diversity || new Float32Array(label.length),
    temperature: header.temperature ?? temperature,
  };
}
