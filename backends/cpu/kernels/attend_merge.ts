import { Fused } from "./fused";
import { address, claim, int } from "./command";
import { power4 } from "./exp";
import { storeColumns } from "./kv_values";
import { SPLIT_TOKENS } from "./ops";

/**
 * out, partials, positions, first row, rows, Hq, Hk, d, window, splits, bytes of a partial, whether values are in order: the
 * partials of a row put together, split after split.
 */
export function mergeSplits(command: usize): void {
  const out = address(command, 0);
  const partials = address(command, 1);
  const positions = address(command, 2);
  const firstRow = int(command, 3);
  const rows = int(command, 4);
  const Hq = int(command, 5);
  const Hk = int(command, 6);
  const d = int(command, 7);
  const window = int(command, 8);
  const splits = int(command, 9);
  const partialBytes = address(command, 10);
  const isInOrder = int(command, 11) != 0;
  const g = Hq / Hk;
  const dp = (d + 7) & ~7;
  const units = rows * Hq;
  for (let unit = claim(command); unit < units; unit = claim(command)) {
    const row = unit / Hq;
    const q = unit % Hq;
    const position = load<i32>(positions + (<usize> (firstRow + row) << 2));
    const from = window > 0 ? max(0, position - window + 1) / SPLIT_TOKENS : 0;
    const end = position / SPLIT_TOKENS;
    const all = partials + <usize> ((row * Hk + q / g) * splits) * partialBytes;
    const maxima = all + (<usize> (g * dp + q % g) << 2);
    const sums = all + (<usize> (q % g * dp) << 2);
    let largest: f32 = -Infinity;
    for (let s = from; s <= end; s++) largest = max(largest, load<f32>(maxima + <usize> s * partialBytes));
    let total: f32 = 0;
    for (let s = from; s <= end; s++) {
      const at = maxima + <usize> s * partialBytes;
      // The share of a split takes the place of its maximum.
      const share = f32x4.extract_lane(power4(f32x4.splat(load<f32>(at) - largest)), 0);
      store<f32>(at, share);
      total += share * load<f32>(at + (<usize> g << 2));
    }
    const to = out + <usize> ((firstRow + row) * Hq + q) * (<usize> d << 2);
    const totals = f32x4.splat(total);
    for (let c = 0; c < d; c += 8) {
      const column = sums + (<usize> c << 2);
      let a = f32x4.splat(0), b = a;
      for (let s = from; s <= end; s++) {
        const share = v128.load32_splat(maxima + <usize> s * partialBytes);
        const x = column + <usize> s * partialBytes;
        a = Fused.plus(a, share, v128.load(x));
        b = Fused.plus(b, share, v128.load(x, 16));
      }
      a = f32x4.div(a, totals);
      b = f32x4.div(b, totals);
      storeColumns(to + (<usize> c << 2), a, b, min(8, d - c), isInOrder);
    }
  }
}
