import type { HeadCounts, RopeOptions, StepRows } from "../../core/backend.ts";
import { inverseRms } from "./rms_norm.ts";
import { floats, type FloatTensor } from "./tensor.ts";

/** Norms, if any, and rotates the q and k heads of qkv [T, Hq + 2·Hk, d] in place; table [positions, 2, d/2]. */
export function rope(
  qkv: FloatTensor,
  table: FloatTensor,
  { numHeads, numKvHeads }: HeadCounts,
  { queryNorm, keyNorm, epsilon = 0 }: RopeOptions,
  rows: StepRows,
): void {
  const [T, heads, d] = qkv.shape;
  const half = d / 2;
  for (let t = 0; t < T; t++) {
    const angles = rows.positions[t] * d;
    const turn = table.chunk(angles);
    const cosAt = table.offset(angles);
    const sinAt = cosAt + half;
    for (let h = 0; h < numHeads + numKvHeads; h++) {
      const index = (t * heads + h) * d;
      const x = qkv.chunk(index);
      const at = qkv.offset(index);
      const norm = h < numHeads ? queryNorm : keyNorm;
      const weight = norm === undefined ? null : floats(norm).chunks[0];
      const inverse = weight === null ? 1 : inverseRms(x, at, d, epsilon);
      for (let c = 0; c < half; c++) {
        const a = weight === null ? x[at + c] : x[at + c] * inverse * weight[c];
        const b = weight === null ? x[at + half + c] : x[at + half + c] * inverse * weight[half + c];
        x[at + c] = a * turn[cosAt + c] - b * turn[sinAt + c];
        x[at + half + c] = b * turn[cosAt + c] + a * turn[sinAt + c];
      }
    }
  }
}
