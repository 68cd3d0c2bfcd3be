// Pure functions over the server's answers: no DOM, no network.

export const COLOR_MODES = [
  { key: 'reliability', label: 'Reliability', hint: 'probability of the own class under the teacher' },
  { key: 'entropy', label: 'Entropy', hint: 'how undecided the teacher is, 0 to 1' },
  { key: 'difficulty', label: 'Difficulty', hint: '1 − probability of the own class at tau = 1' },
  {
    key: 'total',
    label: 'Total score',
    hint: 'alpha·reliability − beta·entropy + gamma·diversity, each min-max in its class',
  },
  { key: 'class', label: 'Class', hint: 'class the candidate was made for' },
  { key: 'picked', label: 'Picked', hint: 'state in the current selection' },
  {
    key: 'near',
    label: 'Near-duplicates',
    hint: 'distance to the nearest other candidate of the class; 1 is usual for the class, 0 an exact copy',
  },
];

/** Signals that a point's size can follow. */
export const SIZE_MODES = ['even', 'reliability', 'entropy', 'difficulty', 'near'];

/** Values of a signal that is shown as it is, null for what is computed (total score) or has no order. */
export function signalOf({ points, near }, key) {
  if (key === 'near') return near?.values ?? new Float32Array(points.label.length).fill(1);
  return ['reliability', 'entropy', 'difficulty'].includes(key) ? points[key] : null;
}

/** First position of each class; one more entry than classes. Positions are ordered by class, then index. */
export function classStarts(counts) {
  const starts = new Uint32Array(counts.length + 1);
  counts.forEach((size, c) => {
    starts[c + 1] = starts[c] + size;
  });
  return starts;
}

const weightsOf = (value) =>
  Array.isArray(value)
    ? { alpha: value[0], beta: value[1], gamma: value[2] }
    : { alpha: value.alpha, beta: value.beta, gamma: value.gamma };

/** The first preset whose `max_ipc` reaches `ipc`; a missing or null `max_ipc` means no upper bound. */
export function presetFor(presets, ipc) {
  const row = presets.find((p) => p.max_ipc === null || p.max_ipc === undefined || ipc <= p.max_ipc);
  return weightsOf((row || presets[presets.length - 1]).weights);
}

export function sameWeights(a, b) {
  return ['alpha', 'beta', 'gamma'].every((key) => Math.abs(a[key] - b[key]) < 1e-9);
}

/** Index an answer: `index[position]` is its place in `order` or -1, `rank` its place in the class from 0. */
export function buildPicks(header, arrays, n, nClasses) {
  const index = new Int32Array(n).fill(-1);
  const rank = new Int32Array(arrays.picks.length);
  const byClass = Array.from({ length: nClasses }, () => []);
  arrays.picks.forEach((position, i) => {
    index[position] = i;
    const own = byClass[arrays.pick_class[i]];
    rank[i] = own.length;
    own.push(position);
  });
  const substitutes = new Array(nClasses).fill(0);
  for (const { class_id: c, count } of header.substituted || []) substitutes[c] += count;
  return {
    order: arrays.picks,
    index,
    rank,
    byClass,
    scores: arrays.scores,
    terms: arrays.terms,
    filled: arrays.filled,
    selector: header.selector,
    substitutes, // by class: what DGS took from a neighbouring bin
    shortfall: (header.shortfall || []).map((n, c) => n - substitutes[c]), // and what is short beside that
    message: header.message || '',
    total: arrays.picks.length,
  };
}

/** Why a class is short, in words: DGS takes whoever is not vetoed. */
export const shortReason = (picks) =>
  picks.selector === 'dgs' ? 'too few candidates are left' : 'too few eligible candidates';

/** What the screen gained and lost; counted here, because an answer that came too late was never shown. */
export function diffPicks(before, after) {
  if (!before) return null;
  const added = Array.from(after.order).filter((position) => before.index[position] < 0);
  const dropped = Array.from(before.order).filter((position) => after.index[position] < 0);
  return { added, dropped };
}

/** Mean raw signals of the picked candidates. */
export function meanSignals(points, picks) {
  const means = { reliability: 0, entropy: 0, difficulty: 0 };
  if (!picks || !picks.total) return null;
  for (const key of Object.keys(means)) {
    for (const position of picks.order) means[key] += points[key][position];
    means[key] /= picks.total;
  }
  return means;
}

/** Total score of every candidate: the same sum as the vertex shader, for legend, hover and hit lists. */
export function totalScores(points, weights, out) {
  const n = points.label.length;
  const total = out && out.length === n ? out : new Float32Array(n);
  const { alpha, beta, gamma } = weights;
  const { rel_n: rel, ent_n: ent, diversity } = points;
  for (let i = 0; i < n; i += 1) total[i] = alpha * rel[i] - beta * ent[i] + gamma * diversity[i];
  return total;
}

/** The three weighted terms of one candidate that is not (yet) picked. */
export function termsNow(points, weights, position) {
  return [
    weights.alpha * points.rel_n[position],
    -weights.beta * points.ent_n[position],
    weights.gamma * points.diversity[position],
  ];
}

/** Range of the values, or of those that `mask` names where it names any. */
export function minMax(values, mask) {
  let low = Infinity;
  let high = -Infinity;
  for (let i = 0; i < values.length; i += 1) {
    if (mask && !mask[i]) continue;
    if (values[i] < low) low = values[i];
    if (values[i] > high) high = values[i];
  }
  if (low <= high) return [low, high];
  return mask ? minMax(values) : [0, 1];
}

/** The 2 % and 98 % quantiles, so that one outlier does not use up the colour range. */
export function robustRange(values) {
  const sorted = Float32Array.from(values).sort();
  if (!sorted.length) return [0, 1];
  const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
  const range = [at(0.02), at(0.98)];
  return range[0] < range[1] ? range : minMax(sorted);
}

export function bounds(xy, positions) {
  let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
  const each = (i) => {
    x0 = Math.min(x0, xy[2 * i]);
    x1 = Math.max(x1, xy[2 * i]);
    y0 = Math.min(y0, xy[2 * i + 1]);
    y1 = Math.max(y1, xy[2 * i + 1]);
  };
  if (positions) positions.forEach(each);
  else for (let i = 0; i < xy.length / 2; i += 1) each(i);
  return x0 <= x1 ? { x0, x1, y0, y1 } : { x0: -1, x1: 1, y0: -1, y1: 1 };
}

/** Changes when the pool itself does. */
export const poolKey = (info) => JSON.stringify([info.n, info.counts, info.sprite?.version]);

/** Same pool, same temperature: then other reliabilities mean other scores. */
export function sameSignals(a, b) {
  if (a.temperature !== b.temperature) return true; // another tau is a setting, not another pool
  const same = (key) => a[key].length === b[key].length && a[key].every((value, i) => value === b[key][i]);
  return same('reliability') && same('eligible');
}

export function followsPreset(info) {
  if (!info.ipc_presets?.length) return false;
  return sameWeights(info.weights, presetFor(info.ipc_presets, info.ipc));
}
