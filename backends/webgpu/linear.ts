import { type Queue, spread } from "./queue.ts";
import { product, type WebGpuTensor } from "./tensor.ts";
import { lanesFor, TEAM_ROWS, TEAM_THREADS, weightVariants } from "./weight_variants.ts";

/** With more rows of x than these it pays to unpack weights into workgroup memory. */
const FEW_ROWS = 32;

/** Rows of x, and of weights, per workgroup of linear_many. */
const TILE = 64;

/** out[r, column + n] ← Σ_i x[r, i]·weight[n, i] (+ bias[n]); x [R, I], weight [N, I]. */
export function linear(
  queue: Queue,
  out: WebGpuTensor,
  x: WebGpuTensor,
  weight: WebGpuTensor,
  bias: WebGpuTensor | null,
  column: number,
): void {
  const I = weight.shape[1]!;
  const R = x.shape[0]!;
  const columns = product(out.shape.slice(1));
  const { kernel, grid } = R <= FEW_ROWS
    ? few(queue, R, weight, bias !== null)
    : many(queue, R, weight, bias !== null);
  for (const { buffer, first, entries } of weight.chunks) {
    // A bias that is absent is bound to x, and not read.
    const buffers = [out.buffer, buffer, x.buffer, (bias ?? x).buffer];
    queue.run(kernel, [R, I, columns, column, first, entries], buffers, grid(entries));
  }
}

/** Each weight read once for up to 8 rows of x. */
function few(queue: Queue, R: number, weight: WebGpuTensor, HAS_BIAS: boolean) {
  const ROWS = [1, 2, 4].find((rows) => R <= rows) ?? 8;
  const LANES = lanesFor(weight);
  const held = TEAM_ROWS * (TEAM_THREADS / LANES);
  return {
    kernel: queue.kernel("linear_few", { ROWS, LANES, HAS_BIAS }, weightVariants(weight)),
    grid: (entries: number) => [...spread(Math.ceil(entries / held)), Math.ceil(R / ROWS)] as const,
  };
}

/** Tiles of 64 rows of x and 64 of weights, in f16 where the device's halves are used. */
function many(queue: Queue, R: number, weight: WebGpuTensor, HAS_BIAS: boolean) {
  return {
    kernel: queue.kernel("linear_many", { TILE, HAS_BIAS }, weightVariants(weight)),
    grid: (entries: number) => [Math.ceil(entries / TILE), Math.ceil(R / TILE)] as const,
  };
}
