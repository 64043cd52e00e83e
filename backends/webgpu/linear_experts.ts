import { type Queue, spread } from "./queue.ts";
import type { WebGpuTensor } from "./tensor.ts";
import { lanesFor, TEAM_ROWS, TEAM_THREADS, weightVariants } from "./weight_variants.ts";

/**
 * With mix null: out [R, E', N] ← weight[experts[r, j]]·x[r]; else out [R, N] ← Σ_j mix[r, j]·weight[experts[r, j]]·x[r, j].
 * x [R, I] or [R, E', I]; weight [E, N, I].
 */
export function linearExperts(
  queue: Queue,
  out: WebGpuTensor,
  x: WebGpuTensor,
  weight: WebGpuTensor,
  experts: WebGpuTensor,
  mix: WebGpuTensor | null,
): void {
  const [R, choices] = experts.shape as [number, number];
  const [, N, I] = weight.shape as [number, number, number];
  const LANES = lanesFor(weight);
  const constants = { LANES, MIX: mix !== null, PER_CHOICE: x.shape.length === 3 };
  const kernel = queue.kernel("linear_experts", constants, weightVariants(weight));
  const outputs = mix === null ? R * choices : R;
  const grid = [Math.ceil(N / (TEAM_ROWS * (TEAM_THREADS / LANES))), ...spread(outputs)] as const;
  for (const { buffer, first, entries } of weight.chunks) {
    // A mix that is absent is bound to x, and not read.
    const buffers = [out.buffer, buffer, x.buffer, experts.buffer, (mix ?? x).buffer];
    queue.run(kernel, [outputs, I, N, choices, first, entries], buffers, grid);
  }
}
