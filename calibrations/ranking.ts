/**
 * Rankings of channels, best first. A table of R rankings over d channels is u8 [R, d], each row a permutation of
 * 0 … d−1: the whole order is kept, so how many channels become labels is chosen at run time.
 */

/** Ranks are stored in one byte. */
export const MAX_HEAD_DIM = 256;

/**
 * Orders the channels of every row by importance, the largest first; among equals the lower channel wins.
 *
 * @param importance [R, d], finite
 * @returns u8 [R, d]
 * @throws {RangeError} the length is no multiple of d, d is outside 1..256, or a value is not finite
 */
export function rankChannels(importance: ArrayLike<number>, headDim: number): Uint8Array<ArrayBuffer> {
  const rows = rowCount(importance.length, headDim);
  const ranking = new Uint8Array(rows * headDim);
  for (let row = 0; row < rows; row++) {
    const scores = new Float64Array(headDim);
    for (let c = 0; c < headDim; c++) {
      scores[c] = importance[row * headDim + c];
      if (!Number.isFinite(scores[c])) {
        throw new RangeError(
          `Cannot rank channel ${c} of row ${row} as importance must be finite: found ${scores[c]}`,
        );
      }
    }
    const order = Array.from({ length: headDim }, (_, c) => c);
    order.sort((a, b) => scores[b] - scores[a] || a - b);
    ranking.set(order, row * headDim);
  }
  return ranking;
}

/**
 * One ranking per group of `groupSize` consecutive rows (the query heads that share a KV head), by mean rank: each
 * row gives a channel its place, the smallest sum of places leads, and among equals the lower channel wins. This is
 * all that can be done where only orders are known; where importance is known, sum that over the group instead.
 *
 * @param rankings u8 [R, d], rows permutations
 * @returns u8 [R / groupSize, d]; with groupSize 1 the input's values
 * @throws {RangeError} R is no multiple of groupSize
 */
export function combineRankings(
  rankings: Uint8Array,
  groupSize: number,
  headDim: number,
): Uint8Array<ArrayBuffer> {
  const rows = rowCount(rankings.length, headDim);
  if (!Number.isInteger(groupSize) || groupSize < 1 || rows % groupSize !== 0) {
    throw new RangeError(`Cannot combine ${rows} rankings as they must come in groups of ${groupSize}`);
  }
  const combined = new Float64Array((rows / groupSize) * headDim);
  for (let row = 0; row < rows; row++) {
    const group = Math.floor(row / groupSize);
    for (let place = 0; place < headDim; place++) {
      combined[group * headDim + rankings[row * headDim + place]] -= place;
    }
  }
  return rankChannels(combined, headDim);
}

/** Every row of u8 [R, d] `times` times in a row: [R · times, d]. */
export function repeatRankings(
  rankings: Uint8Array,
  times: number,
  headDim: number,
): Uint8Array<ArrayBuffer> {
  const rows = rowCount(rankings.length, headDim);
  const repeated = new Uint8Array(rankings.length * times);
  for (let row = 0; row < rows * times; row++) {
    const from = Math.floor(row / times) * headDim;
    repeated.set(rankings.subarray(from, from + headDim), row * headDim);
  }
  return repeated;
}

/** The first row of u8 [R, d] that is not a permutation of 0 … d−1, or -1. */
export function firstBadRanking(rankings: Uint8Array, headDim: number): number {
  const rows = rowCount(rankings.length, headDim);
  const seenIn = new Int32Array(headDim).fill(-1);
  for (let row = 0; row < rows; row++) {
    for (let place = 0; place < headDim; place++) {
      const channel = rankings[row * headDim + place];
      if (channel >= headDim || seenIn[channel] === row) return row;
      seenIn[channel] = row;
    }
  }
  return -1;
}

function rowCount(length: number, headDim: number): number {
  if (!Number.isInteger(headDim) || headDim < 1 || headDim > MAX_HEAD_DIM) {
    throw new RangeError(`Cannot rank channels as head dim must be in 1..${MAX_HEAD_DIM}: found ${headDim}`);
  }
  if (length % headDim !== 0) {
    throw new RangeError(
      `Cannot rank channels as the table must hold whole rows of ${headDim}: found ${length}`,
    );
  }
  return length / headDim;
}
