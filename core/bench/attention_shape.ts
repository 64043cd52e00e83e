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
/** The same where the last cache is known, in its sizes: some of what was read is still there when more than it holds was. */
const BEYOND_CACHE_TIMES = 4;
/** Copies stop at this many times what they must read together, at this share of the memory there is, and at this count. */
const MOST_TIMES = 16;
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

/**
 * @param memoryBytes that the device has
 * @param cacheBytes of its last cache; 0: unknown
 */
export function planAttentionBench(
  shape: AttentionBenchShape,
  memoryBytes: number,
  cacheBytes = 0,
): AttentionPlan {
  const { batch, context, numHeads, numKvHeads, headDim, kvDtype, layout } = shape;
  const kvBytes = batch * numKvHeads * context * bytesOf(kvDtype, 2 * headDim);
  const labels = batch * numKvHeads *
    (context * labelBytes(layout) + Math.ceil(context / VALUE_SUM_TOKENS) * headDim * 4);
  const read = labels + kvBytes * Math.min(1, shape.tokenSparsity);
  const beyond = Math.max(BEYOND_CACHES, BEYOND_CACHE_TIMES * cacheBytes);
  const room = Math.floor(Math.min(MOST_TIMES * beyond, memoryBytes * MOST_SHARE) / (kvBytes + labels));
  // Repeats per sample are a power of two as well: then samples ask for the same work, which a device may have recorded.
  const wanted = 2 ** Math.ceil(Math.log2(beyond / read));
  const copies = 2 ** Math.floor(Math.log2(Math.max(1, Math.min(wanted, room, MOST_COPIES))));
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
