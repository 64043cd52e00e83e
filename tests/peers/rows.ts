import { table } from "../../cli/table.ts";
import { percentile } from "../../core/bench/timing.ts";

/** ds beside its peer in one case; milliseconds. */
export interface Row {
  readonly model: string;
  /** "dense" and "double-sparsity" per decoded token, "prefill" per prompt; the peer is always dense. */
  readonly mode: string;
  readonly context: number;
  readonly ds: Spread;
  readonly peer: Spread;
  /** ds's median over the peer's: below 1, ds is faster. */
  readonly ratio: number;
}

export interface Spread {
  readonly median: number;
  readonly p10: number;
  readonly p90: number;
  readonly samples: readonly number[];
}

export function rowOf(
  what: Pick<Row, "model" | "mode" | "context">,
  ds: readonly number[],
  peer: readonly number[],
): Row {
  const spreads = { ds: spread(ds), peer: spread(peer) };
  return {
    ...what,
    ...spreads,
    ratio: spreads.ds.median / spreads.peer.median,
  };
}

function spread(samples: readonly number[]): Spread {
  const [p10, median, p90] = [0.1, 0.5, 0.9].map((p) => percentile(samples, p));
  return { median, p10, p90, samples };
}

const HEADER = [
  "model",
  "mode",
  "context",
  "ds ms",
  "p10",
  "p90",
  "peer ms",
  "p10",
  "p90",
  "ds / peer",
  "samples",
];

export function rowsTable(rows: readonly Row[]): string {
  return table(
    HEADER,
    rows.map(({ model, mode, context, ds, peer, ratio }) => [
      model,
      mode,
      String(context),
      ...[ds, peer].flatMap(({ median, p10, p90 }) => [median, p10, p90].map(milliseconds)),
      ratio.toFixed(3),
      `${ds.samples.length}+${peer.samples.length}`,
    ]),
  );
}

function milliseconds(ms: number): string {
  return ms.toFixed(ms < 1000 ? 2 : 0);
}
