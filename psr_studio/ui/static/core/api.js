// All traffic with the server. Every URL is relative to the page: the studio may stand behind a proxy path.

import { decodePack } from './pack.js';

/** A server's refusal in the two sentences that the screen shows. */
export class ApiError extends Error {
  constructor(problem, fix, status = 0) {
    super(`${problem} ${fix}`);
    this.problem = problem;
    this.fix = fix;
    this.status = status;
  }
}

async function refusal(response) {
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

/** @param {{token: string, base?: string}} value the island's value: token and path prefix of the routes */
export function createApi({ token, base }) {
  const root = new URL(base || '.', document.baseURI);

  async function request(path, options = {}) {
    let response;
    try {
      response = await fetch(new URL(path, root), {
        credentials: 'same-origin',
        ...options,
        headers: { 'X-PSR-Token': token, ...(options.headers || {}) },
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

  const pack = async (response) => decodePack(await response.arrayBuffer());
  const json = async (path) => (await request(`psr/curate/${path}`, { cache: 'no-store' })).json();
  const binary = async (path) => pack(await request(`psr/curate/${path}`, { cache: 'no-store' }));
  const send = (method, path, body) =>
    request(`psr/curate/${path}`, {
      method,
      headers: { 'Content-Type': 'application/json' },
      body: body && JSON.stringify(body),
    });
  const named = (name) => `selections/${encodeURIComponent(name)}`;
  const withToken = (path, query = {}) => {
    const url = new URL(path, root);
    for (const [key, value] of Object.entries({ ...query, token })) url.searchParams.set(key, value);
    return url.href;
  };

  return {
    state: () => json('state'),
    points: () => binary('points.bin'),
    candidate: (position) => json(`candidate/${position}`),
    duplicates: () => binary('duplicates.bin'),
    distributions: (classId = null) => json(`distributions${classId === null ? '' : `?class_id=${classId}`}`),
    sufficiency: () => json('sufficiency'),
    history: (limit = 50) => json(`history?limit=${limit}`),
    command: () => json('command'),
    selections: () => json('selections'),
    compare: (a, b) => binary(`compare?${new URLSearchParams({ a, b })}`),
    saveSelection: (name, note) => send('POST', 'selections', { name, note }),
    deleteSelection: (name) => send('DELETE', named(name)),
    editNote: (name, note) => send('PATCH', named(name), { note }),
    exportPositions: async (positions, name) =>
      (await send('POST', 'export_positions', { positions, name })).json(),
    generateMore: async (classes, poolSize) =>
      (await send('POST', 'generate_more', { classes, pool_size: poolSize })).json(),
    /** The next map, or null while the server has nothing newer than `have`. */
    async map(have) {
      const response = await request(`psr/curate/map.bin?have=${encodeURIComponent(have)}`, {
        cache: 'no-store',
      });
      return response.status === 204 ? null : pack(response);
    },
    /** An action that selects again: answers with the new selection. */
    post: async (path, body) => pack(await send('POST', path, body)),
    restorePath: (name) => `${named(name)}/restore`,
    // Pictures are loaded by the browser itself, which cannot send our header: the token goes into the query.
    spriteUrl: (classId, version) => withToken(`psr/curate/sprites/${classId}.png`, { v: version }),
    imageUrl: (position, version) => withToken(`psr/image/${position}.png`, { v: version }),
  };
}
