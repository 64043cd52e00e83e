import type { LabelCache, LayerCache, StepRows } from "../../core/backend.ts";
import { VALUE_SUM_TOKENS } from "../../core/kv_cache.ts";
import { labelWords, NARROW_PER_WORD, WIDE_PER_WORD } from "../../core/labels.ts";
import { roundHalfEven } from "../../core/math.ts";
import { floats, type FloatTensor, ints, rounding, words } from "./tensor.ts";

/** Writes K and V of qkv [T, Hq + 2·Hk, d], and the label of K, at homes[t]. */
export function appendKv(cache: LayerCache, qkv: FloatTensor, rows: StepRows): void {
  const kv = floats(cache.kv);
  const [T, heads, d] = qkv.shape;
  const [, Hk, S] = kv.shape;
  const firstKey = heads - 2 * Hk;
  const round = rounding(kv.dtype);
  for (let t = 0; t < T; t++) {
    for (let h = 0; h < Hk; h++) {
      const place = (rows.slots[t] * Hk + h) * S + rows.homes[t];
      const target = kv.chunk(place * 2 * d);
      const to = kv.offset(place * 2 * d);
      const key = (t * heads + firstKey + h) * d;
      const value = key + Hk * d;
      const source = qkv.chunk(key);
      const keyAt = qkv.offset(key);
      const valueAt = qkv.offset(value);
      for (let c = 0; c < d; c++) target[to + c] = round(source[keyAt + c]);
      for (let c = 0; c < d; c++) target[to + d + c] = round(source[valueAt + c]);
      if (cache.labels !== null) writeLabel(cache.labels, h, place, source, keyAt);
    }
  }
  if (cache.labels !== null) sumValues(cache.labels, kv, rows);
}

/** The label of a key, as it was before the cache rounded it, at `place` of [slots · Hk · S]. */
function writeLabel(labels: LabelCache, head: number, place: number, key: Float32Array, keyAt: number): void {
  const { wide, narrow } = labels.layout;
  const C = wide + narrow;
  const W = labelWords(labels.layout);
  const channels = ints(labels.channels).chunks[0];
  const zero = floats(labels.zero).chunks[0];
  const inverseStep = floats(labels.inverseStep).chunks[0];
  const code = (j: number, largest: number): number => {
    const c = head * C + j;
    const difference = Math.fround(key[keyAt + channels[c]] - zero[c]);
    const rounded = roundHalfEven(Math.fround(difference * inverseStep[c]));
    return rounded > largest ? largest : rounded > 0 ? rounded : 0;
  };
  const target = words(labels.words).chunk(place * W);
  let at = words(labels.words).offset(place * W);
  for (let first = 0; first < wide; first += WIDE_PER_WORD) {
    let word = 0;
    for (let j = 0; j < WIDE_PER_WORD; j++) word |= code(first + j, 15) << (4 * j);
    target[at++] = word;
  }
  for (let first = wide; first < C; first += NARROW_PER_WORD) {
    let word = 0;
    for (let j = 0; j < NARROW_PER_WORD; j++) word |= code(first + j, 3) << (2 * j);
    target[at++] = word;
  }
}

/** Entry j of valueSums for every row at position 64·j - 1; ascending, as each entry builds on the one before. */
function sumValues(labels: LabelCache, kv: FloatTensor, rows: StepRows): void {
  const sums = floats(labels.valueSums);
  const [, Hk, S, , d] = kv.shape;
  const entries = sums.shape[2];
  const completing = [...rows.positions.keys()]
    .filter((t) => rows.homes[t] === rows.positions[t] && (rows.positions[t] + 1) % VALUE_SUM_TOKENS === 0)
    .sort((a, b) => rows.positions[a] - rows.positions[b]);
  for (const t of completing) {
    const entry = (rows.positions[t] + 1) / VALUE_SUM_TOKENS;
    if (entry >= entries) continue;
    for (let h = 0; h < Hk; h++) {
      const head = rows.slots[t] * Hk + h;
      const total = sumOfValues(sums, kv, head, S, rows.positions[t] + 1, entry - 1);
      sums.chunk((head * entries + entry) * d).set(total, sums.offset((head * entries + entry) * d));
    }
  }
}

/**
 * ΣV of the tokens n < end of one slot's head (slot · Hk + h), f64 [d]: entry `entry` of valueSums and the tokens after it.
 */
export function sumOfValues(
  sums: FloatTensor,
  kv: FloatTensor,
  head: number,
  S: number,
  end: number,
  entry = Math.floor(end / VALUE_SUM_TOKENS),
): Float64Array {
  const d = sums.shape[3];
  const known = (head * sums.shape[2] + entry) * d;
  const total = new Float64Array(d);
  const from = sums.chunk(known);
  const at = sums.offset(known);
  for (let c = 0; c < d; c++) total[c] = from[at + c];
  const first = head * S * 2 * d;
  const values = kv.chunk(first);
  for (let n = entry * VALUE_SUM_TOKENS; n < end; n++) {
    const row = kv.offset(first) + n * 2 * d + d;
    for (let c = 0; c < d; c++) total[c] += values[row + c];
  }
  return total;
}
