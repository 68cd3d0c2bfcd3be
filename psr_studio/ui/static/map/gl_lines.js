// Lines of a map by WebGL2: one smooth rectangle of two triangles a piece, all by one call.

/** @import { Floats, Lines, MapView } from '../core/types' */

const WIDTH = 1.4; // in CSS pixels
const CORNERS = 6; // of two triangles; instances would be cheaper to hold, but slow where no graphics device draws

export class GlLines {
  pieces = 0;
  /** @type {Record<string, WebGLUniformLocation | null>} */
  at = {};

  /** @param {WebGL2RenderingContext} gl @param {WebGLProgram} program of the line shaders */
  constructor(gl, program) {
    this.gl = gl;
    this.program = program;
    this.at = Object.fromEntries(
      ['u_center', 'u_scale', 'u_pixels', 'u_ink', 'u_classes'].map((name) => [
        name,
        gl.getUniformLocation(program, name),
      ]),
    );
    this.vertices = gl.createVertexArray();
    this.buffers = [gl.createBuffer(), gl.createBuffer()];
  }

  /** @param {Lines | null} lines */
  set(lines) {
    const { gl } = this;
    this.pieces = lines?.classes.length ?? 0;
    if (!lines) return;
    gl.bindVertexArray(this.vertices);
    for (const [location, { data, size }] of [
      { data: lines.ends, size: 4 },
      { data: lines.classes, size: 1 },
    ].entries()) {
      gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[location]);
      gl.bufferData(gl.ARRAY_BUFFER, repeated(data, size), gl.STATIC_DRAW);
      gl.enableVertexAttribArray(location);
      gl.vertexAttribPointer(location, size, gl.FLOAT, false, 0, 0);
    }
  }

  /** @param {MapView} view */
  draw({ camera, ink }) {
    const { gl, at } = this;
    gl.useProgram(this.program);
    gl.bindVertexArray(this.vertices);
    gl.uniform2f(at.u_center, camera.cx, camera.cy);
    gl.uniform2f(at.u_scale, (2 * camera.k) / camera.width, (2 * camera.k) / camera.height);
    gl.uniform3f(at.u_pixels, camera.width / 2, camera.height / 2, WIDTH);
    gl.uniform3f(at.u_ink, ink[0] / 255, ink[1] / 255, ink[2] / 255);
    gl.uniform1i(at.u_classes, 1);
    gl.drawArrays(gl.TRIANGLES, 0, CORNERS * this.pieces);
  }
}

/** The values of each piece once for each of its corners. @param {Floats} data @param {number} size */
function repeated(data, size) {
  const found = new Float32Array(CORNERS * data.length);
  for (let i = 0; i < data.length; i += size)
    for (let k = 0; k < CORNERS; k += 1) found.set(data.subarray(i, i + size), CORNERS * i + k * size);
  return found;
}
