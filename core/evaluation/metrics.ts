import { exp, log } from "../math.ts";
import { argmax } from "../sampler.ts";

/** log of softmax over one row of logits, in f64. */
export function logSoftmax(logits: Float32Array): Float64Array {
  const largest = logits[argmax(logits)];
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += exp(logits[i] - largest);
  const shift = largest + log(sum);
  return Float64Array.from(logits, (logit) => logit - shift);
}

/** KL(p‖q) in nats over the vocabulary, from log-probabilities; never below 0, which only rounding could make it. */
export function klDivergence(p: Float64Array, q: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < p.length; i++) sum += exp(p[i]) * (p[i] - q[i]);
  return Math.max(sum, 0);
}

/** Mean of a sample and its standard error. */
export class Mean {
  count = 0;
  private sum = 0;
  private squares = 0;

  add(value: number): void {
    this.count++;
    this.sum += value;
    this.squares += value * value;
  }

  /** NaN for an empty sample. */
  get mean(): number {
    return this.sum / this.count;
  }

  /** NaN for fewer than two values. */
  get standardError(): number {
    const variance = (this.squares - (this.sum * this.sum) / this.count) / (this.count - 1);
    return Math.sqrt(Math.max(variance, 0) / this.count);
  }
}
