import type { Attention, AttentionMode } from "../attention/attention.ts";
import { DenseAttention } from "../attention/dense.ts";
import { type AttentionOptions, labelsOf, openAttention } from "../attention/open.ts";
import type { Tensor } from "../backend.ts";
import { KvCache } from "../kv_cache.ts";
import { exp } from "../math.ts";
import { consecutiveRows, type Model, privateRows } from "../model.ts";
import { argmax } from "../sampler.ts";
import { PREFILL_CHUNK } from "../session.ts";
import { downloadFloats } from "../tensor_io.ts";
import { klDivergence, logSoftmax, Mean } from "./metrics.ts";
import { RecallMeter } from "./recall.ts";

/**
 * `served`: every counted position is one sparse decode step against the K and V of a dense prefill of all before it.
 * `harsh`: every position from `skip` on runs sparse, and later positions see its K and V.
 */
export type EvaluationSetting = "served" | "harsh";

export interface PerplexityOptions {
  readonly modes: readonly AttentionMode[];
  readonly attention: AttentionOptions;
  readonly setting: EvaluationSetting;
  /** Positions at the start of a window that do not count. */
  readonly skip: number;
  readonly kvDtype: "f32" | "f16" | "bf16";
  readonly onProgress?: (donePositions: number, totalPositions: number) => void;
  readonly signal?: AbortSignal;
}

export interface PerplexityRow {
  readonly attention: AttentionMode;
  readonly perplexity: number;
  readonly densePerplexity: number;
  /** dense‖this, nats, mean over the counted positions. */
  readonly klDivergence: number;
  readonly klStandardError: number | null;
  /** Share of positions whose likeliest token is dense attention's. */
  readonly top1Agreement: number;
  /** Mean share of the true attention mass on the selected tokens, on a sample of rows; null for dense. */
  readonly attentionRecall: number | null;
  readonly positions: number;
  /** Per window: log p(next token) of each counted position. */
  readonly logProbabilities: readonly (readonly number[])[];
}

/** Attention mass is compared on one row of so many: it costs as much as dense attention. */
const RECALL_EVERY = 16;

/**
 * Perplexity of windows of tokens under several attention modes side by side, against dense attention.
 *
 * @param windows token ids, each at least `skip` + 2
 * @throws {RangeError} a window has no position that counts
 */
export async function evaluatePerplexity(
  model: Model,
  windows: readonly (readonly number[])[],
  options: PerplexityOptions,
): Promise<PerplexityRow[]> {
  const short = windows.find(({ length }) => length < options.skip + 2);
  if (short !== undefined) {
    throw new RangeError(
      `Cannot skip ${options.skip} positions of a window of ${short.length} tokens: none would count`,
    );
  }
  const meters = [...new Set(options.modes)].map((mode) => new ModeMeter(mode));
  const total = windows.reduce((sum, window) => sum + window.length - 1, 0);
  let done = 0;
  for (const window of windows) {
    const run = new WindowRun(model, window, options);
    try {
      for (let first = 0; first < window.length - 1; first += PREFILL_CHUNK) {
        options.signal?.throwIfAborted();
        const last = Math.min(first + PREFILL_CHUNK, window.length - 1);
        await run.chunk(first, last, meters);
        options.onProgress?.(done + last, total);
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
    } finally {
      run.free();
    }
    done += window.length - 1;
    for (const meter of meters) meter.endWindow(run.recall.get(meter.mode)?.overall ?? null);
  }
  return meters.map((meter) => meter.row());
}

/** One window: the dense sequence, and beside it what each mode needs of its own. */
class WindowRun {
  readonly recall = new Map<AttentionMode, RecallMeter>();
  private readonly model: Model;
  private readonly window: readonly number[];
  private readonly options: PerplexityOptions;
  private readonly denseCache: KvCache;
  private readonly dense: DenseAttention;
  private readonly modes = new Map<AttentionMode, { attention: Attention; cache: KvCache }>();

  constructor(model: Model, window: readonly number[], options: PerplexityOptions) {
    const { backend, config } = model;
    this.model = model;
    this.window = window;
    this.options = options;
    const served = options.setting === "served";
    const capacity = window.length + (served ? PREFILL_CHUNK : 0);
    const shape = { slots: 1, capacity, dtype: options.kvDtype };
    this.denseCache = KvCache.alloc(backend, config, { ...shape, labels: null });
    this.dense = new DenseAttention(backend, config);
    for (const mode of new Set(options.modes)) {
      if (mode === "dense") continue;
      const labels = labelsOf(mode, options.attention.calibration);
      const attention = openAttention(mode, backend, config, options.attention, capacity);
      const cache = served
        ? this.denseCache.withLabels(labels)
        : KvCache.alloc(backend, config, { ...shape, labels });
      this.modes.set(mode, { attention, cache });
      this.recall.set(mode, new RecallMeter(backend, config));
    }
  }

  /** Runs tokens [first, last) and counts the positions from `skip` on. */
  async chunk(first: number, last: number, meters: readonly ModeMeter[]): Promise<void> {
    const counted = Math.max(first, this.options.skip);
    const denseLogits = await this.runDense(first, last, counted);
    const logits = new Map<AttentionMode, Tensor | null>([["dense", denseLogits]]);
    for (const [mode] of this.modes) logits.set(mode, await this.runMode(mode, first, last, counted));
    if (denseLogits === null) return;
    const vocabulary = this.model.config.vocabSize;
    for (let row = 0; row < last - counted; row++) {
      const read = async (tensor: Tensor) =>
        logSoftmax(await downloadFloats(this.model.backend, tensor, row * vocabulary * 4, vocabulary * 4));
      const dense = await read(denseLogits);
      const next = this.window[counted + row + 1];
      for (const meter of meters) {
        meter.add(dense, meter.mode === "dense" ? dense : await read(logits.get(meter.mode)!), next);
      }
    }
    for (const tensor of logits.values()) if (tensor !== null) this.model.backend.free(tensor);
  }

  free(): void {
    for (const { attention, cache } of this.modes.values()) {
      attention.free();
      cache.free();
    }
    this.denseCache.free();
  }

  private runDense(first: number, last: number, counted: number): Promise<Tensor | null> {
    const rows = consecutiveRows(this.window.slice(first, last), first);
    const labelled = this.options.setting === "served"
      ? [...this.modes.values()].filter(({ cache }) => cache.layers[0].labels !== null)
      : [];
    return this.model.forward(this.denseCache, rows, this.dense, {
      logitRows: Int32Array.from({ length: Math.max(last - counted, 0) }, (_, i) => counted - first + i),
      // The modes share K and V and differ in labels only, so each writes its own beside them.
      tap: {
        qkv: (layer, qkv) => {
          for (const { cache } of labelled) this.model.backend.appendKv(cache.layers[layer], qkv);
        },
      },
    });
  }

  private async runMode(
    mode: AttentionMode,
    first: number,
    last: number,
    counted: number,
  ): Promise<Tensor | null> {
    const { attention, cache } = this.modes.get(mode)!;
    if (this.options.setting === "served") {
      if (counted >= last) return null;
      const positions = Array.from({ length: last - counted }, (_, i) => counted + i);
      const rows = privateRows(this.window.slice(counted, last), positions, this.window.length);
      return await this.measured(mode, attention, cache, rows, positions.length, 0);
    }
    if (first < counted) {
      const until = Math.min(counted, last);
      await this.model.forward(cache, consecutiveRows(this.window.slice(first, until), first), this.dense);
    }
    if (counted >= last) return null;
    const rows = consecutiveRows(this.window.slice(counted, last), counted);
    return await this.measured(mode, attention, cache, rows, last - counted, 0);
  }

  private measured(
    mode: AttentionMode,
    attention: Attention,
    cache: KvCache,
    rows: ReturnType<typeof consecutiveRows>,
    count: number,
    firstRow: number,
  ): Promise<Tensor | null> {
    const recall = this.recall.get(mode)!;
    const observed: Attention = observe(attention, async (layer, qkv, layerCache) => {
      if (attention.lastSelection === null) return;
      await recall.measure(layer, qkv, layerCache, rows, attention.lastSelection, RECALL_EVERY);
    });
    const logitRows = Int32Array.from({ length: count }, (_, i) => firstRow + i);
    return this.model.forward(cache, rows, observed, { logitRows });
  }
}

/** The same attention, with a look at each layer after it ran. */
export function observe(
  attention: Attention,
  after: (layer: number, qkv: Tensor, cache: Parameters<Attention["attend"]>[3]) => Promise<void>,
): Attention {
  return {
    mode: attention.mode,
    lastSelection: null,
    beginStep: (rows) => attention.beginStep(rows),
    attend: async (layer, out, qkv, cache) => {
      await attention.attend(layer, out, qkv, cache);
      await after(layer, qkv, cache);
    },
    truncate: (length) => attention.truncate(length),
    reads: (layer, kvLen) => attention.reads(layer, kvLen),
    free: () => attention.free(),
  };
}

class ModeMeter {
  readonly mode: AttentionMode;
  private readonly nll = new Mean();
  private readonly denseNll = new Mean();
  private readonly kl = new Mean();
  private readonly agreement = new Mean();
  private readonly recall = new Mean();
  private readonly windows: number[][] = [];
  private current: number[] = [];

  constructor(mode: AttentionMode) {
    this.mode = mode;
  }

  add(dense: Float64Array, own: Float64Array, next: number): void {
    this.nll.add(-own[next]);
    this.denseNll.add(-dense[next]);
    this.kl.add(own === dense ? 0 : klDivergence(dense, own));
    this.agreement.add(argmax(own) === argmax(dense) ? 1 : 0);
    this.current.push(own[next]);
  }

  endWindow(recall: number | null): void {
    this.windows.push(this.current);
    this.current = [];
    if (recall !== null) this.recall.add(recall);
  }

  row(): PerplexityRow {
    return {
      attention: this.mode,
      perplexity: exp(this.nll.mean),
      densePerplexity: exp(this.denseNll.mean),
      klDivergence: this.kl.mean,
      klStandardError: this.kl.count > 1 ? this.kl.standardError : null,
      top1Agreement: this.agreement.mean,
      attentionRecall: this.recall.count > 0 ? this.recall.mean : null,
      positions: this.nll.count,
      logProbabilities: this.windows,
    };
  }
}
