/**
 * Exact attention of one row's query heads over a list of tokens, in three parts. `attend` and `attendSelected` both run
 * them over tokens in ascending order, the row itself last: with every token selected their bits are the same.
 */
import { exp } from "../../core/math.ts";

/** Query heads that read one KV head, and where the K and V they read lie. */
export interface Group {
  /** f64 [heads, d] */
  readonly query: Float64Array;
  readonly heads: number;
  readonly d: number;
  /** Rows of K d | V d, row n at base + n·2·d. */
  readonly kv: Float32Array;
  readonly base: number;
  /** The rows to attend to, the first `count` of these. */
  readonly places: Int32Array;
  readonly count: number;
}

/** f64 [heads, d] ← heads of a row of qkv. */
export function loadQuery(query: Float64Array, qkv: Float32Array, at: number, count: number): void {
  for (let i = 0; i < count; i++) query[i] = qkv[at + i];
}

/**
 * logits [heads, count] ← scale · q·k, each dot product one f64 sum over the channels in order. Tiles of 2 heads × 4
 * tokens keep eight such sums going.
 */
export function exactLogits(logits: Float64Array, group: Group, scale: number): void {
  const { query, heads, d, kv, base, places, count } = group;
  const pitch = 2 * d;
  let n = 0;
  for (; n + 4 <= count; n += 4) {
    const k0 = base + places[n] * pitch;
    const k1 = base + places[n + 1] * pitch;
    const k2 = base + places[n + 2] * pitch;
    const k3 = base + places[n + 3] * pitch;
    let h = 0;
    for (; h + 2 <= heads; h += 2) {
      const qa = h * d;
      const qb = qa + d;
      let a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
      for (let c = 0; c < d; c++) {
        const x = query[qa + c], y = query[qb + c];
        const v0 = kv[k0 + c], v1 = kv[k1 + c], v2 = kv[k2 + c], v3 = kv[k3 + c];
        a0 += x * v0, a1 += x * v1, a2 += x * v2, a3 += x * v3;
        b0 += y * v0, b1 += y * v1, b2 += y * v2, b3 += y * v3;
      }
      const a = h * count + n;
      const b = a + count;
      logits[a] = a0 * scale,
        logits[a + 1] = a1 * scale,
        logits[a + 2] = a2 * scale,
        logits[a + 3] = a3 * scale;
      logits[b] = b0 * scale,
        logits[b + 1] = b1 * scale,
        logits[b + 2] = b2 * scale,
        logits[b + 3] = b3 * scale;
    }
    if (h < heads) {
      const qa = h * d;
      let a0 = 0, a1 = 0, a2 = 0, a3 = 0;
      for (let c = 0; c < d; c++) {
        const x = query[qa + c];
        a0 += x * kv[k0 + c], a1 += x * kv[k1 + c], a2 += x * kv[k2 + c], a3 += x * kv[k3 + c];
      }
      const a = h * count + n;
      logits[a] = a0 * scale,
        logits[a + 1] = a1 * scale,
        logits[a + 2] = a2 * scale,
        logits[a + 3] = a3 * scale;
    }
  }
  for (; n < count; n++) {
    const k = base + places[n] * pitch;
    for (let h = 0; h < heads; h++) {
      let sum = 0;
      for (let c = 0; c < d; c++) sum += query[h * d + c] * kv[k + c];
      logits[h * count + n] = sum * scale;
    }
  }
}

/** What a head's softmax needs besides its weights. */
export interface Softmax {
  readonly largest: number;
  /** Z = Σ exp(logit - largest). */
  readonly sum: number;
}

/** weights ← exp(logit - largest), in place, of `count` logits from `at`. */
export function softmax(logits: Float64Array, at: number, count: number): Softmax {
  let largest = -Infinity;
  for (let i = at; i < at + count; i++) if (logits[i] > largest) largest = logits[i];
  let sum = 0;
  for (let i = at; i < at + count; i++) {
    const weight = exp(logits[i] - largest);
    logits[i] = weight;
    sum += weight;
  }
  return { largest, sum };
}

/** total [heads, d] ← Σ weight·V, token after token. */
export function weightedValues(total: Float64Array, weights: Float64Array, group: Group): void {
  const { heads, d, kv, base, places, count } = group;
  const pitch = 2 * d;
  total.fill(0, 0, heads * d);
  let n = 0;
  for (; n + 4 <= count; n += 4) {
    const v0 = base + places[n] * pitch + d;
    const v1 = base + places[n + 1] * pitch + d;
    const v2 = base + places[n + 2] * pitch + d;
    const v3 = base + places[n + 3] * pitch + d;
    for (let h = 0; h < heads; h++) {
      const w = h * count + n;
      const w0 = weights[w], w1 = weights[w + 1], w2 = weights[w + 2], w3 = weights[w + 3];
      const at = h * d;
      for (let c = 0; c < d; c++) {
        total[at + c] = total[at + c] + w0 * kv[v0 + c] + w1 * kv[v1 + c] + w2 * kv[v2 + c] + w3 * kv[v3 + c];
      }
    }
  }
  for (; n < count; n++) {
    const v = base + places[n] * pitch + d;
    for (let h = 0; h < heads; h++) {
      const weight = weights[h * count + n];
      for (let c = 0; c < d; c++) total[h * d + c] += weight * kv[v + c];
    }
  }
}
