import { address, claim, int } from "./command";
import { RESIDUAL_ROOM, TOKENS } from "./ops";
import { outlying, quantise, scaleOf } from "./quantise";

/**
 * Byte codes round a value by its block's scale, so that a few blocks with outliers make nearly all of a row's error. Those
 * get a second entry, of what rounding left (ARCHITECTURE.md has the numbers).
 */

const MOST: f32 = 127;

/**
 * codes, scale, scaledSum, centre, order, counts, x, R, I, room (RESIDUAL_ROOM bytes for each thread: what rounding left of a block, then
 * sums that nobody wants): every row by itself, in
 * entries one after the other, 2·blocks of them at most: a block and, if it is outlying, its residual. order i32 is an
 * entry's block, counts i32 [R] how many entries a row has.
 */
export function quantiseVector(command: usize, thread: i32): void {
  const codes = address(command, 0);
  const scales = address(command, 1);
  const scaledSums = address(command, 2);
  const centre = address(command, 3);
  const order = address(command, 4);
  const counts = address(command, 5);
  const x = address(command, 6);
  const R = int(command, 7);
  const I = int(command, 8);
  const room = address(command, 9) + <usize> thread * <usize> RESIDUAL_ROOM;
  const blocks = (I + 31) / 32;
  for (let row = claim(command); row < R; row = claim(command)) {
    const from = x + (<usize> row * <usize> I << 2);
    let squares: f32 = 0;
    for (let b = 0; b < blocks; b++) {
      const scale = scaleOf(from + (<usize> b << 7), min(32, I - b * 32), MOST);
      squares += scale * scale;
    }
    const limit = outlying(squares, blocks);
    const first = <usize> row * 2 * <usize> blocks;
    let i = first;
    for (let b = 0; b < blocks; b++) {
      const at = from + (<usize> b << 7);
      const count = min(32, I - b * 32);
      store<i32>(order + (i << 2), b);
      entry(codes, scales, scaledSums, centre, i++, at, count, room);
      const scale = load<f32>(scales + (i - 1 << 2));
      if (scale * scale > limit) {
        leaveResidual(room, at, codes + (i - 1 << 5), scale, count);
        store<i32>(order + (i << 2), b);
        entry(codes, scales, scaledSums, centre, i++, room, 32, room);
      }
    }
    store<i32>(counts + (<usize> row << 2), <i32> (i - first));
  }
}

/**
 * codes, scale, scaledSum, centre, tokens, counts, ofCodes, ofScale, limits, x, R, I, room: the residuals of the blocks that
 * QUANTISE_ROWS left in ofCodes and ofScale with the same block of all rows adjacent. Of block b and the TOKENS rows from
 * `first` on, entries from b·R + first on, as many as counts i32 [blocks, ⌈R / TOKENS⌉] says; tokens u8 is an entry's row less `first`.
 */
export function addResiduals(command: usize, thread: i32): void {
  const codes = address(command, 0);
  const scales = address(command, 1);
  const scaledSums = address(command, 2);
  const centre = address(command, 3);
  const tokens = address(command, 4);
  const counts = address(command, 5);
  const ofCodes = address(command, 6);
  const ofScale = address(command, 7);
  const limits = address(command, 8);
  const x = address(command, 9);
  const R = int(command, 10);
  const I = int(command, 11);
  const room = address(command, 12) + <usize> thread * <usize> RESIDUAL_ROOM;
  const groups = (R + TOKENS - 1) / TOKENS;
  const units = (I + 31) / 32 * groups;
  for (let unit = claim(command); unit < units; unit = claim(command)) {
    const b = unit / groups;
    const first = unit % groups * TOKENS;
    const base = <usize> (b * R + first);
    const count = min(32, I - b * 32);
    let i = base;
    for (let token = 0; token < min(TOKENS, R - first); token++) {
      const rounded = base + <usize> token;
      const scale = load<f32>(ofScale + (rounded << 2));
      if (!(scale * scale > load<f32>(limits + (<usize> (first + token) << 2)))) continue;
      const at = x + ((<usize> (first + token) * <usize> I << 2) + (<usize> b << 7));
      leaveResidual(room, at, ofCodes + (rounded << 5), scale, count);
      store<u8>(tokens + i, <u8> token);
      entry(codes, scales, scaledSums, centre, i++, room, 32, room);
    }
    store<i32>(counts + (<usize> unit << 2), <i32> (i - base));
  }
}

function entry(
  codes: usize,
  scales: usize,
  scaledSums: usize,
  centre: usize,
  i: usize,
  x: usize,
  count: i32,
  room: usize,
): void {
  const sum = quantise(codes + (i << 5), 0, scales + (i << 2), room + 128, x, count, MOST);
  store<f32>(scaledSums + (i << 2), load<f32>(scales + (i << 2)) * <f32> sum);
  store<i32>(centre + (i << 2), -8 * sum);
}

/** to f32 [32] ← x - scale · codes, 0 from `count` on. */
function leaveResidual(to: usize, x: usize, codes: usize, scale: f32, count: i32): void {
  for (let c = 0; c < 32; c++) {
    const at = <usize> c << 2;
    const left: f32 = c < count ? load<f32>(x + at) - scale * <f32> load<i8>(codes + <usize> c) : 0;
    store<f32>(to + at, left);
  }
}
