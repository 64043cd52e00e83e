import { address, claim, float, int } from "./command";
import { Decay } from "./decay";
import { SELECT_CHUNK } from "./ops";

/** Where no more tokens than these are left out, their sum is taken as it stands: a difference would be noise. */
const FEW: i32 = 256;

/**
 * tailMass, totals, scores, exponents, maxima, indices, counts, positions, firstRow, rows, Hq, H, S, K, chunks, perUnit:
 * Σ exp(μ·(score - max)) over the tokens not selected. The selected ones' terms are the very values in the totals of
 * WEIGH_TOKENS, which are added in f32 by twos and in f64 from there on.
 */
export function measureTails(command: usize): void {
  const tailMass = address(command, 0);
  const totals = address(command, 1);
  const scores = address(command, 2);
  const exponents = address(command, 3);
  const maxima = address(command, 4);
  const indices = address(command, 5);
  const counts = address(command, 6);
  const positions = address(command, 7);
  const firstRow = int(command, 8);
  const rows = int(command, 9);
  const Hq = int(command, 10);
  const H = int(command, 11);
  const S = int(command, 12);
  const K = int(command, 13);
  const chunks = int(command, 14);
  const perUnit = float(command, 15);
  const g = Hq / H;
  for (let unit = claim(command); unit < rows * Hq; unit = claim(command)) {
    const t = firstRow + unit / Hq;
    const head = <usize> (t * Hq + unit % Hq);
    const set = <usize> (t * H + unit % Hq / g);
    const kvLen = load<i32>(positions + (<usize> t << 2)) + 1;
    const count = load<i32>(counts + (set << 2));
    const list = indices + (set * <usize> K << 2);
    const row = scores + (head * <usize> S << 2);
    const largest = load<i32>(maxima + (head << 2));
    const rate = Decay.rate(perUnit, load<i32>(exponents + (head << 2)));
    let mass: f64 = 0;
    if (kvLen - count > FEW) {
      const own = totals + (<usize> (unit * chunks) << 3);
      for (let n = 0, c: usize = 0; n < kvLen; n += SELECT_CHUNK, c += 8) mass += load<f64>(own + c);
      mass = max<f64>(0, mass - massOf(row, list, count, largest, rate));
    } else if (count < kvLen) {
      let next = list;
      const end = list + (<usize> count << 2);
      for (let n = 0; n < kvLen; n++) {
        if (next < end && load<i32>(next) == n) next += 4;
        else mass += massAt(row, n, largest, rate);
      }
    }
    store<f32>(tailMass + (head << 2), <f32> mass);
  }
}

function massAt(row: usize, n: i32, largest: i32, rate: f32): f64 {
  return <f64> Decay.one(largest - load<i32>(row + (<usize> n << 2)), rate);
}

/** The same sum over `count` listed tokens. */
function massOf(row: usize, list: usize, count: i32, largest: i32, rate: f32): f64 {
  const most = i32x4.splat(largest);
  const rates = f32x4.splat(rate);
  const k0 = Decay.constant(0), k1 = Decay.constant(1), k2 = Decay.constant(2), k3 = Decay.constant(3);
  const k4 = Decay.constant(4), k5 = Decay.constant(5), k6 = Decay.constant(6);
  let even = f64x2.splat(0);
  let odd = even;
  let i = 0;
  for (; i + 4 <= count; i += 4, list += 16) {
    let own = v128.load32_zero(row + (<usize> load<u32>(list) << 2));
    own = v128.load_lane<u32>(row + (<usize> load<u32>(list, 4) << 2), own, 1);
    own = v128.load_lane<u32>(row + (<usize> load<u32>(list, 8) << 2), own, 2);
    own = v128.load_lane<u32>(row + (<usize> load<u32>(list, 12) << 2), own, 3);
    const e = Decay.four(i32x4.sub(most, own), rates, k0, k1, k2, k3, k4, k5, k6);
    even = f64x2.add(even, f64x2.promote_low_f32x4(e));
    odd = f64x2.add(odd, f64x2.promote_low_f32x4(v128.shuffle<i64>(e, e, 1, 1)));
  }
  even = f64x2.add(even, odd);
  let sum = f64x2.extract_lane(even, 0) + f64x2.extract_lane(even, 1);
  for (; i < count; i++, list += 4) sum += massAt(row, load<i32>(list), largest, rate);
  return sum;
}
