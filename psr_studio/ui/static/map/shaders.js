// The point shaders. Colour is decided per vertex from uniforms: a slider drag uploads three floats.

export const MAX_STATUS = 6;

export const VERTEX = `#version 300 es
precision highp float;
layout(location=0) in vec2 a_from;
layout(location=1) in vec2 a_to;
layout(location=2) in float a_value;
layout(location=3) in float a_rel;
layout(location=4) in float a_ent;
layout(location=5) in float a_div;
layout(location=6) in uint a_label;
layout(location=7) in uint a_flags;
layout(location=8) in float a_size;   // 0 to 1, below 0 where all points are of one size
uniform vec2 u_center, u_scale;
uniform float u_morph, u_size, u_dim;
uniform vec3 u_weights;
uniform vec2 u_domain;
uniform int u_mode;               // 0 value on the ramp, 1 total score on the ramp, 2 class, 3 status
uniform vec3 u_status[${MAX_STATUS}];
uniform sampler2D u_ramp, u_classes;
out vec4 v_color;
flat out uint v_flags;
flat out float v_inner;           // radius of the disk as a share of the sprite
flat out float v_pixel;           // one device pixel in the same unit

vec3 ramp(float value) {
  float t = clamp((value - u_domain.x) / max(u_domain.y - u_domain.x, 1e-9), 0.0, 1.0);
  return texture(u_ramp, vec2((t * 255.0 + 0.5) / 256.0, 0.5)).rgb;
}

int status(uint f) {              // the same rule as flags.statusOf
  if ((f & 4u) != 0u) return 5;
  if ((f & 2u) != 0u) return 4;
  if ((f & 16u) != 0u) return 3;
  if ((f & 1u) != 0u) return 2;
  return (f & 32u) != 0u ? 0 : 1;
}

void main() {
  vec2 at = mix(a_from, a_to, u_morph);
  gl_Position = vec4((at - u_center) * u_scale, 0.0, 1.0);
  vec3 rgb;
  if (u_mode == 0) rgb = ramp(a_value);
  else if (u_mode == 1) rgb = ramp(u_weights.x * a_rel - u_weights.y * a_ent + u_weights.z * a_div);
  else if (u_mode == 2) rgb = texelFetch(u_classes, ivec2(int(a_label) % 1024, int(a_label) / 1024), 0).rgb;
  else rgb = u_status[status(a_flags)];
  bool strong = (a_flags & 64u) != 0u;
  bool marked = (a_flags & 6u) != 0u;
  bool ringed = (a_flags & 128u) != 0u;
  float disk = u_size * (strong ? 1.35 : 1.0) * (a_size < 0.0 ? 1.0 : mix(0.55, 1.9, a_size));
  float sprite = marked ? max(disk * 2.0, disk + 8.0) : ringed ? disk + 5.0 : disk;
  gl_PointSize = sprite;
  v_inner = disk / sprite;
  v_pixel = 2.0 / sprite;
  v_color = vec4(rgb, strong ? 1.0 : u_dim);
  v_flags = a_flags;
}`;

export const FRAGMENT = `#version 300 es
precision highp float;
in vec4 v_color;
flat in uint v_flags;
flat in float v_inner;
flat in float v_pixel;
uniform vec3 u_ink, u_pin, u_veto;
out vec4 o_color;

void main() {
  vec2 p = gl_PointCoord * 2.0 - 1.0;
  float r = length(p);
  bool strong = (v_flags & 64u) != 0u;
  float alpha = (1.0 - smoothstep(v_inner - v_pixel, v_inner + 0.2 * v_pixel, r)) * v_color.a;
  vec3 rgb = v_color.rgb;
  // A thin rim keeps strong points apart from a crowd of their own colour.
  if (strong) rgb = mix(rgb, u_ink, 0.55 * smoothstep(v_inner - 2.2 * v_pixel, v_inner - 1.2 * v_pixel, r));
  if ((v_flags & 128u) != 0u) {
    float ring = 1.0 - smoothstep(0.7 * v_pixel, 1.5 * v_pixel, abs(r - v_inner - 1.2 * v_pixel));
    rgb = mix(rgb, u_ink, ring);
    alpha = max(alpha, ring);
  }
  if ((v_flags & 2u) != 0u) {
    float ring = 1.0 - smoothstep(1.0 * v_pixel, 1.8 * v_pixel, abs(r - (1.0 - 2.0 * v_pixel)));
    rgb = mix(rgb, u_pin, ring);
    alpha = max(alpha, ring);
  }
  if ((v_flags & 4u) != 0u) {
    float cross_ = 1.0 - smoothstep(1.0 * v_pixel, 1.8 * v_pixel, abs(abs(p.x) - abs(p.y)) * 0.7071);
    cross_ *= 1.0 - step(0.92, r);
    rgb = mix(rgb, u_veto, cross_);
    alpha = max(alpha, cross_);
  }
  if (alpha < 0.01) discard;
  o_color = vec4(rgb * alpha, alpha);
}`;

export const LINE_VERTEX = `#version 300 es
precision highp float;
layout(location=0) in vec4 a_ends;
layout(location=1) in float a_class;  // below 0: the line is around all points
uniform vec2 u_center, u_scale;
uniform vec3 u_pixels;                // half the map's width and height, and the width of a line
uniform vec3 u_ink;
uniform sampler2D u_classes;
out vec4 v_color;
out float v_off;                      // from the middle of the line, in pixels

void main() {
  vec2 a = (a_ends.xy - u_center) * u_scale * u_pixels.xy;
  vec2 b = (a_ends.zw - u_center) * u_scale * u_pixels.xy;
  vec2 along = normalize(b - a + vec2(1e-6, 0.0));
  float half_ = 0.5 * u_pixels.z + 1.0;
  int corner = gl_VertexID % 6;         // 0 1 2 and 3 4 5, of which 3 is 2 and 4 is 1
  corner = corner < 3 ? corner : corner == 3 ? 2 : corner == 4 ? 1 : 3;
  v_off = (corner & 1) == 0 ? -half_ : half_;
  vec2 at = ((corner & 2) == 0 ? a : b) + v_off * vec2(-along.y, along.x);
  gl_Position = vec4(at / u_pixels.xy, 0.0, 1.0);
  int c = int(max(a_class, 0.0));
  vec3 rgb = a_class < 0.0 ? u_ink : texelFetch(u_classes, ivec2(c % 1024, c / 1024), 0).rgb;
  v_color = vec4(rgb, a_class < 0.0 ? 0.45 : 0.9);
}`;

export const LINE_FRAGMENT = `#version 300 es
precision highp float;
in vec4 v_color;
in float v_off;
uniform vec3 u_pixels;
out vec4 o_color;

void main() {
  float alpha = v_color.a * (1.0 - smoothstep(0.5 * u_pixels.z - 0.5, 0.5 * u_pixels.z + 0.5, abs(v_off)));
  o_color = vec4(v_color.rgb * alpha, alpha);
}`;
