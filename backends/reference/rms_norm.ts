import { type FloatTensor, product } from "./tensor.ts";

/** out ← x / √(mean x² + epsilon) · weight over the last axis. */
export function rmsNorm(out: FloatTensor, x: FloatTensor, weight: FloatTensor, epsilon: number): void {
  const D = weight.shape[0];
  const R = product(x.shape) / D;
  const w = weight.chunks[0];
  for (let r = 0; r < R; r++) {
    const source = x.chunk(r * D);
    const from = x.offset(r * D);
    const target = out.chunk(r * D);
    const to = out.offset(r * D);
    const inverse = inverseRms(source, from, D, epsilon);
    for (let i = 0; i < D; i++) target[to + i] = source[from + i] * inverse * w[i];
  }
}

/** 1 / √(mean x² + epsilon) of `count` values. */
export function inverseRms(x: Float32Array, at: number, count: number, epsilon: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += x[at + i] * x[at + i];
  return 1 / Math.sqrt(sum / count + epsilon);
}
