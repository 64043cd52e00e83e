import type { LayerCache, StepRows, Tensor } from "../backend.ts";

export const ATTENTION_MODES = ["dense", "double-sparsity", "paper", "oracle", "streaming-llm"] as const;

export type AttentionMode = (typeof ATTENTION_MODES)[number];

/** The slot of the network that decides which cached tokens a row reads. */
export interface Attention {
  readonly mode: AttentionMode;
  /** Called once before the layers of a step run. */
  beginStep(rows: StepRows): void;
  /**
   * out f32 [T, Hq, d] for the rows of the step; their K and V are in the cache already.
   * A promise only where the mode computes on the host.
   */
  attend(layer: number, out: Tensor, qkv: Tensor, cache: LayerCache): void | Promise<void>;
  /** Forgets what it knows of cached tokens from `length` on: the slot was cut back or refilled. */
  truncate(length: number): void;
  /** The selection of the layer just attended, for measuring recall; null where the layer ran dense. */
  readonly lastSelection: LastSelection | null;
  /** What a row reads of one layer at this kvLen; for `core/traffic.ts`. */
  reads(layer: number, kvLen: number): LayerReads;
  free(): void;
}

export interface LastSelection {
  /** i32 [T, H, K] and [T, H] */
  readonly indices: Tensor;
  readonly counts: Tensor;
  /** H is Hk or Hq. */
  readonly sets: number;
}

/** Bytes read of the KV cache and of what stands beside it, per row and layer. */
export interface LayerReads {
  /** (token, head) pairs whose K and V rows are read, summed over heads. */
  readonly rows: number;
  /** Mean k of the token sets, one per KV head or per query head. */
  readonly tokens: number;
  /** (token, head) pairs of which K alone, or V alone, is read. */
  readonly halfRows: number;
  /** Bytes of labels and running sums. */
  readonly extraBytes: number;
  readonly dense: boolean;
}
