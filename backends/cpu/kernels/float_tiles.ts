import { Fused } from "./fused";
import { address, claim, int } from "./command";
import { paddedColumns } from "./float_rows";
import { Eight, storeSums, sums4 } from "./float_values";
import { BF16, F16, F32, FLOAT_TILE_COLUMNS, FLOAT_TILE_ROWS } from "./ops";

/**
 * Arguments 0 to 8 as of `floatRows`, then scratch, scratchBytes (of each thread): the same sums, bit for bit, for many rows
 * of x. The scratch holds four rows of weights as f32 and, for each row of x, the lanes of its sums.
 */
export function floatTiles(command: usize, thread: i32): void {
  const dtype = int(command, 8);
  if (dtype == F32) tilesOf<f32>(command, thread);
  else if (dtype == F16) tilesOf<i16>(command, thread);
  else if (dtype == BF16) tilesOf<u16>(command, thread);
  else unreachable();
}

function tilesOf<T>(command: usize, thread: i32): void {
  const out = address(command, 0);
  const x = address(command, 1);
  const weight = address(command, 2);
  const bias = address(command, 3);
  const R = int(command, 4);
  const N = int(command, 5);
  const I = int(command, 6);
  const columns = int(command, 7);
  const panel = address(command, 9) + <usize> thread * address(command, 10);
  const sums = panel + (FLOAT_TILE_COLUMNS << 4);
  const Ip = paddedColumns(I);
  const rowBytes = <usize> I * sizeof<T>();
  const quadBytes = <usize> R << 6;
  const units = (N + FLOAT_TILE_ROWS - 1) / FLOAT_TILE_ROWS;
  for (let unit = claim(command); unit < units; unit = claim(command)) {
    const first = unit * FLOAT_TILE_ROWS;
    const last = min(N, first + FLOAT_TILE_ROWS);
    memory.fill(sums, 0, quadBytes * (FLOAT_TILE_ROWS / 4));
    for (let i = 0; i < Ip; i += FLOAT_TILE_COLUMNS) {
      const width = min(FLOAT_TILE_COLUMNS, Ip - i);
      let lanes = sums;
      for (let n = first; n < last; n += 4) {
        for (let j = 0; j < 4; j++) {
          const row = weight + <usize> min(n + j, last - 1) * rowBytes;
          unpack<T>(panel + (<usize> j << 4), row, i, min(I, i + width), I);
        }
        addTiles(lanes, x + (<usize> i << 2), <usize> Ip << 2, panel, width, R);
        lanes += quadBytes;
      }
    }
    let lanes = sums;
    for (let n = first; n < last; n += 4) {
      const biases = bias == 0 ? 0 : bias + (<usize> n << 2);
      for (let r = 0; r < R; r++) {
        const at = lanes + (<usize> r << 6);
        const four = sums4(v128.load(at), v128.load(at, 16), v128.load(at, 32), v128.load(at, 48));
        const scaled = f32x4.mul(four, f32x4.splat(Eight.sumScale<T>()));
        storeSums(out + (<usize> (r * columns + n) << 2), scaled, biases, last - n);
      }
      lanes += quadBytes;
    }
  }
}

/** Columns from to end of a row, to every fourth vector. */
function unpack<T>(to: usize, row: usize, from: i32, end: i32, I: i32): void {
  let i = from;
  for (; i + 8 <= end; i += 8) {
    const at = row + <usize> i * sizeof<T>();
    v128.store(to, Eight.low<T>(at));
    v128.store(to, Eight.high<T>(at), 64);
    to += 128;
  }
  if (i < end) {
    const rowEnd = row + <usize> I * sizeof<T>();
    v128.store(to, Eight.lastLow<T>(rowEnd, end - i));
    v128.store(to, Eight.lastHigh<T>(rowEnd, end - i), 64);
  }
}

/** Adds `width` columns of four rows of weights to the lanes of all rows of x, two rows at a time. */
function addTiles(lanes: usize, x: usize, xBytes: usize, panel: usize, width: i32, R: i32): void {
  const end = panel + (<usize> width << 4);
  let r = 0;
  for (; r + 2 <= R; r += 2) {
    addTwo(lanes, x, x + xBytes, panel, end);
    lanes += 128;
    x += 2 * xBytes;
  }
  if (r < R) addOne(lanes, x, panel, end);
}

function addTwo(lanes: usize, x0: usize, x1: usize, w: usize, end: usize): void {
  let a0 = v128.load(lanes), b0 = v128.load(lanes, 16), c0 = v128.load(lanes, 32), d0 = v128.load(lanes, 48);
  let a1 = v128.load(lanes, 64),
    b1 = v128.load(lanes, 80),
    c1 = v128.load(lanes, 96),
    d1 = v128.load(lanes, 112);
  while (w < end) {
    const p = v128.load(x0), q = v128.load(x1);
    const wa = v128.load(w), wb = v128.load(w, 16), wc = v128.load(w, 32), wd = v128.load(w, 48);
    a0 = Fused.plus(a0, p, wa), a1 = Fused.plus(a1, q, wa);
    b0 = Fused.plus(b0, p, wb), b1 = Fused.plus(b1, q, wb);
    c0 = Fused.plus(c0, p, wc), c1 = Fused.plus(c1, q, wc);
    d0 = Fused.plus(d0, p, wd), d1 = Fused.plus(d1, q, wd);
    const p2 = v128.load(x0, 16), q2 = v128.load(x1, 16);
    const wa2 = v128.load(w, 64), wb2 = v128.load(w, 80), wc2 = v128.load(w, 96), wd2 = v128.load(w, 112);
    a0 = Fused.plus(a0, p2, wa2), a1 = Fused.plus(a1, q2, wa2);
    b0 = Fused.plus(b0, p2, wb2), b1 = Fused.plus(b1, q2, wb2);
    c0 = Fused.plus(c0, p2, wc2), c1 = Fused.plus(c1, q2, wc2);
    d0 = Fused.plus(d0, p2, wd2), d1 = Fused.plus(d1, q2, wd2);
    x0 += 32, x1 += 32, w += 128;
  }
  v128.store(lanes, a0), v128.store(lanes, b0, 16), v128.store(lanes, c0, 32), v128.store(lanes, d0, 48);
  v128.store(lanes, a1, 64), v128.store(lanes, b1, 80), v128.store(lanes, c1, 96), v128.store(lanes, d1, 112);
}

function addOne(lanes: usize, x: usize, w: usize, end: usize): void {
  let a = v128.load(lanes), b = v128.load(lanes, 16), c = v128.load(lanes, 32), d = v128.load(lanes, 48);
  for (; w < end; w += 64) {
    const p = v128.load(x);
    a = Fused.plus(a, p, v128.load(w));
    b = Fused.plus(b, p, v128.load(w, 16));
    c = Fused.plus(c, p, v128.load(w, 32));
    d = Fused.plus(d, p, v128.load(w, 48));
    x += 16;
  }
  v128.store(lanes, a), v128.store(lanes, b, 16), v128.store(lanes, c, 32), v128.store(lanes, d, 48);
}
