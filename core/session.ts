import type { Attention } from "./attention/attention.ts";
import { DenseAttention } from "./attention/dense.ts";
import type { DeviceInfo, Tensor } from "./backend.ts";
import { DsError } from "./errors.ts";
import type { KvCache } from "./kv_cache.ts";
import { consecutiveRows, type Model } from "./model.ts";
import { downloadFloats, downloadInts } from "./tensor_io.ts";

export interface PrefillOptions {
  readonly onProgress?: (doneTokens: number, totalTokens: number) => void;
  readonly signal?: AbortSignal;
  /** Rows per pass. */
  readonly chunk?: number;
}

/** Rows per prefill pass: enough to reuse each weight many times, few enough for a moving progress bar. */
export const PREFILL_CHUNK = 64;

/** Rows per prefill pass on a device: as many as it asks for. */
export function prefillRows({ prefillRows = PREFILL_CHUNK }: DeviceInfo): number {
  return prefillRows;
}

/** One sequence in one slot: prefill densely, then decode token by token with some attention. */
export class Session {
  readonly model: Model;
  readonly cache: KvCache;
  readonly slot: number;
  /** Tokens the slot may hold; what the cache has beyond is for private rows. */
  readonly context: number;
  private readonly dense: DenseAttention;
  private tokens = 0;

  constructor(model: Model, cache: KvCache, context: number = cache.capacity, slot = 0) {
    this.model = model;
    this.cache = cache;
    this.context = context;
    this.slot = slot;
    this.dense = new DenseAttention(model.backend, model.config);
  }

  /** Tokens cached. */
  get length(): number {
    return this.tokens;
  }

  /** Appends tokens with dense attention. @returns logits f32 [1, V] of the last one, owned by the caller */
  async prefill(ids: ArrayLike<number>, options: PrefillOptions = {}): Promise<Tensor> {
    if (ids.length === 0) throw new RangeError("Cannot prefill no tokens: needs at least 1");
    this.room(ids.length);
    const { backend } = this.model;
    const chunk = options.chunk ?? prefillRows(backend.device);
    if (!(chunk >= 1)) throw new RangeError(`Cannot prefill ${chunk} rows at once: needs at least 1`);
    const all = Int32Array.from(ids);
    let logits: Tensor | null = null;
    let passBefore = Promise.resolve();
    for (let first = 0; first < all.length; first += chunk) {
      options.signal?.throwIfAborted();
      const piece = all.subarray(first, first + chunk);
      const isLast = first + chunk >= all.length;
      const rows = consecutiveRows(piece, this.tokens, this.slot);
      const logitRows = isLast ? Int32Array.of(piece.length - 1) : new Int32Array(0);
      logits = await this.model.forward(this.cache, rows, this.dense, { logitRows });
      this.tokens += piece.length;
      const pass = backend.synchronize().then(() => {
        if (!options.signal?.aborted) options.onProgress?.(first + piece.length, all.length);
      });
      // Heard of below, unless something else ends the prefill first.
      pass.catch(() => {});
      // A pass is recorded while the device is at the one before, and no further: then it can be stopped.
      await passBefore;
      passBefore = pass;
      // Lets Ctrl-C and timers through: a synchronous backend never yields by itself.
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    await passBefore;
    return logits!;
  }

  /** Appends one token. @returns logits f32 [1, V], owned by the caller */
  async decode(id: number, attention: Attention): Promise<Tensor> {
    this.room(1);
    const rows = consecutiveRows([id], this.tokens, this.slot);
    const logits = await this.model.forward(this.cache, rows, attention, { logitRows: Int32Array.of(0) });
    this.tokens++;
    return logits!;
  }

  /** Forgets the tokens from `length` on. */
  truncate(length: number): void {
    if (length > this.tokens) throw new RangeError(`Cannot cut ${this.tokens} tokens back to ${length}`);
    this.tokens = length;
  }

  private room(more: number): void {
    if (this.tokens + more <= this.context) return;
    throw new DsError(
      "usage",
      `Cannot hold ${this.tokens + more} tokens: the context has room for ${this.context}; raise --context`,
    );
  }
}

/** Reads the likeliest token of logits f32 [1, V] and frees them: 4 bytes come back from the device. */
export async function takeArgmax({ backend }: Model, logits: Tensor): Promise<number> {
  const token = backend.alloc({ dtype: "i32", shape: [1] });
  backend.argmax(token, logits);
  const [id] = await downloadInts(backend, token);
  backend.free(token);
  backend.free(logits);
  return id;
}

/** Reads logits and frees them. */
export async function takeLogits({ backend }: Model, logits: Tensor): Promise<Float32Array> {
  const values = await downloadFloats(backend, logits);
  backend.free(logits);
  return values;
}
