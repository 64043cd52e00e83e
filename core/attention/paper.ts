import type { Backend } from "../backend.ts";
import type { ModelConfig } from "../config.ts";
import type { Budget } from "./budget.ts";
import { HostSelectedAttention, type RowFacts } from "./host_selected.ts";
import { topK } from "./top_k.ts";

const LEVELS = 15;

/**
 * The published method as closely as facts allow (arXiv 2408.07092, §3.1-3.2): channels per query head by mean |q·k|, d/4 of
 * them, labels and query quantised per token to 4 bits between their own minimum and maximum, top-k per query head,
 * nothing forced, no tail, every layer sparse. Label scale and minimum cost 4 bytes per token and query head.
 */
export class PaperAttention extends HostSelectedAttention {
  readonly mode = "paper";
  protected readonly needsKeys = true;
  /** u8 [L, Hq, d] */
  private readonly ranking: Uint8Array;
  private readonly numChannels: number;
  /** Per layer and query head: labels as they read back, f32 [S, d/4], and how many are known. */
  private readonly labels = new Map<number, { values: Float32Array; length: number }>();
  private readonly slotCapacity: number;
  private readonly scores: Float64Array;
  private readonly scratch: Float64Array;

  /** @param ranking channels of each query head, heaviest first, u8 [L, Hq, d]: a calibration's "qkPerHead" */
  constructor(backend: Backend, config: ModelConfig, budget: Budget, capacity: number, ranking: Uint8Array) {
    super(backend, config, budget, capacity);
    this.ranking = ranking;
    this.numChannels = Math.max(1, Math.floor(config.headDim / 4));
    this.slotCapacity = capacity;
    this.scores = new Float64Array(capacity);
    this.scratch = new Float64Array(capacity);
  }

  override truncate(length: number): void {
    super.truncate(length);
    for (const known of this.labels.values()) known.length = Math.min(known.length, length);
  }

  protected select(facts: RowFacts, head: number, out: Int32Array): number {
    const { numHeads: Hq, numKvHeads: Hk, headDim: d } = this.config;
    const { layer, position, tokens, qkv, offset } = facts;
    const r = this.numChannels;
    const kvHead = Math.floor(head / (Hq / Hk));
    const start = (layer * Hq + head) * d;
    const channels = this.ranking.subarray(start, start + r);
    const labels = this.labelsOf(facts, head, kvHead, channels);
    const query = new Float32Array(r);
    quantise(qkv, offset + head * d, channels, query, 0);
    const own = new Float32Array(r);
    quantise(qkv, offset + (Hq + kvHead) * d, channels, own, 0);
    for (let n = 0; n <= position; n++) {
      const [source, at] = n === position ? [own, 0] : [labels, n * r];
      let sum = 0;
      for (let j = 0; j < r; j++) sum += query[j] * source[at + j];
      this.scores[n] = sum;
    }
    topK(this.scores, position + 1, tokens, out, this.scratch);
    return tokens;
  }

  protected labelBytes(kvLen: number): number {
    return kvLen * this.config.numHeads * (this.numChannels / 2 + 4);
  }

  private labelsOf(
    { layer, position, keys }: RowFacts,
    head: number,
    kvHead: number,
    channels: Uint8Array,
  ): Float32Array {
    const { numHeads: Hq, headDim: d } = this.config;
    const r = this.numChannels;
    const at = layer * Hq + head;
    const known = this.labels.get(at) ?? { values: new Float32Array(this.slotCapacity * r), length: 0 };
    this.labels.set(at, known);
    for (let n = known.length; n < position; n++) {
      quantise(keys[kvHead], n * d, channels, known.values, n * r);
    }
    known.length = Math.max(known.length, position);
    return known.values;
  }
}

/** The chosen channels, rounded to 16 levels between their minimum and maximum, as they read back. */
function quantise(
  source: Float32Array,
  offset: number,
  channels: Uint8Array,
  out: Float32Array,
  at: number,
): void {
  let low = Infinity;
  let high = -Infinity;
  for (const c of channels) {
    low = Math.min(low, source[offset + c]);
    high = Math.max(high, source[offset + c]);
  }
  const step = high > low ? (high - low) / LEVELS : 1;
  for (let j = 0; j < channels.length; j++) {
    out[at + j] = low + Math.round((source[offset + channels[j]] - low) / step) * step;
  }
}
