import type { StepRows } from "../../core/backend.ts";
import type { FloatTensor } from "./tensor.ts";

/** out [T, D] ← row tokens[t] of table [V, D]. */
export function embed(out: FloatTensor, table: FloatTensor, rows: StepRows): void {
  copyRows(out, table, rows.tokens, table.shape[1]);
}

/** Row r of `out` ← row indices[r] of `source`. */
export function copyRows(
  out: FloatTensor,
  source: FloatTensor,
  indices: Int32Array,
  columns: number,
): void {
  for (let r = 0; r < indices.length; r++) {
    const from = indices[r] * columns;
    const at = source.offset(from);
    out.chunk(r * columns).set(source.chunk(from).subarray(at, at + columns), out.offset(r * columns));
  }
}
