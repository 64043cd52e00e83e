import { address, claim, int } from "./command";
import { Q4_1, Q8_0 } from "./ops";
import { Tile } from "./tiles";

/** Rows per unit of work. */
const RUN: i32 = 32;

/** to, from, dtype, first, rows, N, blocks: rows of a [.., N, 32·blocks] tensor, as a GGUF file has them, into its tiles. */
export function packBlocks(command: usize): void {
  const to = address(command, 0);
  const from = address(command, 1);
  const dtype = int(command, 2);
  const first = int(command, 3);
  const rows = int(command, 4);
  const N = int(command, 5);
  const blocks = int(command, 6);
  const tileBytes = Tile.bytes(dtype);
  const blockBytes = <usize> (dtype == Q8_0 ? 34 : dtype == Q4_1 ? 20 : 18);
  const tileRows = (N + 7) >> 3;
  const units = (rows + RUN - 1) / RUN;
  for (let unit = claim(command); unit < units; unit = claim(command)) {
    const last = min(rows, (unit + 1) * RUN);
    for (let i = unit * RUN; i < last; i++) {
      const matrix = (first + i) / N;
      const row = first + i - matrix * N;
      const tileRow = <usize> matrix * <usize> tileRows + <usize> (row >> 3);
      const tile = to + tileRow * <usize> blocks * tileBytes;
      const source = from + <usize> i * <usize> blocks * blockBytes;
      if (dtype == Q8_0) packBytes(tile, source, row & 7, blocks);
      else packNibbles(tile, source, row & 7, blocks, dtype == Q4_1);
    }
  }
}

/** Where the scale of a row lies in a tile. */
function scaleOffset(row: i32): usize {
  return <usize> (((row & 3) << 1) + (row >> 2)) << 1;
}

function packNibbles(tile: usize, from: usize, row: i32, blocks: i32, hasMin: bool): void {
  const scale = scaleOffset(row);
  const tileBytes: usize = hasMin ? 160 : 144;
  const blockBytes: usize = hasMin ? 20 : 18;
  const header: usize = hasMin ? 4 : 2;
  const codes: usize = <usize> (hasMin ? 32 : 16) + (<usize> (row >> 2) << 6) + (<usize> (row & 3) << 2);
  for (let b = 0; b < blocks; b++) {
    store<u16>(tile + scale, load<u16>(from));
    if (hasMin) store<u16>(tile + scale, load<u16>(from, 2), 16);
    const at = tile + codes;
    const packed = from + header;
    store<u32>(at, load<u32>(packed));
    store<u32>(at, load<u32>(packed, 4), 16);
    store<u32>(at, load<u32>(packed, 8), 32);
    store<u32>(at, load<u32>(packed, 12), 48);
    tile += tileBytes;
    from += blockBytes;
  }
}

function packBytes(tile: usize, from: usize, row: i32, blocks: i32): void {
  const scale = scaleOffset(row);
  const codes: usize = <usize> 16 + (<usize> (row >> 2) << 7) + (<usize> (row & 3) << 1);
  for (let b = 0; b < blocks; b++) {
    store<u16>(tile + scale, load<u16>(from));
    let at = tile + codes;
    for (let j: usize = 0; j < 32; j += 4) {
      const four = load<u32>(from + j, 2);
      store<u16>(at, <u16> ((four & 0xff) | ((four >> 8) & 0xff00)));
      store<u16>(at, <u16> (((four >> 8) & 0xff) | ((four >> 16) & 0xff00)), 8);
      at += 16;
    }
    tile += 272;
    from += 34;
  }
}
