import { fromF16 } from "../half.ts";

/** The sixteen values a 4-bit code stands for, denser near zero; facts of the format. */
const LEVELS = Int8Array.of(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);

/** [scale f16][16 code bytes]: value j in the low half of byte j, value j + 16 in the high half */
export function decodeIq4Nl(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; to < out.length; at += 18, to += 32) {
    decodeCodes(bytes, at + 2, fromF16(bytes[at] | (bytes[at + 1] << 8)), out, to);
  }
}

/**
 * 256 values in 8 groups with a 6-bit scale each, centred on 32: [scale f16][upper 2 bits of the scales, u16]
 * [lower 4 bits, two to a byte][8 × 16 code bytes]
 */
export function decodeIq4Xs(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; to < out.length; at += 136, to += 256) {
    const scale = fromF16(bytes[at] | (bytes[at + 1] << 8));
    const upper = bytes[at + 2] | (bytes[at + 3] << 8);
    for (let group = 0; group < 8; group++) {
      const lower = (bytes[at + 4 + (group >> 1)] >> (4 * (group & 1))) & 15;
      const factor = (lower | (((upper >> (2 * group)) & 3) << 4)) - 32;
      decodeCodes(bytes, at + 8 + 16 * group, scale * factor, out, to + 32 * group);
    }
  }
}

function decodeCodes(bytes: Uint8Array, at: number, scale: number, out: Float32Array, to: number): void {
  for (let j = 0; j < 16; j++) {
    const codes = bytes[at + j];
    out[to + j] = scale * LEVELS[codes & 15];
    out[to + 16 + j] = scale * LEVELS[codes >> 4];
  }
}
