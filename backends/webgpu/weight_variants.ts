import type { WebGpuTensor } from "./tensor.ts";

/** Threads of a workgroup of the kernels that read weights row by row, and weight rows that a team of `lanesFor` of them shares. */
export const TEAM_THREADS = 64;
export const TEAM_ROWS = 4;

/** Threads per team: with long rows more of them, as few weight rows then have to fill the GPU. */
export function lanesFor({ shape }: WebGpuTensor): number {
  return shape[shape.length - 1]! < 1024 ? 32 : 64;
}

/** The shader files that read rows of this weight, and of an f32 [.., I] beside it: `weight` and `x_quads` in kernels. */
export function weightVariants({ dtype, shape }: WebGpuTensor): Readonly<Record<string, string>> {
  const variants = { weight: `weight_${dtype}`, x_quads: "x_quads" };
  if (shape[shape.length - 1]! % 32 === 0) return variants;
  const ragged = { ...variants, x_quads: "x_quads_ragged" };
  return dtype === "f32"
    ? { ...ragged, weight: "weight_f32_ragged" }
    : { ...ragged, weight_halves: "weight_halves_ragged" };
}
