import { type FloatTensor, product } from "./tensor.ts";

/** out[r, column + n] ← Σ_i x[r, i]·weight[n, i] (+ bias[n]); x [R, I], weight [N, I]. */
export function linear(
  out: FloatTensor,
  x: FloatTensor,
  weight: FloatTensor,
  bias: FloatTensor | null,
  column: number,
): void {
  const [N, I] = weight.shape;
  const R = x.shape[0];
  const columns = product(out.shape.slice(1));
  const biases = bias === null ? null : bias.chunks[0];
  const starts = Array.from({ length: R }, (_, r) => r * I);
  multiply(x, starts, weight, 0, N, I, (r, n, sum) => {
    const index = r * columns + column + n;
    out.chunk(index)[out.offset(index)] = biases === null ? sum : sum + biases[n];
  });
}

/** Fewer rows do not repay laying the weights out for the tiles. */
const TILED_ROWS = 8;

/** Rows of x in one go: their f64 copy stays in a core's own cache. */
const BLOCK_ROWS = 64;

/**
 * The dot product of each row of x (I values from starts[r]) with each of N weight rows (I values each, one after the
 * other from `first`). Each is one f64 sum over i in order: the tiles below only keep many such sums going at once,
 * which is what plain JavaScript needs to be quick.
 */
export function multiply(
  x: FloatTensor,
  starts: readonly number[],
  weight: FloatTensor,
  first: number,
  N: number,
  I: number,
  store: (r: number, n: number, sum: number) => void,
): void {
  if (starts.length < TILED_ROWS) {
    for (let r = 0; r < starts.length; r++) multiplyRow(x, r, starts[r], weight, first, N, I, store);
    return;
  }
  for (let from = 0; from < starts.length; from += BLOCK_ROWS) {
    const rows = Math.min(BLOCK_ROWS, starts.length - from);
    const block = new Float64Array(4 * Math.ceil(rows / 4) * I);
    for (let r = 0; r < rows; r += 4) {
      for (let j = 0; j < 4 && r + j < rows; j++) interleave(block, r * I + j, x, starts[from + r + j], I);
    }
    multiplyBlock(block, from, rows, weight, first, N, I, store);
  }
}

/** Every fourth value of `target` ← a row: four rows then lie side by side as f64. */
function interleave(target: Float64Array, at: number, source: FloatTensor, start: number, I: number): void {
  const row = source.chunk(start);
  const offset = source.offset(start);
  for (let i = 0; i < I; i++) target[at + 4 * i] = row[offset + i];
}

/** Tiles of 4 rows × 4 weight rows. */
function multiplyBlock(
  block: Float64Array,
  from: number,
  rows: number,
  weight: FloatTensor,
  first: number,
  N: number,
  I: number,
  store: (r: number, n: number, sum: number) => void,
): void {
  const tile = new Float64Array(4 * I);
  const sums = new Float64Array(16);
  for (let n = 0; n < N; n += 4) {
    for (let j = 0; j < 4 && n + j < N; j++) interleave(tile, j, weight, first + (n + j) * I, I);
    for (let r = 0; r < rows; r += 4) {
      multiplyTile(sums, block, r * I, tile);
      for (let j = 0; j < 4 && r + j < rows; j++) {
        for (let m = 0; m < 4 && n + m < N; m++) store(from + r + j, n + m, sums[4 * j + m]);
      }
    }
  }
}

function multiplyTile(sums: Float64Array, block: Float64Array, at: number, tile: Float64Array): void {
  let s00 = 0, s01 = 0, s02 = 0, s03 = 0;
  let s10 = 0, s11 = 0, s12 = 0, s13 = 0;
  let s20 = 0, s21 = 0, s22 = 0, s23 = 0;
  let s30 = 0, s31 = 0, s32 = 0, s33 = 0;
  for (let i = 0; i < tile.length; i += 4) {
    const x0 = block[at + i], x1 = block[at + i + 1], x2 = block[at + i + 2], x3 = block[at + i + 3];
    const w0 = tile[i], w1 = tile[i + 1], w2 = tile[i + 2], w3 = tile[i + 3];
    s00 += x0 * w0, s01 += x0 * w1, s02 += x0 * w2, s03 += x0 * w3;
    s10 += x1 * w0, s11 += x1 * w1, s12 += x1 * w2, s13 += x1 * w3;
    s20 += x2 * w0, s21 += x2 * w1, s22 += x2 * w2, s23 += x2 * w3;
    s30 += x3 * w0, s31 += x3 * w1, s32 += x3 * w2, s33 += x3 * w3;
  }
  sums[0] = s00, sums[1] = s01, sums[2] = s02, sums[3] = s03;
  sums[4] = s10, sums[5] = s11, sums[6] = s12, sums[7] = s13;
  sums[8] = s20, sums[9] = s21, sums[10] = s22, sums[11] = s23;
  sums[12] = s30, sums[13] = s31, sums[14] = s32, sums[15] = s33;
}

/** One row: 8 weight rows at a time, and one by one where fewer are left or a chunk ends between them. */
function multiplyRow(
  x: FloatTensor,
  r: number,
  start: number,
  weight: FloatTensor,
  first: number,
  N: number,
  I: number,
  store: (r: number, n: number, sum: number) => void,
): void {
  const row = x.chunk(start);
  const at = x.offset(start);
  const sums = new Float64Array(8);
  let n = 0;
  while (n < N) {
    const index = first + n * I;
    const w = weight.chunk(index);
    const offset = weight.offset(index);
    if (n + 8 <= N && offset + 8 * I <= w.length) {
      dotEight(sums, row, at, w, offset, I);
      for (let j = 0; j < 8; j++) store(r, n + j, sums[j]);
      n += 8;
    } else {
      let sum = 0;
      for (let i = 0; i < I; i++) sum += row[at + i] * w[offset + i];
      store(r, n, sum);
      n++;
    }
  }
}

function dotEight(
  sums: Float64Array,
  x: Float32Array,
  at: number,
  w: Float32Array,
  w0: number,
  I: number,
): void {
  let s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
  const w1 = w0 + I, w2 = w1 + I, w3 = w2 + I, w4 = w3 + I, w5 = w4 + I, w6 = w5 + I, w7 = w6 + I;
  for (let i = 0; i < I; i++) {
    const value = x[at + i];
    s0 += value * w[w0 + i], s1 += value * w[w1 + i], s2 += value * w[w2 + i], s3 += value * w[w3 + i];
    s4 += value * w[w4 + i], s5 += value * w[w5 + i], s6 += value * w[w6 + i], s7 += value * w[w7 + i];
  }
  sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
  sums[4] = s4, sums[5] = s5, sums[6] = s6, sums[7] = s7;
}
