import type { Backend, LayerCache, StepRows, Tensor } from "../backend.ts";
import type { ModelConfig } from "../config.ts";
import { bytesOf } from "../dtype.ts";
import { downloadFloats } from "../tensor_io.ts";

/** Keys fetched at once: enough to make a round trip worth it, small enough to stay out of the way. */
const PIECE_TOKENS = 4096;

/**
 * Host copies of one slot's keys, for modes that select on the host: yardsticks, not the fast path. They run on every
 * backend since they need only `download`.
 */
export class HostKeys {
  private readonly backend: Backend;
  private readonly config: ModelConfig;
  /** Per layer, per KV head: f32 [S, d]. */
  private readonly keys = new Map<number, Float32Array[]>();
  private readonly lengths = new Map<number, number>();
  private slot: number | null = null;

  constructor(backend: Backend, config: ModelConfig) {
    this.backend = backend;
    this.config = config;
  }

  /** The keys f32 [≥ length, d] of each KV head of a layer, of the tokens before `length`. */
  async upTo(
    layer: number,
    cache: LayerCache,
    slot: number,
    length: number,
  ): Promise<readonly Float32Array[]> {
    const { numKvHeads: Hk, headDim: d } = this.config;
    const capacity = cache.kv.shape[2];
    const heads = this.keys.get(layer) ?? Array.from({ length: Hk }, () => new Float32Array(capacity * d));
    this.keys.set(layer, heads);
    const tokenBytes = bytesOf(cache.kv.dtype, 2 * d);
    for (let first = this.lengths.get(layer) ?? 0; first < length; first += PIECE_TOKENS) {
      const count = Math.min(PIECE_TOKENS, length - first);
      for (let h = 0; h < Hk; h++) {
        const offset = ((slot * Hk + h) * capacity + first) * tokenBytes;
        const kv = await downloadFloats(this.backend, cache.kv, offset, count * tokenBytes);
        for (let n = 0; n < count; n++) heads[h].set(kv.subarray(n * 2 * d, n * 2 * d + d), (first + n) * d);
      }
      this.lengths.set(layer, first + count);
    }
    return heads;
  }

  truncate(length: number): void {
    for (const [layer, known] of this.lengths) this.lengths.set(layer, Math.min(known, length));
  }

  /** q, k, v of the rows: f32 [T, Hq + 2·Hk, d]. */
  qkv(qkv: Tensor): Promise<Float32Array> {
    return downloadFloats(this.backend, qkv);
  }

  /** The one slot of these rows, the same in every step: what is known of the keys is known of that slot. */
  slotOf(rows: StepRows): number {
    const slot = (this.slot ??= rows.slots[0]);
    const other = rows.slots.find((found) => found !== slot);
    if (other !== undefined) {
      throw new RangeError(
        `Cannot select on the host for slots ${slot} and ${other}: open one attention per slot`,
      );
    }
    return slot;
  }
}

/** Σ_c a[i + c]·b[j + c] over d channels. */
export function dot(a: Float32Array, i: number, b: Float32Array, j: number, d: number): number {
  let sum = 0;
  for (let c = 0; c < d; c++) sum += a[i + c] * b[j + c];
  return sum;
}
