// Asks for the pool while Gradio still builds the page: this script is in the page's head, and what Gradio
// knows of the island, its token too, stands in the page as it is sent.

const FRESH_MS = 10_000;
const ISLAND = 'psr-curate';
const PATHS = ['psr/curate/state', 'psr/curate/points.bin'];

const asked = new Map();

/** Ask now; without an island in the page (at the login, say) nothing is asked. */
function ask() {
  const parts = window.gradio_config?.components ?? [];
  const value = parts.find(({ props }) => props?.elem_id === ISLAND)?.props.value;
  if (!value?.token) return;
  const root = new URL(value.base || '.', document.baseURI);
  const headers = { 'X-PSR-Token': value.token };
  for (const path of PATHS) {
    const response = fetch(new URL(path, root), { headers, credentials: 'same-origin', cache: 'no-store' });
    asked.set(path, { at: performance.now(), response: response.catch(() => null) });
  }
}

/** @returns {Promise<Response|null>} the early answer, once and while it is fresh; null where there is none */
export async function earlyAnswer(path) {
  const early = asked.get(path);
  asked.delete(path);
  const response = early && performance.now() - early.at < FRESH_MS ? await early.response : null;
  return response?.ok ? response : null;
}

ask();
