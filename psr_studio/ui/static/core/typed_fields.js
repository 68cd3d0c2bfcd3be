// A field for numbers or text that has the focus is never rewritten, in any tab of the page.
//
// Others would write there: Gradio's fields put back the number that they read after an earlier key when the page is
// busy, so that "0." becomes "0" under the cursor; they get their values once more when a tab is opened for the first
// time; and an answer of the server may bring a value while another one is typed. All of them set the property `value`
// of the element, so what is set while the focus is there waits until the field is left.

/** @typedef {HTMLInputElement | HTMLTextAreaElement} Field */

const TYPES = ['number', 'text', 'textarea'];
const nothing = () => {};

/** @param {Document} page */
export function guardTypedFields(page) {
  let leave = nothing;
  const end = () => {
    leave();
    leave = nothing;
  };
  page.addEventListener(
    'focus',
    ({ target }) => {
      end();
      if (isTyped(target)) leave = hold(target);
    },
    true,
  );
  page.addEventListener('blur', end, true);
}

/**
 * A field with a role, or with a list of its own to choose from, is the text of a choice, which its owner writes.
 * @param {unknown} target
 * @returns {target is Field}
 */
const isTyped = (target) =>
  (target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement) &&
  TYPES.includes(target.type) &&
  !target.role &&
  !target.hasAttribute('list');

/**
 * Let what is set wait from now on; the answer lets go of the field. When that happens, or the user has finished, whoever
 * set it is told what was typed since; if nothing was, it is shown.
 * @param {Field} field
 */
function hold(field) {
  const own = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), 'value');
  const listeners = new AbortController();
  const { signal } = listeners;
  let typed = false;
  /** @type {string | null} */
  let waiting = null;

  function keep() {
    Object.defineProperty(field, 'value', {
      configurable: true,
      get: () => own?.get?.call(field),
      set: (given) => {
        waiting = given;
      },
    });
  }

  function letGo() {
    Reflect.deleteProperty(field, 'value');
    if (waiting !== null && typed) field.dispatchEvent(new InputEvent('input', { bubbles: true }));
    else if (waiting !== null) field.value = waiting;
    typed = false;
    waiting = null;
  }

  /** @param {Event} event */
  function hear({ isTrusted }) {
    typed ||= isTrusted;
  }

  field.addEventListener('input', hear, { signal });
  field.addEventListener('change', letGo, { signal, capture: true });
  field.ownerDocument.addEventListener('change', keep, { signal }); // in between its owner may answer, with a bound
  keep();
  return () => {
    listeners.abort();
    letGo();
  };
}
