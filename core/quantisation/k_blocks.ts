import { fromF16 } from "../half.ts";

/**
 * The "K" types: super-blocks of 256 values in groups of 16 or 32, each group with a small integer scale (and, in q2,
 * q4 and q5, a small integer minimum) times the f16 scale of the super-block.
 */

/** [16 × (scale 4 bits, minimum 4 bits)][64 bytes of 2-bit codes][scale f16][minimum scale f16], groups of 16 */
export function decodeQ2K(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; to < out.length; at += 84, to += 256) {
    const scale = fromF16(bytes[at + 80] | (bytes[at + 81] << 8));
    const minimum = fromF16(bytes[at + 82] | (bytes[at + 83] << 8));
    for (let group = 0; group < 16; group++) {
      const packed = bytes[at + group];
      const step = scale * (packed & 15);
      const low = minimum * (packed >> 4);
      // Half a super-block shares 32 code bytes; pairs of groups read the same bytes two bits further up.
      const codes = at + 16 + 32 * (group >> 3) + 16 * (group & 1);
      const shift = group & 6;
      for (let j = 0; j < 16; j++) out[to + 16 * group + j] = step * ((bytes[codes + j] >> shift) & 3) - low;
    }
  }
}

/** [32 bytes of third bits][64 bytes of 2-bit codes][12 bytes: 16 scales of 6 bits, centred on 32][scale f16], groups of 16 */
export function decodeQ3K(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; to < out.length; at += 110, to += 256) {
    const scale = fromF16(bytes[at + 108] | (bytes[at + 109] << 8));
    for (let group = 0; group < 16; group++) {
      const lower = (bytes[at + 96 + (group & 7)] >> (4 * (group >> 3))) & 15;
      const upper = (bytes[at + 104 + (group & 3)] >> (2 * (group >> 2))) & 3;
      const step = scale * ((lower | (upper << 4)) - 32);
      const codes = at + 32 + 32 * (group >> 3) + 16 * (group & 1);
      const thirds = at + 16 * (group & 1);
      const shift = group & 6;
      const thirdBit = group >> 1;
      for (let j = 0; j < 16; j++) {
        const third = (bytes[thirds + j] >> thirdBit) & 1;
        out[to + 16 * group + j] = step * (((bytes[codes + j] >> shift) & 3) + 4 * third - 4);
      }
    }
  }
}

/** The 6-bit scale of group 0..7 of a q4_k or q5_k super-block, from its 12 scale bytes at `at`. */
function groupScale(bytes: Uint8Array, at: number, group: number): number {
  return group < 4
    ? bytes[at + group] & 63
    : (bytes[at + group + 4] & 15) | ((bytes[at + group - 4] >> 6) << 4);
}

function groupMinimum(bytes: Uint8Array, at: number, group: number): number {
  return group < 4
    ? bytes[at + group + 4] & 63
    : (bytes[at + group + 4] >> 4) | ((bytes[at + group] >> 6) << 4);
}

/** [scale f16][minimum scale f16][12 bytes: 8 scales and 8 minima of 6 bits][128 bytes of 4-bit codes], groups of 32 */
export function decodeQ4K(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; to < out.length; at += 144, to += 256) {
    const scale = fromF16(bytes[at] | (bytes[at + 1] << 8));
    const minimum = fromF16(bytes[at + 2] | (bytes[at + 3] << 8));
    for (let group = 0; group < 8; group++) {
      const step = scale * groupScale(bytes, at + 4, group);
      const low = minimum * groupMinimum(bytes, at + 4, group);
      const codes = at + 16 + 32 * (group >> 1);
      const shift = 4 * (group & 1);
      for (let j = 0; j < 32; j++) out[to + 32 * group + j] = step * ((bytes[codes + j] >> shift) & 15) - low;
    }
  }
}

/** As q4_k, with [32 bytes of fifth bits] before the codes: bit g of byte j belongs to value j of group g. */
export function decodeQ5K(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; to < out.length; at += 176, to += 256) {
    const scale = fromF16(bytes[at] | (bytes[at + 1] << 8));
    const minimum = fromF16(bytes[at + 2] | (bytes[at + 3] << 8));
    for (let group = 0; group < 8; group++) {
      const step = scale * groupScale(bytes, at + 4, group);
      const low = minimum * groupMinimum(bytes, at + 4, group);
      const fifths = at + 16;
      const codes = at + 48 + 32 * (group >> 1);
      const shift = 4 * (group & 1);
      for (let j = 0; j < 32; j++) {
        const fifth = (bytes[fifths + j] >> group) & 1;
        out[to + 32 * group + j] = step * (((bytes[codes + j] >> shift) & 15) | (fifth << 4)) - low;
      }
    }
  }
}

/** [128 bytes of low 4 bits][64 bytes of high 2 bits][16 × int8 scale][scale f16], codes centred on 32, groups of 16 */
export function decodeQ6K(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; to < out.length; at += 210, to += 256) {
    const scale = fromF16(bytes[at + 208] | (bytes[at + 209] << 8));
    for (let run = 0; run < 8; run++) {
      // A run is 32 values, two groups; four runs share 64 low and 32 high bytes.
      const half = run >> 2;
      const lows = at + 64 * half + 32 * (run & 1);
      const lowShift = 2 * (run & 2);
      const highs = at + 128 + 32 * half;
      const highShift = 2 * (run & 3);
      for (let j = 0; j < 32; j++) {
        const step = scale * ((bytes[at + 192 + 2 * run + (j >> 4)] << 24) >> 24);
        const code = ((bytes[lows + j] >> lowShift) & 15) | (((bytes[highs + j] >> highShift) & 3) << 4);
        out[to + 32 * run + j] = step * (code - 32);
      }
    }
  }
}
