// All traffic with the server. Every URL is relative to the page: the studio may stand behind a proxy path.

import { decodePack } from './pack.js';

/**
 * @import {
 *   Answer, Bytes, Candidate, ComparedHeader, Distributions, Floats, Found, HistoryRow, Info, MapKind, NearReal, NoInfo,
 *   Notice, Packed, Points, Saved, SavedView, Verdict
 * } from './types'
 */

/** A server's refusal in the two sentences that the screen shows. */
export class ApiError extends Error {
  /**
   * @param {string} problem
   * @param {string} fix
   * @param {number} status of the answer, 0 where there is none
   */
  constructor(problem, fix, status = 0) {
    super(`${problem} ${fix}`);
    this.problem = problem;
    this.fix = fix;
    this.status = status;
  }
}

/**
 * What was refused, or what else went wrong, as the screen shows it.
 * @param {unknown} error
 * @returns {Notice}
 */
export const refusalOf = (error) =>
  error instanceof ApiError
    ? { problem: error.problem, fix: error.fix }
    : { problem: String(error), fix: '' };

/** The same as one message. @param {unknown} error */
export function messageOf(error) {
  const { problem, fix } = refusalOf(error);
  return [problem, fix].filter(Boolean).join(' ');
}

/** @param {Response} response */
async function refusal(response) {
  /** @type {{ problem?: string, fix?: string, detail?: { problem?: string, fix?: string } }} */
  let body = {};
  try {
    body = await response.json();
  } catch {
    // Not our JSON (a proxy's page, a crash): the status below says what is known.
  }
  const said = body.problem ? body : body.detail || {};
  return new ApiError(
    said.problem || `The studio answered with status ${response.status}.`,
    said.fix || "Reload the page; if it stays, look at the program's log.",
    response.status,
  );
}

/**
 * Asks the routes of the studio; what is refused is thrown as an `ApiError`.
 * @param {string} token
 * @param {URL} root of the routes
 */
export function createRequest(token, root) {
  /** @param {string} path @param {RequestInit} options */
  async function request(path, options = {}) {
    let response;
    try {
      response = await fetch(new URL(path, root), {
        credentials: 'same-origin',
        ...options,
        headers: { 'X-PSR-Token': token, ...options.headers },
      });
    } catch {
      throw new ApiError(
        'The studio program does not answer.',
        'Check that it still runs, then press "Try again".',
      );
    }
    if (!response.ok) throw await refusal(response);
    return response;
  }
  return request;
}

/** @param {{ token: string, base?: string }} value the island's value: token and path prefix of the routes */
export function createApi({ token, base }) {
  const root = new URL(base || '.', document.baseURI);
  const request = createRequest(token, root);

  /** @type {<Header, Arrays>(response: Response) => Promise<Packed<Header, Arrays>>} */
  const pack = async (response) => decodePack(await response.arrayBuffer());
  const get = (/** @type {string} */ path) => request(`psr/curate/${path}`, { cache: 'no-store' });
  const json = async (/** @type {string} */ path) => (await get(path)).json();
  /** @type {<Header, Arrays>(path: string) => Promise<Packed<Header, Arrays>>} */
  const binary = async (path) => pack(await get(path));
  /** @param {string} method @param {string} path @param {object} [body] @param {string} [shown] what the page shows */
  const send = (method, path, body, shown = '') =>
    request(`psr/curate/${path}`, {
      method,
      headers: { 'Content-Type': 'application/json', 'X-PSR-Shown': shown },
      body: body && JSON.stringify(body),
    });
  const named = (/** @type {string} */ name) => `selections/${encodeURIComponent(name)}`;
  // Pictures are loaded by the browser itself, which cannot send our header: the token goes into the query.
  /** @param {string} path @param {string} version */
  const picture = (path, version) => {
    const url = new URL(path, root);
    url.searchParams.set('v', version);
    url.searchParams.set('token', token);
    return url.href;
  };

  return {
    /** @returns {Promise<Info | NoInfo>} */
    state: () => json('state'),
    /** @returns {Promise<Packed<{ temperature: number }, Omit<Points, 'diversity' | 'temperature'>>>} */
    points: () => binary('points.bin'),
    /** @param {number} position @returns {Promise<Candidate>} */
    candidate: (position) => json(`candidate/${position}`),
    /**
     * @param {number} position
     * @param {boolean} look have the teacher look at the real images of the class where it has not yet
     * @returns {Promise<NearReal>}
     */
    nearReal: (position, look) => json(`real/${position}?look=${look}`),
    /** @param {number} row @param {string} version */
    realUrl: (row, version) => picture(`psr/curate/real_image/${row}.png`, version),
    /** Take in a picture for queries to look near to. @param {Blob} file @returns {Promise<{ name: string }>} */
    addPicture: async (file) =>
      (
        await request('psr/curate/pictures', {
          method: 'POST',
          headers: { 'Content-Type': 'application/octet-stream' },
          body: file,
        })
      ).json(),
    /** @param {string} name */
    pictureUrl: (name) => picture(`psr/curate/pictures/${name}.png`, name),
    /** @returns {Promise<Packed<{ threshold: number }, { near: Floats }>>} */
    duplicates: () => binary('duplicates.bin'),
    /** @param {number | null} classId @returns {Promise<Distributions>} */
    distributions: (classId) => json(`distributions${classId === null ? '' : `?class_id=${classId}`}`),
    /** @returns {Promise<Verdict[]>} */
    sufficiency: () => json('sufficiency'),
    /** @param {number} limit @returns {Promise<HistoryRow[]>} */
    history: (limit) => json(`history?limit=${limit}`),
    /** @param {string} query @returns {Promise<Found>} */
    where: (query) => json(`where?${new URLSearchParams({ q: query })}`),
    /** What a query can be made of. @returns {Promise<string[]>} */
    clauses: () => json('clauses'),
    /** @returns {Promise<{ command: string }>} */
    command: () => json('command'),
    /** @returns {Promise<Saved[]>} */
    selections: () => json('selections'),
    /**
     * @param {string} a
     * @param {string} b
     * @returns {Promise<Packed<ComparedHeader, { in_a: Bytes, in_b: Bytes }>>}
     */
    compare: (a, b) => binary(`compare?${new URLSearchParams({ a, b })}`),
    /** @param {string} name @param {string} note @param {string} shown */
    saveSelection: (name, note, shown) => send('POST', 'selections', { name, note }, shown),
    /** @param {string} name */
    deleteSelection: (name) => send('DELETE', named(name)),
    /** @param {string} name @param {string} note */
    editNote: (name, note) => send('PATCH', named(name), { note }),
    /** @returns {Promise<SavedView[]>} */
    views: () => json('views'),
    /** Those there are then. @param {string} name @param {string} look @returns {Promise<SavedView[]>} */
    saveView: async (name, look) => (await send('POST', 'views', { name, look })).json(),
    /** Those that are left. @param {string} name @returns {Promise<SavedView[]>} */
    deleteView: async (name) => (await send('DELETE', `views/${encodeURIComponent(name)}`)).json(),
    /** @param {number[]} positions @param {string} name @param {string} shown @returns {Promise<Saved>} */
    exportPositions: async (positions, name, shown) =>
      (await send('POST', 'export_positions', { positions, name }, shown)).json(),
    /** @param {number[]} classes @param {number} poolSize @returns {Promise<{ job: number }>} */
    generateMore: async (classes, poolSize) =>
      (await send('POST', 'generate_more', { classes, pool_size: poolSize })).json(),
    /**
     * Variations of the candidate at a position; they are scored when they are made.
     * @param {number} position @param {number} count @param {number} strength @returns {Promise<{ job: number }>}
     */
    variations: async (position, count, strength) =>
      (await send('POST', 'variations', { position, count, strength })).json(),
    /**
     * The next map, or null while the server has nothing newer than `have`.
     * @param {string} have
     * @returns {Promise<Packed<{ kind: MapKind }, { xy: Floats }> | null>}
     */
    async map(have) {
      const response = await get(`map.bin?have=${encodeURIComponent(have)}`);
      return response.status === 204 ? null : pack(response);
    },
    /** @param {MapKind} kind @returns {Promise<Packed<{ kind: MapKind }, { xy: Floats }>>} */
    mapOf: (kind) => binary(`maps/${kind}.bin`),
    /**
     * An action that selects again.
     * @param {string} path
     * @param {object} body
     * @param {string} shown
     * @returns {Promise<Answer>}
     */
    post: async (path, body, shown) => pack(await send('POST', path, body, shown)),
    /** @param {string} name */
    restorePath: (name) => `${named(name)}/restore`,
    /** @param {number} classId @param {string} version */
    spriteUrl: (classId, version) => picture(`psr/curate/sprites/${classId}.png`, version),
    /** @param {number} position @param {string} version */
    imageUrl: (position, version) => picture(`psr/curate/image/${position}.png`, version),
    /** @returns {Promise<{ job: number }>} */
    score: async () => (await send('POST', 'score')).json(),
  };
}
