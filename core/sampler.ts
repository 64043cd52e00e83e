import { exp } from "./math.ts";
import { Random } from "./random.ts";

/** How the next token is drawn from logits. Filters apply in this order: penalty, temperature, topK, topP, minP. */
export interface Sampling {
  /** 0: always the likeliest token (greedy). */
  readonly temperature: number;
  /** Only this many of the likeliest; 0: all. */
  readonly topK: number;
  /** Only the likeliest tokens that together reach this probability; 1: all. */
  readonly topP: number;
  /** Only tokens at least this times as likely as the likeliest; 0: all. */
  readonly minP: number;
  /** Divides positive and multiplies negative logits of tokens already seen; 1: off. */
  readonly repeatPenalty: number;
  readonly seed: number;
}

export const GREEDY: Sampling = { temperature: 0, topK: 0, topP: 1, minP: 0, repeatPenalty: 1, seed: 0 };

/** Draws tokens: the same logits and seed give the same tokens on every backend and runtime. */
export class Sampler {
  private readonly sampling: Sampling;
  private readonly random: Random;

  /** @throws {RangeError} a value is outside its range */
  constructor(sampling: Sampling) {
    check("temperature", sampling.temperature, 0, Infinity);
    check("top-k", sampling.topK, 0, Infinity);
    check("top-p", sampling.topP, Number.MIN_VALUE, 1);
    check("min-p", sampling.minP, 0, 1);
    check("repeat penalty", sampling.repeatPenalty, Number.MIN_VALUE, Infinity);
    this.sampling = sampling;
    this.random = new Random(sampling.seed);
  }

  /** Whether the likeliest token of the raw logits is always the answer, so that a device's argmax will do. */
  get isArgmax(): boolean {
    return this.sampling.temperature === 0 && this.sampling.repeatPenalty === 1;
  }

  /**
   * @param logits f32 [V]; overwritten
   * @param seen tokens the repeat penalty applies to
   */
  draw(logits: Float32Array, seen: Iterable<number>): number {
    const { temperature, topK, topP, minP, repeatPenalty } = this.sampling;
    if (repeatPenalty !== 1) {
      for (const id of new Set(seen)) {
        logits[id] = logits[id] > 0 ? logits[id] / repeatPenalty : logits[id] * repeatPenalty;
      }
    }
    if (temperature === 0) return argmax(logits);
    // Sorting the whole vocabulary is the plain way; ties go to the lower id.
    let order = Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a] || a - b);
    if (topK > 0) order = order.slice(0, topK);
    const best = logits[order[0]];
    const weights = order.map((id) => exp((logits[id] - best) / temperature));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    let kept = 0;
    for (let mass = 0; kept < order.length; kept++) {
      if (kept > 0 && (mass >= topP * total || weights[kept] < minP)) break;
      mass += weights[kept];
    }
    let target = this.random.next() * weights.slice(0, kept).reduce((sum, weight) => sum + weight, 0);
    for (let i = 0; i < kept; i++) {
      target -= weights[i];
      if (target < 0) return order[i];
    }
    return order[kept - 1];
  }
}

/** Place of the largest value; ties: the lowest. */
export function argmax(values: Float32Array | Float64Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

function check(name: string, value: number, low: number, high: number): void {
  if (value >= low && value <= high) return;
  const range = high === Infinity
    ? `at least ${low}`
    : `between ${low === Number.MIN_VALUE ? "above 0" : low} and ${high}`;
  throw new RangeError(`Cannot sample with a ${name} of ${value}: it must be ${range}`);
}
