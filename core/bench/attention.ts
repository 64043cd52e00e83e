import type { Attention } from "../attention/attention.ts";
import { DEFAULT_FORCED, headTokens } from "../attention/budget.ts";
import { DenseAttention } from "../attention/dense.ts";
import { DoubleSparsityAttention, type SparseOptions } from "../attention/double_sparsity.ts";
import type { Backend, LabelLayout, LayerCache, Scores, Selection, StepRows, Tensor } from "../backend.ts";
import type { ModelConfig } from "../config.ts";
import { bytesOf } from "../dtype.ts";
import { KvCache, VALUE_SUM_TOKENS } from "../kv_cache.ts";
import { labelBytes } from "../labels.ts";
import { tensorOf } from "../tensor_io.ts";
import { stepTraffic } from "../traffic.ts";
import { copySlot } from "./copy_slot.ts";
import { fillSlot, type HeadShape, syntheticLabels, syntheticMoments, SyntheticRows } from "./synthetic.ts";
import type { TimedCase } from "./timing.ts";

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

/** What is timed, and what it must read at least. */
export interface AttentionCase extends TimedCase {
  /** Null where intermediate results are all it reads. */
  readonly bytes: number | null;
  /** Of a step: null for its parts. */
  readonly isStep: boolean;
}

/** What the sparse step must read of all copies together, so that no cache below this size answers for memory. */
const BEYOND_CACHES = 2 ** 26;
/** Copies of a small context stop here. */
const MOST_COPIED = 2 ** 30;

/** How many layers' caches are gone through in turn, and what they take. */
export interface AttentionPlan {
  readonly copies: number;
  /** Everything allocated on the device. */
  readonly deviceBytes: number;
  /** K and V of all copies. */
  readonly workingSetBytes: number;
}

export function planAttentionBench(shape: AttentionBenchShape): AttentionPlan {
  const { batch, context, numHeads, numKvHeads, headDim, kvDtype, layout } = shape;
  const kvBytes = batch * numKvHeads * context * bytesOf(kvDtype, 2 * headDim);
  const labels = batch * numKvHeads *
    (context * labelBytes(layout) + Math.ceil(context / VALUE_SUM_TOKENS) * headDim * 4);
  const read = labels + kvBytes * Math.min(1, shape.tokenSparsity);
  const room = Math.floor(MOST_COPIED / (kvBytes + labels));
  const copies = Math.max(1, Math.min(Math.ceil(BEYOND_CACHES / read), room));
  const selected = headTokens(budgetOf(shape), DEFAULT_FORCED, 1, context) * numKvHeads;
  const stepBytes = 2 * 4 * batch * (numHeads * context + selected);
  return {
    copies,
    deviceBytes: copies * (kvBytes + labels) + stepBytes,
    workingSetBytes: copies * kvBytes,
  };
}

/**
 * One layer's attention of a decode step, dense and sparse, and the parts of the sparse step, over several copies of the layer
 * as a model's layers would be. Both run as `DenseAttention` and `DoubleSparsityAttention` run them in a model.
 */
export class AttentionBench {
  readonly cases: readonly AttentionCase[];
  readonly plan: AttentionPlan;
  private readonly release: () => void;

  private constructor(cases: readonly AttentionCase[], plan: AttentionPlan, release: () => void) {
    this.cases = cases;
    this.plan = plan;
    this.release = release;
  }

  /** @throws {DsError} kind "out-of-memory"; nothing stays allocated */
  static async open(
    backend: Backend,
    shape: AttentionBenchShape,
    options: { readonly seed: number; readonly signal?: AbortSignal },
  ): Promise<AttentionBench> {
    const plan = planAttentionBench(shape);
    const owned: { free(): void }[] = [];
    const release = () => {
      for (const thing of owned.splice(0).reverse()) thing.free();
    };
    const keep = (tensor: Tensor): Tensor => {
      owned.push({ free: () => backend.free(tensor) });
      return tensor;
    };
    try {
      const caches = await filledCaches(backend, shape, plan.copies, options, owned);
      const cases = casesOf(backend, shape, caches, options.seed, keep, owned);
      return new AttentionBench(cases, plan, release);
    } catch (error) {
      release();
      throw error;
    }
  }

  free(): void {
    this.release();
  }
}

async function filledCaches(
  backend: Backend,
  shape: AttentionBenchShape,
  copies: number,
  { seed, signal }: { readonly seed: number; readonly signal?: AbortSignal },
  owned: { free(): void }[],
): Promise<readonly LayerCache[]> {
  const moments = syntheticMoments(shape, seed);
  const channels = syntheticLabels(shape, moments, shape.layout);
  const cache = KvCache.alloc(backend, configOf(shape, copies), {
    slots: shape.batch,
    capacity: shape.context,
    dtype: shape.kvDtype,
    labels: { layout: shape.layout, layers: Array.from({ length: copies }, () => channels) },
  });
  owned.push(cache);
  fillSlot(backend, cache.layers[0]!, shape, moments, shape.context, seed);
  signal?.throwIfAborted();
  const others = cache.layers.flatMap((layer) =>
    Array.from({ length: shape.batch }, (_, slot) => ({ cache: layer, slot }))
  ).slice(1);
  await copySlot(backend, { cache: cache.layers[0]!, slot: 0 }, others);
  return cache.layers;
}

function casesOf(
  backend: Backend,
  shape: AttentionBenchShape,
  caches: readonly LayerCache[],
  seed: number,
  keep: (tensor: Tensor) => Tensor,
  owned: { free(): void }[],
): AttentionCase[] {
  const { batch, context, numHeads, numKvHeads, headDim } = shape;
  const config = configOf(shape, 1);
  const dense = new DenseAttention(backend, config);
  const sparse = new DoubleSparsityAttention(backend, config, sparseOptions(shape), context);
  owned.push(dense, sparse);

  const values = new Float32Array(batch * (numHeads + 2 * numKvHeads) * headDim);
  new SyntheticRows(shape, seed + 1).fill(values, syntheticMoments(shape, seed));
  const qkv = keep(tensorOf(backend, values, [batch, numHeads + 2 * numKvHeads, headDim]));
  const out = keep(backend.alloc({ dtype: "f32", shape: [batch, numHeads, headDim] }));
  const rows = lastRows(batch, context);
  const bytes = (attention: Attention) =>
    batch * stepTraffic(attention, config, shape.kvDtype, context).bytes;

  const step = (name: string, attention: Attention): AttentionCase => ({
    name,
    isStep: true,
    bytes: bytes(attention),
    run: timed(backend, caches, out, rows, () => attention.beginStep(rows), (cache) => {
      const done = attention.attend(0, out, qkv, cache);
      if (done !== undefined) throw new TypeError(`Cannot time ${name} as it must not wait for the host`);
    }),
  });
  const steps = [step("dense", dense), step("double-sparsity", sparse)];
  if (sparse.reads(0, context).dense) return steps;

  const heavy = headTokens(budgetOf(shape), DEFAULT_FORCED, 1, context);
  const alloc = (dtype: "f32" | "i32", ...of: number[]) => keep(backend.alloc({ dtype, shape: of }));
  const scores: Scores = {
    scores: alloc("i32", batch, numHeads, context),
    exponents: alloc("i32", batch, numHeads),
    maxima: alloc("i32", batch, numHeads),
  };
  const selection: Selection = {
    indices: alloc("i32", batch, numKvHeads, heavy),
    counts: alloc("i32", batch, numKvHeads),
    tailMass: alloc("f32", batch, numHeads),
  };
  const heavyTokens = keep(
    tensorOf(backend, new Int32Array(batch * numKvHeads).fill(heavy), [batch, numKvHeads]),
  );
  backend.beginStep(rows);
  backend.scoreLabels(scores, qkv, caches[0]!);
  backend.selectTokens(selection, scores, heavyTokens, DEFAULT_FORCED);

  const labels = batch * numKvHeads * context * labelBytes(shape.layout);
  const part = (name: string, bytes: number | null, waits: Tensor, op: (cache: LayerCache) => void) => ({
    name: `double-sparsity: ${name}`,
    isStep: false,
    bytes,
    run: timed(backend, caches, waits, rows, () => {}, op),
  });
  const attendOptions = { scale: 1 / Math.sqrt(headDim), tail: { scores, forced: DEFAULT_FORCED } };
  return [
    ...steps,
    part("score", labels, scores.maxima, (cache) => backend.scoreLabels(scores, qkv, cache)),
    part("select", null, selection.counts, () => {
      backend.selectTokens(selection, scores, heavyTokens, DEFAULT_FORCED);
    }),
    part("attend", bytes(sparse) - labels, out, (cache) => {
      backend.attendSelected(out, qkv, cache, selection, attendOptions);
    }),
  ];
}

/** Runs an op over the caches in turn, going on where the last sample ended. */
function timed(
  backend: Backend,
  caches: readonly LayerCache[],
  waits: Tensor,
  rows: StepRows,
  begin: () => void,
  op: (cache: LayerCache) => void,
): TimedCase["run"] {
  const lastRow = bytesOf(waits.dtype, waits.shape[waits.shape.length - 1]);
  let next = 0;
  return async (repeats) => {
    backend.beginStep(rows);
    begin();
    for (let i = 0; i < repeats; i++) {
      op(caches[next]!);
      next = (next + 1) % caches.length;
    }
    backend.submit();
    await backend.download(waits, 0, lastRow);
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

function budgetOf({ tokenSparsity }: AttentionBenchShape) {
  return { kind: "ratio", tokenSparsity } as const;
}

function sparseOptions(shape: AttentionBenchShape): SparseOptions {
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
function configOf(
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
