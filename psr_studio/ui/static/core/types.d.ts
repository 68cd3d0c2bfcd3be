// What the page's scripts hand to each other. Checked by `npm run check`; nothing of it reaches a browser.
// A position is an index into the pool's order, 0 to n - 1; lists "by class" are indexed by class id.

export type Floats = Float32Array<ArrayBuffer>;
export type Words = Uint32Array<ArrayBuffer>;
export type Ints = Int32Array<ArrayBuffer>;
export type Shorts = Uint16Array<ArrayBuffer>;
export type Bytes = Uint8Array<ArrayBuffer>;

// --- answers of the server, see curation.py, answer.py and lab.py ------------------------------------------------

export interface Weights {
  alpha: number;
  beta: number;
  gamma: number;
}
export type WeightKey = keyof Weights;

/** Weights for budgets up to `max_ipc` images per class; null: for all larger ones. */
export interface Preset {
  max_ipc: number | null;
  weights: Weights;
}

/** One value that a selector reads, as the server describes it. */
export interface Parameter {
  name: string;
  label: string;
  help: string;
  kind: 'float' | 'int' | 'choice' | 'bars';
  default: string | number | number[] | null;
  low: number | null;
  high: number | null;
  slider: number | null; // where a slider ends, before `high`
  choices: string[];
  when: [string, unknown] | null; // the setting, and its value, under which this one is read
}

export interface Selector {
  name: string;
  title: string;
  help: string;
  source: string;
  parameters: Parameter[];
}

/** Everything the selection is made with, as the server named it last; more keys than are read by name here. */
export interface Settings extends Weights {
  selector: string;
  ipc: number;
  temperature: number;
  allocation: 'even' | 'gain';
  floor: number | null;
  ceiling: number | null;
  target: string;
  within_bin: string;
  [parameter: string]: unknown;
}

/** A change to them, by name or by "selector.name"; what is left out stays, null follows the preset or lifts a limit. */
export interface Change extends Partial<Settings> {
  own_budgets?: Record<string, number | null>;
  locked?: number[];
  gesture?: string; // names the drag that it is part of: all of one drag are one undo
}

/** Picks of a difficulty bin that had to come from another. */
export interface Substitution {
  class_id: number;
  bin: number;
  wanted: number;
  taken_from: number;
  count: number;
}

/** What the first answer and every selection say about settings, budgets and marks. */
export interface Rules {
  settings: Settings;
  budgets: number[];
  least: number; // images of a class by gain, where "At least" is empty
  spread: string; // which classes the budgets leave with one image or none
  own_budgets: Record<string, number>; // 0: no image at all
  locked: number[];
  pinned: number[];
  vetoed: number[];
  tags: Record<string, number>; // candidates by tag
  tagged: Record<string, number[]>; // their positions, by tag
  undo: string | null;
  redo: string | null;
}

/** A named selection. */
export interface Saved {
  name: string;
  note: string;
  created: number;
  images: number;
  selector: string;
  current: boolean;
}

/** What selections and tags may be called, and the names that mean something: the screen, the unnamed, what the steps use. */
export interface Names {
  rule: string;
  pattern: string;
  live: string;
  working: string;
  open: string;
  longest_tag: number;
}

/** A named view: what a page shows, as the part of its address behind "#". */
export interface SavedView {
  name: string;
  created: number;
  look: string;
}

/** The candidates that a query names, of how many. */
export interface Found {
  positions: number[];
  apart: number[] | null; // how far each lies from what the query looks near to
  of: number;
}

/** A pool that has grown: the picks that were on screen, and what is new. */
export interface Grown {
  picks: number[];
  fresh: number[];
}

/** The answer of psr/curate/state: the pool's header. */
export interface Info extends Rules {
  revision: number;
  pool: string; // names the pool with its scores
  shown: string;
  before: ({ pool: string } & Grown) | null; // what was on screen before the pool grew
  variations: Record<string, number>; // by position, the number of the candidate that it is a variation of
  waiting: string;
  trouble: string;
  no_variations: string; // why no candidate can have variations; "" where they can
  project: string;
  n: number;
  n_classes: number;
  normalize: boolean; // whether the terms of the score are scaled within the class
  class_names: string[];
  counts: number[];
  image: { width: number; height: number; channels: number };
  sprite: { tile: number; columns: number; version: string };
  map: { kind: MapKind; settled: boolean }; // settled: nothing better will come
  weights: Weights;
  ipc: number;
  temperature: number;
  selectors: Selector[];
  ipc_presets: Preset[];
  weights_about: string;
  target_shapes: Record<string, number[]>;
  bin_edges: number[];
  names: Names;
  selections: Saved[];
  message?: string;
}

/** Where there is nothing to curate. */
export interface NoInfo {
  n: 0;
  revision: number;
  message: string;
  trouble: string;
  unscored: number;
  mend: string;
}

/** points.bin as plain arrays, one value per candidate; of `xy` two. `_n`: min-max over the class. */
export interface Points {
  xy: Floats;
  label: Shorts;
  reliability: Floats;
  entropy: Floats;
  difficulty: Floats;
  rel_n: Floats;
  ent_n: Floats;
  eligible: Bytes;
  diversity: Floats;
  temperature: number;
}

/** The header of every answer that selects. */
export interface AnswerHeader extends Rules {
  revision: number;
  shown: string; // fingerprint of the selection: equal for the same pool, settings, marks and locks
  n: number;
  ipc: number;
  temperature: number;
  selector: string;
  weights: Weights;
  picked: number;
  shortfall: number[];
  substituted: Substitution[];
  short_because: string; // why a class gets fewer images than its budget
  message: string;
  means: Means;
  ms: { select: number; total: number };
}

/** Its arrays; `terms` has three values for each pick. */
export interface AnswerArrays {
  picks: Words;
  pick_class: Shorts;
  scores: Floats;
  terms: Floats;
  filled: Bytes;
  diversity: Floats;
}

/** Mean signals of the picks, before and after. */
export type Means = Record<string, [number | null, number | null]>;

/** A packed answer. */
export interface Packed<Header, Arrays> {
  header: Header;
  arrays: Arrays;
}
export type Answer = Packed<AnswerHeader, AnswerArrays>;

/** What the inspector shows of one. */
export interface Candidate {
  position: number;
  candidate_id: number;
  class_id: number;
  seed: string;
  steered: string;
  /** What it is a variation of; its position is null where that is not among the scored candidates. */
  parent: { candidate_id: number; position: number | null; strength: number } | null;
  origin: string;
  soft_labels: number[];
  own_labels: boolean;
  predicted: number;
  mark: string | null;
  reason: string;
  tags: string[];
  why: string;
  neighbours: { position: number; distance: number }[];
}

/** Real images of its class that are nearest to a candidate; `known` once the teacher has looked at them. */
export interface NearReal {
  near: { row: number; distance: number }[];
  known: boolean;
}

export interface Accuracy {
  arm: string;
  student: string;
  protocol: string;
  regime: string;
  ipc: number;
  epochs: number;
  mean: number;
  std: number | null;
  n: number;
}

export interface ComparedSide {
  name: string;
  n: number;
  means: Record<string, number | null>;
  vendi: number | null;
  vendi_of_class: number | null;
  accuracy: Accuracy[];
}

export interface ComparedHeader {
  a: ComparedSide;
  b: ComparedSide;
  controls: Accuracy[];
  jaccard: number;
  per_class: {
    class_id: number;
    only_a: number;
    only_b: number;
    both: number;
    vendi_a: number | null;
    vendi_b: number | null;
  }[];
}

/** Whether the pool of one class is large enough. */
export interface Verdict {
  class_id: number;
  verdict: 'enough' | 'more would pay' | 'too small';
  sentence: string;
  suggested: number;
}

type Counts = Record<'original' | 'pool' | 'picked', number[] | null>;

export interface Distributions {
  raw: Counts;
  smoothed: Counts;
  target: number[] | null;
  thresholds: Record<'original' | 'pool', [number, number] | null>;
  substituted: Substitution[];
  n: Record<'original' | 'pool' | 'picked', number | null>;
  vendi: number | null;
}

export interface HistoryRow {
  id: number;
  description: string;
  created: number;
  undone: boolean;
}

// --- the store, see store.js -------------------------------------------------------------------------------------

/** An answer, indexed: `index[position]` is its place in `order` or -1, `rank` its place in the class from 0. */
export interface Picks {
  order: Words;
  index: Ints;
  rank: Ints;
  byClass: number[][];
  scores: Floats;
  terms: Floats;
  filled: Bytes;
  selector: string;
  substitutes: number[];
  shortfall: number[];
  shortBecause: string;
  message: string;
  total: number;
}

/** What the last answer changed. */
export interface Diff {
  added: number[];
  dropped: number[];
  path: string;
  did: string; // what was done, where neither the picks nor the path say it
  fresh: number[]; // candidates that the pool has grown by
  gains: Gains;
  means: Means;
}

export interface Gains {
  before: number[] | null;
  after: number[] | null;
}

/** The candidates lassoed on the map or in the grid; `list` ascends. Never changed in place. */
export interface Marked {
  mask: Bytes;
  list: Words;
  count: number;
}

export type SideKey = 'a' | 'b' | 'both';

/** Two selections beside each other; the last four are there once the server has answered. */
export interface Compare {
  a: string;
  b: string;
  view: 'overlay' | 'split';
  dockBefore: string | null;
  header?: ComparedHeader;
  inA?: Bytes;
  inB?: Bytes;
  lists?: Record<SideKey, number[]>;
}

/** A refusal in the server's two sentences. */
export interface Notice {
  problem: string;
  fix: string;
  retry?: (() => void) | false;
}

/** A query that the server has refused, in its words. */
export interface RefusedQuery {
  text: string;
  message: string;
}

/** Relative distance of each candidate to its nearest neighbour. */
export interface Near {
  values: Floats;
  threshold: number;
}

export interface Sprites {
  tile: number;
  starts: Words;
  paint(node: HTMLElement, position: number, classId: number, size: number): void;
  draw(
    context: CanvasRenderingContext2D,
    position: number,
    classId: number,
    x: number,
    y: number,
    size: number,
    onLoad: () => void,
  ): boolean;
}

export type GridMode = 'picks' | 'pool' | 'selection' | SideKey;
export type Tool = 'pan' | 'box' | 'lasso';
export type MapKind = 'pca' | 'umap';
export type ContourKind = 'none' | 'all' | 'class';
export type RampScale = 'linear' | 'log' | 'quantile';

interface Always {
  message: string | null;
  picks: Picks | null;
  pinned: Set<number>;
  vetoed: Set<number>;
  tags: Record<string, number>;
  tagged: Record<string, number[]>;
  weights: Weights;
  ipc: number;
  temperature: number;
  follow: boolean;
  settings: Settings | null;
  budgets: number[] | null;
  least: number;
  spread: string;
  ownBudgets: Record<string, number>;
  locked: Set<number>;
  near: Near | null;
  sufficiency: { rows: Map<number, Verdict>; picks: Picks | null } | null;
  sizeBy: string;
  focus: number | null;
  hover: number | null;
  colorBy: string;
  ramp: string;
  rampScale: RampScale;
  contours: ContourKind;
  show: 'all' | 'highlight' | 'filter';
  solo: number | null;
  tool: Tool;
  gridMode: GridMode;
  listBefore: 'picks' | 'pool';
  found: string | null;
  apart: Map<number, number> | null;
  refused: RefusedQuery | null;
  candidate: Candidate | null;
  waiting: string;
  trouble: string;
  unscored: number;
  mend: string;
  shown: string;
  mapSettled: boolean;
  mapWanted: MapKind;
  layouts: Partial<Record<MapKind, Floats>>;
  diff: Diff | null;
  timing: { drawn: number; server: number } | null;
  notice: Notice | null;
  news: { text: string; tab?: string; label?: string } | null;
  busy: boolean;
  undo: string | null;
  redo: string | null;
  saved: Saved[];
  compare: Compare | null;
  dock: string | null;
  sort: string;
  sortTurned: boolean;
  said: string;
}

/** While a pool is on the screen. */
export interface Ready extends Always {
  phase: 'ready';
  info: Info;
  points: Points;
  layout: { kind: MapKind; xy: Floats };
  selection: Marked;
  sprites: Sprites;
  settings: Settings;
}

export interface Waiting extends Always {
  phase: 'loading' | 'empty';
  info: null;
  points: null;
  layout: null;
  selection: null;
  sprites: null;
}

export type State = Ready | Waiting;
export type Patch = Partial<Ready> | Partial<Waiting>;
export type Key = keyof Ready;

export interface Store {
  readonly data: State;
  set(patch: Patch, how?: { passing?: boolean }): void;
  settle(): void;
  on(keys: Key[], listener: (data: State, changed: Key[]) => void, how?: { follows?: boolean }): () => void;
}

// --- elements, see dom.js ----------------------------------------------------------------------------------------

export type Child = Node | string | number | null | undefined | false | Child[];

/** Attributes of an element, but for listeners, inline style and the three properties that no attribute sets. */
export interface Props {
  on?: { [Name in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[Name]) => unknown };
  style?: Partial<CSSStyleDeclaration>;
  value?: string | number;
  checked?: boolean;
  disabled?: boolean;
  [attribute: string]: unknown;
}

export interface ButtonSpec {
  label: string;
  iconName?: string | false;
  title?: string;
  onClick?: (event: MouseEvent) => unknown;
  className?: string;
  pressed?: boolean;
}

// --- parts -------------------------------------------------------------------------------------------------------

/** A panel of the dock: one row of its rail. */
export interface Panel {
  id: string;
  label: string;
  title: string;
  iconName: string;
  key?: string;
  node: HTMLElement;
  /** Called whenever the panel comes into view. */
  shown?: () => void;
  /** Not opened again by a reload. */
  passing?: boolean;
}

export interface Box {
  x0: number;
  x1: number;
  y0: number;
  y1: number;
}

/** A box or lasso: on the screen as `path`, on the map as `polygon`, both flat lists x0, y0, x1, y1, ... */
export type ScreenShape = ({ kind: 'box' } & Box) | { kind: 'lasso'; path: number[] };
export type MapShape = ({ kind: 'box' } & Box) | { kind: 'lasso'; polygon: number[] };
export type Point = [x: number, y: number];
export type Rgb = number[];

/** What one picture of the map is drawn with. */
export interface MapView extends Record<'background' | 'ink' | 'accent' | 'pin' | 'veto', Rgb> {
  camera: import('../map/camera.js').Camera;
  at(position: number): Point;
  /** 0 to 1 on the way from one layout to the next. */
  morph: number;
  /** Of a point, in CSS pixels. */
  size: number;
  weights: Weights;
  domain: [number, number];
  mode: string;
  dim: number;
  dpr: number;
  status: Rgb[];
}

/** Pieces of lines: four values each, and the class whose colour each has, -1 for none. */
export interface Lines {
  ends: Floats;
  classes: Floats;
}

/** Draws the points: by WebGL2, or on a plain canvas where there is none. */
export interface Renderer {
  readonly kind: string;
  /** 'from' and 'to' hold two values per point, 'value', 'rel', 'ent' and 'div' one. */
  setFloats(name: string, data: Floats): void;
  /** 0 to 1 per point, null for all alike. */
  setSizes(sizes: Floats | null): void;
  setLabels(labels: Shorts): void;
  setFlags(flags: Bytes, order: Words): void;
  setRamp(bytes: Bytes): void;
  setClasses(colors: Rgb[]): void;
  setLines(lines: Lines | null): void;
  draw(view: MapView): void;
  /** Resolves when the graphics device has finished what was drawn so far. */
  finished(): Promise<void>;
}

export type How = 'replace' | 'add' | 'remove' | 'toggle';
/** The keys held while the mouse does something. */
export type Modifiers = { shiftKey: boolean; altKey: boolean };

export type Actions = ReturnType<typeof import('./actions.js').createActions>;
export type Api = ReturnType<typeof import('./api.js').createApi>;
export type Library = ReturnType<typeof import('./library.js').createLibrary>;
export type Search = ReturnType<typeof import('./search.js').createSearch>;
export type Comparison = ReturnType<typeof import('./compare.js').createCompare>;
