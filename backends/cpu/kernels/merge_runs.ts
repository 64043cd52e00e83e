import { address, claim, int } from "./command";
import { Decay } from "./decay";
import { exp1 } from "./exp";
import { SELECTED_RUN } from "./ops";
import { F16_HALF_SCALE, Row } from "./row_lanes";

/**
 * out, runs, valueSums, indices, counts, tailMass, exponents, maxima, slots, positions, firstRow, rows, Hq, Hk, H, d, K, perSet,
 * entries, sinks, recents, dtype: out [T, Hq, d] ← a set's runs as ATTEND_SELECTED left them, merged in their order, and the virtual
 * token for the others (METHOD.md). `valueSums` is 0 where there is no tail; it has `entries` per head.
 */
export function mergeRuns<T>(command: usize): void {
  const firstRow = int(command, 10);
  const rows = int(command, 11);
  const Hq = int(command, 12);
  const H = int(command, 14);
  const d = int(command, 15);
  const K = int(command, 16);
  const perSet = int(command, 17);
  const g = Hq / H;
  const pitch = <usize> (d + 7 & ~7) << 2;
  const runBytes = <usize> g * 16 + <usize> (g + 1) * pitch;
  for (let set = claim(command); set < rows * H; set = claim(command)) {
    const t = firstRow + set / H;
    const global = <usize> (firstRow * H + set);
    const count = load<i32>(address(command, 4) + (global << 2));
    const position = load<i32>(address(command, 9) + (<usize> t << 2));
    const runs = address(command, 1) + <usize> (set * (perSet + 1)) * runBytes;
    const used = (count + SELECTED_RUN - 1) / SELECTED_RUN;
    const mean = runs + <usize> perSet * runBytes + runBytes - pitch;
    let free = 0;
    if (address(command, 2) != 0 && count <= position) {
      free = freeTokens(command, address(command, 3) + (global * <usize> K << 2), count, position);
      if (free > 0) meanOfOthers<T>(command, set, t, count, position, runs, runBytes, used, mean);
    }
    for (let i = 0; i < g; i++) {
      const head = t * Hq + set % H * g + i;
      const out = address(command, 0) + (<usize> head * <usize> d << 2);
      mergeHead<T>(command, head, i, out, runs, runBytes, used, free, mean, pitch);
    }
  }
}

/** How many of the listed tokens are not forced: all but some at either end. */
function freeTokens(command: usize, list: usize, count: i32, position: i32): i32 {
  const sinks = int(command, 19);
  const recents = int(command, 20);
  let begin = 0;
  let end = count;
  while (begin < end && load<i32>(list + (<usize> begin << 2)) < sinks) begin++;
  while (end > begin && load<i32>(list + (<usize> (end - 1) << 2)) >= position - recents) end--;
  return end - begin;
}

/** mean, which holds ΣV of the newest tokens ← the mean V of all that are not selected. */
function meanOfOthers<T>(
  command: usize,
  set: i32,
  t: i32,
  count: i32,
  position: i32,
  runs: usize,
  runBytes: usize,
  used: i32,
  mean: usize,
): void {
  const Hk = int(command, 13);
  const H = int(command, 14);
  const d = int(command, 15);
  const entries = int(command, 18);
  const slot = load<i32>(address(command, 8) + (<usize> t << 2));
  const entry = (slot * Hk + set % H * Hk / H) * entries + (position >> 6);
  const known = address(command, 2) + (<usize> entry * <usize> d << 2);
  const others = <f64> (position + 1 - count);
  const scale = <f64> Row.scale<T>();
  const whole = d & ~7;
  const first = runs + runBytes - (<usize> (d + 7 & ~7) << 2);
  for (let c = 0; c < d; c++) {
    const lane = isFloat<T>() || c >= whole ? c : (c & ~7) + ((c & 1) << 2) + ((c & 7) >> 1);
    const at = <usize> lane << 2;
    let sum = <f64> load<f32>(mean + at);
    let own = first + at;
    for (let run = 0; run < used; run++, own += runBytes) sum -= <f64> load<f32>(own);
    sum = sum * scale + <f64> load<f32>(known + (<usize> c << 2));
    store<f32>(mean + at, <f32> (sum / others));
  }
}

/** out [d] ← one head's runs and, with `free` > 0, its virtual token. */
function mergeHead<T>(
  command: usize,
  head: i32,
  i: i32,
  out: usize,
  runs: usize,
  runBytes: usize,
  used: i32,
  free: i32,
  mean: usize,
  pitch: usize,
): void {
  const g = int(command, 12) / int(command, 14);
  const d = int(command, 15);
  const states = runs + (<usize> i << 4);
  let largest: f32 = -Infinity;
  for (let run = 0; run < used; run++) largest = max(largest, load<f32>(states + <usize> run * runBytes));
  let z: f32 = 0;
  let logits: f64 = 0;
  let scores: f64 = 0;
  for (let run = 0; run < used; run++) {
    const state = states + <usize> run * runBytes;
    const factor = exp1(load<f32>(state) - largest);
    store<f32>(state, factor);
    z += factor * load<f32>(state, 4);
    logits += <f64> load<f32>(state, 8);
    scores += <f64> load<i32>(state, 12);
  }
  let weight: f32 = 0;
  if (free > 0) {
    const at = <usize> head << 2;
    const mu = Decay.power(-load<i32>(address(command, 6) + at)) / sqrt<f64>(<f64> d);
    const below = <f64> load<i32>(address(command, 7) + at) - scores / <f64> free;
    const shift = logits / <f64> free + mu * below - <f64> largest;
    const tail = load<f32>(address(command, 5) + at) * exp1(<f32> min<f64>(shift, 88));
    weight = min<f32>(tail, z / 9);
  }
  const inverse: f32 = 1 / (z + weight);
  const lower: f32 = isSigned<T>() && !isFloat<T>() ? F16_HALF_SCALE * inverse : inverse;
  const share = weight * inverse;
  const totals = runs + <usize> g * 16 + <usize> i * pitch;
  const whole = <usize> (d & ~7) << 2;
  let c: usize = 0;
  for (; c < whole; c += 32) {
    let a = f32x4.splat(0);
    let b = a;
    let own = totals + c;
    for (let run = 0; run < used; run++, own += runBytes) {
      const factor = v128.load32_splat(states + <usize> run * runBytes);
      a = f32x4.add(a, f32x4.mul(factor, v128.load(own)));
      b = f32x4.add(b, f32x4.mul(factor, v128.load(own, 16)));
    }
    a = f32x4.mul(a, f32x4.splat(lower));
    b = f32x4.mul(b, f32x4.splat(lower));
    if (weight > 0) {
      a = f32x4.add(a, f32x4.mul(f32x4.splat(share), v128.load(mean + c)));
      b = f32x4.add(b, f32x4.mul(f32x4.splat(share), v128.load(mean + c, 16)));
    }
    v128.store(out + c, isFloat<T>() ? a : v128.shuffle<f32>(a, b, 0, 4, 1, 5));
    v128.store(out + c, isFloat<T>() ? b : v128.shuffle<f32>(a, b, 2, 6, 3, 7), 16);
  }
  for (; c < <usize> d << 2; c += 4) {
    let sum: f32 = 0;
    for (let run = 0; run < used; run++) {
      sum += load<f32>(states + <usize> run * runBytes) * load<f32>(totals + <usize> run * runBytes + c);
    }
    sum *= lower;
    if (weight > 0) sum += share * load<f32>(mean + c);
    store<f32>(out + c, sum);
  }
}
