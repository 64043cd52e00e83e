import { DEFAULT_BUDGET, DEFAULT_FORCED } from "../core/attention/budget.ts";
import { DenseAttention } from "../core/attention/dense.ts";
import { DoubleSparsityAttention, type SparseOptions } from "../core/attention/double_sparsity.ts";
import type { StepRows, Tensor } from "../core/backend.ts";
import { klDivergence, logSoftmax } from "../core/evaluation/metrics.ts";
import { RecallMeter } from "../core/evaluation/recall.ts";
import type { KvCache, LabelPlan } from "../core/kv_cache.ts";
import { type Model, privateRows } from "../core/model.ts";
import { relabel } from "../core/relabel.ts";
import { downloadFloats, tensorOf } from "../core/tensor_io.ts";

/** What decode positions of one block showed. */
export interface BlockMeasures {
  /** f64 [L, Hk]: mean share of the attention mass that an even budget of 1/16 selects. */
  readonly layerRecall: Float64Array;
  /** f64 [L]: the same share for a selection predicted from the layer before, after its attention; layer 0: its own. */
  readonly predictionRecall: Float64Array;
  /** f64 [L, Hk]: mean KL on the logits, nats, of making that KV head alone sparse. */
  readonly headKl: Float64Array;
}

/** A block whose K and V are cached, in slot 0, with `MEASURED_POSITIONS` places to spare. */
export interface CachedBlock {
  readonly ids: readonly number[];
  readonly cache: KvCache;
}

/** Decode positions over all measured blocks. */
export const MEASURED_POSITIONS = 48;

export interface MeasureOptions {
  readonly signal?: AbortSignal;
  /** Decode positions, spread over the second half of the block; at most `MEASURED_POSITIONS`. */
  readonly positions: number;
  /** Called after each KV head. */
  readonly onHead?: () => void;
}

/**
 * Measures how well labels select, on decode positions of one block: each a step of its own against the K and V of the
 * dense prefill (METHOD.md, Calibration).
 */
export async function measureBlock(
  model: Model,
  { ids, cache: unlabelled }: CachedBlock,
  labels: LabelPlan,
  options: MeasureOptions,
): Promise<BlockMeasures> {
  const { backend, config } = model;
  const N = ids.length;
  const half = Math.floor(N / 2);
  const places = Array.from(
    { length: options.positions },
    (_, i) => half + Math.floor(((i + 0.5) * (N - half)) / options.positions),
  );
  const rows = privateRows(places.map((n) => ids[n]), places, N);
  // A share without bound makes a head dense, so one head at a time can be given an ordinary one.
  const shares = new Float32Array(config.numLayers * config.numKvHeads).fill(Infinity);
  const even: SparseOptions = {
    budget: DEFAULT_BUDGET,
    forced: DEFAULT_FORCED,
    shares: null,
    perHead: false,
    tail: true,
    layout: labels.layout,
    denseLayers: [],
    denseBelow: 0,
  };
  const selector = new DoubleSparsityAttention(backend, config, even, unlabelled.capacity);
  const attention = new DoubleSparsityAttention(backend, config, { ...even, shares }, unlabelled.capacity);
  const cache = await relabel(model, unlabelled, labels, N);
  try {
    const watched = await watchDense(model, cache, rows, selector);
    const headKl = new Float64Array(shares.length);
    for (let layer = 0; layer < config.numLayers; layer++) {
      const residual = tensorOf(backend, watched.residuals[layer], [places.length, config.hiddenSize]);
      try {
        for (let h = 0; h < config.numKvHeads; h++) {
          options.signal?.throwIfAborted();
          const head = layer * config.numKvHeads + h;
          shares[head] = 1;
          const logits = await logitsOf(model, cache, rows, attention, { firstLayer: layer, residual });
          shares[head] = Infinity;
          headKl[head] = meanKl(watched.logits, logits, places.length);
          options.onHead?.();
          await new Promise((resolve) => setTimeout(resolve, 0));
        }
      } finally {
        backend.free(residual);
      }
    }
    return { layerRecall: watched.layerRecall, predictionRecall: watched.predictionRecall, headKl };
  } finally {
    selector.free();
    attention.free();
    cache.free();
  }
}

/** One dense pass over the rows that, beside it, selects by labels: from each layer's own q, and from the one predicted. */
async function watchDense(model: Model, cache: KvCache, rows: StepRows, selector: DoubleSparsityAttention) {
  const { backend, config, weights } = model;
  const { numHeads, numKvHeads, numLayers, headDim: d } = config;
  const T = rows.tokens.length;
  const own = new RecallMeter(backend, config);
  const predicted = new RecallMeter(backend, config);
  const residuals: Float32Array[] = [];
  const unused = backend.alloc({ dtype: "f32", shape: [T, numHeads, d] });
  const h = backend.alloc({ dtype: "f32", shape: [T, config.hiddenSize] });
  const guess = backend.alloc({ dtype: "f32", shape: [T, numHeads + 2 * numKvHeads, d] });
  let guessed: { indices: Tensor; counts: Tensor; sets: number } | null = null;
  const copies: Tensor[] = [];
  selector.beginStep(rows);
  const logits = await logitsOf(model, cache, rows, new DenseAttention(backend, config), {
    tap: {
      residual: async (_layer, x) => {
        residuals.push(await downloadFloats(backend, x));
      },
      qkv: async (layer, qkv) => {
        if (guessed !== null) await predicted.measure(layer, qkv, cache.layers[layer], rows, guessed);
        await selector.attend(layer, unused, qkv, cache.layers[layer]);
        if (selector.lastSelection !== null) {
          await own.measure(layer, qkv, cache.layers[layer], rows, selector.lastSelection);
        }
      },
      attended: async (layer, x) => {
        const next = layer + 1;
        guessed = null;
        if (next >= numLayers) return;
        backend.rmsNorm(h, x, weights.layers[next].attentionNorm, config.rmsNormEpsilon);
        for (const { weight, bias, column } of weights.layers[next].qkv) {
          backend.linear(guess, h, weight, bias, column);
        }
        backend.rope(guess, weights.ropeTable, { numHeads, numKvHeads });
        // Labels of the rows themselves are the layer's business later; here they only stand in for the current token, which is forced.
        backend.appendKv(cache.layers[next], guess);
        await selector.attend(next, unused, guess, cache.layers[next]);
        const selection = selector.lastSelection;
        if (selection === null) return;
        for (const tensor of copies.splice(0)) backend.free(tensor);
        guessed = { ...(await copySelection(model, selection, copies)), sets: selection.sets };
      },
    },
  });
  for (const tensor of [...copies, unused, h, guess]) backend.free(tensor);
  const layerRecall = Float64Array.from(own.means, ({ count, mean }) => count > 0 ? mean : 1);
  const predictionRecall = Float64Array.from({ length: numLayers }, (_, layer) => {
    const means = (layer === 0 ? own : predicted).means.slice(layer * numKvHeads, (layer + 1) * numKvHeads);
    return means.reduce((sum, { count, mean }) => sum + (count > 0 ? mean : 1), 0) / numKvHeads;
  });
  return { logits, residuals, layerRecall, predictionRecall };
}

async function copySelection(
  { backend }: Model,
  { indices, counts }: { indices: Tensor; counts: Tensor },
  keep: Tensor[],
): Promise<{ indices: Tensor; counts: Tensor }> {
  const copy = async (source: Tensor) => {
    const tensor = backend.alloc({ dtype: source.dtype, shape: source.shape });
    backend.upload(tensor, await backend.download(source));
    keep.push(tensor);
    return tensor;
  };
  return { indices: await copy(indices), counts: await copy(counts) };
}

async function logitsOf(
  model: Model,
  cache: KvCache,
  rows: StepRows,
  attention: Parameters<Model["forward"]>[2],
  options: Parameters<Model["forward"]>[3],
): Promise<Float32Array> {
  const logitRows = Int32Array.from({ length: rows.tokens.length }, (_, i) => i);
  const tensor = await model.forward(cache, rows, attention, { ...options, logitRows });
  const values = await downloadFloats(model.backend, tensor!);
  model.backend.free(tensor!);
  return values;
}

function meanKl(dense: Float32Array, sparse: Float32Array, rows: number): number {
  const V = dense.length / rows;
  let sum = 0;
  for (let row = 0; row < rows; row++) {
    const at = row * V;
    sum += klDivergence(logSoftmax(dense.subarray(at, at + V)), logSoftmax(sparse.subarray(at, at + V)));
  }
  return sum / rows;
}
