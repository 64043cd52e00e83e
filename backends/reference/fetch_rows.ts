import type { LayerCache, Selection, StepRows } from "../../core/backend.ts";
import { floats, type FloatTensor, ints } from "./tensor.ts";

/** staging [T, Hk, K, 2, d] ← the selected rows of the cache; the row itself is left out, `attendSelected` has it. */
export function fetchRows(
  staging: FloatTensor,
  cache: LayerCache,
  selection: Selection,
  rows: StepRows,
): void {
  const kv = floats(cache.kv);
  const [T, Hk, K, , d] = staging.shape;
  const S = kv.shape[2];
  for (let t = 0; t < T; t++) {
    for (let h = 0; h < Hk; h++) {
      const list = (t * Hk + h) * K;
      const indices = ints(selection.indices).chunk(list);
      const at = ints(selection.indices).offset(list);
      const count = ints(selection.counts).chunks[0][t * Hk + h];
      for (let i = 0; i < count; i++) {
        const n = indices[at + i];
        if (n === rows.positions[t]) continue;
        const from = ((rows.slots[t] * Hk + h) * S + n) * 2 * d;
        const source = kv.chunk(from);
        const start = kv.offset(from);
        const to = (list + i) * 2 * d;
        staging.chunk(to).set(source.subarray(start, start + 2 * d), staging.offset(to));
      }
    }
  }
}
