import { Decay } from "./decay";
import { IMPORTANCE } from "./ops";

/** TABLE index where importance ends: 25 powers of two below the largest. */
const NOTHING: f64 = 6400;

/**
 * Importance of the token at `place` to g heads, by the integer rule (`core/importance.ts`). `scores` is the first head's row
 * of S; `multiplier` and `shift` are the scale at exponent 0.
 */
export function importanceOf(
  scores: usize,
  S: i32,
  exponents: usize,
  maxima: usize,
  g: i32,
  multiplier: i32,
  shift: i32,
  place: i32,
): u32 {
  let sum: u32 = 0;
  let at = scores + (<usize> place << 2);
  for (let i: usize = 0; i < <usize> g; i++, at += <usize> S << 2) {
    const down = shift + load<i32>(exponents + (i << 2));
    // The product has at most 46 bits, so that f64 holds it exactly.
    const z = <f64> (<i64> load<i32>(maxima + (i << 2)) - <i64> load<i32>(at));
    const y = down >= 32 ? 0 : floor<f64>(z * <f64> multiplier * Decay.power(-down));
    if (y >= NOTHING) continue;
    const index = <u32> y;
    sum += load<u32>(<usize> IMPORTANCE + (<usize> (index & 255) << 2)) >>> (index >>> 8);
  }
  return sum;
}
