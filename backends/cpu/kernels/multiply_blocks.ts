import { byteVector } from "./byte_vector";
import { address, claim, int } from "./command";
import { nibbleMatrix } from "./nibble_matrix";
import { nibbleVector } from "./nibble_vector";
import { DOT_PLAIN, F16_FACTOR, F16_MASK, Q4_1, Q8_0, TOKENS, TOKENS_SCRATCH } from "./ops";
import { pairMatrix } from "./pair_matrix";
import { finish, Tile } from "./tiles";

/**
 * out, outPitch (bytes), tiles, dtype, dot, R, N, blocks, run (tile rows per unit), bias (0: none), codes (codes16 for the plain
 * dot), scale, extra (scaledSum for q4_1, centre for q4_0), experts (0: none), perRow, matrixBytes, order, counts: out[r, n] ←
 * weight[n]·x[r], x as QUANTISE_VECTOR leaves it, or where order is 0 block after block of a row. With experts, i32 [R], row r
 * meets the matrix experts[r], and x has a row for every perRow rows of out.
 */
export function multiplyVector(command: usize): void {
  const out = address(command, 0);
  const outPitch = <usize> int(command, 1);
  const tiles = address(command, 2);
  const dtype = int(command, 3);
  const dot = int(command, 4);
  const R = int(command, 5);
  const N = int(command, 6);
  const blocks = int(command, 7);
  const run = int(command, 8);
  const bias = address(command, 9);
  const codes = address(command, 10);
  const scale = address(command, 11);
  const extra = address(command, 12);
  const experts = address(command, 13);
  const perRow = int(command, 14);
  const matrixBytes = address(command, 15);
  const order = address(command, 16);
  const counts = address(command, 17);
  const tileRows = (N + 7) >> 3;
  const runs = (tileRows + run - 1) / run;
  const tileRowBytes = <usize> blocks * Tile.bytes(dtype);
  const codeShift: usize = dot == DOT_PLAIN ? 6 : 5;
  // Where all rows meet one matrix, a unit takes its run to all of them while the caches have it.
  const together = experts == 0 ? R : 1;
  const units = runs * (R / together);
  for (let unit = claim(command); unit < units; unit = claim(command)) {
    const group = unit / runs;
    const first = (unit - group * runs) * run;
    const last = min(tileRows, first + run);
    let matrix = tiles;
    if (experts != 0) matrix += <usize> load<u32>(experts + (<usize> group << 2)) * matrixBytes;
    for (let r = group * together; r < (group + 1) * together; r++) {
      const row = <usize> (r / perRow);
      const entries = order == 0 ? blocks : load<i32>(counts + (row << 2));
      const block = order == 0 ? row * <usize> blocks : row * 2 * <usize> blocks;
      const places = order + (block << 2);
      const to = out + <usize> r * outPitch;
      const x = codes + (block << codeShift);
      const scales = scale + (block << 2);
      const extras = extra + (block << 2);
      for (let t = first; t < last; t++) {
        const tile = matrix + <usize> t * tileRowBytes;
        const n = <usize> t << 5;
        const b = bias == 0 ? <usize> 0 : bias + n;
        const rows = N - (t << 3);
        if (dtype == Q8_0) byteVector(to + n, tile, blocks, x, scales, b, rows);
        else nibbleVector(dot, dtype == Q4_1, to + n, tile, entries, x, scales, extras, places, b, rows);
      }
    }
  }
}

/**
 * out, outPitch (bytes), tiles, dtype, dot, R, N, blocks, run, bias, codes, scale, extra, room (TOKENS_SCRATCH bytes for each
 * thread), counts (0: no residuals), tokens, and codes, scale and extra of residuals: as `multiplyVector` without experts, x
 * quantised with the same block of all rows adjacent, residuals as ADD_RESIDUALS leaves them.
 */
export function multiplyMatrix(command: usize, thread: i32): void {
  const out = address(command, 0);
  const outPitch = <usize> int(command, 1);
  const tiles = address(command, 2);
  const dtype = int(command, 3);
  const dot = int(command, 4);
  const R = int(command, 5);
  const N = int(command, 6);
  const blocks = int(command, 7);
  const run = int(command, 8);
  const bias = address(command, 9);
  const codes = address(command, 10);
  const scale = address(command, 11);
  const extra = address(command, 12);
  const sums = address(command, 13) + <usize> thread * TOKENS_SCRATCH;
  const dots = sums + TOKENS * 32;
  const listed = dots + TOKENS * 16;
  const counts = address(command, 14);
  const groups = (R + TOKENS - 1) / TOKENS;
  const tileRows = (N + 7) >> 3;
  const runs = (tileRows + run - 1) / run;
  const tileBytes = Tile.bytes(dtype);
  const codeShift: usize = dot == DOT_PLAIN ? 6 : 5;
  const units = runs * groups;
  for (let unit = claim(command); unit < units; unit = claim(command)) {
    const from = (unit / runs) * TOKENS;
    const tokens = min(TOKENS, R - from);
    const first = unit % runs * run;
    const last = min(tileRows, first + run);
    for (let t = first; t < last; t++) {
      memory.fill(sums, 0, <usize> tokens << 5);
      let tile = tiles + <usize> t * <usize> blocks * tileBytes;
      for (let b = 0; b < blocks; b++) {
        const block = <usize> b * <usize> R + <usize> from;
        const x = codes + (block << codeShift);
        const scales = scale + (block << 2);
        const extras = extra + (block << 2);
        eightRows(dot, dtype, sums, tile, tokens, x, scales, extras, dots);
        const few = counts == 0 ? 0 : load<i32>(counts + (<usize> (b * groups + from / TOKENS) << 2));
        if (few > 0) {
          const places = address(command, 15) + block;
          for (let i = 0; i < few; i++) move(listed + (<usize> i << 5), sums + listedAt(places, i));
          const residual = address(command, 16) + (block << 5);
          const scale2 = address(command, 17) + (block << 2);
          const extra2 = address(command, 18) + (block << 2);
          eightRows(dot, dtype, listed, tile, few, residual, scale2, extra2, dots);
          for (let i = 0; i < few; i++) move(sums + listedAt(places, i), listed + (<usize> i << 5));
        }
        tile += tileBytes;
      }
      const n = <usize> t << 5;
      const at = bias == 0 ? <usize> 0 : bias + n;
      for (let i = 0; i < tokens; i++) {
        const sum = sums + (<usize> i << 5);
        finish(out + <usize> (from + i) * outPitch + n, v128.load(sum), v128.load(sum, 16), at, N - (t << 3));
      }
    }
  }
}

/** The tile's rows times a block of each of `tokens` rows of activations, added to their sums; `dots` as of `pairMatrix`. */
function eightRows(
  dot: i32,
  dtype: i32,
  sums: usize,
  tile: usize,
  tokens: i32,
  codes: usize,
  scales: usize,
  extras: usize,
  dots: usize,
): void {
  const mask = v128.load32_splat(F16_MASK);
  const factor = v128.load32_splat(F16_FACTOR);
  const w = v128.load(tile);
  const least = v128.load(tile, 16);
  const w0 = Tile.upper(w, mask, factor), w1 = Tile.lower(w, mask, factor);
  const least0 = Tile.upper(least, mask, factor), least1 = Tile.lower(least, mask, factor);
  const at = tile + Tile.header(dtype);
  const next = at + (dtype == Q8_0 ? 128 : 64);
  if (dot == DOT_PLAIN) {
    pairMatrix(dtype, sums, at, w0, least0, tokens, codes, scales, extras, dots);
    pairMatrix(dtype, sums + 16, next, w1, least1, tokens, codes, scales, extras, dots);
  } else {
    const hasMin = dtype == Q4_1;
    nibbleMatrix(dot, hasMin, sums, at, w0, least0, tokens, codes, scales, extras);
    nibbleMatrix(dot, hasMin, sums + 16, next, w1, least1, tokens, codes, scales, extras);
  }
}

/** Where the sums of the i-th listed token lie. */
function listedAt(tokens: usize, i: i32): usize {
  return <usize> load<u8>(tokens + <usize> i) << 5;
}

function move(to: usize, from: usize): void {
  v128.store(to, v128.load(from));
  v128.store(to, v128.load(from, 16), 16);
}
