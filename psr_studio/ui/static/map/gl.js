// WebGL2 drawing of the points. Buffers are uploaded once; each view change is a handful of uniforms.

import { GlLines } from './gl_lines.js';
import { FRAGMENT, LINE_FRAGMENT, LINE_VERTEX, MAX_STATUS, VERTEX } from './shaders.js';

/** @import { Bytes, Floats, Lines, MapView, Renderer, Rgb, Shorts, Words } from '../core/types' */

/** Place and size of each attribute. @type {Record<string, [number, number]>} */
const FLOATS = { from: [0, 2], to: [1, 2], value: [2, 1], rel: [3, 1], ent: [4, 1], div: [5, 1] };
const SIZE_AT = 8;
/** @type {Record<string, number>} */
const MODE = { class: 2, picked: 3, total: 1 };
const UNIFORMS = [
  'u_center',
  'u_scale',
  'u_morph',
  'u_size',
  'u_dim',
  'u_weights',
  'u_domain',
  'u_mode',
  'u_status',
  'u_ramp',
  'u_classes',
  'u_ink',
  'u_pin',
  'u_veto',
];

/**
 * @param {HTMLCanvasElement} canvas
 * @param {() => void} onRestore called when a lost context is there again and must be drawn on
 * @returns {GlRenderer | null} null where the browser has no WebGL2
 */
export function createGlRenderer(canvas, onRestore) {
  const gl = canvas.getContext('webgl2', {
    alpha: false,
    antialias: false,
    depth: false,
    powerPreference: 'low-power',
  });
  return gl ? new GlRenderer(canvas, gl, onRestore) : null;
}

/** @implements {Renderer} */
class GlRenderer {
  kind = 'webgl2';
  /**
   * Everything uploaded so far, to rebuild after a lost context.
   * @type {{ floats: Record<string, Floats>, sizes: Floats | null, labels?: Shorts,
   *   flags?: Bytes, order?: Words, ramp?: Bytes, classes?: Rgb[], lines: Lines | null }}
   */
  cpu = { floats: {}, sizes: null, lines: null };
  /** @type {GlLines | null} */
  lines = null;
  /** @type {WebGLProgram | null} */
  program = null;
  /** @type {WebGLVertexArrayObject | null} */
  vertices = null;
  /** @type {Record<string, WebGLBuffer>} */
  buffers = {};
  /** @type {Record<string, WebGLUniformLocation | null>} */
  at = {};

  /** @param {HTMLCanvasElement} canvas @param {WebGL2RenderingContext} gl @param {() => void} onRestore */
  constructor(canvas, gl, onRestore) {
    this.canvas = canvas;
    this.gl = gl;
    this.build();
    canvas.addEventListener('webglcontextlost', (event) => event.preventDefault());
    canvas.addEventListener('webglcontextrestored', () => {
      this.restore();
      onRestore();
    });
  }

  build() {
    const { gl } = this;
    this.lines = null;
    this.program = this.link(VERTEX, FRAGMENT);
    const { program } = this;
    this.at = Object.fromEntries(UNIFORMS.map((name) => [name, gl.getUniformLocation(program, name)]));
    this.vertices = gl.createVertexArray();
    this.usePoints();
    this.buffers = {};
    gl.vertexAttrib1f(SIZE_AT, -1);
    this.makeTexture(0);
    this.makeTexture(1);
    gl.uniform1i(this.at.u_ramp, 0);
    gl.uniform1i(this.at.u_classes, 1);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  /** @param {string} vertex @param {string} fragment */
  link(vertex, fragment) {
    const { gl } = this;
    const program = gl.createProgram();
    this.compile(program, gl.VERTEX_SHADER, vertex);
    this.compile(program, gl.FRAGMENT_SHADER, fragment);
    gl.linkProgram(program);
    return program;
  }

  usePoints() {
    this.gl.useProgram(this.program);
    this.gl.bindVertexArray(this.vertices);
  }

  /** @param {WebGLProgram} program @param {number} type @param {string} source */
  compile(program, type, source) {
    const { gl } = this;
    const shader = gl.createShader(type);
    if (!shader) return; // the context is lost again
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost())
      throw new Error(gl.getShaderInfoLog(shader) ?? 'a shader was not compiled');
    gl.attachShader(program, shader);
  }

  restore() {
    const { floats, sizes, labels, flags, order, ramp, classes, lines } = this.cpu;
    this.build();
    for (const [name, data] of Object.entries(floats)) this.setFloats(name, data);
    this.setSizes(sizes);
    if (labels) this.setLabels(labels);
    if (flags && order) this.setFlags(flags, order);
    if (ramp) this.setRamp(ramp);
    if (classes) this.setClasses(classes);
    this.setLines(lines);
  }

  /** @param {number} unit */
  makeTexture(unit) {
    const { gl } = this;
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    for (const key of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER])
      gl.texParameteri(gl.TEXTURE_2D, key, gl.NEAREST);
    for (const key of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T])
      gl.texParameteri(gl.TEXTURE_2D, key, gl.CLAMP_TO_EDGE);
  }

  /** @param {number} unit @param {number} width @param {number} height @param {Bytes} bytes */
  fillTexture(unit, width, height, bytes) {
    const { gl } = this;
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, width, height, 0, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
  }

  /** @param {string} name @param {number} target @param {ArrayBufferView<ArrayBuffer>} data */
  upload(name, target, data) {
    const { gl } = this;
    this.buffers[name] ??= gl.createBuffer();
    gl.bindBuffer(target, this.buffers[name]);
    gl.bufferData(target, data, gl.DYNAMIC_DRAW);
  }

  /** @param {string} name @param {Floats} data */
  setFloats(name, data) {
    const { gl } = this;
    const [location, size] = FLOATS[name];
    this.cpu.floats[name] = data;
    this.upload(name, gl.ARRAY_BUFFER, data);
    gl.enableVertexAttribArray(location);
    gl.vertexAttribPointer(location, size, gl.FLOAT, false, 0, 0);
  }

  /** @param {Floats | null} sizes */
  setSizes(sizes) {
    const { gl } = this;
    this.cpu.sizes = sizes;
    if (!sizes) {
      gl.disableVertexAttribArray(SIZE_AT);
      gl.vertexAttrib1f(SIZE_AT, -1);
      return;
    }
    this.upload('size', gl.ARRAY_BUFFER, sizes);
    gl.enableVertexAttribArray(SIZE_AT);
    gl.vertexAttribPointer(SIZE_AT, 1, gl.FLOAT, false, 0, 0);
  }

  /** @param {Shorts} labels */
  setLabels(labels) {
    const { gl } = this;
    this.cpu.labels = labels;
    this.upload('label', gl.ARRAY_BUFFER, labels);
    gl.enableVertexAttribArray(6);
    gl.vertexAttribIPointer(6, 1, gl.UNSIGNED_SHORT, 0, 0);
  }

  /** @param {Bytes} flags @param {Words} order */
  setFlags(flags, order) {
    const { gl } = this;
    this.cpu.flags = flags;
    this.cpu.order = order;
    this.upload('flags', gl.ARRAY_BUFFER, flags);
    gl.enableVertexAttribArray(7);
    gl.vertexAttribIPointer(7, 1, gl.UNSIGNED_BYTE, 0, 0);
    this.upload('order', gl.ELEMENT_ARRAY_BUFFER, order);
  }

  /** @param {Bytes} bytes */
  setRamp(bytes) {
    this.cpu.ramp = bytes;
    this.fillTexture(0, bytes.length / 4, 1, bytes);
  }

  /** Laid out 1024 to a row, as the shader reads them. @param {Rgb[]} colors */
  setClasses(colors) {
    this.cpu.classes = colors;
    const rows = Math.max(1, Math.ceil(colors.length / 1024));
    const bytes = new Uint8Array(1024 * rows * 4).fill(255);
    for (const [c, rgb] of colors.entries()) bytes.set(rgb.map(Math.round), 4 * c);
    this.fillTexture(1, 1024, rows, bytes);
  }

  /** @param {Lines | null} lines */
  setLines(lines) {
    this.cpu.lines = lines;
    // Their shaders take as long as those of the points, and most maps have no lines.
    if (lines) this.lines ??= new GlLines(this.gl, this.link(LINE_VERTEX, LINE_FRAGMENT));
    this.lines?.set(lines);
    this.usePoints();
  }

  /** @param {MapView} view */
  draw(view) {
    const { gl, at, canvas } = this;
    if (gl.isContextLost()) return;
    gl.viewport(0, 0, canvas.width, canvas.height);
    const [red, green, blue] = view.background.map((v) => v / 255);
    gl.clearColor(red, green, blue, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    if (!this.cpu.order?.length) return;
    const { camera } = view;
    if (this.lines?.pieces && view.morph >= 1) {
      this.lines.draw(view);
      this.usePoints();
    }
    gl.uniform2f(at.u_center, camera.cx, camera.cy);
    gl.uniform2f(at.u_scale, (2 * camera.k) / camera.width, (2 * camera.k) / camera.height);
    gl.uniform1f(at.u_morph, view.morph);
    gl.uniform1f(at.u_size, view.size * view.dpr);
    gl.uniform1f(at.u_dim, view.dim);
    gl.uniform3f(at.u_weights, view.weights.alpha, view.weights.beta, view.weights.gamma);
    gl.uniform2f(at.u_domain, view.domain[0], view.domain[1]);
    gl.uniform1i(at.u_mode, MODE[view.mode] ?? 0);
    const flat = view.status
      .slice(0, MAX_STATUS)
      .flat()
      .map((v) => v / 255);
    gl.uniform3fv(at.u_status, flat);
    for (const [place, rgb] of /** @type {const} */ ([
      [at.u_ink, view.ink],
      [at.u_pin, view.pin],
      [at.u_veto, view.veto],
    ]))
      gl.uniform3fv(
        place,
        rgb.map((v) => v / 255),
      );
    gl.drawElements(gl.POINTS, this.cpu.order.length, gl.UNSIGNED_INT, 0);
  }

  /** Used to time a redraw honestly. @returns {Promise<void>} */
  finished() {
    const { gl } = this;
    const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
    return new Promise((resolve) => {
      const poll = () => {
        const waits =
          fence && !gl.isContextLost() && gl.getSyncParameter(fence, gl.SYNC_STATUS) !== gl.SIGNALED;
        if (waits) return void setTimeout(poll, 2);
        if (fence) gl.deleteSync(fence);
        resolve();
      };
      setTimeout(poll, 0);
    });
  }
}
