import { Fused } from "./fused";
import { power4 } from "./exp";
import { max1, sum1 } from "./kv_values";

/** Scores of 4 queries and 8 tokens, s [4, 64]; q [dp, 4], a key panel [dp, 8]. Channel after channel. */
export function tileScores(s: usize, q: usize, panel: usize, dp: i32): void {
  const end = panel + (<usize> dp << 5);
  let a0 = f32x4.splat(0), a1 = a0, b0 = a0, b1 = a0;
  let c0 = a0, c1 = a0, d0 = a0, d1 = a0;
  for (; panel < end; panel += 64, q += 32) {
    let x = v128.load(panel);
    let y = v128.load(panel, 16);
    let w = v128.load32_splat(q);
    a0 = Fused.plus(a0, w, x);
    a1 = Fused.plus(a1, w, y);
    w = v128.load32_splat(q, 4);
    b0 = Fused.plus(b0, w, x);
    b1 = Fused.plus(b1, w, y);
    w = v128.load32_splat(q, 8);
    c0 = Fused.plus(c0, w, x);
    c1 = Fused.plus(c1, w, y);
    w = v128.load32_splat(q, 12);
    d0 = Fused.plus(d0, w, x);
    d1 = Fused.plus(d1, w, y);
    x = v128.load(panel, 32);
    y = v128.load(panel, 48);
    w = v128.load32_splat(q, 16);
    a0 = Fused.plus(a0, w, x);
    a1 = Fused.plus(a1, w, y);
    w = v128.load32_splat(q, 20);
    b0 = Fused.plus(b0, w, x);
    b1 = Fused.plus(b1, w, y);
    w = v128.load32_splat(q, 24);
    c0 = Fused.plus(c0, w, x);
    c1 = Fused.plus(c1, w, y);
    w = v128.load32_splat(q, 28);
    d0 = Fused.plus(d0, w, x);
    d1 = Fused.plus(d1, w, y);
  }
  v128.store(s, a0);
  v128.store(s, a1, 16);
  v128.store(s, b0, 256);
  v128.store(s, b1, 272);
  v128.store(s, c0, 512);
  v128.store(s, c1, 528);
  v128.store(s, d0, 768);
  v128.store(s, d1, 784);
}

/** acc [4, 8] ← acc + Σ p·V of 4 queries and 8 channels; p [4, 64], a value panel [64, 8]. Token after token, an even count. */
export function tileValues(acc: usize, p: usize, panel: usize, count: i32): void {
  const end = panel + (<usize> count << 5);
  let a0 = v128.load(acc), a1 = v128.load(acc, 16);
  let b0 = v128.load(acc, 32), b1 = v128.load(acc, 48);
  let c0 = v128.load(acc, 64), c1 = v128.load(acc, 80);
  let d0 = v128.load(acc, 96), d1 = v128.load(acc, 112);
  for (; panel < end; panel += 64, p += 8) {
    let x = v128.load(panel);
    let y = v128.load(panel, 16);
    let w = v128.load32_splat(p);
    a0 = Fused.plus(a0, w, x);
    a1 = Fused.plus(a1, w, y);
    w = v128.load32_splat(p, 256);
    b0 = Fused.plus(b0, w, x);
    b1 = Fused.plus(b1, w, y);
    w = v128.load32_splat(p, 512);
    c0 = Fused.plus(c0, w, x);
    c1 = Fused.plus(c1, w, y);
    w = v128.load32_splat(p, 768);
    d0 = Fused.plus(d0, w, x);
    d1 = Fused.plus(d1, w, y);
    x = v128.load(panel, 32);
    y = v128.load(panel, 48);
    w = v128.load32_splat(p, 4);
    a0 = Fused.plus(a0, w, x);
    a1 = Fused.plus(a1, w, y);
    w = v128.load32_splat(p, 260);
    b0 = Fused.plus(b0, w, x);
    b1 = Fused.plus(b1, w, y);
    w = v128.load32_splat(p, 516);
    c0 = Fused.plus(c0, w, x);
    c1 = Fused.plus(c1, w, y);
    w = v128.load32_splat(p, 772);
    d0 = Fused.plus(d0, w, x);
    d1 = Fused.plus(d1, w, y);
  }
  v128.store(acc, a0);
  v128.store(acc, a1, 16);
  v128.store(acc, b0, 32);
  v128.store(acc, b1, 48);
  v128.store(acc, c0, 64);
  v128.store(acc, c1, 80);
  v128.store(acc, d0, 96);
  v128.store(acc, d1, 112);
}

/**
 * Scores s [64] of one query to weights. Tokens [low, high) of the block are its own, the others up to `count` (a multiple of 8)
 * get none; state: largest score, sum of weights; acc [dp/8, 4, 8] of the query, scaled down where the largest grew.
 */
export function tileWeights(
  s: usize,
  low: i32,
  high: i32,
  count: i32,
  state: usize,
  acc: usize,
  dp: i32,
): void {
  for (let n = 0; n < low; n++) store<f32>(s + (<usize> n << 2), -Infinity);
  for (let n = high; n < count; n++) store<f32>(s + (<usize> n << 2), -Infinity);
  const end = s + (<usize> count << 2);
  let most = f32x4.pmax(v128.load(s), v128.load(s, 16));
  for (let x = s + 32; x < end; x += 32) {
    most = f32x4.pmax(most, f32x4.pmax(v128.load(x), v128.load(x, 16)));
  }
  const largest = max1(most);
  let reference = load<f32>(state);
  let sum = load<f32>(state, 4);
  if (largest > reference) {
    const factor = power4(f32x4.splat(reference - largest));
    sum *= f32x4.extract_lane(factor, 0);
    reference = largest;
    store<f32>(state, reference);
    for (const last = acc + (<usize> dp << 4); acc < last; acc += 128) {
      v128.store(acc, f32x4.mul(v128.load(acc), factor));
      v128.store(acc, f32x4.mul(v128.load(acc, 16), factor), 16);
    }
  }
  const from = f32x4.splat(reference);
  let sums = f32x4.splat(0);
  for (let x = s; x < end; x += 16) {
    const weight = power4(f32x4.sub(v128.load(x), from));
    sums = f32x4.add(sums, weight);
    v128.store(x, weight);
  }
  store<f32>(state, sum + sum1(sums), 4);
}
