import type { Backend, LayerCache, Selection, StepRows, Tensor } from "../backend.ts";
import type { ModelConfig } from "../config.ts";
import { bytesOfArray } from "../tensor_io.ts";
import type { Attention, AttentionMode, LastSelection, LayerReads } from "./attention.ts";
import { type Budget, plainTokens } from "./budget.ts";
import { HostKeys } from "./host_keys.ts";

/** What a host-side selector is shown for one row and layer. */
export interface RowFacts {
  readonly layer: number;
  readonly position: number;
  /** k, at most position + 1. */
  readonly tokens: number;
  /** f32 [T, Hq + 2·Hk, d] and where this row starts in it. */
  readonly qkv: Float32Array;
  readonly offset: number;
  /** Per KV head f32 [≥ position, d]; empty where the selector asks for no keys. */
  readonly keys: readonly Float32Array[];
}

/**
 * Modes that choose tokens on the host and leave the exact attention over them to the device. One set per query head,
 * nothing forced, no tail: what the published rivals do.
 */
export abstract class HostSelectedAttention implements Attention {
  abstract readonly mode: AttentionMode;
  lastSelection: LastSelection | null = null;
  protected readonly backend: Backend;
  protected readonly config: ModelConfig;
  private readonly budget: Budget;
  private readonly host: HostKeys;
  private readonly capacity: number;
  private rows: StepRows | null = null;
  private selection: (Selection & { readonly rows: number }) | null = null;

  constructor(backend: Backend, config: ModelConfig, budget: Budget, capacity: number) {
    this.backend = backend;
    this.config = config;
    this.budget = budget;
    this.capacity = capacity;
    this.host = new HostKeys(backend, config);
  }

  /** Writes the chosen places of query head `head`, ascending, into `out` and returns how many. */
  protected abstract select(facts: RowFacts, head: number, out: Int32Array): number;
  /** Whether `select` looks at keys. */
  protected abstract readonly needsKeys: boolean;
  /** Bytes of labels read per layer. */
  protected abstract labelBytes(kvLen: number): number;

  beginStep(rows: StepRows): void {
    this.rows = rows;
    const T = rows.tokens.length;
    if (this.selection?.rows === T) return;
    this.free();
    const { numHeads: Hq } = this.config;
    const K = plainTokens(this.budget, this.capacity);
    this.selection = {
      rows: T,
      indices: this.backend.alloc({ dtype: "i32", shape: [T, Hq, K] }),
      counts: this.backend.alloc({ dtype: "i32", shape: [T, Hq] }),
      tailMass: this.backend.alloc({ dtype: "f32", shape: [T, Hq] }),
    };
  }

  async attend(layer: number, out: Tensor, qkvTensor: Tensor, cache: LayerCache): Promise<void> {
    const rows = this.rows!;
    const selection = this.selection!;
    const { numHeads: Hq, numKvHeads: Hk, headDim: d } = this.config;
    const T = rows.tokens.length;
    const K = selection.indices.shape[2];
    const keys = this.needsKeys
      ? await this.host.upTo(layer, cache, this.host.slotOf(rows), Math.max(...rows.positions))
      : [];
    const qkv = this.needsKeys ? await this.host.qkv(qkvTensor) : new Float32Array(0);
    const indices = new Int32Array(T * Hq * K);
    const counts = new Int32Array(T * Hq);
    for (let t = 0; t < T; t++) {
      const position = rows.positions[t];
      const tokens = plainTokens(this.budget, position + 1);
      const facts = { layer, position, tokens, qkv, offset: t * (Hq + 2 * Hk) * d, keys };
      for (let h = 0; h < Hq; h++) {
        const at = (t * Hq + h) * K;
        counts[t * Hq + h] = this.select(facts, h, indices.subarray(at, at + K));
      }
    }
    this.backend.upload(selection.indices, bytesOfArray(indices));
    this.backend.upload(selection.counts, bytesOfArray(counts));
    this.backend.attendSelected(out, qkvTensor, cache, selection, { scale: 1 / Math.sqrt(d) });
    this.lastSelection = { indices: selection.indices, counts: selection.counts, sets: Hq };
  }

  truncate(length: number): void {
    this.host.truncate(length);
  }

  reads(_layer: number, kvLen: number): LayerReads {
    const { numHeads: Hq, numKvHeads: Hk } = this.config;
    const tokens = plainTokens(this.budget, kvLen);
    if (tokens >= kvLen) return { rows: Hk * kvLen, tokens, halfRows: 0, extraBytes: 0, dense: true };
    const rows = this.rowsRead(Hq, Hk, tokens);
    return { rows, tokens, halfRows: 0, extraBytes: this.labelBytes(kvLen), dense: false };
  }

  /** Rows fetched at most: each query head its own. */
  protected rowsRead(numHeads: number, _numKvHeads: number, tokens: number): number {
    return numHeads * tokens;
  }

  free(): void {
    if (this.selection === null) return;
    const { indices, counts, tailMass } = this.selection;
    for (const tensor of [indices, counts, tailMass]) this.backend.free(tensor);
    this.selection = null;
  }
}
