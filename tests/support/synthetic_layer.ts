import { openBackend } from "../../backends/mod.ts";
import type { LabelLayout, StepRows, Tensor } from "../../core/backend.ts";
import type { ModelConfig } from "../../core/config.ts";
import { KvCache, type LabelPlan } from "../../core/kv_cache.ts";
import { labelChannels, quantiser } from "../../core/labels.ts";
import { consecutiveRows, privateRows } from "../../core/model.ts";
import { tensorOf } from "../../core/tensor_io.ts";
import type { Backend } from "../../core/backend.ts";
import type { Attention } from "../../core/attention/attention.ts";
import { downloadFloats, downloadInts } from "../../core/tensor_io.ts";
import { normals, seededRandom } from "./seeded_random.ts";

/** One layer's q, k and v as a trained model's look: channels differ much in how far their keys spread. */
export interface SyntheticLayer {
  readonly config: ModelConfig;
  readonly backend: Backend;
  /** N: cached tokens. */
  readonly length: number;
  /** f32 [N, d] of each KV head. */
  readonly keys: readonly Float32Array[];
  readonly values: readonly Float32Array[];
  /** f32 [T, Hq + 2·Hk, d] of the rows measured; K and V are those of the cached token at the row's position. */
  readonly qkv: Float32Array;
  readonly rows: StepRows;
  /** Channels of each KV head, heaviest first. */
  readonly ranking: readonly number[][];
}

export interface SyntheticOptions {
  readonly length?: number;
  readonly positions?: readonly number[];
  readonly headDim?: number;
  readonly numHeads?: number;
  readonly numKvHeads?: number;
  /** Multiplies every key. */
  readonly keyScale?: number;
}

export async function syntheticLayer(seed: number, options: SyntheticOptions = {}): Promise<SyntheticLayer> {
  const { length: N = 512, headDim: d = 64, numHeads: Hq = 4, numKvHeads: Hk = 2, keyScale = 1 } = options;
  const positions = options.positions ?? Array.from({ length: 12 }, (_, i) => N - 1 - 13 * i);
  const random = seededRandom(seed);
  const spread = (c: number) => 3 * Math.exp(-((c * 7) % d) / (d / 3));
  const keys = Array.from({ length: Hk }, () => {
    const means = normals(random, d, 0.7);
    return normals(random, N * d, 1).map((value, i) => (value * spread(i % d) + means[i % d]) * keyScale);
  });
  const values = Array.from({ length: Hk }, () => normals(random, N * d, 1));
  const T = positions.length;
  const qkv = normals(random, T * (Hq + 2 * Hk) * d, 2);
  for (let t = 0; t < T; t++) {
    for (let h = 0; h < Hk; h++) {
      const at = (t * (Hq + 2 * Hk) + Hq + h) * d;
      qkv.set(keys[h].subarray(positions[t] * d, (positions[t] + 1) * d), at);
      qkv.set(values[h].subarray(positions[t] * d, (positions[t] + 1) * d), at + Hk * d);
    }
  }
  const config: ModelConfig = {
    architecture: "llama",
    numLayers: 1,
    hiddenSize: Hq * d,
    ffnSize: 8,
    vocabSize: 8,
    numHeads: Hq,
    numKvHeads: Hk,
    headDim: d,
    contextLength: N,
    rmsNormEpsilon: 1e-5,
    rope: { base: 10000, scaling: null },
    tiedEmbeddings: true,
    bosTokenId: null,
    eosTokenIds: [],
  };
  return {
    config,
    backend: await openBackend("reference"),
    length: N,
    keys,
    values,
    qkv,
    rows: privateRows(new Int32Array(T), positions, N),
    ranking: keys.map((head) => rankedBySpread(head, d)),
  };
}

/** Labels over the first channels of each head's ranking, with the moments of its keys. */
export function syntheticLabels({ keys, ranking, config }: SyntheticLayer, layout: LabelLayout): LabelPlan {
  const { numKvHeads: Hk, headDim: d } = config;
  const C = labelChannels(layout);
  const made = {
    channels: new Int32Array(Hk * C),
    zero: new Float32Array(Hk * C),
    step: new Float32Array(Hk * C),
    inverseStep: new Float32Array(Hk * C),
  };
  for (let h = 0; h < Hk; h++) {
    const channels = ranking[h].slice(0, C);
    const moments = channels.map((c) => momentsOf(keys[h], c, d));
    const codes = quantiser(layout, moments.map(({ mean }) => mean), moments.map(({ std }) => std));
    made.channels.set(channels, h * C);
    made.zero.set(codes.zero, h * C);
    made.step.set(codes.step, h * C);
    made.inverseStep.set(codes.inverseStep, h * C);
  }
  return { layout, layers: [made] };
}

/** A cache that holds the layer's keys and values, with room for the rows. */
export function syntheticCache(layer: SyntheticLayer, labels: LabelPlan | null): KvCache {
  const { backend, config, length: N, keys, values, rows } = layer;
  const { numHeads: Hq, numKvHeads: Hk, headDim: d } = config;
  const capacity = N + rows.tokens.length;
  const cache = KvCache.alloc(backend, config, { slots: 1, capacity, dtype: "f32", labels });
  const packed = new Float32Array(N * (Hq + 2 * Hk) * d);
  for (let n = 0; n < N; n++) {
    for (let h = 0; h < Hk; h++) {
      const at = (n * (Hq + 2 * Hk) + Hq + h) * d;
      packed.set(keys[h].subarray(n * d, (n + 1) * d), at);
      packed.set(values[h].subarray(n * d, (n + 1) * d), at + Hk * d);
    }
  }
  backend.beginStep(consecutiveRows(new Int32Array(N), 0));
  backend.appendKv(cache.layers[0], tensorOf(backend, packed, [N, Hq + 2 * Hk, d]));
  return cache;
}

/** What one attention does with the layer's rows. */
export interface Attended {
  /** f32 [T, Hq, d] */
  readonly heads: Float32Array;
  /** The places each set of each row read, [T][H]; null where it ran dense. */
  readonly selected: number[][][] | null;
  readonly qkv: Tensor;
}

export async function attendTo(
  layer: SyntheticLayer,
  cache: KvCache,
  attention: Attention,
): Promise<Attended> {
  const { backend, config: { numHeads: Hq, numKvHeads: Hk, headDim: d }, rows } = layer;
  const T = rows.tokens.length;
  const qkv = tensorOf(backend, layer.qkv, [T, Hq + 2 * Hk, d]);
  const out = backend.alloc({ dtype: "f32", shape: [T, Hq, d] });
  backend.beginStep(rows);
  attention.beginStep(rows);
  backend.appendKv(cache.layers[0], qkv);
  await attention.attend(0, out, qkv, cache.layers[0]);
  const heads = await downloadFloats(backend, out);
  const { lastSelection } = attention;
  if (lastSelection === null) return { heads, selected: null, qkv };
  const indices = await downloadInts(backend, lastSelection.indices);
  const counts = await downloadInts(backend, lastSelection.counts);
  const { sets } = lastSelection;
  const K = lastSelection.indices.shape[2];
  const selected = Array.from(
    { length: T },
    (_, t) =>
      Array.from({ length: sets }, (_, s) => {
        const at = t * sets + s;
        return [...indices.subarray(at * K, at * K + counts[at])];
      }),
  );
  return { heads, selected, qkv };
}

/** softmax(q·k/√d) of one row and query head over its tokens, in f64. */
export function attentionWeights(layer: SyntheticLayer, t: number, head: number): number[] {
  const { config: { numHeads: Hq, numKvHeads: Hk, headDim: d }, keys, qkv, rows } = layer;
  const q = (t * (Hq + 2 * Hk) + head) * d;
  const kvHead = Math.floor(head / (Hq / Hk));
  const logits = Array.from({ length: rows.positions[t] + 1 }, (_, n) => {
    let sum = 0;
    for (let c = 0; c < d; c++) sum += qkv[q + c] * keys[kvHead][n * d + c];
    return sum / Math.sqrt(d);
  });
  const largest = Math.max(...logits);
  const weights = logits.map((logit) => Math.exp(logit - largest));
  const total = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / total);
}

function momentsOf(keys: Float32Array, c: number, d: number): { mean: number; std: number } {
  const values = Array.from({ length: keys.length / d }, (_, n) => keys[n * d + c]);
  const mean = values.reduce((a, b) => a + b) / values.length;
  const std = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
  return { mean, std };
}

function rankedBySpread(keys: Float32Array, d: number): number[] {
  const std = Array.from({ length: d }, (_, c) => momentsOf(keys, c, d).std);
  return Array.from({ length: d }, (_, c) => c).sort((a, b) => std[b] - std[a]);
}
