import { keyPanels, valuePanels } from "./attend_panels";
import { tileScores, tileValues, tileWeights } from "./attend_tile";
import { address, claim, float, int } from "./command";
import { storeColumns } from "./kv_values";
import { TILE_TOKENS } from "./ops";

/**
 * out, qkv, kv, first row, rows, position of the first row, slot, Hq, Hk, d, S, window, scale, rows of a tile, rooms, bytes
 * of a room: rows at consecutive positions of one slot, homes at their positions.
 *
 * A unit is a KV head and a tile of rows with all g query heads, M = rows·g queries rounded up to 4. It goes over the tokens
 * in blocks that lie at multiples of 64 in the slot, so a row's result does not depend on the rows beside it. Room: key
 * panels, value panels, queries [M/4, dp, 4], acc [M/4, dp/8, 4, 8], scores [M/4, 4, 64], state [M, 2], all f32.
 */
export function attendRun<T>(command: usize, thread: i32): void {
  const firstRow = int(command, 3);
  const rows = int(command, 4);
  const Hk = int(command, 8);
  const tileRows = int(command, 13);
  const room = address(command, 14) + <usize> thread * address(command, 15);
  const tiles = (rows + tileRows - 1) / tileRows;
  const units = tiles * Hk;
  for (let unit = claim(command); unit < units; unit = claim(command)) {
    // The last tiles see the most tokens: first, so that no thread is left alone with one.
    const first = (tiles - 1 - unit / Hk) * tileRows;
    attendTile<T>(command, room, unit % Hk, firstRow, first, min(tileRows, rows - first));
  }
}

function attendTile<T>(command: usize, room: usize, h: i32, firstRow: i32, first: i32, rows: i32): void {
  const Hq = int(command, 7);
  const Hk = int(command, 8);
  const d = int(command, 9);
  const window = int(command, 11);
  const g = Hq / Hk;
  const dp = (d + 7) & ~7;
  const groups = (rows * g + 3) >> 2;
  const stride = <usize> d * 2 * sizeof<T>();
  const slot = address(command, 6);
  const tokens = address(command, 2) +
    (slot * <usize> Hk + <usize> h) * <usize> int(command, 10) * stride;
  const position = int(command, 5) + first;
  const end = position + rows;

  const keys = room;
  const values = keys + (<usize> (TILE_TOKENS * dp) << 2);
  const queries = values + (<usize> (TILE_TOKENS * dp) << 2);
  const groupBytes = <usize> dp << 4;
  const accs = queries + <usize> groups * groupBytes;
  const scores = accs + <usize> groups * groupBytes;
  const states = scores + (<usize> groups << 10);
  memory.fill(accs, 0, <usize> groups * groupBytes);
  const asked = address(command, 1) +
    (<usize> (firstRow + first) * <usize> (Hq + 2 * Hk) + <usize> (h * g)) * (<usize> d << 2);
  packQueries(queries, states, asked, rows, g, Hq + 2 * Hk, d, float(command, 12));

  const start = window > 0 ? max(0, position - window + 1) & ~(TILE_TOKENS - 1) : 0;
  for (let base = start; base < end; base += TILE_TOKENS) {
    const count = min(TILE_TOKENS, end - base);
    const wanted = (count + 7) & ~7;
    const block = tokens + <usize> base * stride;
    keyPanels<T>(keys, block, count, wanted, stride, d);
    valuePanels<T>(values, block + <usize> d * sizeof<T>(), count, wanted, stride, d);
    for (let group = 0; group < groups; group++) {
      // The last query of the group sees the furthest.
      const lastSeen = position + min(rows - 1, (group * 4 + 3) / g);
      if (lastSeen < base) continue;
      const s = scores + (<usize> group << 10);
      const q = queries + <usize> group * groupBytes;
      const acc = accs + <usize> group * groupBytes;
      for (let n = 0; n < wanted; n += 8) {
        tileScores(s + (<usize> n << 2), q, keys + (<usize> (n * dp) << 2), dp);
      }
      for (let i = 0; i < 4; i++) {
        const m = group * 4 + i;
        const place = position + m / g;
        const low = window > 0 ? max(0, place - window + 1 - base) : 0;
        const high = m < rows * g ? min(count, place + 1 - base) : 0;
        const row = s + (<usize> i << 8);
        if (low >= high) memory.fill(row, 0, <usize> wanted << 2);
        else tileWeights(row, low, high, wanted, states + (<usize> m << 3), acc + (<usize> i << 5), dp);
      }
      for (let c = 0; c < dp; c += 8) {
        tileValues(acc + (<usize> c << 4), s, values + (<usize> (c * TILE_TOKENS) << 2), wanted);
      }
    }
  }
  const out = address(command, 0) +
    (<usize> (firstRow + first) * <usize> Hq + <usize> (h * g)) * (<usize> d << 2);
  finish<T>(out, accs, states, rows, g, Hq, d);
}

/** Queries times scale as [M/4, dp, 4], and the states of all. */
function packQueries(
  to: usize,
  states: usize,
  from: usize,
  rows: i32,
  g: i32,
  heads: i32,
  d: i32,
  scale: f32,
): void {
  const dp = (d + 7) & ~7;
  const M = (rows * g + 3) & ~3;
  for (let m = 0; m < M; m++) {
    const target = to + (<usize> (m >> 2) * <usize> dp << 4) + (<usize> (m & 3) << 2);
    const source = from + <usize> (m / g * heads + m % g) * (<usize> d << 2);
    for (let c = 0; c < dp; c++) {
      const value: f32 = c < d && m < rows * g ? load<f32>(source + (<usize> c << 2)) * scale : 0;
      store<f32>(target + (<usize> c << 4), value);
    }
    store<f32>(states + (<usize> m << 3), -Infinity);
    store<f32>(states + (<usize> m << 3), 0, 4);
  }
}

function finish<T>(out: usize, accs: usize, states: usize, rows: i32, g: i32, Hq: i32, d: i32): void {
  const dp = (d + 7) & ~7;
  const isInOrder = isFloat<T>() || (d & 7) != 0;
  for (let m = 0; m < rows * g; m++) {
    const acc = accs + (<usize> (m >> 2) * <usize> dp << 4) + (<usize> (m & 3) << 5);
    const to = out + <usize> (m / g * Hq + m % g) * (<usize> d << 2);
    const total = v128.load32_splat(states + (<usize> m << 3), 4);
    for (let c = 0; c < d; c += 8) {
      const at = acc + (<usize> c << 4);
      const a = f32x4.div(v128.load(at), total);
      const b = f32x4.div(v128.load(at, 16), total);
      storeColumns(to + (<usize> c << 2), a, b, min(8, d - c), isInOrder);
    }
  }
}
