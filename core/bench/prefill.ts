import { DenseAttention } from "../attention/dense.ts";
import { KvCache } from "../kv_cache.ts";
import type { Model } from "../model.ts";
import { prefillRows, Session, takeArgmax } from "../session.ts";
import { stepTraffic, weightTraffic } from "../traffic.ts";
import { randomTokens } from "./decode.ts";
import type { TimedCase } from "./timing.ts";

export interface PrefillBenchShape {
  readonly context: number;
  readonly kvDtype: "f32" | "f16" | "bf16";
}

/** Prefills of a whole context from nothing, in the chunks that generation uses. */
export class PrefillBench {
  readonly timed: TimedCase;
  /**
   * What must be read at least, chunk by chunk: the weights once, and K and V of every token so far once. Prefill
   * computes far more per byte than decoding, so a small fraction of the ceiling is no fault.
   */
  readonly bytes: number;
  private readonly cache: KvCache;

  constructor(
    model: Model,
    { context, kvDtype }: PrefillBenchShape,
    options: {
      readonly seed: number;
      readonly signal?: AbortSignal;
      readonly onProgress?: (done: number, total: number) => void;
    },
  ) {
    const { config, backend } = model;
    const ids = randomTokens(config, context, options.seed);
    this.cache = KvCache.alloc(backend, config, {
      slots: 1,
      capacity: context,
      dtype: kvDtype,
      labels: null,
    });
    const dense = new DenseAttention(backend, config);
    const chunk = prefillRows(backend.device);
    let bytes = 0;
    for (let first = 0; first < context; first += chunk) {
      const end = Math.min(first + chunk, context);
      bytes += weightTraffic(model.backend, model.weights) + stepTraffic(dense, config, kvDtype, end).bytes;
    }
    this.bytes = bytes;
    const { signal, onProgress } = options;
    this.timed = {
      name: "prefill",
      run: async (repeats) => {
        for (let i = 0; i < repeats; i++) {
          const session = new Session(model, this.cache);
          const logits = await session.prefill(ids, {
            ...(signal && { signal }),
            ...(onProgress && { onProgress }),
          });
          await takeArgmax(model, logits);
        }
      },
    };
  }

  free(): void {
    this.cache.free();
  }
}
