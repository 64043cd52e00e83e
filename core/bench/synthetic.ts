import type { Backend, LabelLayout, LayerCache } from "../backend.ts";
import type { LabelChannels } from "../kv_cache.ts";
import { labelChannels, quantiser } from "../labels.ts";
import { cos, exp, log, sin } from "../math.ts";
import { consecutiveRows } from "../model.ts";
import { Random } from "../random.ts";
import { bytesOfArray } from "../tensor_io.ts";

/** What keys look like; f32 [Hk, d] each. */
export interface KeyMoments {
  readonly mean: Float32Array;
  readonly deviation: Float32Array;
}

export interface HeadShape {
  /** Hq */
  readonly numHeads: number;
  /** Hk */
  readonly numKvHeads: number;
  /** d */
  readonly headDim: number;
}

/** Tokens written per step while filling. */
const FILL_CHUNK = 512;
const NORMALS = 2 ** 16;

/**
 * 65536 draws of a normal distribution (Box and Muller), looked up rather than computed: filling a long cache draws
 * hundreds of millions.
 */
function normals(random: Random): Float32Array {
  const table = new Float32Array(NORMALS);
  for (let i = 0; i < NORMALS; i += 2) {
    const radius = Math.sqrt(-2 * log(1 - random.next()));
    const angle = 2 * Math.PI * random.next();
    table[i] = radius * cos(angle);
    table[i + 1] = radius * sin(angle);
  }
  return table;
}

/**
 * Keys as trained models have them: the deviation and the mean of a channel differ several times between channels,
 * so that a few channels decide the scores.
 */
export function syntheticMoments({ numKvHeads, headDim }: HeadShape, seed: number): KeyMoments {
  const random = new Random(seed);
  const table = normals(random);
  const draw = () => table[random.nextUint32() % NORMALS];
  const count = numKvHeads * headDim;
  const deviation = Float32Array.from({ length: count }, () => exp(0.7 * draw()));
  const mean = Float32Array.from({ length: count }, (_, i) => deviation[i] * draw());
  return { mean, deviation };
}

/** Labels for keys of these moments: the heavy channels are those with the largest mean square. */
export function syntheticLabels(shape: HeadShape, moments: KeyMoments, layout: LabelLayout): LabelChannels {
  const { numKvHeads, headDim: d } = shape;
  const C = labelChannels(layout);
  if (C > d) throw new RangeError(`Cannot label ${C} channels as a head has ${d}: choose a smaller layout`);
  const { mean, deviation } = moments;
  const made = {
    channels: new Int32Array(numKvHeads * C),
    zero: new Float32Array(numKvHeads * C),
    step: new Float32Array(numKvHeads * C),
    inverseStep: new Float32Array(numKvHeads * C),
  };
  for (let h = 0; h < numKvHeads; h++) {
    const square = (c: number) => mean[h * d + c] ** 2 + deviation[h * d + c] ** 2;
    const heavy = Array.from({ length: d }, (_, c) => c).sort((a, b) => square(b) - square(a)).slice(0, C);
    const { zero, step, inverseStep } = quantiser(
      layout,
      heavy.map((c) => mean[h * d + c]),
      heavy.map((c) => deviation[h * d + c]),
    );
    made.channels.set(heavy, h * C);
    made.zero.set(zero, h * C);
    made.step.set(step, h * C);
    made.inverseStep.set(inverseStep, h * C);
  }
  return made;
}

/** Random q, k and v of T rows, f32 [T, Hq + 2·Hk, d]: k by its moments, q and v of deviation 1. */
export class SyntheticRows {
  private readonly shape: HeadShape;
  private readonly random: Random;
  private readonly table: Float32Array;

  constructor(shape: HeadShape, seed: number) {
    this.shape = shape;
    this.random = new Random(seed);
    this.table = normals(this.random);
  }

  fill(rows: Float32Array, { mean, deviation }: KeyMoments): void {
    const { random, table } = this;
    const { numHeads, numKvHeads, headDim: d } = this.shape;
    const width = (numHeads + 2 * numKvHeads) * d;
    const keys = numHeads * d;
    const values = keys + numKvHeads * d;
    for (let row = 0; row < rows.length; row += width) {
      for (let i = 0; i < width; i++) rows[row + i] = table[random.nextUint32() >>> 16];
      for (let i = keys; i < values; i++) {
        rows[row + i] = mean[i - keys] + deviation[i - keys] * rows[row + i];
      }
    }
  }
}

export interface FillOptions {
  readonly length: number;
  readonly seed: number;
  readonly slot?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (doneTokens: number, totalTokens: number) => void;
}

/** Writes tokens of random K and V, with their labels, into one slot of a layer. */
export async function fillSlot(
  backend: Backend,
  cache: LayerCache,
  shape: HeadShape,
  moments: KeyMoments,
  { length, seed, slot = 0, signal, onProgress }: FillOptions,
): Promise<void> {
  const { numHeads, numKvHeads, headDim } = shape;
  const width = (numHeads + 2 * numKvHeads) * headDim;
  const source = new SyntheticRows(shape, seed);
  for (let first = 0; first < length; first += FILL_CHUNK) {
    signal?.throwIfAborted();
    const count = Math.min(FILL_CHUNK, length - first);
    const values = new Float32Array(count * width);
    source.fill(values, moments);
    const qkv = backend.alloc({ dtype: "f32", shape: [count, numHeads + 2 * numKvHeads, headDim] });
    backend.upload(qkv, bytesOfArray(values));
    backend.beginStep(consecutiveRows(new Int32Array(count), first, slot));
    backend.appendKv(cache, qkv);
    backend.submit();
    backend.free(qkv);
    onProgress?.(first + count, length);
    // Lets Ctrl-C and timers through: a synchronous backend never yields by itself.
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}
