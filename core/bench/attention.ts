import type { Backend, LayerCache } from "../backend.ts";
import { KvCache } from "../kv_cache.ts";
import { type AttentionCase, attentionCases } from "./attention_cases.ts";
import { type AttentionBenchShape, type AttentionPlan, configOf } from "./attention_shape.ts";
import { copySlot } from "./copy_slot.ts";
import { type FillOptions, fillSlot, syntheticLabels, syntheticMoments } from "./synthetic.ts";

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
    plan: AttentionPlan,
    options: Pick<FillOptions, "seed" | "signal" | "onProgress">,
  ): Promise<AttentionBench> {
    const owned: { free(): void }[] = [];
    const release = () => {
      for (const thing of owned.splice(0).reverse()) thing.free();
    };
    try {
      const caches = await filledCaches(backend, shape, plan.copies, options, owned);
      const cases = attentionCases(backend, shape, caches, options.seed, owned);
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
  options: Pick<FillOptions, "seed" | "signal" | "onProgress">,
  owned: { free(): void }[],
): Promise<readonly LayerCache[]> {
  const moments = syntheticMoments(shape, options.seed);
  const channels = syntheticLabels(shape, moments, shape.layout);
  const cache = KvCache.alloc(backend, configOf(shape, copies), {
    slots: shape.batch,
    capacity: shape.context,
    dtype: shape.kvDtype,
    labels: { layout: shape.layout, layers: Array.from({ length: copies }, () => channels) },
  });
  owned.push(cache);
  await fillSlot(backend, cache.layers[0]!, shape, moments, { ...options, length: shape.context });
  const others = cache.layers.flatMap((layer) =>
    Array.from({ length: shape.batch }, (_, slot) => ({ cache: layer, slot }))
  ).slice(1);
  await copySlot(backend, { cache: cache.layers[0]!, slot: 0 }, others);
  return cache.layers;
}
