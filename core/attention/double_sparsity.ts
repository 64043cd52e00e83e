import type {
  Backend,
  ForcedTokens,
  LabelLayout,
  LayerCache,
  Scores,
  Selection,
  StepRows,
  Tensor,
} from "../backend.ts";
import type { ModelConfig } from "../config.ts";
import { VALUE_SUM_TOKENS } from "../kv_cache.ts";
import { labelWords } from "../labels.ts";
import { bytesOfArray } from "../tensor_io.ts";
import type { Attention, LastSelection, LayerReads } from "./attention.ts";
import { type Budget, headTokens } from "./budget.ts";

export interface SparseOptions {
  readonly budget: Budget;
  readonly forced: ForcedTokens;
  /** Share x of the budget per layer and KV head, f32 [L, Hk], mean 1; null: all 1. */
  readonly shares: Float32Array | null;
  /** One token set per query head instead of one per KV head. */
  readonly perHead: boolean;
  readonly tail: boolean;
  readonly layout: LabelLayout;
  /** Layers that always run dense. */
  readonly denseLayers: readonly number[];
  /** Sequences shorter than this run dense. */
  readonly denseBelow: number;
}

/**
 * The method: score every token by its labels, keep the heavy ones, attend exactly to those
 * (Yang et al., arXiv 2408.07092, §3; labels, importance and tail as in METHOD.md).
 */
export class DoubleSparsityAttention implements Attention {
  readonly mode: "double-sparsity" | "oracle" = "double-sparsity";
  lastSelection: LastSelection | null = null;
  protected readonly backend: Backend;
  protected readonly config: ModelConfig;
  protected readonly options: SparseOptions;
  protected readonly sets: number;
  protected rows: StepRows | null = null;
  protected buffers: StepBuffers | null = null;
  private readonly capacity: number;
  private readonly scale: number;

  constructor(backend: Backend, config: ModelConfig, options: SparseOptions, capacity: number) {
    this.backend = backend;
    this.config = config;
    this.options = options;
    this.capacity = capacity;
    this.sets = options.perHead ? config.numHeads : config.numKvHeads;
    this.scale = 1 / Math.sqrt(config.headDim);
  }

  beginStep(rows: StepRows): void {
    const { backend, config, sets } = this;
    const T = rows.tokens.length;
    if (this.buffers === null || this.buffers.rows !== T) {
      this.buffers?.free();
      this.buffers = allocBuffers(backend, config, T, sets, this.capacity, this.maxTokens());
    }
    this.rows = rows;
    const heavy = new Int32Array(T * sets);
    this.buffers.heavyTokens.forEach((tensor, layer) => {
      for (let t = 0; t < T; t++) {
        for (let s = 0; s < sets; s++) heavy[t * sets + s] = this.tokens(layer, s, rows.positions[t] + 1);
      }
      backend.upload(tensor, bytesOfArray(heavy));
    });
  }

  attend(layer: number, out: Tensor, qkv: Tensor, cache: LayerCache): void | Promise<void> {
    if (this.allDense(layer)) {
      this.lastSelection = null;
      return this.backend.attend(out, qkv, cache, { scale: this.scale });
    }
    const scored = this.score(layer, qkv, cache);
    return scored instanceof Promise
      ? scored.then(() => this.finish(layer, out, qkv, cache))
      : this.finish(layer, out, qkv, cache);
  }

  truncate(_length: number): void {}

  reads(layer: number, kvLen: number): LayerReads {
    const { numKvHeads: Hk, headDim: d } = this.config;
    let rows = 0;
    for (let s = 0; s < this.sets; s++) rows += this.tokens(layer, s, kvLen);
    if (rows >= this.sets * kvLen) {
      return { rows: Hk * kvLen, tokens: kvLen, halfRows: 0, extraBytes: 0, dense: true };
    }
    const { keys, labelBytes } = this.scoringReads(kvLen);
    // The tail's ΣV: one running sum, and the values that came after it.
    const [sums, values] = this.options.tail ? [Hk * d * 4, Hk * ((kvLen - 1) % VALUE_SUM_TOKENS)] : [0, 0];
    return {
      rows,
      tokens: rows / this.sets,
      halfRows: keys + values,
      extraBytes: labelBytes + sums,
      dense: false,
    };
  }

  free(): void {
    this.buffers?.free();
    this.buffers = null;
  }

  /** Fills `buffers.scores` for the rows of the step. */
  protected score(_layer: number, qkv: Tensor, cache: LayerCache): void | Promise<void> {
    this.backend.scoreLabels(this.buffers!.scores, qkv, cache);
  }

  /** What scoring reads of one layer: (token, head) pairs of which K is read, and bytes of labels. */
  protected scoringReads(kvLen: number): { keys: number; labelBytes: number } {
    return { keys: 0, labelBytes: kvLen * this.config.numKvHeads * labelWords(this.options.layout) * 4 };
  }

  private finish(layer: number, out: Tensor, qkv: Tensor, cache: LayerCache): void {
    const { scores, selection, heavyTokens } = this.buffers!;
    const { forced } = this.options;
    this.backend.selectTokens(selection, scores, heavyTokens[layer], forced);
    this.backend.attendSelected(out, qkv, cache, selection, {
      scale: this.scale,
      ...(this.options.tail && { tail: { scores, forced } }),
    });
    this.lastSelection = { indices: selection.indices, counts: selection.counts, sets: this.sets };
  }

  /** k of set s; kvLen where the row runs dense. */
  private tokens(layer: number, set: number, kvLen: number): number {
    const { budget, forced, shares, denseLayers, denseBelow } = this.options;
    if (kvLen < denseBelow || denseLayers.includes(layer)) return kvLen;
    const { numKvHeads } = this.config;
    const head = Math.floor(set / (this.sets / numKvHeads));
    const share = shares === null ? 1 : shares[layer * numKvHeads + head];
    return headTokens(budget, forced, share, kvLen);
  }

  private allDense(layer: number): boolean {
    const { positions } = this.rows!;
    for (const position of positions) {
      for (let s = 0; s < this.sets; s++) if (this.tokens(layer, s, position + 1) <= position) return false;
    }
    return true;
  }

  /** The longest list any set can ever need. */
  private maxTokens(): number {
    const { denseLayers, denseBelow } = this.options;
    let most = Math.min(denseBelow, this.capacity);
    for (let layer = 0; layer < this.config.numLayers; layer++) {
      if (denseLayers.includes(layer)) continue;
      for (let s = 0; s < this.sets; s++) most = Math.max(most, this.tokens(layer, s, this.capacity));
    }
    return Math.max(most, 1);
  }
}

interface StepBuffers {
  readonly rows: number;
  readonly scores: Scores;
  readonly selection: Selection;
  /** i32 [T, H] per layer. */
  readonly heavyTokens: readonly Tensor[];
  free(): void;
}

function allocBuffers(
  backend: Backend,
  config: ModelConfig,
  T: number,
  H: number,
  S: number,
  K: number,
): StepBuffers {
  const all: Tensor[] = [];
  const alloc = (dtype: "i32" | "f32", ...shape: number[]) => {
    const tensor = backend.alloc({ dtype, shape });
    all.push(tensor);
    return tensor;
  };
  const Hq = config.numHeads;
  return {
    rows: T,
    scores: {
      headDim: config.headDim,
      scores: alloc("i32", T, Hq, S),
      exponents: alloc("i32", T, Hq),
      maxima: alloc("i32", T, Hq),
    },
    selection: { indices: alloc("i32", T, H, K), counts: alloc("i32", T, H), tailMass: alloc("f32", T, Hq) },
    heavyTokens: Array.from({ length: config.numLayers }, () => alloc("i32", T, H)),
    free: () => all.forEach((tensor) => backend.free(tensor)),
  };
}
