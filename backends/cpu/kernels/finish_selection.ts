import { chooseFree } from "./choose_free";
import { address, claim, int } from "./command";
import { FreeTokens } from "./free_tokens";

/**
 * indices, counts, weights, candidates, collected, thresholds, scores, exponents, maxima, heavyTokens, positions, firstRow,
 * rows, Hq, H, S, K, pitch, chunks, sinks, recents, multiplier, shift, bins, exact: each set's tokens, ascending, and how
 * many; never more than K. `multiplier` and `shift` are the importance scale at exponent 0; `exact` is u32 [2, pitch] per thread.
 */
export function finishSelection(command: usize, thread: i32): void {
  const indices = address(command, 0);
  const counts = address(command, 1);
  const heavyTokens = address(command, 9);
  const positions = address(command, 10);
  const firstRow = int(command, 11);
  const rows = int(command, 12);
  const H = int(command, 14);
  const K = int(command, 16);
  const sinks = int(command, 19);
  const recents = int(command, 20);
  for (let set = claim(command); set < rows * H; set = claim(command)) {
    const kvLen = load<i32>(positions + (<usize> (firstRow + set / H) << 2)) + 1;
    const global = <usize> (firstRow * H + set);
    const k = load<i32>(heavyTokens + (global << 2));
    const list = indices + (global * <usize> K << 2);
    const limit = list + (<usize> K << 2);
    const first = FreeTokens.first(kvLen, sinks);
    const end = FreeTokens.end(kvLen, sinks, recents);
    const wanted = FreeTokens.wanted(kvLen, sinks, recents, k);
    let to = list;
    if (k >= kvLen) {
      to = emitRun(to, limit, 0, kvLen);
    } else {
      to = emitRun(to, limit, 0, first);
      if (wanted > 0) to = chooseFree(command, thread, set, first, end, wanted, to, limit);
      to = emitRun(to, limit, end, kvLen);
    }
    store<i32>(counts + (global << 2), <i32> ((to - list) >>> 2));
  }
}

/** The places from `first` below `end`, as far as there is room. */
function emitRun(to: usize, limit: usize, first: i32, end: i32): usize {
  for (let n = first; n < end && to < limit; n++, to += 4) store<i32>(to, n);
  return to;
}
