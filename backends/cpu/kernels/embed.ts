import { address, claim, int } from "./command";
import { f16ToF32 } from "./half";
import { BF16, F16, F32, Q4_1, Q4_K, Q6_K, Q8_0 } from "./ops";
import { Tile } from "./tiles";
import { wideRow } from "./wide_row";

/** out, table, tokens, T, D, dtype: out[t] ← row tokens[t] of the table. */
export function embed(command: usize): void {
  const out = address(command, 0);
  const table = address(command, 1);
  const tokens = address(command, 2);
  const T = int(command, 3);
  const D = int(command, 4);
  const dtype = int(command, 5);
  const values = <usize> D;
  for (let t = claim(command); t < T; t = claim(command)) {
    const row = load<i32>(tokens + (<usize> t << 2));
    const to = out + (<usize> t * values << 2);
    if (dtype == F32) memory.copy(to, table + (<usize> row * values << 2), values << 2);
    else if (dtype == F16 || dtype == BF16) halfRow(to, table + (<usize> row * values << 1), dtype == F16, D);
    else if (dtype == Q4_K || dtype == Q6_K) wideRow(to, table, dtype, row, D);
    else blockRow(to, table, dtype, row, D);
  }
}

function halfRow(out: usize, from: usize, isF16: bool, columns: i32): void {
  for (let c = 0; c < columns; c++) {
    const bits = <i32> load<u16>(from + (<usize> c << 1));
    const at = out + (<usize> c << 2);
    if (isF16) store<f32>(at, f32x4.extract_lane(f16ToF32(i32x4.splat(bits)), 0));
    else store<i32>(at, bits << 16);
  }
}

/** One row out of the tiles: code · scale, less 8 for q4_0, plus the least for q4_1. */
function blockRow(out: usize, table: usize, dtype: i32, row: i32, columns: i32): void {
  const blocks = columns >> 5;
  const tileBytes = Tile.bytes(dtype);
  const lane = row & 7;
  const scaleAt = <usize> (((lane & 3) << 1) + (lane >> 2)) << 1;
  let tile = table + <usize> (row >> 3) * <usize> blocks * tileBytes;
  const codesAt = Tile.header(dtype) +
    (dtype == Q8_0
      ? (<usize> (lane >> 2) << 7) + (<usize> (lane & 3) << 1)
      : (<usize> (lane >> 2) << 6) + (<usize> (lane & 3) << 2));
  for (let b = 0; b < blocks; b++) {
    const scale = half(tile + scaleAt);
    const least: f32 = dtype == Q4_1 ? half(tile + scaleAt + 16) : 0;
    const codes = tile + codesAt;
    for (let c: usize = 0; c < 32; c++) {
      const at = out + (c << 2);
      if (dtype == Q8_0) {
        const code = load<i8>(codes + ((c >> 2) << 4) + ((c & 1) << 3) + ((c >> 1) & 1));
        store<f32>(at, <f32> code * scale);
      } else {
        const packed = <i32> load<u8>(codes + (((c >> 2) & 3) << 4) + (c & 3));
        const code = c < 16 ? packed & 15 : packed >> 4;
        if (dtype == Q4_1) store<f32>(at, <f32> code * scale + least);
        else store<f32>(at, <f32> (code - 8) * scale);
      }
    }
    tile += tileBytes;
    out += 128;
  }
}

function half(at: usize): f32 {
  return f32x4.extract_lane(f16ToF32(i32x4.splat(<i32> load<u16>(at))), 0);
}
