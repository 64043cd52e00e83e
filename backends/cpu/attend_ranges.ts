import type { StepRows } from "../../core/backend.ts";

/** Adjacent rows of a step that go one way. */
export interface RowRange {
  readonly first: number;
  readonly count: number;
  /** Consecutive positions of one slot, every row at home there; otherwise each row is by itself. */
  readonly isRun: boolean;
}

/** The rows of a step in order, as runs of two rows or more and what lies between them. */
export function rowRanges(rows: StepRows): RowRange[] {
  const T = rows.positions.length;
  const ranges: RowRange[] = [];
  let alone = 0;
  for (let t = 0; t < T;) {
    let end = t + 1;
    while (end < T && follows(rows, end)) end++;
    if (end - t > 1) {
      if (alone < t) ranges.push({ first: alone, count: t - alone, isRun: false });
      ranges.push({ first: t, count: end - t, isRun: true });
      alone = end;
    }
    t = end;
  }
  if (alone < T) ranges.push({ first: alone, count: T - alone, isRun: false });
  return ranges;
}

function follows({ slots, positions, homes }: StepRows, t: number): boolean {
  return slots[t] === slots[t - 1] && positions[t] === positions[t - 1] + 1 &&
    homes[t] === positions[t] && homes[t - 1] === positions[t - 1];
}
