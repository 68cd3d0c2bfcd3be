// Decodes the binary answers: uint32 header length, header JSON, then arrays, each starting on 4 bytes.

/** @import { Packed } from './types' */

/** @type {Record<string, new (buffer: ArrayBuffer, offset: number, length: number) => ArrayBufferView>} */
const VIEWS = { f32: Float32Array, u32: Uint32Array, u16: Uint16Array, u8: Uint8Array };

/**
 * @template Header, Arrays
 * @param {ArrayBuffer} buffer
 * @returns {Packed<Header, Arrays>} the arrays are views into `buffer`, nothing is copied
 */
export function decodePack(buffer) {
  const headerLength = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, headerLength)));
  const start = 4 + headerLength;
  /** @type {Record<string, ArrayBufferView>} */
  const arrays = {};
  for (const { name, dtype, length, offset } of header.arrays) {
    if (!VIEWS[dtype]) throw new Error(`array "${name}" has the unknown type "${dtype}"`);
    arrays[name] = new VIEWS[dtype](buffer, start + offset, length);
  }
  return { header, arrays: /** @type {Arrays} */ (arrays) };
}
