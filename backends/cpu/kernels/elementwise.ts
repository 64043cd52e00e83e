import { address, claim, int } from "./command";
import { exp1, exp4 } from "./exp";

/** Values per unit of work. */
const RUN: i32 = 8192;

/** x, y, count: x ← x + y. */
export function add(command: usize): void {
  const x = address(command, 0);
  const y = address(command, 1);
  const count = int(command, 2);
  const units = (count + RUN - 1) / RUN;
  for (let unit = claim(command); unit < units; unit = claim(command)) {
    const last = min(count, (unit + 1) * RUN);
    let i = unit * RUN;
    for (; i + 4 <= last; i += 4) {
      const at = <usize> i << 2;
      v128.store(x + at, f32x4.add(v128.load(x + at), v128.load(y + at)));
    }
    for (; i < last; i++) {
      const at = <usize> i << 2;
      store<f32>(x + at, load<f32>(x + at) + load<f32>(y + at));
    }
  }
}

/** out, gateUp, rows, F: out ← silu(gate) · up. */
export function swiglu(command: usize): void {
  const out = address(command, 0);
  const gateUp = address(command, 1);
  const rows = int(command, 2);
  const F = int(command, 3);
  const one = f32x4.splat(1);
  for (let row = claim(command); row < rows; row = claim(command)) {
    const target = out + (<usize> (row * F) << 2);
    const gate = gateUp + (<usize> (row * F) << 3);
    const up = gate + (<usize> F << 2);
    let f = 0;
    for (; f + 4 <= F; f += 4) {
      const at = <usize> f << 2;
      const x = v128.load(gate + at);
      // e^-x, kept below what overflows: the quotient is 0 to f32 either way.
      const e = exp4(f32x4.pmin(f32x4.neg(x), f32x4.splat(87)));
      v128.store(target + at, f32x4.mul(f32x4.div(x, f32x4.add(one, e)), v128.load(up + at)));
    }
    for (; f < F; f++) {
      const at = <usize> f << 2;
      const x = load<f32>(gate + at);
      store<f32>(target + at, x / (1 + exp1(min(-x, <f32> 87))) * load<f32>(up + at));
    }
  }
}

/** out, x, indices, rows, columns: out[r] ← x[indices[r]]. */
export function gatherRows(command: usize): void {
  const out = address(command, 0);
  const x = address(command, 1);
  const indices = address(command, 2);
  const rows = int(command, 3);
  const bytes = <usize> int(command, 4) << 2;
  // A unit of one short row would cost more to claim than to copy.
  const perUnit = <i32> max<usize>(1, 32768 / bytes);
  const units = (rows + perUnit - 1) / perUnit;
  for (let unit = claim(command); unit < units; unit = claim(command)) {
    const last = min(rows, (unit + 1) * perUnit);
    for (let r = unit * perUnit; r < last; r++) {
      const from = <usize> load<u32>(indices + (<usize> r << 2));
      memory.copy(out + <usize> r * bytes, x + from * bytes, bytes);
    }
  }
}

/** token, logits, rows, V: the place of the largest logit; ties: the lowest. */
export function argmax(command: usize): void {
  const token = address(command, 0);
  const logits = address(command, 1);
  const rows = int(command, 2);
  const V = int(command, 3);
  for (let row = claim(command); row < rows; row = claim(command)) {
    const x = logits + (<usize> row * <usize> V << 2);
    // Starting from the first value everywhere, a NaN is passed over, or kept where it comes first.
    let largest = v128.load32_splat(x);
    let places = i32x4.splat(0);
    let here = i32x4(0, 1, 2, 3);
    let v = 0;
    for (; v + 4 <= V; v += 4) {
      const values = v128.load(x + (<usize> v << 2));
      const isLarger = f32x4.gt(values, largest);
      largest = v128.bitselect(values, largest, isLarger);
      places = v128.bitselect(here, places, isLarger);
      here = i32x4.add(here, i32x4.splat(4));
    }
    let best = f32x4.extract_lane(largest, 0);
    let place = i32x4.extract_lane(places, 0);
    const v1 = f32x4.extract_lane(largest, 1), p1 = i32x4.extract_lane(places, 1);
    if (v1 > best || (v1 == best && p1 < place)) best = v1, place = p1;
    const v2 = f32x4.extract_lane(largest, 2), p2 = i32x4.extract_lane(places, 2);
    if (v2 > best || (v2 == best && p2 < place)) best = v2, place = p2;
    const v3 = f32x4.extract_lane(largest, 3), p3 = i32x4.extract_lane(places, 3);
    if (v3 > best || (v3 == best && p3 < place)) best = v3, place = p3;
    for (; v < V; v++) {
      const value = load<f32>(x + (<usize> v << 2));
      if (value > best) best = value, place = v;
    }
    store<i32>(token + (<usize> row << 2), place);
  }
}
