import { openBackend } from "../../backends/mod.ts";
import { calibrate } from "../../calibrations/calibrate.ts";
import type { Calibration } from "../../calibrations/calibration.ts";
import { modelIdentity } from "../../calibrations/model_identity.ts";
import type { Attention } from "../../core/attention/attention.ts";
import { DenseAttention } from "../../core/attention/dense.ts";
import type { AttentionOptions } from "../../core/attention/open.ts";
import type { Backend, StepRows, Tensor } from "../../core/backend.ts";
import { openCheckpoint } from "../../core/formats/open.ts";
import { KvCache, type LabelPlan } from "../../core/kv_cache.ts";
import { consecutiveRows, type ForwardOptions, Model } from "../../core/model.ts";
import { downloadFloats } from "../../core/tensor_io.ts";
import { type LoadedModel, loadModel } from "../../runtime/load.ts";
import { below, seededRandom } from "./seeded_random.ts";
import { TINY_SIZES, tinyLlamaFiles, type TinyLlamaSizes } from "./tiny_llama.ts";

/** A random Llama on a checked reference backend; `model.backend.close()` ends it. */
export async function tinyModel(
  seed: number,
  sizes: Partial<TinyLlamaSizes> = {},
  backend?: Backend,
): Promise<Model> {
  const all = { ...TINY_SIZES, ...sizes };
  const { files, gguf } = tinyLlamaFiles(seed, all);
  const checkpoint = await openCheckpoint(files, gguf);
  const model = await Model.load(backend ?? await openBackend("reference"), checkpoint, {
    context: all.context,
  });
  await checkpoint.close();
  return model;
}

/** The trained model that is part of ds. */
export async function storiesModel(): Promise<LoadedModel> {
  return await loadModel("stories260k", { backend: await openBackend("reference") });
}

export function randomIds(seed: number, count: number, vocabSize = TINY_SIZES.vocab): number[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => 3 + below(random, vocabSize - 3));
}

export function cacheOf(
  model: Model,
  capacity: number,
  labels: LabelPlan | null = null,
  slots = 1,
  dtype: "f32" | "f16" | "bf16" = "f32",
): KvCache {
  return KvCache.alloc(model.backend, model.config, { slots, capacity, dtype, labels });
}

export function denseOf(model: Model): DenseAttention {
  return new DenseAttention(model.backend, model.config);
}

/** Logits f32 [T, V] of every row. */
export async function forward(
  model: Model,
  cache: KvCache,
  rows: StepRows,
  attention: Attention,
  options: Omit<ForwardOptions, "logitRows"> = {},
): Promise<Float32Array> {
  const logitRows = Int32Array.from(rows.tokens, (_, t) => t);
  const logits = (await model.forward(cache, rows, attention, { ...options, logitRows }))!;
  const values = await downloadFloats(model.backend, logits);
  model.backend.free(logits);
  return values;
}

/** Logits f32 [N, V] of one dense pass over all tokens, in a cache of their own. */
export async function denseLogits(model: Model, ids: readonly number[]): Promise<Float32Array> {
  const cache = cacheOf(model, ids.length);
  const logits = await forward(model, cache, consecutiveRows(ids, 0), denseOf(model));
  cache.free();
  return logits;
}

/** Row `t` of logits [T, V]. */
export function rowOf(logits: Float32Array, t: number, vocabSize = TINY_SIZES.vocab): Float32Array {
  return logits.slice(t * vocabSize, (t + 1) * vocabSize);
}

/** A calibration without measurements, or with all of them. */
export async function calibrated(
  model: Model,
  blocks: readonly (readonly number[])[],
  quick = true,
): Promise<Calibration> {
  return await calibrate(model, blocks, {
    identity: modelIdentity(model.config, "0123456789abcdef".repeat(4)),
    corpus: { name: "random", sha256: "fedcba9876543210".repeat(4), seed: 0 },
    toolVersion: "0.0.0",
    quick,
  });
}

/** Few forced tokens, so that short sequences are sparse already. */
export const SPARSE: AttentionOptions = {
  budget: { kind: "tokens", heavyTokens: 12 },
  forced: { sinkTokens: 1, recentTokens: 2 },
  perHead: false,
  tail: true,
  denseBelow: 0,
  calibration: null,
};

/** The same backend, with the tensors that were allocated through it and not yet freed. */
export function counted(inner: Backend): { backend: Backend; live: Set<Tensor> } {
  const live = new Set<Tensor>();
  const backend = Object.create(inner) as Backend;
  backend.alloc = (spec) => {
    const tensor = inner.alloc(spec);
    live.add(tensor);
    return tensor;
  };
  backend.free = (tensor) => {
    inner.free(tensor);
    live.delete(tensor);
  };
  return { backend, live };
}
