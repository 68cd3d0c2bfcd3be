// More like this: variations of the focused candidate, made from its latent and scored at once.

import { messageOf } from '../core/api.js';
import { button, fill, h, said } from '../core/dom.js';
import { plural } from '../core/numbers.js';

/** @import { Api, Child, Store } from '../core/types' */

const PROMISE = 'Generate variations of this candidate: its latent with noise on it, denoised again';

/** @param {Store} store @param {Pick<Api, 'variations'>} api */
export function createVariations(store, api) {
  const words = h('p', { class: 'psr-fine', role: 'status' });
  const open = button({
    label: 'More like this …',
    iconName: 'copy',
    className: 'psr-ghost',
    onClick: () => {
      form.hidden = !form.hidden;
      if (form.hidden) return;
      count.focus({ preventScroll: true });
      form.scrollIntoView({ block: 'nearest' });
    },
  });
  const count = field('How many variations', { min: 1, step: 1, value: '8' });
  const strength = field('Strength of the noise', { min: 0.05, max: 1, step: 0.05, value: '0.5' });
  const start = button({ label: 'Start', className: 'psr-small' });
  start.type = 'submit';
  const form = h(
    'form',
    { class: 'psr-lab-form psr-variations', hidden: true, on: { submit } },
    h('label', { class: 'psr-lab-line' }, 'How many', count),
    h(
      'label',
      {
        class: 'psr-lab-line',
        title: 'Share of the steps taken anew: low stays close, 1 keeps nothing of it',
      },
      'Strength',
      strength,
    ),
    start,
  );

  /** Below the form, where a low window does not reach. @param {Child} text */
  function say(text) {
    fill(words, text);
    words.scrollIntoView({ block: 'nearest' });
  }

  /** @param {Event} event */
  async function submit(event) {
    event.preventDefault();
    const { focus } = store.data;
    if (focus === null) return;
    start.disabled = true;
    try {
      const n = Number(count.value);
      say(`Queueing ${plural(n, 'variation')} …`);
      const { job } = await api.variations(focus, n, Number(strength.value));
      form.hidden = true;
      say(`Job ${job} makes ${plural(n, 'variation')} and has them scored; they join the map then.`);
    } catch (error) {
      say(said(messageOf(error)));
    }
    start.disabled = false;
  }

  function refresh() {
    const why = store.data.info?.no_variations ?? '';
    open.disabled = Boolean(why);
    open.title = why || PROMISE;
    if (why) form.hidden = true;
  }

  store.on(['info'], refresh);
  store.on(['focus'], () => fill(words));
  refresh();
  return { open, node: h('div', {}, form, words) };
}

/** @param {string} name @param {{ min: number, max?: number, step: number, value: string }} limits */
const field = (name, limits) =>
  h('input', { type: 'number', class: 'psr-input psr-number', 'aria-label': name, ...limits });
