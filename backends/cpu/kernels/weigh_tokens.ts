import { No, Yes } from "./type_numbers";
import { address, claim, float, int } from "./command";
import { Decay } from "./decay";
import { SELECT_CHUNK } from "./ops";

/**
 * weights, totals, scores, exponents, maxima, positions, firstRow, rows, Hq, H, S, pitch, chunks, perUnit: what every token
 * is worth to the heads of a set, about: weights f32 [rows, H, pitch] ← Σ exp(μ·(score - max)); and of each head the sum over
 * a chunk of tokens, totals f64 [rows, Hq, chunks]. perUnit is log2(e)/√d.
 */
export function weighTokens(command: usize): void {
  const weights = address(command, 0);
  const totals = address(command, 1);
  const scores = address(command, 2);
  const exponents = address(command, 3);
  const maxima = address(command, 4);
  const positions = address(command, 5);
  const firstRow = int(command, 6);
  const rows = int(command, 7);
  const Hq = int(command, 8);
  const H = int(command, 9);
  const S = int(command, 10);
  const pitch = int(command, 11);
  const chunks = int(command, 12);
  const perUnit = float(command, 13);
  const g = Hq / H;
  const units = rows * H * chunks;
  for (let unit = claim(command); unit < units; unit = claim(command)) {
    const chunk = unit % chunks;
    const set = unit / chunks;
    const row = set / H;
    const t = firstRow + row;
    const kvLen = load<i32>(positions + (<usize> t << 2)) + 1;
    const first = chunk * SELECT_CHUNK;
    const count = min(SELECT_CHUNK, kvLen - first);
    if (count <= 0) continue;
    const to = weights + ((<usize> set * <usize> pitch + <usize> first) << 2);
    for (let i = 0; i < g; i++) {
      const q = set % H * g + i;
      const head = <usize> (t * Hq + q);
      const from = scores + ((head * <usize> S + <usize> first) << 2);
      const largest = load<i32>(maxima + (head << 2));
      const rate = Decay.rate(perUnit, load<i32>(exponents + (head << 2)));
      const total = i == 0
        ? Weigh.chunk<No>(to, from, count, largest, rate)
        : Weigh.chunk<Yes>(to, from, count, largest, rate);
      store<f64>(totals + (<usize> ((row * Hq + q) * chunks + chunk) << 3), total);
    }
  }
}

class Weigh {
  /** Adds one head's terms to the weights of `count` tokens, or starts them; returns their sum. */
  static chunk<A>(to: usize, from: usize, count: i32, largest: i32, rate: f32): f64 {
    const isAdded = lengthof<A>() != 0;
    const most = i32x4.splat(largest);
    const rates = f32x4.splat(rate);
    const k0 = Decay.constant(0), k1 = Decay.constant(1), k2 = Decay.constant(2), k3 = Decay.constant(3);
    const k4 = Decay.constant(4), k5 = Decay.constant(5), k6 = Decay.constant(6);
    const end = from + (<usize> count << 2);
    let even = f64x2.splat(0);
    let odd = even;
    for (; from + 32 <= end; from += 32, to += 32) {
      const a = Decay.four(i32x4.sub(most, v128.load(from)), rates, k0, k1, k2, k3, k4, k5, k6);
      const b = Decay.four(i32x4.sub(most, v128.load(from, 16)), rates, k0, k1, k2, k3, k4, k5, k6);
      v128.store(to, isAdded ? f32x4.add(v128.load(to), a) : a);
      v128.store(to, isAdded ? f32x4.add(v128.load(to, 16), b) : b, 16);
      const both = f32x4.add(a, b);
      even = f64x2.add(even, f64x2.promote_low_f32x4(both));
      odd = f64x2.add(odd, f64x2.promote_low_f32x4(v128.shuffle<i64>(both, both, 1, 1)));
    }
    even = f64x2.add(even, odd);
    let sum = f64x2.extract_lane(even, 0) + f64x2.extract_lane(even, 1);
    for (; from < end; from += 4, to += 4) {
      const e = Decay.one(largest - load<i32>(from), rate);
      store<f32>(to, isAdded ? load<f32>(to) + e : e);
      sum += <f64> e;
    }
    return sum;
  }
}
