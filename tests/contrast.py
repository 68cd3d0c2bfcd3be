"""Contrast of what a page shows, computed in the browser: text on its ground, edges of fields on what is around."""

from __future__ import annotations

from typing import Any

TEXT, EDGE = 4.5, 3.0  # WCAG 2.2 AA: 1.4.3 and 1.4.11

# What is disabled is exempt, and so is what stands on a picture. A ground is its colour, whatever image is over that.
FAINT = """([text, edge]) => {
  const exempt = ':disabled, [aria-disabled="true"], label:has(:disabled), .psr-tile, .heatmap-label, .toast-wrap';
  const unread = 'script, style, noscript, option';
  const ticks = ['checkbox', 'radio'];
  const pen = Object.assign(document.createElement('canvas'), { width: 1, height: 1 })
    .getContext('2d', { willReadFrequently: true });
  const parsed = new Map();
  const rgba = (color) => {
    if (!parsed.has(color)) {
      pen.clearRect(0, 0, 1, 1);
      pen.fillStyle = color;
      pen.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
      parsed.set(color, [r, g, b, a / 255]);
    }
    return parsed.get(color);
  };
  const over = ([r, g, b, a], ground) => [r, g, b].map((v, i) => a * v + (1 - a) * ground[i]);
  const line = (v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * line(r) + 0.7152 * line(g) + 0.0722 * line(b);
  const contrast = (a, b) => {
    const [low, high] = [light(a), light(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const above = (node) => node.parentElement ?? node.getRootNode().host ?? null;
  const ground = (node) => {
    if (!node) return [255, 255, 255];
    const paint = rgba(getComputedStyle(node).backgroundColor);
    return paint[3] === 1 ? paint.slice(0, 3) : over(paint, ground(above(node)));
  };
  const veil = (node) => (node ? Number(getComputedStyle(node).opacity) * veil(above(node)) : 1);
  const seen = (node) => {
    const { width, height } = node.getBoundingClientRect();
    return width > 1 && height > 1 && node.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  };
  const name = (node) => {
    const own = node.id ? `#${node.id}` : [...node.classList].filter((c) => !c.startsWith('svelte')).join('.');
    const box = node.parentElement?.closest('[id], [class*="psr-"]');
    return `${box?.id || box?.classList[0]} ${node.localName} ${own}`;
  };
  const faint = new Map();
  const tell = (kind, node, found, least, words) => {
    const place = `${kind} of ${name(node)}`;
    if (found < least - 0.005) faint.set(place, `${place}: ${found.toFixed(2)} "${words.trim().slice(0, 40)}"`);
  };
  const inked = (node, color, faded, ground, words) => {
    const [r, g, b, a] = rgba(color);
    tell('text', node, contrast(over([r, g, b, a * faded], ground), ground), text, words);
  };
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = words.nextNode(); node; node = words.nextNode()) {
    const host = node.parentElement;
    if (!node.data.trim() || host.closest(`${unread}, ${exempt}`) || !seen(host)) continue;
    const style = getComputedStyle(host);
    const drawn = host instanceof SVGElement;
    const under = ground(drawn ? host.ownerSVGElement : host);
    inked(host, drawn ? style.fill : style.color, veil(host), under, node.data);
  }
  for (const node of document.querySelectorAll('input, textarea, select, .wrap:has(> .wrap-inner)')) {
    const other = ['range', 'file', 'hidden', 'color'].includes(node.type);
    if (other || node.closest(exempt) || !seen(node)) continue;
    const style = getComputedStyle(node);
    const hint = getComputedStyle(node, '::placeholder');
    const tick = ticks.includes(node.type);
    if (node.value && !tick) inked(node, style.color, veil(node), ground(node), node.value);
    else if (node.placeholder) inked(node, hint.color, hint.opacity * veil(node), ground(node), node.placeholder);
    // A field in a frame has the frame's edge; a box that the browser draws has its own.
    if (node.matches('.border-none') || (tick && style.appearance === 'auto')) continue;
    const around = ground(above(node));
    const edges = [contrast(ground(node), around)];
    if (parseFloat(style.borderTopWidth)) edges.push(contrast(over(rgba(style.borderTopColor), around), around));
    tell('edge', node, Math.max(...edges), edge, node.getAttribute('aria-label') ?? node.value ?? '');
  }
  return [...faint.values()];
}"""


def faint(page: Any) -> list[str]:
    """What the page shows with less contrast than WCAG AA asks for."""
    return page.evaluate(FAINT, [TEXT, EDGE])
