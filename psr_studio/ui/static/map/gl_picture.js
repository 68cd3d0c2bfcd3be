// A picture that the graphics device keeps of what is drawn again and again, to copy it from there.

export class GlPicture {
  asked = '';
  kept = '';

  /** @param {WebGL2RenderingContext} gl */
  constructor(gl) {
    this.gl = gl;
    this.frame = gl.createFramebuffer();
    this.pixels = gl.createRenderbuffer();
  }

  /**
   * Put on the canvas what `draw` draws there.
   * @param {string} key what that depends on: when it comes a second time the picture is kept, so that moving the map costs
   *   nothing more
   * @param {() => void} draw
   */
  show(key, draw) {
    if (key !== this.asked) {
      this.asked = key;
      return draw();
    }
    const { gl } = this;
    if (key !== this.kept) this.keep(key, draw);
    const { width, height } = gl.canvas;
    gl.bindFramebuffer(gl.READ_FRAMEBUFFER, this.frame);
    gl.blitFramebuffer(0, 0, width, height, 0, 0, width, height, gl.COLOR_BUFFER_BIT, gl.NEAREST);
    gl.bindFramebuffer(gl.READ_FRAMEBUFFER, null);
  }

  /** @param {string} key @param {() => void} draw */
  keep(key, draw) {
    const { gl } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.frame);
    gl.bindRenderbuffer(gl.RENDERBUFFER, this.pixels);
    gl.renderbufferStorage(gl.RENDERBUFFER, gl.RGBA8, gl.canvas.width, gl.canvas.height);
    gl.framebufferRenderbuffer(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.RENDERBUFFER, this.pixels);
    draw();
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    this.kept = key;
  }
}
