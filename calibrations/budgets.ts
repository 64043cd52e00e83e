/** A KV head's share of the token budget before rescaling, in units of the mean. */
export const MIN_SHARE = 0.35;
export const MAX_SHARE = 2.5;

/**
 * Each KV head's share of the token budget, mean 1 over the model: x = √headKl over its mean, clamped to
 * [0.35, 2.5], then divided by the clamped values' mean. The clamp bounds how unlike the heads are (the largest share is
 * at most 2.5/0.35 times the smallest); the one rescaling after it keeps the bytes read exact, and may carry a share
 * past the clamp: shares lie in [0.35/2.5, 2.5/0.35]. Where no head is hurt all shares are 1.
 *
 * Plain f64 sums in order and IEEE square roots: the same bits on every JavaScript engine.
 *
 * @param headKl [L, Hk], nats, finite and >= 0: KL on the logits of making that head alone sparse
 * @returns f32 [L, Hk]
 * @throws {RangeError} a value is negative or not finite
 */
export function budgetsFromHeadKl(headKl: ArrayLike<number>): Float32Array<ArrayBuffer> {
  const shares = new Float64Array(headKl.length);
  for (let i = 0; i < shares.length; i++) {
    const kl = headKl[i];
    if (!(kl >= 0 && kl < Infinity)) {
      throw new RangeError(
        `Cannot share out a budget as headKl must be finite and >= 0: found ${kl} at ${i}`,
      );
    }
    shares[i] = Math.sqrt(kl);
  }
  const mean = meanOf(shares);
  if (!(mean > 0)) return uniformBudgets(shares.length);
  for (let i = 0; i < shares.length; i++) {
    shares[i] = Math.min(MAX_SHARE, Math.max(MIN_SHARE, shares[i] / mean));
  }
  const clampedMean = meanOf(shares);
  return Float32Array.from(shares, (share) => share / clampedMean);
}

/** The shares of a calibration that measured no `headKl`. */
export function uniformBudgets(count: number): Float32Array<ArrayBuffer> {
  return new Float32Array(count).fill(1);
}

function meanOf(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}
