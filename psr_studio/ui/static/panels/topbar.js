// The bar above the tabs: names, chips, the running job, the theme; and the status dots in the tab names.
// Runs as the body of a function with `element`, `props` and `watch` of Gradio's HTML component.
// Every word from the server is set as text, never as markup.

const THEME_KEY = 'psr-studio-theme';
const MOON = '<svg viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.5" aria-hidden="true">'
  + '<path d="M13.5 9.6A5.8 5.8 0 0 1 6.4 2.5a5.8 5.8 0 1 0 7.1 7.1Z"/></svg>';
const MARK = '<svg viewBox="0 0 20 20" fill="currentColor" aria-hidden="true"><circle cx="4" cy="5" r="1.6" opacity=".35"/>'
  + '<circle cx="9" cy="3.5" r="1.6" opacity=".35"/><circle cx="15.5" cy="6" r="1.6" opacity=".35"/>'
  + '<circle cx="6.5" cy="10.5" r="2.4"/><circle cx="13.5" cy="11.5" r="2.4"/><circle cx="3.5" cy="15.5" r="1.6" opacity=".35"/>'
  + '<circle cx="10" cy="16" r="2.4"/><circle cx="16.5" cy="16.5" r="1.6" opacity=".35"/></svg>';

const bar = element.querySelector('.psr-top');

function node(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function chip(label, text) {
  const made = node('span', 'psr-chip');
  made.append(node('b', '', label), document.createTextNode(text));
  made.title = `${label}: ${text}`;
  return made;
}

function pill(job) {
  const made = node('button', 'psr-pill');
  made.type = 'button';
  made.dataset.state = job.state;
  made.title = job.title;
  made.append(node('span', '', job.text));
  if (job.state === 'running') {
    const track = node('span', 'psr-pill-bar');
    const fill = node('i', '');
    fill.style.width = `${Math.round(100 * job.fraction)}%`;
    track.append(fill);
    made.append(track);
  }
  made.addEventListener('click', () => tabButton(job.tab)?.click());
  return made;
}

function themeButton() {
  const made = node('button', 'psr-icon-button');
  made.type = 'button';
  made.title = 'Light or dark';
  made.setAttribute('aria-label', 'Light or dark');
  made.innerHTML = MOON; // our own constant
  made.addEventListener('click', () => {
    const dark = document.body.classList.toggle('dark');
    try { localStorage.setItem(THEME_KEY, dark ? 'dark' : 'light'); } catch { /* private mode: not remembered */ }
  });
  return made;
}

function restoreTheme() {
  if (new URLSearchParams(location.search).has('__theme')) return;
  let kept = null;
  try { kept = localStorage.getItem(THEME_KEY); } catch { /* private mode */ }
  if (kept) document.body.classList.toggle('dark', kept === 'dark');
}

const tabButton = (id) => document.getElementById(`psr-tab-${id}-button`);

// The open tab stands in the address behind "#", so that a reload comes back to it; see address.js.
const TABS = ['pool', 'curate', 'refine', 'tune', 'evaluate', 'export'];
const namedTab = () => new URLSearchParams(location.hash.slice(1)).get('tab');

function keepTab() {
  const open = TABS.find((id) => tabButton(id)?.getAttribute('aria-selected') === 'true');
  if (!open || open === namedTab()) return;
  const params = new URLSearchParams(location.hash.slice(1));
  const rest = [...params].filter(([key]) => key !== 'tab').map(([key, value]) => `&${key}=${encodeURIComponent(value)}`);
  history.replaceState(history.state, '', `#tab=${open}${rest.join('').replaceAll('%2C', ',')}`);
}

function watchTabs(wanted, tries = 40) {
  const list = tabButton('curate')?.closest('[role="tablist"]');
  const named = TABS.includes(wanted) && tabButton(wanted);
  const there = list && (!named || named.getAttribute('aria-selected') === 'true');
  // The tabs are drawn after this bar, and answer to clicks later still.
  if (!there && tries) {
    named?.click?.();
    return setTimeout(watchTabs, 250, wanted, tries - 1);
  }
  if (!list) return undefined;
  new MutationObserver(keepTab).observe(list, { subtree: true, attributeFilter: ['aria-selected'] });
  window.addEventListener('hashchange', () => tabButton(namedTab())?.click());
  return keepTab();
}

function dots(stages) {
  for (const [id, { state, reason, running }] of Object.entries(stages || {})) {
    const tab = tabButton(id);
    if (!tab) continue;
    tab.dataset.psrState = state;
    tab.title = reason;
    tab.toggleAttribute('data-psr-running', Boolean(running));
  }
}

function draw() {
  const { project, root, chips, job, stages } = props.value || {};
  const name = node('span', 'psr-top-name');
  name.innerHTML = MARK; // our own constant
  name.append(document.createTextNode('PSR Studio'));
  const folder = node('span', 'psr-top-project', project);
  folder.title = root;
  bar.replaceChildren(name, folder, ...(chips || []).map(([label, text]) => chip(label, text)),
    node('span', 'psr-top-grow'), ...(job ? [pill(job)] : []), themeButton());
  dots(stages);
}

restoreTheme();
draw();
watchTabs(namedTab());
setTimeout(draw, 300); // the tab buttons may be drawn after this bar
watch('value', draw);
