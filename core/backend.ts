/**
 * THE contract with a device: types and documentation only.
 *
 * Symbols, here and everywhere: T rows of the step, D hiddenSize, F ffnSize, V vocabSize, Hq query heads, Hk KV
 * heads, g = Hq / Hk, d headDim, S capacity of a slot in tokens, k tokens selected, n a token's place in a slot.
 *
 * Ops are enqueued in call order and return at once; an op may read what an earlier op wrote. Only `upload`,
 * `download` and `fetchRows` touch the host. A decode step's sequence of calls does not change from token to
 * token: what does change (tokens, positions, budgets) lives in small device tensors, so that a backend may record
 * the step once (WebGPU command buffers, CUDA graphs) and replay it. A backend may fuse adjacent ops and repack
 * weights at upload, as long as `tests/conformance` holds.
 */
import type { DType } from "./dtype.ts";

export type Place = "device" | "host";

export interface TensorSpec {
  readonly dtype: DType;
  /** Row-major; the last axis is contiguous. */
  readonly shape: readonly number[];
  /** "host" is memory the device can fetch rows from (pinned on CUDA); default "device". */
  readonly place?: Place;
}

/** Opaque memory on one backend. A backend may keep it in pieces: no single buffer is larger than 1 GiB. */
export interface Tensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly place: Place;
  readonly byteLength: number;
}

export interface DeviceInfo {
  /** For people: "Deno 2.9.6, plain TypeScript", "NVIDIA H200". */
  readonly name: string;
  /** Bytes the device can hold, or null where it cannot say. */
  readonly memoryBytes: number | null;
  /** Bytes of the largest tensor, where that is less; absent: no bound of its own. */
  readonly mostTensorBytes?: number;
  /** Weight types kept as they are; a loader converts any other to f32, packed ones to `otherWeights`. */
  readonly weightDtypes: readonly DType[];
  /** What a loader makes of packed weights of a type not kept; absent: f32. "q8_0" holds them in 27% of that. */
  readonly otherWeights?: "f32" | "q8_0";
  /** KV cache types on offer, best first. */
  readonly kvDtypes: readonly ("f32" | "f16" | "bf16")[];
  /** Bytes of its last cache, which a benchmark must go beyond; absent: unknown. */
  readonly cacheBytes?: number;
  /** Rows per pass of a prefill that keep it busy; absent: few will do. */
  readonly prefillRows?: number;
  /** For people, by name: what else `ds doctor` prints of it. */
  readonly facts?: Readonly<Record<string, string>>;
}

/**
 * The rows of one step; all arrays have length T. Row t is token `tokens[t]` of slot `slots[t]` at `positions[t]`.
 *
 * Row t attends to the tokens n < positions[t] of its slot at place n, and to itself at place `homes[t]`, where
 * `appendKv` puts it. Ordinarily homes[t] = positions[t]. A row whose home lies elsewhere (beyond the tokens in use)
 * is private: no other row sees it. That is how many positions of one text are measured in one step, each as if it
 * were the newest token. kvLen of row t is positions[t] + 1.
 */
export interface StepRows {
  readonly tokens: Int32Array;
  readonly slots: Int32Array;
  readonly positions: Int32Array;
  readonly homes: Int32Array;
}

/** How a key's heavy channels are packed: `wide` channels at 4 bits, then `narrow` at 2. */
export interface LabelLayout {
  /** A multiple of 8. */
  readonly wide: number;
  /** A multiple of 16. */
  readonly narrow: number;
}

/** Labels of one layer, and what the tail needs. C = wide + narrow; W = wide/8 + narrow/16 words of 32 bits. */
export interface LabelCache {
  readonly layout: LabelLayout;
  /** u32 [slots, Hk, S, W]: channel j of a wide word at bit 4j, of a narrow word at bit 2j; wide words first. */
  readonly words: Tensor;
  /** i32 [Hk, C]: the channel of d each code stands for. */
  readonly channels: Tensor;
  /** f32 [Hk, C]: code = clamp(roundHalfEven((K - zero) · inverseStep)), each operation rounded to f32. */
  readonly zero: Tensor;
  readonly step: Tensor;
  readonly inverseStep: Tensor;
  /**
   * f32 [slots, Hk, ⌈S/64⌉, d]: entry j is ΣV of the tokens n < 64·j (entry 0 is zero). `appendKv` writes entry j when
   * it writes token 64·j - 1 at its own position, so a slot may be cut back and refilled. Private rows never count.
   */
  readonly valueSums: Tensor;
}

/** K and V of one layer. */
export interface LayerCache {
  /** f32, f16 or bf16 [slots, Hk, S, 2, d]: K and V of a token and head adjacent. */
  readonly kv: Tensor;
  /** Absent where no label-scored mode runs. */
  readonly labels: LabelCache | null;
}

/** What `scoreLabels` leaves behind. */
export interface Scores {
  /** d of the queries: scores are worth μ = 2^-e/√d each. */
  readonly headDim: number;
  /** i32 [T, Hq, S]; the first kvLen entries of a row are written. Entry positions[t] is the row itself. */
  readonly scores: Tensor;
  /** i32 [T, Hq]: e with 64 ≤ max|w|·2^e < 128, or 0; the approximate logit is score·2^-e/√d + a constant. */
  readonly exponents: Tensor;
  /** i32 [T, Hq]: the largest of the kvLen scores. */
  readonly maxima: Tensor;
}

/** Which tokens a row attends to. H = Hk (one set per KV head, shared by its query heads) or Hq (one per query head). */
export interface Selection {
  /** i32 [T, H, K]: ascending token places; entry positions[t] means the row itself, wherever its home is. */
  readonly indices: Tensor;
  /** i32 [T, H]: how many of them are in use. */
  readonly counts: Tensor;
  /** f32 [T, Hq]: Σ over the tokens not selected of exp(μ·(score - max)), μ = 2^-e/√d; 0 where all are. */
  readonly tailMass: Tensor;
}

/** Tokens that are always selected, beside the row itself. */
export interface ForcedTokens {
  readonly sinkTokens: number;
  readonly recentTokens: number;
}

export interface RopeOptions {
  /** f32 [d]: RMS norm of each q head before the rotation (Qwen3). */
  readonly queryNorm?: Tensor;
  /** f32 [d]: the same for each k head. */
  readonly keyNorm?: Tensor;
  readonly epsilon?: number;
}

export interface AttendOptions {
  /** Multiplies q·k; 1/√d unless the family says otherwise. */
  readonly scale: number;
  /** A row sees itself and window - 1 tokens before it; 0 or absent: all of them. */
  readonly window?: number;
}

export interface AttendSelectedOptions {
  readonly scale: number;
  /**
   * Adds the virtual token that stands for everything not selected (METHOD.md): value mean V of the unselected, weight
   * min(Σ_unselected exp(μ·score + δ), Z/9), δ the mean of (exact - approximate logit) over the selected tokens that
   * were not forced. A row whose selected tokens are all forced gets none. Needs `cache.labels`.
   */
  readonly tail?: { readonly scores: Scores; readonly forced: ForcedTokens };
  /**
   * Rows come from here instead of the cache, in the order of `selection.indices`: same dtype as `cache.kv`,
   * [T, Hk, K, 2, d], as `fetchRows` filled it. The row itself (index positions[t]) still comes from `cache`.
   * One set per KV head only.
   */
  readonly staging?: Tensor;
}

/** A device's own stopwatch: what the host does meanwhile has no part in it. */
export interface DeviceClock {
  /** It runs from the next op on. */
  start(): void;
  /** Milliseconds from the start of that op to the end of the last one before this call, idle time between them included. */
  stop(): Promise<number>;
}

/** Bytes of a device that are taken. */
export interface HeldBytes {
  readonly tensors: number;
  /** What ops work in, where the device counts it. */
  readonly workspace: number;
  /** Of both, when it was most. */
  readonly most: number;
}

/** A device whose memory is counted and not taken: its ops compute nothing, its downloads are zeros. */
export interface Rehearsal {
  readonly backend: Backend;
  held(): HeldBytes;
}

export interface Backend {
  readonly name: string;
  readonly device: DeviceInfo;
  /** For benchmarks; null where an op is done when its call returns, or the device keeps no time. */
  readonly clock: DeviceClock | null;

  // memory

  /** The bytes `alloc(spec)` takes here, repacking counted: what `ds plan` adds up before anything is loaded. */
  footprint(spec: TensorSpec): number;
  /** What `ds plan` runs a step on; the caller closes it. */
  rehearse(): Rehearsal;
  /** Zero-filled. @throws {DsError} kind "out-of-memory", with both numbers, before the device is lost */
  alloc(spec: TensorSpec): Tensor;
  /** Little-endian bytes in the tensor's dtype, copied when it returns; `byteOffset` and the length must be whole rows of
   * the last axis. */
  upload(dst: Tensor, data: Uint8Array, byteOffset?: number): void;
  /** The bytes as of this call, after every op enqueued before it; the range as in `upload`, default all. */
  download(src: Tensor, byteOffset?: number, byteLength?: number): Promise<Uint8Array<ArrayBuffer>>;
  free(tensor: Tensor): void;

  // stream

  /** The rows that the ops from here to the next `beginStep` are about. The arrays are copied. */
  beginStep(rows: StepRows): void;
  /** Hands over what is enqueued; does not wait. */
  submit(): void;
  /** Hands over what is enqueued and resolves when all of it is done: a prefill waits so that it can be stopped and watched. */
  synchronize(): Promise<void>;
  close(): Promise<void>;

  // transformer

  /** out f32 [T, D] ← row tokens[t] of table [V, D] (any weight dtype). */
  embed(out: Tensor, table: Tensor): void;
  /** out f32 [R, D] ← row indices[r] of x f32 [X, D]; indices i32 [R]. A plain copy: also the bandwidth probe. */
  gatherRows(out: Tensor, x: Tensor, indices: Tensor): void;
  /** out ← x / √(mean x² + epsilon) · weight over the last axis; x, out f32 [R, D], weight f32 [D]. */
  rmsNorm(out: Tensor, x: Tensor, weight: Tensor, epsilon: number): void;
  /**
   * out[r, column + n] ← Σ_i x[r, i]·weight[n, i] (+ bias[n]); x f32 [R, I], weight [N, I] of any weight dtype, bias
   * f32 [N] or null. out is f32 with R rows (its first axis; the others count as one row of columns); columns outside
   * [column, column + N) are left as they were.
   */
  linear(out: Tensor, x: Tensor, weight: Tensor, bias: Tensor | null, column?: number): void;
  /**
   * Rotates the q and k heads of qkv f32 [T, Hq + 2·Hk, d] in place, half-split pairs (c, c + d/2), by
   * table f32 [positions, 2, d/2] (cos, then sin) at positions[t]; first the optional per-head norms.
   * Hq and Hk are given since the shape does not tell them.
   */
  rope(qkv: Tensor, table: Tensor, heads: HeadCounts, options?: RopeOptions): void;
  /** out f32 [R, F] ← silu(gateUp[r, f]) · gateUp[r, F + f]; gateUp f32 [R, 2·F]. */
  swiglu(out: Tensor, gateUp: Tensor): void;
  /** x ← x + y, f32, same shape. */
  add(x: Tensor, y: Tensor): void;
  /** token i32 [R] ← place of the largest logit of each row of logits f32 [R, V]; ties: the lowest. */
  argmax(token: Tensor, logits: Tensor): void;

  // mixture of experts

  /**
   * experts i32 [R, E'] ← the E' largest of logits f32 [R, E], largest first, ties: the lowest index;
   * mix f32 [R, E'] ← their softmax over all E, divided by the sum of the chosen where `renormalise`.
   */
  routeExperts(experts: Tensor, mix: Tensor, logits: Tensor, renormalise: boolean): void;
  /**
   * With mix null: out f32 [R, E', N] ← weight[experts[r, j]]·x[r]; x f32 [R, I] or [R, E', I].
   * With mix: out f32 [R, N] ← Σ_j mix[r, j]·weight[experts[r, j]]·x[r, j]. weight [E, N, I], any weight dtype.
   */
  linearExperts(out: Tensor, x: Tensor, weight: Tensor, experts: Tensor, mix: Tensor | null): void;

  // attention

  /** Writes K and V of qkv f32 [T, Hq + 2·Hk, d] (after RoPE) at homes[t], and the label of K as it is in qkv, before the
   * cache's type rounds it. */
  appendKv(cache: LayerCache, qkv: Tensor): void;
  /** Dense causal attention: out f32 [T, Hq, d]. */
  attend(out: Tensor, qkv: Tensor, cache: LayerCache, options: AttendOptions): void;
  /**
   * Approximate logits from the labels (METHOD.md), integers and the same on every device:
   * w = f32(q_c · step_c); Q_c = clamp(roundHalfEven(w·2^e), ±127); score[n] = Σ_c Q_c·code[n, c].
   */
  scoreLabels(scores: Scores, qkv: Tensor, cache: LayerCache): void;
  /**
   * The heavyTokens[t, h] most important tokens of each set, forced ones included (all of the forced, where they alone
   * exceed it; all kvLen, where it is kvLen or more). K must hold them: more is the caller's mistake. Importance is the sum
   * over the set's query heads of exp(μ·(score - max)) in units of 2^-24, by the integer rule and table of METHOD.md
   * (`core/importance.ts`; its product z·M passes 32 bits from 69 channels on); ties: the lower place wins.
   *
   * @param heavyTokens i32 [T, H]
   */
  selectTokens(selection: Selection, scores: Scores, heavyTokens: Tensor, forced: ForcedTokens): void;
  /** Exact attention over the selected tokens: out f32 [T, Hq, d]. All tokens selected: the same bits as `attend`
   * on the reference backend. */
  attendSelected(
    out: Tensor,
    qkv: Tensor,
    cache: LayerCache,
    selection: Selection,
    options: AttendSelectedOptions,
  ): void;

  // offload

  /** staging [T, Hk, K, 2, d] ← the selected rows of `cache.kv`, which may be in host memory. Resolves when later ops
   * may name `staging`. */
  fetchRows(staging: Tensor, cache: LayerCache, selection: Selection): Promise<void>;
}

export interface HeadCounts {
  readonly numHeads: number;
  readonly numKvHeads: number;
}
