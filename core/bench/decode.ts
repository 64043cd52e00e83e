import type { Attention } from "../attention/attention.ts";
import { DEFAULT_FORCED } from "../attention/budget.ts";
import { DenseAttention } from "../attention/dense.ts";
import { type CalibrationFacts, openAttention } from "../attention/open.ts";
import type { Backend } from "../backend.ts";
import type { ModelConfig } from "../config.ts";
import { bytesOf } from "../dtype.ts";
import { KvCache, VALUE_SUM_TOKENS } from "../kv_cache.ts";
import { labelBytes } from "../labels.ts";
import type { Model } from "../model.ts";
import { Random } from "../random.ts";
import { Session } from "../session.ts";
import { stepTraffic, weightTraffic } from "../traffic.ts";
import { lastRows } from "./attention_shape.ts";
import { copySlot } from "./copy_slot.ts";
import { fillSlot, type KeyMoments } from "./synthetic.ts";
import type { TimedCase } from "./timing.ts";

export interface DecodeBenchShape {
  /** Sequences per step. */
  readonly batch: number;
  /** N: tokens cached per sequence, the current one included. */
  readonly context: number;
  readonly kvDtype: "f32" | "f16" | "bf16";
  /** β = k/N */
  readonly tokenSparsity: number;
}

export interface DecodeCase extends TimedCase {
  /** Weights, and K, V and labels of all layers and sequences. */
  readonly bytes: number;
}

export interface DecodeBenchOptions {
  readonly calibration: CalibrationFacts;
  /** Of the keys of each layer, for filling. */
  readonly moments: readonly KeyMoments[];
  readonly seed: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Where a context came from: the model's own prefill, or random K and V of the calibration's moments. */
export type Filled = "prefill" | "synthetic";

/** Most multiplications a context may cost to be prefilled for real: some seconds of the slowest backend. */
const PREFILL_WORK = 2e9;

export function filledBy(config: ModelConfig, context: number): Filled {
  const { hiddenSize: D, ffnSize: F, numHeads, numKvHeads, headDim, numLayers } = config;
  const perToken = numLayers * D * ((2 * numHeads + 2 * numKvHeads) * headDim + 3 * F);
  return perToken * context <= PREFILL_WORK ? "prefill" : "synthetic";
}

/** Bytes of K, V, labels and running sums. */
export function decodeCacheBytes(
  config: ModelConfig,
  { batch, context, kvDtype }: DecodeBenchShape,
  labels: CalibrationFacts["labels"],
): number {
  const { numLayers, numKvHeads, headDim: d } = config;
  const perToken = bytesOf(kvDtype, 2 * d) + (labels === null ? 0 : labelBytes(labels.layout));
  const sums = labels === null ? 0 : Math.ceil(context / VALUE_SUM_TOKENS) * d * 4;
  return numLayers * batch * numKvHeads * (context * perToken + sums);
}

/**
 * Whole decode steps at a fixed length, dense and sparse: every sample computes the token at place N - 1 anew, up to
 * the chosen token's id on the host.
 */
export class DecodeBench {
  readonly cases: readonly DecodeCase[];
  readonly filled: Filled;
  private readonly release: () => void;

  private constructor(cases: readonly DecodeCase[], filled: Filled, release: () => void) {
    this.cases = cases;
    this.filled = filled;
    this.release = release;
  }

  /** @throws {DsError} kind "out-of-memory", or "missing-input" where the calibration has no labels */
  static async open(
    model: Model,
    shape: DecodeBenchShape,
    options: DecodeBenchOptions,
  ): Promise<DecodeBench> {
    const { backend, config } = model;
    const { batch, context, kvDtype } = shape;
    const owned: { free(): void }[] = [];
    const release = () => {
      for (const thing of owned.splice(0).reverse()) thing.free();
    };
    try {
      const sparse = openAttention("double-sparsity", backend, config, {
        budget: { kind: "ratio", tokenSparsity: shape.tokenSparsity },
        forced: DEFAULT_FORCED,
        perHead: false,
        tail: true,
        denseBelow: 0,
        calibration: options.calibration,
      }, context);
      owned.push(sparse);
      const { labels } = options.calibration;
      const cache = KvCache.alloc(backend, config, {
        slots: batch,
        capacity: context,
        dtype: kvDtype,
        labels,
      });
      owned.push(cache);
      const filled = await fill(model, cache, options);
      // Writing labels is no part of a dense step.
      const unlabelled = cache.withLabels(null);
      owned.push(unlabelled);
      const tokens = randomTokens(config, batch, options.seed);
      const step = (name: string, of: KvCache, attention: Attention): DecodeCase => ({
        name,
        bytes: weightTraffic(model.backend, model.weights) +
          batch * stepTraffic(attention, config, kvDtype, context).bytes,
        run: async (repeats) => {
          for (let i = 0; i < repeats; i++) {
            await decodeStep(model, of, attention, lastRows(batch, context, tokens));
          }
        },
      });
      const dense = step("dense", unlabelled, new DenseAttention(backend, config));
      return new DecodeBench([dense, step("double-sparsity", cache, sparse)], filled, release);
    } catch (error) {
      release();
      throw error;
    }
  }

  free(): void {
    this.release();
  }
}

async function decodeStep(
  model: Model,
  cache: KvCache,
  attention: Attention,
  rows: ReturnType<typeof lastRows>,
): Promise<void> {
  const { backend } = model;
  const batch = rows.tokens.length;
  const logitRows = Int32Array.from({ length: batch }, (_, t) => t);
  const logits = (await model.forward(cache, rows, attention, { logitRows }))!;
  await likeliest(backend, logits, batch);
}

/** Brings the likeliest token of each row to the host and frees the logits. */
async function likeliest(
  backend: Backend,
  logits: Parameters<Backend["free"]>[0],
  rows: number,
): Promise<void> {
  const token = backend.alloc({ dtype: "i32", shape: [rows] });
  backend.argmax(token, logits);
  await backend.download(token);
  backend.free(token);
  backend.free(logits);
}

async function fill(model: Model, cache: KvCache, options: DecodeBenchOptions): Promise<Filled> {
  const { backend, config } = model;
  const { moments, seed, signal, onProgress } = options;
  const filled = filledBy(config, cache.capacity);
  if (filled === "prefill") {
    const ids = randomTokens(config, cache.capacity, seed);
    const session = new Session(model, cache);
    backend.free(
      await session.prefill(ids, { ...(signal && { signal }), ...(onProgress && { onProgress }) }),
    );
  }
  const { layers } = cache;
  for (let l = 0; l < layers.length; l++) {
    signal?.throwIfAborted();
    const layer = layers[l]!;
    if (filled === "synthetic") {
      await fillSlot(backend, layer, config, moments[l]!, {
        length: cache.capacity,
        seed: seed + l,
        ...(signal && { signal }),
        onProgress: (done, total) => onProgress?.(l * total + done, layers.length * total),
      });
    }
    const others = Array.from({ length: cache.slots - 1 }, (_, i) => ({ cache: layer, slot: i + 1 }));
    if (others.length > 0) await copySlot(backend, { cache: layer, slot: 0 }, others);
  }
  return filled;
}

export function randomTokens(
  { vocabSize }: ModelConfig,
  count: number,
  seed: number,
): Int32Array<ArrayBuffer> {
  const random = new Random(seed);
  return Int32Array.from({ length: count }, () => random.nextUint32() % vocabSize);
}
