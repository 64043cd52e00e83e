import type { LayerCache, Scores, StepRows } from "../../core/backend.ts";
import { quantiseQuery } from "../../core/importance.ts";
import { labelWords, NARROW_PER_WORD, WIDE_PER_WORD } from "../../core/labels.ts";
import { floats, type FloatTensor, ints, words } from "./tensor.ts";

/** score[n] = Σ_c Q_c·code[n, c] for the kvLen tokens of every row, with each head's exponent and largest score. */
export function scoreLabels(scores: Scores, qkv: FloatTensor, cache: LayerCache, rows: StepRows): void {
  const labels = cache.labels;
  if (labels === null) return;
  const [T, heads, d] = qkv.shape;
  const [, Hk, S] = cache.kv.shape;
  const Hq = heads - 2 * Hk;
  const g = Hq / Hk;
  const { wide, narrow } = labels.layout;
  const W = labelWords(labels.layout);
  const packed = words(labels.words);
  const channels = ints(labels.channels).chunks[0];
  const step = floats(labels.step).chunks[0];
  const out = ints(scores.scores);
  const Q = new Int32Array(wide + narrow);
  for (let t = 0; t < T; t++) {
    const position = rows.positions[t];
    for (let q = 0; q < Hq; q++) {
      const h = Math.floor(q / g);
      const asked = (t * heads + q) * d;
      const exponent = quantiseQuery(
        Q,
        qkv.chunk(asked),
        qkv.offset(asked),
        channels,
        step,
        h * (wide + narrow),
      );
      const start = (rows.slots[t] * Hk + h) * S * W;
      const label = packed.chunk(start);
      const first = packed.offset(start);
      const to = (t * Hq + q) * S;
      const target = out.chunk(to);
      const at = out.offset(to);
      let largest = -Infinity;
      for (let n = 0; n <= position; n++) {
        const place = n === position ? rows.homes[t] : n;
        const score = scoreOf(Q, label, first + place * W, wide, narrow);
        target[at + n] = score;
        if (score > largest) largest = score;
      }
      ints(scores.exponents).chunks[0][t * Hq + q] = exponent;
      ints(scores.maxima).chunks[0][t * Hq + q] = largest;
    }
  }
}

/** Σ_c Q_c·code_c of one token: `wide` codes of 4 bits from word `at`, then `narrow` codes of 2 bits. */
function scoreOf(Q: Int32Array, label: Uint32Array, at: number, wide: number, narrow: number): number {
  let score = 0;
  let word = at;
  for (let c = 0; c < wide; c += WIDE_PER_WORD) {
    const codes = label[word++];
    for (let j = 0; j < WIDE_PER_WORD; j++) score += Q[c + j] * ((codes >>> (4 * j)) & 15);
  }
  for (let c = wide; c < wide + narrow; c += NARROW_PER_WORD) {
    const codes = label[word++];
    for (let j = 0; j < NARROW_PER_WORD; j++) score += Q[c + j] * ((codes >>> (2 * j)) & 3);
  }
  return score;
}
