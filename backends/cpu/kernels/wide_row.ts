import { f16ToF32 } from "./half";
import { Q4_K, Q4_K_TILE_BYTES, Q6_K_TILE_BYTES, WIDE_TILE_ROWS } from "./ops";
import { Q4_CODES, Q4_MINIMA, Q4_MINIMUM, Q4_SCALES, Q6_HIGH, Q6_LOW, Q6_SCALES } from "./wide_layout";

/**
 * out f32 [columns] ← the values of a row of a packed tensor, exactly as its file has them: every product fits an f32.
 *
 * @param dtype Q4_K or Q6_K
 */
export function wideRow(out: usize, table: usize, dtype: i32, row: i32, columns: i32): void {
  const blocks = columns / 256;
  const j = <usize> (row % WIDE_TILE_ROWS);
  const first = <usize> (row / WIDE_TILE_ROWS) * <usize> blocks;
  for (let b = 0; b < blocks; b++) {
    if (dtype == Q4_K) fourBits(out, table + (first + b) * Q4_K_TILE_BYTES, j);
    else sixBits(out, table + (first + b) * Q6_K_TILE_BYTES, j);
    out += 1024;
  }
}

function half(at: usize): f32 {
  return f32x4.extract_lane(f16ToF32(v128.load16_splat(at)), 0);
}

/** The low nibbles of the four bytes of a word as f32. */
function four(word: u32): v128 {
  const bytes = v128.and(i32x4.splat(word), i32x4.splat(0x0f0f0f0f));
  return f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(bytes)));
}

function fourBits(out: usize, tile: usize, j: usize): void {
  const d = half(tile + (j << 1));
  const m = half(tile + Q4_MINIMUM + (j << 1));
  for (let group: usize = 0; group < 8; group++) {
    const step = f32x4.splat(d * <f32> load<u8>(tile + Q4_SCALES + (group << 3) + j));
    const low = f32x4.splat(m * <f32> load<u8>(tile + Q4_MINIMA + (group << 3) + j));
    const words = tile + Q4_CODES + ((group >> 1) << 8) + (j << 2);
    for (let q: usize = 0; q < 8; q++) {
      const codes = four(load<u32>(words + (q << 5)) >> (<u32> (group & 1) << 2));
      v128.store(out + (q << 4), f32x4.sub(f32x4.mul(codes, step), low));
    }
    out += 128;
  }
}

function sixBits(out: usize, tile: usize, j: usize): void {
  const d = half(tile + (j << 1));
  for (let group: usize = 0; group < 8; group++) {
    const low = tile + Q6_LOW + ((group >> 2) << 9) + ((group & 1) << 8) + (j << 2);
    const high = tile + Q6_HIGH + ((group >> 2) << 8) + (j << 2);
    const scales = tile + Q6_SCALES + (group << 4) + j;
    for (let q: usize = 0; q < 8; q++) {
      const step = d * <f32> load<i8>(scales + ((q >> 2) << 3));
      const l = (load<u32>(low + (q << 5)) >> (<u32> (group & 2) << 1)) & 0x0f0f0f0f;
      const h = (load<u32>(high + (q << 5)) >> (<u32> (group & 3) << 1)) & 0x03030303;
      const bytes = i32x4.splat(l | (h << 4));
      const codes = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(bytes));
      const values = f32x4.convert_i32x4_s(i32x4.sub(codes, i32x4.splat(32)));
      v128.store(out + (q << 4), f32x4.mul(values, f32x4.splat(step)));
    }
    out += 128;
  }
}
