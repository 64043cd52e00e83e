import type { Backend, LabelCache, LabelLayout, LayerCache, Tensor } from "./backend.ts";
import type { ModelConfig } from "./config.ts";
import { labelWords } from "./labels.ts";
import { tensorOf } from "./tensor_io.ts";

/** What the labels of every layer are made of; C = wide + narrow. */
export interface LabelPlan {
  readonly layout: LabelLayout;
  /** One per layer. */
  readonly layers: readonly LabelChannels[];
}

export interface LabelChannels {
  /** i32 [Hk, C] */
  readonly channels: Int32Array;
  /** f32 [Hk, C] each */
  readonly zero: Float32Array;
  readonly step: Float32Array;
  readonly inverseStep: Float32Array;
}

export interface CacheOptions {
  /** Sequences held at once. */
  readonly slots: number;
  /** S: tokens per slot, private rows included. */
  readonly capacity: number;
  readonly dtype: "f32" | "f16" | "bf16";
  readonly labels: LabelPlan | null;
}

/** Tokens per entry of `valueSums`. */
export const VALUE_SUM_TOKENS = 64;

/** K, V and labels of every layer, allocated once and never grown. */
export class KvCache {
  readonly layers: readonly LayerCache[];
  readonly slots: number;
  readonly capacity: number;
  private readonly backend: Backend;
  private readonly config: ModelConfig;
  private readonly owned: readonly Tensor[];

  private constructor(
    backend: Backend,
    config: ModelConfig,
    layers: readonly LayerCache[],
    owned: readonly Tensor[],
  ) {
    this.backend = backend;
    this.config = config;
    this.layers = layers;
    this.slots = layers[0].kv.shape[0];
    this.capacity = layers[0].kv.shape[2];
    this.owned = owned;
  }

  /** @throws {DsError} kind "out-of-memory" from the backend; nothing stays allocated */
  static alloc(backend: Backend, config: ModelConfig, options: CacheOptions): KvCache {
    const owned: Tensor[] = [];
    try {
      const layers = Array.from({ length: config.numLayers }, (_, l): LayerCache => {
        const kv = backend.alloc({
          dtype: options.dtype,
          shape: [options.slots, config.numKvHeads, options.capacity, 2, config.headDim],
        });
        owned.push(kv);
        return {
          kv,
          labels: options.labels && allocLabels(backend, config, options, options.labels, l, owned),
        };
      });
      return new KvCache(backend, config, layers, owned);
    } catch (error) {
      for (const tensor of owned) backend.free(tensor);
      throw error;
    }
  }

  /**
   * The same K and V with labels of another plan (or none): lets several modes measure one prefill side by side.
   * Its labels start empty; freeing it frees only them.
   */
  withLabels(labels: LabelPlan | null): KvCache {
    const owned: Tensor[] = [];
    const shape = { slots: this.slots, capacity: this.capacity };
    try {
      const layers = this.layers.map(({ kv }, l): LayerCache => ({
        kv,
        labels: labels && allocLabels(this.backend, this.config, shape, labels, l, owned),
      }));
      return new KvCache(this.backend, this.config, layers, owned);
    } catch (error) {
      for (const tensor of owned) this.backend.free(tensor);
      throw error;
    }
  }

  free(): void {
    for (const tensor of this.owned) this.backend.free(tensor);
  }
}

function allocLabels(
  backend: Backend,
  config: ModelConfig,
  { slots, capacity }: { slots: number; capacity: number },
  plan: LabelPlan,
  layer: number,
  owned: Tensor[],
): LabelCache {
  const { channels, zero, step, inverseStep } = plan.layers[layer];
  const Hk = config.numKvHeads;
  const C = plan.layout.wide + plan.layout.narrow;
  const keep = (tensor: Tensor) => {
    owned.push(tensor);
    return tensor;
  };
  return {
    layout: plan.layout,
    words: keep(backend.alloc({ dtype: "u32", shape: [slots, Hk, capacity, labelWords(plan.layout)] })),
    channels: keep(tensorOf(backend, channels, [Hk, C])),
    zero: keep(tensorOf(backend, zero, [Hk, C])),
    step: keep(tensorOf(backend, step, [Hk, C])),
    inverseStep: keep(tensorOf(backend, inverseStep, [Hk, C])),
    valueSums: keep(backend.alloc({
      dtype: "f32",
      shape: [slots, Hk, Math.ceil(capacity / VALUE_SUM_TOKENS), config.headDim],
    })),
  };
}
