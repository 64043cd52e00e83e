import { address, claim, int } from "./command";
import { FreeTokens } from "./free_tokens";
import { SELECT_BINS, SELECT_CHUNK, SET_BITS } from "./ops";
import { LEAST_BITS } from "./rank";

/** Fewer tokens than these are all candidates. */
const FEW: i32 = 1024;
/** One token in so many is looked at for a threshold. */
const STRIDE: i32 = 16;
/**
 * thresholds, weights, heavyTokens, positions, firstRow, rows, H, pitch, sinks, recents, bins: for every set a weight that
 * surely more tokens reach than are wanted, from a sample; 0 where few are to choose from. A bad guess costs time only.
 */
export function guessThresholds(command: usize, thread: i32): void {
  const thresholds = address(command, 0);
  const weights = address(command, 1);
  const heavyTokens = address(command, 2);
  const positions = address(command, 3);
  const firstRow = int(command, 4);
  const rows = int(command, 5);
  const H = int(command, 6);
  const pitch = int(command, 7);
  const sinks = int(command, 8);
  const recents = int(command, 9);
  const bins = address(command, 10) + <usize> thread * SELECT_BINS;
  for (let set = claim(command); set < rows * H; set = claim(command)) {
    const t = firstRow + set / H;
    const kvLen = load<i32>(positions + (<usize> t << 2)) + 1;
    const k = load<i32>(heavyTokens + (<usize> (firstRow * H + set) << 2));
    const first = FreeTokens.first(kvLen, sinks);
    const end = FreeTokens.end(kvLen, sinks, recents);
    const wanted = FreeTokens.wanted(kvLen, sinks, recents, k);
    let threshold: f32 = 0;
    if (k < kvLen && wanted > 0 && end - first >= FEW) {
      const from = weights + (<usize> set * <usize> pitch << 2);
      threshold = sampled(from, first, end, wanted, bins);
    }
    store<f32>(thresholds + (<usize> set << 2), threshold);
  }
}

/** Counts a sample in bins of an eighth of a power of two, and takes the one that holds more than the wanted share. */
function sampled(weights: usize, first: i32, end: i32, wanted: i32, bins: usize): f32 {
  memory.fill(bins, 0, 512 << 2);
  let count = 0;
  // Not one place after another of equal remainder: texts have periods.
  for (let n = first; n < end; n += STRIDE) {
    const at = min(end - 1, n + ((n * 7) >> 4 & (STRIDE - 1)));
    const bits = max(load<u32>(weights + (<usize> at << 2)), LEAST_BITS) - LEAST_BITS;
    const bin = bins + (<usize> (bits >>> 20) << 2);
    store<u32>(bin, load<u32>(bin) + 1);
    count++;
  }
  const share = <f64> wanted * <f64> count / <f64> (end - first);
  const enough = <i32> (share + 4 * sqrt<f64>(share) + 8);
  let left = enough;
  let bin = 511;
  for (; bin > 0; bin--) {
    left -= load<i32>(bins + (<usize> bin << 2));
    if (left <= 0) break;
  }
  return bin == 0 ? 0 : reinterpret<f32>((<u32> bin << 20) + LEAST_BITS);
}

/**
 * candidates, counts, weights, thresholds, heavyTokens, positions, firstRow, rows, H, pitch, chunks, sinks, recents: the
 * places, ascending, of the tokens not forced that reach the threshold: of each chunk from where the chunk starts in
 * candidates i32 [rows, H, pitch], and how many, counts i32 [rows, H, chunks].
 */
export function collectCandidates(command: usize): void {
  const candidates = address(command, 0);
  const counts = address(command, 1);
  const weights = address(command, 2);
  const thresholds = address(command, 3);
  const heavyTokens = address(command, 4);
  const positions = address(command, 5);
  const firstRow = int(command, 6);
  const rows = int(command, 7);
  const H = int(command, 8);
  const pitch = int(command, 9);
  const chunks = int(command, 10);
  const sinks = int(command, 11);
  const recents = int(command, 12);
  const units = rows * H * chunks;
  for (let unit = claim(command); unit < units; unit = claim(command)) {
    const chunk = unit % chunks;
    const set = unit / chunks;
    const kvLen = load<i32>(positions + (<usize> (firstRow + set / H) << 2)) + 1;
    const k = load<i32>(heavyTokens + (<usize> (firstRow * H + set) << 2));
    let count = 0;
    if (k < kvLen && FreeTokens.wanted(kvLen, sinks, recents, k) > 0) {
      const from = chunk * SELECT_CHUNK;
      const first = max(from, FreeTokens.first(kvLen, sinks));
      const end = min(from + SELECT_CHUNK, FreeTokens.end(kvLen, sinks, recents));
      const base = <usize> set * <usize> pitch;
      const to = candidates + ((base + <usize> from) << 2);
      const threshold = load<f32>(thresholds + (<usize> set << 2));
      count = collect(to, weights + (base << 2), first, end, threshold);
    }
    store<i32>(counts + (<usize> unit << 2), count);
  }
}

/** The places from `first` below `end` whose weight reaches the threshold; may write 8 places beyond them, below `end`. */
export function collect(to: usize, weights: usize, first: i32, end: i32, threshold: f32): i32 {
  const start = to;
  const least = f32x4.splat(threshold);
  let n = first;
  for (; n + 8 <= end; n += 8) {
    const at = weights + (<usize> n << 2);
    const low = f32x4.ge(v128.load(at), least);
    const high = f32x4.ge(v128.load(at, 16), least);
    const mask = i16x8.bitmask(i16x8.narrow_i32x4_s(low, high));
    const bits = v128.load64_zero(<usize> SET_BITS + (<usize> mask << 3));
    const places = i16x8.extend_low_i8x16_u(bits);
    const base = i32x4.splat(n);
    v128.store(to, i32x4.add(base, i32x4.extend_low_i16x8_u(places)));
    v128.store(to, i32x4.add(base, i32x4.extend_high_i16x8_u(places)), 16);
    to += <usize> popcnt(mask) << 2;
  }
  for (; n < end; n++) {
    store<i32>(to, n);
    if (load<f32>(weights + (<usize> n << 2)) >= threshold) to += 4;
  }
  return <i32> ((to - start) >>> 2);
}
