import { fromF16 } from "../half.ts";

/**
 * Blocks of 32 values with one f16 scale and, in the `_1` types, an f16 offset. Byte j of the 4-bit codes holds value j
 * in its low half and value j + 16 in its high half; the fifth bits of q5 are one little-endian word, bit i for value i.
 */

/** [scale f16][32 × int8] */
export function decodeQ8_0(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; to < out.length; at += 34, to += 32) {
    const scale = fromF16(bytes[at] | (bytes[at + 1] << 8));
    for (let j = 0; j < 32; j++) out[to + j] = scale * ((bytes[at + 2 + j] << 24) >> 24);
  }
}

/** [scale f16][16 code bytes], codes centred on 8 */
export function decodeQ4_0(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; to < out.length; at += 18, to += 32) {
    const scale = fromF16(bytes[at] | (bytes[at + 1] << 8));
    for (let j = 0; j < 16; j++) {
      const codes = bytes[at + 2 + j];
      out[to + j] = scale * ((codes & 15) - 8);
      out[to + 16 + j] = scale * ((codes >> 4) - 8);
    }
  }
}

/** [scale f16][offset f16][16 code bytes] */
export function decodeQ4_1(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; to < out.length; at += 20, to += 32) {
    const scale = fromF16(bytes[at] | (bytes[at + 1] << 8));
    const offset = fromF16(bytes[at + 2] | (bytes[at + 3] << 8));
    for (let j = 0; j < 16; j++) {
      const codes = bytes[at + 4 + j];
      out[to + j] = scale * (codes & 15) + offset;
      out[to + 16 + j] = scale * (codes >> 4) + offset;
    }
  }
}

/** [scale f16][fifth bits u32][16 code bytes], codes centred on 16 */
export function decodeQ5_0(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; to < out.length; at += 22, to += 32) {
    const scale = fromF16(bytes[at] | (bytes[at + 1] << 8));
    const fifth = bytes[at + 2] | (bytes[at + 3] << 8) | (bytes[at + 4] << 16) | (bytes[at + 5] << 24);
    for (let j = 0; j < 16; j++) {
      const codes = bytes[at + 6 + j];
      out[to + j] = scale * (((codes & 15) | (((fifth >>> j) & 1) << 4)) - 16);
      out[to + 16 + j] = scale * (((codes >> 4) | (((fifth >>> (j + 16)) & 1) << 4)) - 16);
    }
  }
}

/** [scale f16][offset f16][fifth bits u32][16 code bytes] */
export function decodeQ5_1(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; to < out.length; at += 24, to += 32) {
    const scale = fromF16(bytes[at] | (bytes[at + 1] << 8));
    const offset = fromF16(bytes[at + 2] | (bytes[at + 3] << 8));
    const fifth = bytes[at + 4] | (bytes[at + 5] << 8) | (bytes[at + 6] << 16) | (bytes[at + 7] << 24);
    for (let j = 0; j < 16; j++) {
      const codes = bytes[at + 8 + j];
      out[to + j] = scale * ((codes & 15) | (((fifth >>> j) & 1) << 4)) + offset;
      out[to + 16 + j] = scale * ((codes >> 4) | (((fifth >>> (j + 16)) & 1) << 4)) + offset;
    }
  }
}
