import { fromF16, toF16 } from "../half.ts";

const BLOCK_VALUES = 32;
const BLOCK_BYTES = 34;

/** The largest finite f16. */
const LARGEST_SCALE = 65504;

/** Adding and taking it away leaves the nearest integer, ties to even. */
const ROUND = 1.5 * 2 ** 52;

/**
 * Values as q8_0 blocks, laid out as in a GGUF file: [scale f16][32 × int8], scale = max|value| / 127 rounded to f16, codes to the
 * nearest, ties to even. A block whose scale rounds to 0 becomes zeros.
 *
 * @throws {RangeError} `values` is not a whole number of blocks
 */
export function encodeQ8_0(values: Float32Array): Uint8Array<ArrayBuffer> {
  if (values.length % BLOCK_VALUES !== 0) {
    throw new RangeError(`Cannot encode ${values.length} values as q8_0: its blocks hold ${BLOCK_VALUES}`);
  }
  const bytes = new Uint8Array((values.length / BLOCK_VALUES) * BLOCK_BYTES);
  for (let from = 0, at = 0; from < values.length; from += BLOCK_VALUES, at += BLOCK_BYTES) {
    let most = 0;
    for (let j = 0; j < BLOCK_VALUES; j++) {
      const size = Math.abs(values[from + j]);
      if (size > most) most = size;
    }
    const bits = toF16(Math.min(most / 127, LARGEST_SCALE));
    const scale = fromF16(bits);
    bytes[at] = bits & 255;
    bytes[at + 1] = bits >> 8;
    if (scale === 0) continue;
    for (let j = 0; j < BLOCK_VALUES; j++) {
      const code = values[from + j] / scale + ROUND - ROUND;
      // A scale rounded down, by much among the smallest f16 values, leaves quotients above 127.
      bytes[at + 2 + j] = Math.max(-127, Math.min(127, code));
    }
  }
  return bytes;
}
