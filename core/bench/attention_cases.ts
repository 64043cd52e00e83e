import type { Attention } from "../attention/attention.ts";
import { DEFAULT_FORCED, headTokens } from "../attention/budget.ts";
import { DenseAttention } from "../attention/dense.ts";
import { DoubleSparsityAttention } from "../attention/double_sparsity.ts";
import type { Backend, LayerCache, Scores, Selection, StepRows, Tensor } from "../backend.ts";
import { bytesOf } from "../dtype.ts";
import { labelBytes } from "../labels.ts";
import { tensorOf } from "../tensor_io.ts";
import { stepTraffic } from "../traffic.ts";
import { type AttentionBenchShape, budgetOf, configOf, lastRows, sparseOptions } from "./attention_shape.ts";
import { syntheticMoments, SyntheticRows } from "./synthetic.ts";
import type { TimedCase } from "./timing.ts";

/** What is timed, and what it must read at least. */
export interface AttentionCase extends TimedCase {
  /** Null where intermediate results are all it reads. */
  readonly bytes: number | null;
  /** Of a step: null for its parts. */
  readonly isStep: boolean;
}

/** Dense and sparse step over `caches` in turn, then the parts of the sparse one; what they allocate joins `owned`. */
export function attentionCases(
  backend: Backend,
  shape: AttentionBenchShape,
  caches: readonly LayerCache[],
  seed: number,
  owned: { free(): void }[],
): AttentionCase[] {
  const { batch, context, numHeads, numKvHeads, headDim } = shape;
  const config = configOf(shape, 1);
  const dense = new DenseAttention(backend, config);
  const sparse = new DoubleSparsityAttention(backend, config, sparseOptions(shape), context);
  owned.push(dense, sparse);

  const keep = (tensor: Tensor): Tensor => {
    owned.push({ free: () => backend.free(tensor) });
    return tensor;
  };
  const values = new Float32Array(batch * (numHeads + 2 * numKvHeads) * headDim);
  new SyntheticRows(shape, seed + 1).fill(values, syntheticMoments(shape, seed));
  const qkv = keep(tensorOf(backend, values, [batch, numHeads + 2 * numKvHeads, headDim]));
  const out = keep(backend.alloc({ dtype: "f32", shape: [batch, numHeads, headDim] }));
  const rows = lastRows(batch, context);
  const step = (name: string, attention: Attention): AttentionCase => ({
    name,
    isStep: true,
    bytes: batch * stepTraffic(attention, config, shape.kvDtype, context).bytes,
    run: timed(backend, caches, out, rows, () => attention.beginStep(rows), (cache) => {
      const done = attention.attend(0, out, qkv, cache);
      if (done !== undefined) throw new TypeError(`Cannot time ${name} as it must not wait for the host`);
    }),
  });
  const steps = [step("dense", dense), step("double-sparsity", sparse)];
  if (sparse.reads(0, context).dense) return steps;
  return [...steps, ...partCases(backend, shape, caches, { qkv, out, rows, bytes: steps[1]!.bytes!, keep })];
}

interface SparseStep {
  readonly qkv: Tensor;
  readonly out: Tensor;
  readonly rows: StepRows;
  /** Of the whole step. */
  readonly bytes: number;
  readonly keep: (tensor: Tensor) => Tensor;
}

/** The three ops of a sparse step, each alone; every copy holds the same tokens, so one selection serves them all. */
function partCases(
  backend: Backend,
  shape: AttentionBenchShape,
  caches: readonly LayerCache[],
  { qkv, out, rows, bytes, keep }: SparseStep,
): AttentionCase[] {
  const { batch, context, numHeads, numKvHeads, headDim } = shape;
  const heavy = headTokens(budgetOf(shape), DEFAULT_FORCED, 1, context);
  const alloc = (dtype: "f32" | "i32", ...of: number[]) => keep(backend.alloc({ dtype, shape: of }));
  const scores: Scores = {
    headDim,
    scores: alloc("i32", batch, numHeads, context),
    exponents: alloc("i32", batch, numHeads),
    maxima: alloc("i32", batch, numHeads),
  };
  const selection: Selection = {
    indices: alloc("i32", batch, numKvHeads, heavy),
    counts: alloc("i32", batch, numKvHeads),
    tailMass: alloc("f32", batch, numHeads),
  };
  const heavyTokens = keep(
    tensorOf(backend, new Int32Array(batch * numKvHeads).fill(heavy), [batch, numKvHeads]),
  );
  backend.beginStep(rows);
  backend.scoreLabels(scores, qkv, caches[0]!);
  backend.selectTokens(selection, scores, heavyTokens, DEFAULT_FORCED);

  const labels = batch * numKvHeads * context * labelBytes(shape.layout);
  const options = { scale: 1 / Math.sqrt(headDim), tail: { scores, forced: DEFAULT_FORCED } };
  const part = (name: string, bytes: number | null, waits: Tensor, op: (cache: LayerCache) => void) => ({
    name: `double-sparsity: ${name}`,
    isStep: false,
    bytes,
    run: timed(backend, caches, waits, rows, () => {}, op),
  });
  return [
    part("score", labels, scores.maxima, (cache) => backend.scoreLabels(scores, qkv, cache)),
    part("select", null, selection.counts, () => {
      backend.selectTokens(selection, scores, heavyTokens, DEFAULT_FORCED);
    }),
    part("attend", bytes - labels, out, (cache) => {
      backend.attendSelected(out, qkv, cache, selection, options);
    }),
  ];
}

/** Runs an op over the caches in turn, going on where the last sample ended. */
function timed(
  backend: Backend,
  caches: readonly LayerCache[],
  waits: Tensor,
  rows: StepRows,
  begin: () => void,
  op: (cache: LayerCache) => void,
): TimedCase["run"] {
  const lastRow = bytesOf(waits.dtype, waits.shape[waits.shape.length - 1]);
  let next = 0;
  return async (repeats) => {
    backend.beginStep(rows);
    begin();
    for (let i = 0; i < repeats; i++) {
      op(caches[next]!);
      next = (next + 1) % caches.length;
    }
    backend.submit();
    await backend.download(waits, 0, lastRow);
  };
}
