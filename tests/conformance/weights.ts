import type { DType } from "../../core/dtype.ts";
import { toBf16, toF16 } from "../../core/half.ts";
import { decodeRows } from "../../core/quantisation.ts";
import type { Random } from "../../core/random.ts";
import { roundTo } from "./bench.ts";
import { gaussians } from "./scenario.ts";

/** A seeded matrix as stored, and the values it stands for. */
export interface Weight {
  readonly bytes: Uint8Array;
  readonly values: Float32Array;
}

export interface WeightKind {
  readonly dtype: "f32" | "f16" | "bf16" | "q8_0" | "q4_0" | "q4_1" | "q4_k" | "q6_k";
  readonly make: (random: Random, count: number) => Weight;
}

function half(dtype: "f16" | "bf16"): WeightKind {
  return {
    dtype,
    make: (random, count) => {
      const values = gaussians(random, count).map((value) => roundTo(value, dtype as DType));
      const halves = Uint16Array.from(values, dtype === "f16" ? toF16 : toBf16);
      return { bytes: new Uint8Array(halves.buffer), values };
    },
  };
}

/** Random codes in blocks whose f16 scales, at these byte offsets, are small and positive. */
function packed(
  dtype: "q8_0" | "q4_0" | "q4_1" | "q4_k" | "q6_k",
  blockValues: number,
  blockBytes: number,
  scales: readonly number[],
): WeightKind {
  return {
    dtype,
    make: (random, count) => {
      const bytes = Uint8Array.from(
        { length: (count / blockValues) * blockBytes },
        () => random.nextUint32() & 255,
      );
      for (let block = 0; block < bytes.length; block += blockBytes) {
        for (const at of scales) {
          const bits = toF16(0.001 + random.next() * 0.01);
          bytes[block + at] = bits & 255;
          bytes[block + at + 1] = bits >> 8;
        }
      }
      const values = new Float32Array(count);
      decodeRows(dtype, bytes, values);
      return { bytes, values };
    },
  };
}

/** Every weight type of the contract. */
export const WEIGHTS: readonly WeightKind[] = [
  {
    dtype: "f32",
    make: (random, count) => {
      const values = gaussians(random, count);
      return { bytes: new Uint8Array(values.buffer), values };
    },
  },
  half("f16"),
  half("bf16"),
  packed("q8_0", 32, 34, [0]),
  packed("q4_0", 32, 18, [0]),
  packed("q4_1", 32, 20, [0, 2]),
  packed("q4_k", 256, 144, [0, 2]),
  packed("q6_k", 256, 210, [208]),
];
