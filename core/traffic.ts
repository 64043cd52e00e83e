import type { Attention } from "./attention/attention.ts";
import type { Backend } from "./backend.ts";
import type { ModelConfig } from "./config.ts";
import { bytesOf } from "./dtype.ts";
import { tensorsOf, type Weights } from "./weights.ts";

/** Bytes of cached K, V and labels that one decode step must read: what a memory-bound step costs at least. */
export interface StepTraffic {
  /** All layers. */
  readonly bytes: number;
  /** The same for dense attention. */
  readonly denseBytes: number;
  /** Mean k over layers and token sets. */
  readonly heavyTokens: number;
  /** Whether every layer ran dense. */
  readonly allDense: boolean;
}

/** One row at `kvLen` tokens, itself included. */
export function stepTraffic(
  attention: Attention,
  config: ModelConfig,
  kvDtype: "f32" | "f16" | "bf16",
  kvLen: number,
): StepTraffic {
  const rowBytes = bytesOf(kvDtype, 2 * config.headDim);
  let bytes = 0;
  let tokens = 0;
  let allDense = true;
  for (let layer = 0; layer < config.numLayers; layer++) {
    const reads = attention.reads(layer, kvLen);
    bytes += reads.rows * rowBytes + (reads.halfRows * rowBytes) / 2 + reads.extraBytes;
    tokens += reads.tokens;
    allDense &&= reads.dense;
  }
  const { numLayers, numKvHeads } = config;
  return {
    bytes,
    denseBytes: numLayers * numKvHeads * kvLen * rowBytes,
    heavyTokens: tokens / numLayers,
    allDense,
  };
}

/** Means over decode steps at these lengths. */
export interface RunTraffic {
  readonly kvBytesPerToken: number;
  readonly denseKvBytesPerToken: number;
  readonly heavyTokens: number;
  /** Steps in which every layer ran dense though the mode is sparse. */
  readonly denseFallbackSteps: number;
}

/** Null where no step ran. */
export function runTraffic(
  attention: Attention,
  config: ModelConfig,
  kvDtype: "f32" | "f16" | "bf16",
  kvLens: readonly number[],
): RunTraffic | null {
  if (kvLens.length === 0) return null;
  const steps = kvLens.map((kvLen) => stepTraffic(attention, config, kvDtype, kvLen));
  const mean = (of: (step: StepTraffic) => number) =>
    steps.reduce((sum, step) => sum + of(step), 0) / steps.length;
  return {
    kvBytesPerToken: mean(({ bytes }) => bytes),
    denseKvBytesPerToken: mean(({ denseBytes }) => denseBytes),
    heavyTokens: mean(({ heavyTokens }) => heavyTokens),
    denseFallbackSteps: attention.mode === "dense" ? 0 : steps.filter(({ allDense }) => allDense).length,
  };
}

/** Bytes of weights one decode step reads: all but the embedding table where it is no output as well. */
export function weightTraffic(backend: Backend, weights: Weights): number {
  let bytes = 0;
  for (const tensor of tensorsOf(weights)) {
    const gathered = tensor === weights.ropeTable ||
      (tensor === weights.embedding && tensor !== weights.output);
    if (!gathered) bytes += backend.footprint(tensor);
  }
  return bytes;
}
