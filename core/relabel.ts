import type { ModelConfig } from "./config.ts";
import { bytesOf } from "./dtype.ts";
import { KvCache, type LabelPlan } from "./kv_cache.ts";
import { consecutiveRows, type Model } from "./model.ts";
import { downloadFloats, tensorOf } from "./tensor_io.ts";

/** Tokens labelled at once. */
const CHUNK_TOKENS = 512;

/**
 * Labels for keys that are cached already: what a prefill with this plan would have left, without running it again. (of an f32
 * cache: a narrower one has rounded the keys a prefill would have labelled). Shares K and V with `cache`, which must hold `length` tokens in slot 0.
 */
export async function relabel(
  model: Model,
  cache: KvCache,
  labels: LabelPlan,
  length: number,
): Promise<KvCache> {
  const { backend, config } = model;
  const labelled = cache.withLabels(labels);
  for (let first = 0; first < length; first += CHUNK_TOKENS) {
    const count = Math.min(CHUNK_TOKENS, length - first);
    backend.beginStep(consecutiveRows(new Int32Array(count), first));
    for (const layer of labelled.layers) {
      const kv = await Promise.all(Array.from({ length: config.numKvHeads }, (_, h) => {
        const tokenBytes = bytesOf(layer.kv.dtype, 2 * config.headDim);
        return downloadFloats(
          backend,
          layer.kv,
          (h * cache.capacity + first) * tokenBytes,
          count * tokenBytes,
        );
      }));
      const qkv = tensorOf(backend, packedRows(config, kv, count), [
        count,
        config.numHeads + 2 * config.numKvHeads,
        config.headDim,
      ]);
      backend.appendKv(layer, qkv);
      backend.free(qkv);
    }
  }
  return labelled;
}

/** K and V f32 [count, 2, d] of each KV head as rows of qkv, q left at zero: `appendKv` does not read it. */
function packedRows(
  { numHeads, numKvHeads, headDim: d }: ModelConfig,
  kv: readonly Float32Array[],
  count: number,
): Float32Array {
  const width = (numHeads + 2 * numKvHeads) * d;
  const rows = new Float32Array(count * width);
  for (let n = 0; n < count; n++) {
    kv.forEach((head, h) => {
      const key = n * width + (numHeads + h) * d;
      rows.set(head.subarray(n * 2 * d, n * 2 * d + d), key);
      rows.set(head.subarray(n * 2 * d + d, (n + 1) * 2 * d), key + numKvHeads * d);
    });
  }
  return rows;
}
