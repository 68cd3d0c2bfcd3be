// WebGL2 drawing of the points. Buffers are uploaded once; each view change is a handful of uniforms.

import { FRAGMENT, MAX_STATUS, VERTEX } from './shaders.js';

const FLOATS = { from: [0, 2], to: [1, 2], value: [2, 1], rel: [3, 1], ent: [4, 1], div: [5, 1] };
const SIZE_AT = 8;
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

/** @returns {GlRenderer|null} null where the browser has no WebGL2 */
export function createGlRenderer(canvas) {
  const gl = canvas.getContext('webgl2', {
    alpha: false,
    antialias: false,
    depth: false,
    powerPreference: 'low-power',
  });
  return gl ? new GlRenderer(canvas, gl) : null;
}

class GlRenderer {
  constructor(canvas, gl) {
    this.kind = 'webgl2';
    this.canvas = canvas;
    this.gl = gl;
    this.cpu = { floats: {} }; // everything uploaded so far, to rebuild after a lost context
    this.build();
    canvas.addEventListener('webglcontextlost', (event) => event.preventDefault());
    canvas.addEventListener('webglcontextrestored', () => this.restore());
  }

  build() {
    const gl = this.gl;
    const program = gl.createProgram();
    for (const [type, source] of [
      [gl.VERTEX_SHADER, VERTEX],
      [gl.FRAGMENT_SHADER, FRAGMENT],
    ]) {
      const shader = gl.createShader(type);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost()) {
        throw new Error(gl.getShaderInfoLog(shader));
      }
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    gl.useProgram(program);
    this.at = Object.fromEntries(UNIFORMS.map((name) => [name, gl.getUniformLocation(program, name)]));
    gl.bindVertexArray(gl.createVertexArray());
    this.buffers = {};
    gl.vertexAttrib1f(SIZE_AT, -1);
    this.textures = { ramp: this.texture(0), classes: this.texture(1) };
    gl.uniform1i(this.at.u_ramp, 0);
    gl.uniform1i(this.at.u_classes, 1);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  restore() {
    const { floats, labels, flags, order, ramp, classes } = this.cpu;
    this.build();
    for (const [name, data] of Object.entries(floats)) this.setFloats(name, data);
    this.setSizes(this.cpu.sizes);
    if (labels) this.setLabels(labels);
    if (flags) this.setFlags(flags, order);
    if (ramp) this.setRamp(ramp);
    if (classes) this.setClasses(classes);
    this.onRestore?.();
  }

  texture(unit) {
    const gl = this.gl;
    const texture = gl.createTexture();
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    for (const key of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER])
      gl.texParameteri(gl.TEXTURE_2D, key, gl.NEAREST);
    for (const key of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T])
      gl.texParameteri(gl.TEXTURE_2D, key, gl.CLAMP_TO_EDGE);
    return texture;
  }

  fillTexture(unit, width, height, bytes) {
    const gl = this.gl;
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, width, height, 0, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
  }

  upload(name, target, data) {
    const gl = this.gl;
    this.buffers[name] ??= gl.createBuffer();
    gl.bindBuffer(target, this.buffers[name]);
    gl.bufferData(target, data, gl.DYNAMIC_DRAW);
  }

  /** @param {string} name 'from'|'to' (2N) or 'value'|'rel'|'ent'|'div' (N) */
  setFloats(name, data) {
    const gl = this.gl;
    const [location, size] = FLOATS[name];
    this.cpu.floats[name] = data;
    this.upload(name, gl.ARRAY_BUFFER, data);
    gl.enableVertexAttribArray(location);
    gl.vertexAttribPointer(location, size, gl.FLOAT, false, 0, 0);
  }

  /** @param {Float32Array|null} sizes 0 to 1 per point, null for all alike */
  setSizes(sizes) {
    const gl = this.gl;
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

  setLabels(labels) {
    const gl = this.gl;
    this.cpu.labels = labels;
    this.upload('label', gl.ARRAY_BUFFER, labels);
    gl.enableVertexAttribArray(6);
    gl.vertexAttribIPointer(6, 1, gl.UNSIGNED_SHORT, 0, 0);
  }

  setFlags(flags, order) {
    const gl = this.gl;
    Object.assign(this.cpu, { flags, order });
    this.upload('flags', gl.ARRAY_BUFFER, flags);
    gl.enableVertexAttribArray(7);
    gl.vertexAttribIPointer(7, 1, gl.UNSIGNED_BYTE, 0, 0);
    this.upload('order', gl.ELEMENT_ARRAY_BUFFER, order);
  }

  setRamp(bytes) {
    this.cpu.ramp = bytes;
    this.fillTexture(0, bytes.length / 4, 1, bytes);
  }

  /** @param {number[][]} colors RGB per class, laid out 1024 to a row as the shader reads them */
  setClasses(colors) {
    this.cpu.classes = colors;
    const rows = Math.max(1, Math.ceil(colors.length / 1024));
    const bytes = new Uint8Array(1024 * rows * 4).fill(255);
    colors.forEach((rgb, c) => bytes.set(rgb.map(Math.round), 4 * c));
    this.fillTexture(1, 1024, rows, bytes);
  }

  draw(view) {
    const { gl, at, canvas } = this;
    if (gl.isContextLost()) return;
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(...view.background.map((v) => v / 255), 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    if (!this.cpu.order?.length) return;
    const { camera } = view;
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
    for (const name of ['ink', 'pin', 'veto'])
      gl.uniform3fv(
        at[`u_${name}`],
        view[name].map((v) => v / 255),
      );
    gl.drawElements(gl.POINTS, this.cpu.order.length, gl.UNSIGNED_INT, 0);
  }

  /** Resolves when the graphics device has finished what was drawn so far: used to time a redraw honestly. */
  finished() {
    const gl = this.gl;
    const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
    return new Promise((resolve) => {
      const poll = () => {
        const done =
          !fence || gl.isContextLost() || gl.getSyncParameter(fence, gl.SYNC_STATUS) === gl.SIGNALED;
        if (!done) return setTimeout(poll, 2);
        if (fence) gl.deleteSync(fence);
        return resolve();
      };
      setTimeout(poll, 0);
    });
  }
}
