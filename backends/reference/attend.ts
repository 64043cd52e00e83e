import type { AttendOptions, LayerCache, StepRows } from "../../core/backend.ts";
import { exactLogits, type Group, loadQuery, softmax, weightedValues } from "./attention.ts";
import { floats, type FloatTensor } from "./tensor.ts";

/** Dense causal attention: out [T, Hq, d]. */
export function attend(
  out: FloatTensor,
  qkv: FloatTensor,
  cache: LayerCache,
  { scale, window = 0 }: AttendOptions,
  rows: StepRows,
): void {
  const kv = floats(cache.kv);
  const [T, heads, d] = qkv.shape;
  const [, Hk, S] = kv.shape;
  const Hq = heads - 2 * Hk;
  const g = Hq / Hk;
  const longest = rows.positions.reduce((most, position) => Math.max(most, position + 1), 0);
  const places = new Int32Array(longest);
  const query = new Float64Array(g * d);
  const logits = new Float64Array(g * longest);
  const total = new Float64Array(g * d);
  for (let t = 0; t < T; t++) {
    const position = rows.positions[t];
    const first = window > 0 ? Math.max(0, position - window + 1) : 0;
    const count = position - first + 1;
    for (let i = 0; i < count - 1; i++) places[i] = first + i;
    places[count - 1] = rows.homes[t];
    for (let h = 0; h < Hk; h++) {
      const asked = (t * heads + h * g) * d;
      loadQuery(query, qkv.chunk(asked), qkv.offset(asked), g * d);
      const start = (rows.slots[t] * Hk + h) * S * 2 * d;
      const group: Group = { query, heads: g, d, kv: kv.chunk(start), base: kv.offset(start), places, count };
      exactLogits(logits, group, scale);
      const sums = Array.from({ length: g }, (_, i) => softmax(logits, i * count, count).sum);
      weightedValues(total, logits, group);
      const to = (t * Hq + h * g) * d;
      const target = out.chunk(to);
      const at = out.offset(to);
      for (let i = 0; i < g * d; i++) target[at + i] = total[i] / sums[Math.floor(i / d)];
    }
  }
}
