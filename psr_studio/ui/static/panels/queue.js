// The queue under the job pill: what runs, with its two stops, and what waits, each with its cancel.

import { messageOf } from '../core/api.js';
import { button, h } from '../core/dom.js';

/**
 * @typedef {object} Entry
 * @property {number} id
 * @property {string} tab
 * @property {string} title
 * @property {string} state "running" or "queued"
 * @property {string} stopping
 * @property {string} facts
 * @property {number} fraction
 * @property {boolean} resumes
 */
/** @typedef {{ tab: string, text: string, title: string }} Ended the job that ended last, or was asked for */
/** @typedef {(path: string, options?: RequestInit) => Promise<Response>} Request */
/** @typedef {(id: number, how: string) => Promise<void>} Stop */

/** @param {{ request: Request, openTab: (tab: string) => void }} parts */
export function createQueue({ request, openTab }) {
  const list = h('ol', { class: 'psr-queue-list' });
  const none = h('p', { class: 'psr-note' });
  const refused = h('p', { class: 'psr-queue-refused', role: 'alert' });
  const node = h(
    'div',
    { class: 'psr-menu psr-queue', popover: 'auto', tabindex: '-1', autofocus: true, 'aria-label': 'Jobs' },
    h('h3', {}, 'Jobs'),
    none,
    list,
    refused,
  );
  /** @type {Map<number, ReturnType<typeof createRow>>} */
  let rows = new Map();

  /** @type {Stop} */
  async function stop(id, how) {
    try {
      const response = await request(`psr/jobs/${id}/stop`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ how }),
      });
      refused.textContent = '';
      show(await response.json(), null);
    } catch (error) {
      refused.textContent = messageOf(error);
    }
  }

  /** Rows are kept, so that a button keeps the focus. @param {Entry[]} jobs @param {Ended | null} [last] */
  function show(jobs, last) {
    const kept = new Map(jobs.map(({ id }) => [id, rows.get(id) ?? createRow(id, stop, openTab)]));
    for (const job of jobs) kept.get(job.id)?.show(job);
    if ([...kept.keys()].join() !== [...rows.keys()].join())
      list.replaceChildren(...[...kept.values()].map((row) => row.node));
    rows = kept;
    none.hidden = jobs.length > 0;
    if (last) none.replaceChildren('No job waits. ', lastJob(last, openTab));
  }

  return { node, show, toggle: () => node.togglePopover() };
}

/** @param {Ended} last @param {(tab: string) => void} openTab */
const lastJob = ({ tab, text, title }, openTab) =>
  h(
    'button',
    { type: 'button', class: 'psr-link', title, on: { click: () => openTab(tab) } },
    `Last: ${text}.`,
  );

/** @param {number} id @param {Stop} stop @param {(tab: string) => void} openTab */
function createRow(id, stop, openTab) {
  let tab = '';
  const title = h('button', { type: 'button', class: 'psr-link', on: { click: () => openTab(tab) } });
  const facts = h('span', { class: 'psr-note' });
  const bar = h('i');
  const after = button({ label: 'Stop after this part', onClick: () => stop(id, 'after part') });
  const now = button({ label: 'Stop now', className: 'psr-danger', onClick: () => stop(id, 'now') });
  const cancel = button({ label: 'Cancel', onClick: () => stop(id, 'now') });
  const node = h(
    'li',
    { 'data-job': id },
    h('div', { class: 'psr-queue-words' }, title, facts),
    h('div', { class: 'psr-queue-buttons' }, after, now, cancel),
    h('div', { class: 'psr-pill-bar' }, bar),
  );

  /** @param {Entry} job */
  function show(job) {
    const running = job.state === 'running';
    tab = job.tab;
    node.dataset.state = job.state;
    title.textContent = job.title;
    facts.textContent = job.facts;
    bar.style.width = `${Math.round(100 * job.fraction)}%`;
    after.hidden = !running || !job.resumes;
    now.hidden = !running;
    cancel.hidden = running;
    after.disabled = job.stopping !== '';
    now.disabled = job.stopping === 'now';
  }

  return { node, show };
}
