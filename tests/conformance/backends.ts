import { openCpu } from "../../backends/cpu/backend.ts";
import { openReference } from "../../backends/reference/backend.ts";
import { openWebGpu, WebGpuBackend } from "../../backends/webgpu/backend.ts";
import type { Backend } from "../../core/backend.ts";
import { DsError } from "../../core/errors.ts";
import { openTestCuda } from "../support/cuda.ts";
import { useTestGpu } from "../support/webgpu.ts";

export interface Opener {
  readonly name: string;
  readonly open: () => Promise<Backend>;
  /** Ops, or kinds of their cases, whose error bound is looser on this backend, as opened, than the op's own; say why beside it. */
  readonly bounds?: (backend: Backend) => Readonly<Record<string, number>>;
}

/**
 * Packed weights meet activations rounded to 8 bits, a scale for every 32: an error of max|x| / 254 at most in each, some 0.5%
 * of the deviation of normal ones. It is random, so that a sum of products is off by as much of its own deviation, and the worst
 * of some thousand sums by four times that, while the largest sum is three deviations.
 */
const WITH_ROUNDED_ACTIVATIONS = Object.fromEntries(
  ["linear", "linearExperts"].flatMap((op) =>
    ["q8_0", "q4_0", "q4_1", "q4_k", "q6_k"].map((dtype) => [`${op} ${dtype}`, 1e-2])
  ),
);

/**
 * Where the GPU has f16, x and weights are rounded to 11 bits when there are many rows: an error of 2^-11 of each value at most,
 * 0.02% on average, so 0.03% in a product of two. It is random, so that a sum of products is off by as much of its own deviation,
 * and the worst of some ten thousand sums by four times that, while the largest sum is three deviations: 0.04%. Twice that is
 * allowed.
 */
const WITH_HALVES = { linear: 8e-4 };

/**
 * With more than 64 rows tensor cores multiply halves, rounded as on "webgpu"; beside weights of bf16 x becomes bf16 too, whose 8 bits
 * are eight times as coarse.
 */
const WITH_TENSOR_CORES = { ...WITH_HALVES, "linear bf16": 8e-3 };

function openWebGpuForTests(): Promise<Backend> {
  const reason = useTestGpu();
  return reason === null ? openWebGpu() : Promise.reject(new DsError("backend-unavailable", reason));
}

/** The backends held to the contract. A new one joins by a line here; one that cannot open is skipped out loud. */
export const OPENERS: readonly Opener[] = [
  { name: "reference", open: openReference },
  { name: "cpu", open: () => openCpu({ threads: 2 }), bounds: () => WITH_ROUNDED_ACTIVATIONS },
  { name: "cuda", open: openTestCuda, bounds: () => WITH_TENSOR_CORES },
  {
    name: "webgpu",
    open: openWebGpuForTests,
    bounds: (backend) => (backend instanceof WebGpuBackend && backend.halves ? WITH_HALVES : {}),
  },
];
