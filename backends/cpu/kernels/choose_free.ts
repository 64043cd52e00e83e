import { collect } from "./candidates";
import { address, int } from "./command";
import { importanceOf } from "./exact_importance";
import { SELECT_BINS, SELECT_CHUNK } from "./ops";
import { binOfRank, clearBins, countInBins, fineBin, leastOfBin, valueOfRank } from "./rank";

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
/** So much f32 may round a bound. */
const ROUNDED_UP: f64 = 1.000001;

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
  const exact = address(command, 24) + (<usize> thread * pitch << 3);
  const doubts = exact + (pitch << 2);
  const g = Hq / H;
  const head = <usize> ((int(command, 11) + set / H) * Hq + set % H * g);
  const scores = address(command, 6) + (head * <usize> S << 2);
  const exponents = address(command, 7) + (head << 2);
  const maxima = address(command, 8) + (head << 2);

  let isCovered = true;
  for (let i: usize = 0; i < <usize> g; i++) {
    if (shift + load<i32>(exponents + (i << 2)) >= 32) isCovered = false;
  }
  let threshold = load<f32>(address(command, 5) + (<usize> set << 2));
  let count = 0;
  for (let c = 0; c < chunks; c++) count += load<i32>(collected + (<usize> c << 2));
  let needsAll = threshold > 0 && (!isCovered || count < wanted);
  let sure: f32 = 0;
  let possible: f32 = 0;
  while (true) {
    if (needsAll) {
      collectAll(candidates, collected, weights, chunks, first, end);
      threshold = 0;
    }
    const bin = binOf(candidates, collected, weights, chunks, wanted, bins, threshold, g);
    const least = leastOfBin(bin) * UNIT * (1 - BELOW) - 2 * <f64> g;
    const most = leastOfBin(bin + 1) * UNIT * (1 + ABOVE) + <f64> g;
    sure = isCovered ? <f32> ((most + 2 * <f64> g) / ((1 - BELOW) * UNIT) * ROUNDED_UP) : Infinity;
    possible = isCovered ? <f32> ((least - <f64> g) / ((1 + ABOVE) * UNIT) / ROUNDED_UP) : -1;
    // Doubt must not reach below what was collected.
    needsAll = possible < threshold && threshold > 0;
    if (!needsAll) break;
  }

  // What stays moves up in place, where the lists of the chunks leave room before them.
  let kept = candidates;
  let doubtful: usize = 0;
  for (let c = 0; c < chunks; c++) {
    let at = candidates + (<usize> (c * SELECT_CHUNK) << 2);
    const last = at + (<usize> load<i32>(collected + (<usize> c << 2)) << 2);
    for (; at < last; at += 4) {
      const n = load<u32>(at);
      const weight = load<f32>(weights + (<usize> n << 2));
      store<u32>(kept, n);
      const isKept = weight >= possible;
      if (isKept && weight <= sure) {
        store<u32>(doubts + doubtful, <u32> kept);
        doubtful += 4;
      }
      kept += <usize> isKept << 2;
    }
  }
  for (let at: usize = 0; at < doubtful; at += 4) {
    const n = load<i32>(load<u32>(doubts + at));
    store<u32>(exact + at, importanceOf(scores, S, exponents, maxima, g, multiplier, shift, n));
  }
  const left = wanted - <i32> ((kept - candidates - doubtful) >>> 2);
  const value = valueOfRank(exact, <i32> (doubtful >>> 2), left, bins);
  let ties = load<i32>(bins);

  let from = candidates;
  for (let at: usize = 0; at < doubtful; at += 4) {
    const own = load<u32>(exact + at);
    if (own > value || (own == value && ties-- > 0)) continue;
    const rejected: usize = load<u32>(doubts + at);
    to = copyPlaces(to, limit, from, rejected);
    from = rejected + 4;
  }
  return copyPlaces(to, limit, from, kept);
}

/** Copies the list from `from` below `end`, as far as there is room; returns its end. */
function copyPlaces(to: usize, limit: usize, from: usize, end: usize): usize {
  const bytes = min(end - from, limit - to);
  memory.copy(to, from, bytes);
  return to + bytes;
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

/** The bin of the `wanted`-th largest weight of the candidates, none of which is below `threshold` or above g. */
function binOf(
  candidates: usize,
  collected: usize,
  weights: usize,
  chunks: i32,
  wanted: i32,
  bins: usize,
  threshold: f32,
  g: i32,
): i32 {
  const lowest = fineBin(reinterpret<u32>(threshold));
  const highest = fineBin(reinterpret<u32>(<f32> g)) + 1;
  clearBins(bins, lowest, highest);
  for (let c = 0; c < chunks; c++) {
    let at = candidates + (<usize> (c * SELECT_CHUNK) << 2);
    const last = at + (<usize> load<i32>(collected + (<usize> c << 2)) << 2);
    for (; at < last; at += 4) countInBins(bins, load<u32>(weights + (<usize> load<u32>(at) << 2)));
  }
  return binOfRank(bins, wanted, lowest, highest);
}
