import type { StoredDType } from "../../core/formats/checkpoint.ts";
import { fromF16, toF16 } from "../../core/half.ts";
import { storedBlock, storedBytes } from "../../core/quantisation.ts";

/** Packed types that no backend keeps. */
export type OtherDType = "q5_0" | "q5_1" | "q2_k" | "q3_k" | "q5_k" | "iq4_nl" | "iq4_xs";

export const OTHER_DTYPES: readonly OtherDType[] = [
  "q5_0",
  "q5_1",
  "q2_k",
  "q3_k",
  "q5_k",
  "iq4_nl",
  "iq4_xs",
];

const LEVELS = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/** What fits a type's groups: value = step · code - low, or step · LEVELS[code]. */
interface Fit {
  readonly group: number;
  /** Largest code. */
  readonly most: number;
  /** The code of zero where there is no minimum. */
  readonly centre?: number;
  /** Largest integer scale of a group; absent: every group has an f16 of its own. */
  readonly scales?: number;
}

const FITS: Readonly<Record<OtherDType, Fit>> = {
  q5_0: { group: 32, most: 31, centre: 16 },
  q5_1: { group: 32, most: 31 },
  q2_k: { group: 16, most: 3, scales: 15 },
  q3_k: { group: 16, most: 7, centre: 4, scales: 31 },
  q5_k: { group: 32, most: 31, scales: 63 },
  iq4_nl: { group: 32, most: 15, centre: 127 },
  iq4_xs: { group: 32, most: 15, centre: 127, scales: 31 },
};

/** Values rounded to a packed type in the plainest way, laid out as in a GGUF file: a stand-in for a file's weights. */
export function storeBlocks(dtype: OtherDType, values: Float32Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(storedBytes(dtype as StoredDType, values.length));
  const block = storedBlock(dtype as StoredDType);
  for (let from = 0, at = 0; from < values.length; from += block.values, at += block.bytes) {
    storeBlock(dtype, values.subarray(from, from + block.values), bytes.subarray(at, at + block.bytes));
  }
  return bytes;
}

function storeBlock(dtype: OtherDType, values: Float32Array, bytes: Uint8Array): void {
  const { group, most, centre, scales } = FITS[dtype];
  const count = values.length / group;
  const parts = Array.from({ length: count }, (_, g) => values.subarray(g * group, (g + 1) * group));
  const wanted = parts.map((part) => {
    const low = centre === undefined ? Math.max(0, -Math.min(...part)) : 0;
    const size = Math.max(...part.map(Math.abs));
    return { step: centre === undefined ? (Math.max(...part) + low) / most : size / centre, low };
  });
  const largest = (key: "step" | "low") => Math.max(...wanted.map((one) => one[key]));
  const scaleBits = toF16(largest("step") / (scales ?? 1));
  const lowBits = toF16(largest("low") / (scales ?? 1));
  const whole = (value: number, unit: number) => Math.min(scales ?? 1, Math.round(value / unit));
  const steps = wanted.map(({ step }) => (scales === undefined ? 1 : whole(step, fromF16(scaleBits))));
  const lows = wanted.map((
    { low },
  ) => (centre !== undefined ? 0 : scales === undefined ? 1 : whole(low, fromF16(lowBits))));
  const codes = Array.from(values, (value, i) => {
    const g = Math.floor(i / group);
    const step = fromF16(scaleBits) * steps[g];
    const quotient = step === 0 ? 0 : (value + (lows[g] === 0 ? 0 : fromF16(lowBits) * lows[g])) / step;
    if (centre === 127) return nearestLevel(quotient);
    return Math.max(0, Math.min(most, Math.round(quotient) + (centre ?? 0)));
  });
  const half = (at: number, bits: number) => bytes.set([bits & 255, bits >> 8], at);
  WRITERS[dtype]({ bytes, codes, steps, lows, half, scaleBits, lowBits });
}

function nearestLevel(value: number): number {
  let best = 0;
  LEVELS.forEach((level, i) => {
    if (Math.abs(level - value) < Math.abs(LEVELS[best] - value)) best = i;
  });
  return best;
}

interface Parts {
  readonly bytes: Uint8Array;
  readonly codes: readonly number[];
  readonly steps: readonly number[];
  readonly lows: readonly number[];
  readonly half: (at: number, bits: number) => void;
  readonly scaleBits: number;
  readonly lowBits: number;
}

const WRITERS: Readonly<Record<OtherDType, (parts: Parts) => void>> = {
  q5_0: ({ bytes, codes, half, scaleBits }) => {
    half(0, scaleBits);
    fives(bytes, 2, codes);
  },
  q5_1: ({ bytes, codes, half, scaleBits, lowBits }) => {
    half(0, scaleBits);
    half(2, lowBits ^ 0x8000);
    fives(bytes, 4, codes);
  },
  q2_k: ({ bytes, codes, steps, lows, half, scaleBits, lowBits }) => {
    steps.forEach((step, g) => bytes[g] = step | (lows[g] << 4));
    codes.forEach((code, i) => bytes[16 + 32 * (i >> 7) + (i & 31)] |= code << (2 * ((i >> 5) & 3)));
    half(80, scaleBits);
    half(82, lowBits);
  },
  q3_k: ({ bytes, codes, steps, half, scaleBits }) => {
    codes.forEach((code, i) => {
      bytes[i & 31] |= (code >> 2) << (i >> 5);
      bytes[32 + 32 * (i >> 7) + (i & 31)] |= (code & 3) << (2 * ((i >> 5) & 3));
    });
    steps.forEach((step, g) => {
      bytes[96 + (g & 7)] |= ((step + 32) & 15) << (4 * (g >> 3));
      bytes[104 + (g & 3)] |= ((step + 32) >> 4) << (2 * (g >> 2));
    });
    half(108, scaleBits);
  },
  q5_k: ({ bytes, codes, steps, lows, half, scaleBits, lowBits }) => {
    half(0, scaleBits);
    half(2, lowBits);
    for (let g = 0; g < 4; g++) {
      bytes[4 + g] = steps[g] | ((steps[g + 4] >> 4) << 6);
      bytes[8 + g] = lows[g] | ((lows[g + 4] >> 4) << 6);
      bytes[12 + g] = (steps[g + 4] & 15) | ((lows[g + 4] & 15) << 4);
    }
    codes.forEach((code, i) => {
      bytes[16 + (i & 31)] |= (code >> 4) << (i >> 5);
      bytes[48 + 32 * (i >> 6) + (i & 31)] |= (code & 15) << (4 * ((i >> 5) & 1));
    });
  },
  iq4_nl: ({ bytes, codes, half, scaleBits }) => {
    half(0, scaleBits);
    nibbles(bytes, 2, codes);
  },
  iq4_xs: ({ bytes, codes, steps, half, scaleBits }) => {
    half(0, scaleBits);
    let upper = 0;
    steps.forEach((step, g) => {
      upper |= ((step + 32) >> 4) << (2 * g);
      bytes[4 + (g >> 1)] |= ((step + 32) & 15) << (4 * (g & 1));
    });
    half(2, upper);
    for (let g = 0; g < 8; g++) nibbles(bytes, 8 + 16 * g, codes.slice(32 * g, 32 * g + 32));
  },
};

function nibbles(bytes: Uint8Array, at: number, codes: readonly number[]): void {
  for (let j = 0; j < 16; j++) bytes[at + j] = codes[j] | (codes[j + 16] << 4);
}

function fives(bytes: Uint8Array, at: number, codes: readonly number[]): void {
  codes.forEach((code, i) => bytes[at + (i >> 3)] |= (code >> 4) << (i & 7));
  nibbles(bytes, at + 4, codes.map((code) => code & 15));
}
