import { address, claim, int } from "./command";
import { Q4_K, WIDE_TILE_ROWS } from "./ops";
import {
  Q4_CODES,
  Q4_MINIMA,
  Q4_MINIMUM,
  Q4_SCALES,
  Q6_HIGH,
  Q6_LOW,
  Q6_SCALES,
  tileBytes,
} from "./wide_layout";

/** Bytes of one block of a file. */
const Q4_BLOCK: usize = 144;
const Q6_BLOCK: usize = 210;

/**
 * to, from, first, rows, N, I, dtype: rows as in a file, from row `first` of the tensor on, to their places in the tiles of its
 * matrices of N rows.
 */
export function packWide(command: usize): void {
  const to = address(command, 0);
  const from = address(command, 1);
  const first = int(command, 2);
  const rows = int(command, 3);
  const N = int(command, 4);
  const blocks = <usize> (int(command, 5) / 256);
  const dtype = int(command, 6);
  const size = tileBytes(dtype);
  const blockBytes = dtype == Q4_K ? Q4_BLOCK : Q6_BLOCK;
  for (let r = claim(command); r < rows; r = claim(command)) {
    const matrix = (first + r) / N;
    const row = (first + r) - matrix * N;
    const run = matrix * ((N + WIDE_TILE_ROWS - 1) / WIDE_TILE_ROWS) + row / WIDE_TILE_ROWS;
    const j = <usize> (row % WIDE_TILE_ROWS);
    let tile = to + <usize> run * blocks * size;
    let block = from + <usize> r * blocks * blockBytes;
    for (let b: usize = 0; b < blocks; b++) {
      if (dtype == Q4_K) packFour(tile, block, j);
      else packSix(tile, block, j);
      tile += size;
      block += blockBytes;
    }
  }
}

function packFour(tile: usize, block: usize, j: usize): void {
  store<u16>(tile + (j << 1), load<u16>(block));
  store<u16>(tile + Q4_MINIMUM + (j << 1), load<u16>(block, 2));
  const scales = tile + Q4_SCALES + j;
  const minima = tile + Q4_MINIMA + j;
  for (let group: usize = 0; group < 4; group++) {
    const a = load<u8>(block + 4 + group);
    const b = load<u8>(block + 8 + group);
    const c = load<u8>(block + 12 + group);
    store<u8>(scales + (group << 3), a & 63);
    store<u8>(minima + (group << 3), b & 63);
    store<u8>(scales + 32 + (group << 3), (c & 15) | ((a >> 6) << 4));
    store<u8>(minima + 32 + (group << 3), (c >> 4) | ((b >> 6) << 4));
  }
  packWords(tile + Q4_CODES + (j << 2), block + 16, 32);
}

function packSix(tile: usize, block: usize, j: usize): void {
  store<u16>(tile + (j << 1), load<u16>(block, 208));
  const scales = tile + Q6_SCALES + j;
  for (let group: usize = 0; group < 16; group++) {
    store<u8>(scales + (group << 3), load<u8>(block + 192 + group));
  }
  packWords(tile + Q6_LOW + (j << 2), block, 32);
  packWords(tile + Q6_HIGH + (j << 2), block + 128, 16);
}

function packWords(to: usize, from: usize, count: usize): void {
  for (let k: usize = 0; k < count; k++) store<u32>(to + (k << 5), load<u32>(from + (k << 2)));
}
