import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodePack } from '../../psr_studio/ui/static/core/pack.js';
import { always } from './random.js';

/** @typedef {keyof typeof KINDS} Dtype */

const KINDS = { f32: Float32Array, u32: Uint32Array, u16: Uint16Array, u8: Uint8Array };

/** Bytes and then fillers up to a multiple of four. @param {Uint8Array} bytes @param {number} filler */
const padded = (bytes, filler) => [...bytes, ...new Array(-bytes.length & 3).fill(filler)];

/** As the server writes it. @param {object} header @param {[name: string, dtype: Dtype, values: number[]][]} arrays */
function encode(header, arrays) {
  /** @type {number[]} */
  const body = [];
  const listed = arrays.map(([name, dtype, values]) => {
    const spec = { name, dtype, length: values.length, offset: body.length };
    body.push(...padded(new Uint8Array(KINDS[dtype].from(values).buffer), 0));
    return spec;
  });
  const text = padded(new TextEncoder().encode(JSON.stringify({ ...header, arrays: listed })), 32);
  return new Uint8Array([...new Uint8Array(Uint32Array.of(text.length).buffer), ...text, ...body]).buffer;
}

test('header and arrays come back, whatever lengths stand before each other', () => {
  const kinds = /** @type {Dtype[]} */ (Object.keys(KINDS));
  always((random) => {
    const arrays = random
      .shuffled(kinds)
      .map((dtype) => /** @type {const} */ ([dtype, dtype, random.some(random.integer(0, 9), 0.7)]));
    const words = { name: 'Größe'.slice(0, random.integer(0, 5)) };
    const { header, arrays: read } = decodePack(encode(words, /** @type {any} */ (arrays)));
    assert.equal(/** @type {any} */ (header).name, words.name);
    for (const [name, dtype, values] of arrays)
      assert.deepEqual(/** @type {any} */ (read)[name], KINDS[dtype].from(values));
  });
});

test('an array of an unknown type is named', () => {
  const { buffer } = new Uint8Array(encode({}, [['x', 'u8', [1]]]));
  const text = new TextDecoder().decode(buffer).replace('"u8"', '"i8"');
  assert.throws(() => decodePack(new TextEncoder().encode(text).buffer), /"x" has the unknown type "i8"/);
});
