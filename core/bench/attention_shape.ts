import { DEFAULT_FORCED, headTokens } from "../attention/budget.ts";
import type { SparseOptions } from "../attention/double_sparsity.ts";
import type { LabelLayout, StepRows } from "../backend.ts";
import type { ModelConfig } from "../config.ts";
import { bytesOf } from "../dtype.ts";
import { VALUE_SUM_TOKENS } from "../kv_cache.ts";
import { labelBytes } from "../labels.ts";
import type { HeadShape } from "./synthetic.ts";

export interface AttentionBenchShape extends HeadShape {
  /** Rows of a step, one per slot. */
  readonly batch: number;
  /** N: tokens cached per slot, the current one included. */
  readonly context: number;
  readonly kvDtype: "f32" | "f16" | "bf16";
  readonly layout: LabelLayout;
  /** β = k/N */
  readonly tokenSparsity: number;
}

/** What the sparse step must read of all copies together, so that no cache below this size answers for memory. */
const BEYOND_CACHES = 2 ** 26;
/** Copies stop at this many bytes, at this share of the memory there is, and at this count. */
const MOST_BYTES = 2 ** 30;
const MOST_SHARE = 1 / 4;
const MOST_COPIES = 256;

/** How many layers' caches are gone through in turn, and what they take. */
export interface AttentionPlan {
  readonly copies: number;
  /** Everything allocated on the device. */
  readonly deviceBytes: number;
  /** K and V of all copies. */
  readonly workingSetBytes: number;
}

/** @param memoryBytes that the device has */
export function planAttentionBench(shape: AttentionBenchShape, memoryBytes: number): AttentionPlan {
  const { batch, context, numHeads, numKvHeads, headDim, kvDtype, layout } = shape;
  const kvBytes = batch * numKvHeads * context * bytesOf(kvDtype, 2 * headDim);
  const labels = batch * numKvHeads *
    (context * labelBytes(layout) + Math.ceil(context / VALUE_SUM_TOKENS) * headDim * 4);
  const read = labels + kvBytes * Math.min(1, shape.tokenSparsity);
  const room = Math.floor(Math.min(MOST_BYTES, memoryBytes * MOST_SHARE) / (kvBytes + labels));
  const copies = Math.max(1, Math.min(Math.ceil(BEYOND_CACHES / read), room, MOST_COPIES));
  const selected = headTokens(budgetOf(shape), DEFAULT_FORCED, 1, context) * numKvHeads;
  const stepBytes = 2 * 4 * batch * (numHeads * context + selected);
  return {
    copies,
    deviceBytes: copies * (kvBytes + labels) + stepBytes,
    workingSetBytes: copies * kvBytes,
  };
}

/** One row per slot: the newest of `context` tokens. */
export function lastRows(batch: number, context: number, tokens = new Int32Array(batch)): StepRows {
  const positions = new Int32Array(batch).fill(context - 1);
  return {
    tokens,
    slots: Int32Array.from({ length: batch }, (_, slot) => slot),
    positions,
    homes: positions,
  };
}

export function budgetOf({ tokenSparsity }: AttentionBenchShape) {
  return { kind: "ratio", tokenSparsity } as const;
}

export function sparseOptions(shape: AttentionBenchShape): SparseOptions {
  return {
    budget: budgetOf(shape),
    forced: DEFAULT_FORCED,
    shares: null,
    perHead: false,
    tail: true,
    layout: shape.layout,
    denseLayers: [],
    denseBelow: 0,
  };
}

/** A network of nothing but attention. */
export function configOf(
  { numHeads, numKvHeads, headDim, context }: HeadShape & { context: number },
  numLayers: number,
): ModelConfig {
  return {
    architecture: "attention alone",
    numLayers,
    hiddenSize: numHeads * headDim,
    ffnSize: 0,
    vocabSize: 0,
    numHeads,
    numKvHeads,
    headDim,
    contextLength: context,
    rmsNormEpsilon: 0,
    rope: { base: 10000, scaling: null },
    tiedEmbeddings: true,
    bosTokenId: null,
    eosTokenIds: [],
  };
}
