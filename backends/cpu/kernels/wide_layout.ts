import { Q4_K, Q4_K_TILE_BYTES, Q6_K_TILE_BYTES } from "./ops";

/**
 * A tile holds blocks of eight rows; its tensor is tile after tile along the columns, eight rows after eight rows. Words of 32 bits
 * are those of the file's blocks, word k of row j at 32·k + 4·j: a vector then has four columns of four rows.
 *
 * q4_k: f16 [8] scale, f16 [8] minimum scale, u8 [8 groups, 8] scales, u8 [8 groups, 8] minima, words [32, 8] of codes; word
 * 8·p + q has columns 4·q to 4·q + 3 of group 2·p in the low nibbles of its bytes and of group 2·p + 1 in the high ones.
 *
 * q6_k: f16 [8] scale, i8 [16 groups, 8] scales, words [32, 8] of low 4 bits, words [16, 8] of high 2 bits. Of half h (128
 * columns in runs of 32), low word 16·h + 8·b + q has columns 4·q to 4·q + 3 of run b in the low nibbles and of run b + 2 in the
 * high ones; high word 8·h + q has those of run r at bit 2·r of each byte.
 */
export const Q4_MINIMUM: usize = 16;
export const Q4_SCALES: usize = 32;
export const Q4_MINIMA: usize = 96;
export const Q4_CODES: usize = 160;

export const Q6_SCALES: usize = 16;
export const Q6_LOW: usize = 144;
export const Q6_HIGH: usize = 1168;

export function tileBytes(dtype: i32): usize {
  return dtype == Q4_K ? Q4_K_TILE_BYTES : Q6_K_TILE_BYTES;
}
