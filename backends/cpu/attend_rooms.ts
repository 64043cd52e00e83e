import { rounded } from "./arena.ts";
import { TILE_TOKENS } from "./kernels/ops.ts";

/** What the kernels of dense attention are told. */
export interface Shape {
  readonly Hq: number;
  readonly Hk: number;
  readonly d: number;
  readonly S: number;
  readonly window: number;
  readonly scale: number;
  readonly kvType: number;
  readonly threads: number;
}

/** Queries of a tile: enough to pay for converting a block, few enough that all of it stays in the second cache. */
const TILE_QUERIES = 64;
/** Units of work per thread worth having, so that none waits long for the last. */
const UNITS_PER_THREAD = 4;

/** Rows of a tile; no row's result depends on it. */
export function tileRows({ Hq, Hk, threads }: Shape, rows: number): number {
  const g = Hq / Hk;
  const largest = Math.max(1, Math.floor(TILE_QUERIES / g));
  const tiles = Math.ceil((threads * UNITS_PER_THREAD) / Hk);
  // Below 16 queries the conversion of a block costs as much as its use.
  const smallest = Math.max(1, Math.ceil(16 / g));
  return Math.min(rows, largest, Math.max(smallest, Math.ceil(rows / tiles)));
}

/** Room of a thread in `attendRun`. */
export function runRoomBytes({ Hq, Hk, d }: Shape, rows: number): number {
  const M = Math.ceil((rows * Hq / Hk) / 4) * 4;
  const dp = padded(d);
  return rounded(4 * (2 * TILE_TOKENS * dp + 2 * M * dp + M * TILE_TOKENS + 2 * M));
}

/** Room of a thread in `attendRows`: state, scores, queries, and a block where d must be filled up. */
export function rowRoomBytes({ Hq, Hk, d }: Shape): number {
  const g = Hq / Hk;
  return rounded(
    32 * Math.ceil(g / 4) + 68 * 16 + 4 * g * padded(d) + (d % 8 === 0 ? 0 : 64 * 8 * padded(d)),
  );
}

/** What a split of a row's tokens leaves for one KV head. */
export function partialBytes({ Hq, Hk, d }: Shape): number {
  const g = Hq / Hk;
  return rounded(4 * g * (padded(d) + 2));
}

function padded(d: number): number {
  return Math.ceil(d / 8) * 8;
}
