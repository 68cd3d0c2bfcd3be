// The marker shapes of compare, for the canvas and, as small pictures, for the page.

/** Add one shape to the path of a 2D context. */
export function addShape(context, shape, x, y, r) {
  if (shape === 'triangle') {
    context.moveTo(x, y - 1.25 * r);
    context.lineTo(x + 1.15 * r, y + 0.85 * r);
    context.lineTo(x - 1.15 * r, y + 0.85 * r);
    context.closePath();
  } else if (shape === 'square') context.rect(x - 0.95 * r, y - 0.95 * r, 1.9 * r, 1.9 * r);
  else {
    context.moveTo(x + r, y);
    context.arc(x, y, r, 0, 2 * Math.PI);
  }
}

const PATHS = {
  triangle: 'M6 .8L11.4 10.6H.6z',
  square: 'M1.4 1.4h9.2v9.2H1.4z',
  circle: 'M11 6A5 5 0 1 1 1 6a5 5 0 1 1 10 0z',
};

/** The same shape as an element; its colour is the text's. */
export function shapeIcon(shape) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 12 12');
  svg.setAttribute('class', 'psr-shape');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  path.setAttribute('d', PATHS[shape]);
  svg.append(path);
  return svg;
}
