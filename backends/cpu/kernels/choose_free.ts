import { collect } from "./candidates";
import { address, int } from "./command";
import { importanceOf } from "./exact_importance";
import { SELECT_BINS, SELECT_CHUNK } from "./ops";
import { binOfRank, clearBins, countInBins, leastOfBin, valueOfRank } from "./rank";

/**
 * How far a set's importance I (an integer, METHOD.md) lies from W = 2^24·weight, for g heads:
 * (1 - BELOW)·W - 2g < I < (1 + ABOVE)·W + g.
 *
 * One head's term is ⌊TABLE[y & 255]·2^-(y >> 8)⌋ with y = ⌊256·x·(1 + ε)⌋, where W = 2^(24 - x) and |ε| ≤ 2^-14, as the
 * multiplier is rounded to 14 bits. Up to x = 25, ε moves the term by a factor of 2^±0.00153, at most 0.00106 of it; the floor
 * of y raises it by less than a factor of 2^(1/256), 0.00272 of it; the table is off by half a unit; the last floor lowers
 * it by less than 1. From y = 25·256 on the term is 0, and W below 1. The rest of the two bounds, 3e-5, is for weights in f32.
 *
 * Exponents that leave no bit of the product (a shift of 32 or more) are not covered: every token is looked at.
 */
const BELOW: f64 = 0.0011;
const ABOVE: f64 = 0.00381;
const UNIT: f64 = 16777216;

/**
 * The `wanted` most important tokens of a set from `first` below `end`, ascending: those whose weight leaves no doubt, and of
 * the doubtful ones by their exact importance the largest, ties: the lower place. Arguments of `command` as of
 * FINISH_SELECTION.
 *
 * @returns the end of what was written at `to`
 */
export function chooseFree(
  command: usize,
  thread: i32,
  set: i32,
  first: i32,
  end: i32,
  wanted: i32,
  to: usize,
  limit: usize,
): usize {
  const pitch = <usize> int(command, 17);
  const chunks = int(command, 18);
  const weights = address(command, 2) + (<usize> set * pitch << 2);
  const candidates = address(command, 3) + (<usize> set * pitch << 2);
  const collected = address(command, 4) + (<usize> (set * chunks) << 2);
  const Hq = int(command, 13);
  const H = int(command, 14);
  const S = int(command, 15);
  const multiplier = int(command, 21);
  const shift = int(command, 22);
  const bins = address(command, 23) + <usize> thread * SELECT_BINS;
  const exact = address(command, 24) + (<usize> thread * pitch << 2);
  const g = Hq / H;
  const head = <usize> ((int(command, 11) + set / H) * Hq + set % H * g);
  const scores = address(command, 6) + (head * <usize> S << 2);
  const exponents = address(command, 7) + (head << 2);
  const maxima = address(command, 8) + (head << 2);

  let isCovered = true;
  for (let i: usize = 0; i < <usize> g; i++) {
    if (shift + load<i32>(exponents + (i << 2)) >= 32) isCovered = false;
  }
  let threshold = <f64> load<f32>(address(command, 5) + (<usize> set << 2));
  let count = 0;
  for (let c = 0; c < chunks; c++) count += load<i32>(collected + (<usize> c << 2));
  let needsAll = threshold > 0 && (!isCovered || count < wanted);
  let sure: f64 = 0;
  let possible: f64 = 0;
  while (true) {
    if (needsAll) {
      collectAll(candidates, collected, weights, chunks, first, end);
      threshold = 0;
    }
    const bin = binOf(candidates, collected, weights, chunks, wanted, bins);
    const least = leastOfBin(bin) * UNIT * (1 - BELOW) - 2 * <f64> g;
    const most = leastOfBin(bin + 1) * UNIT * (1 + ABOVE) + <f64> g;
    sure = isCovered ? (most + 2 * <f64> g) / ((1 - BELOW) * UNIT) : Infinity;
    possible = isCovered ? (least - <f64> g) / ((1 + ABOVE) * UNIT) : -1;
    // Doubt must not reach below what was collected.
    needsAll = possible < threshold && threshold > 0;
    if (!needsAll) break;
  }

  let left = wanted;
  let doubtful = 0;
  for (let c = 0; c < chunks; c++) {
    let at = candidates + (<usize> (c * SELECT_CHUNK) << 2);
    const last = at + (<usize> load<i32>(collected + (<usize> c << 2)) << 2);
    for (; at < last; at += 4) {
      const n = load<i32>(at);
      const weight = <f64> load<f32>(weights + (<usize> n << 2));
      if (weight > sure) {
        left--;
      } else if (weight >= possible) {
        const value = importanceOf(scores, S, exponents, maxima, g, multiplier, shift, n);
        store<u32>(exact + (<usize> doubtful << 2), value);
        doubtful++;
      }
    }
  }
  const value = valueOfRank(exact, doubtful, left, bins);
  let ties = load<i32>(bins);

  let next = exact;
  for (let c = 0; c < chunks; c++) {
    let at = candidates + (<usize> (c * SELECT_CHUNK) << 2);
    const last = at + (<usize> load<i32>(collected + (<usize> c << 2)) << 2);
    for (; at < last; at += 4) {
      const n = load<i32>(at);
      const weight = <f64> load<f32>(weights + (<usize> n << 2));
      let isChosen = weight > sure;
      if (!isChosen && weight >= possible) {
        const own = load<u32>(next);
        next += 4;
        isChosen = own > value || (own == value && ties-- > 0);
      }
      if (isChosen && to < limit) {
        store<i32>(to, n);
        to += 4;
      }
    }
  }
  return to;
}

function collectAll(
  candidates: usize,
  collected: usize,
  weights: usize,
  chunks: i32,
  first: i32,
  end: i32,
): void {
  for (let c = 0; c < chunks; c++) {
    const from = c * SELECT_CHUNK;
    const to = candidates + (<usize> from << 2);
    const count = collect(to, weights, max(first, from), min(end, from + SELECT_CHUNK), 0);
    store<i32>(collected + (<usize> c << 2), count);
  }
}

/** The bin of the `wanted`-th largest weight of the candidates. */
function binOf(
  candidates: usize,
  collected: usize,
  weights: usize,
  chunks: i32,
  wanted: i32,
  bins: usize,
): i32 {
  clearBins(bins);
  for (let c = 0; c < chunks; c++) {
    let at = candidates + (<usize> (c * SELECT_CHUNK) << 2);
    const last = at + (<usize> load<i32>(collected + (<usize> c << 2)) << 2);
    for (; at < last; at += 4) countInBins(bins, load<u32>(weights + (<usize> load<u32>(at) << 2)));
  }
  return binOfRank(bins, wanted);
}
