import type { LayerCache, Scores, StepRows } from "../../core/backend.ts";
import { quantiseQuery } from "../../core/importance.ts";
import { labelBytes } from "../../core/labels.ts";
import { floats, type FloatTensor, ints, words } from "./tensor.ts";

/** score[n] = Σ_c Q_c·code[n, c] for the kvLen tokens of every row, with each head's exponent and largest score. */
export function scoreLabels(scores: Scores, qkv: FloatTensor, cache: LayerCache, rows: StepRows): void {
  const labels = cache.labels;
  if (labels === null) return;
  const [T, heads, d] = qkv.shape;
  const [, Hk, S] = cache.kv.shape;
  const Hq = heads - 2 * Hk;
  const g = Hq / Hk;
  const C = labels.layout.wide + labels.layout.narrow;
  const bytesPerLabel = labelBytes(labels.layout);
  const packed = words(labels.words);
  const channels = ints(labels.channels).chunks[0];
  const step = floats(labels.step).chunks[0];
  const out = ints(scores.scores);
  const codes = new Int32Array(C);
  const table = new Int32Array(256 * bytesPerLabel);
  for (let t = 0; t < T; t++) {
    const position = rows.positions[t];
    for (let q = 0; q < Hq; q++) {
      const h = Math.floor(q / g);
      const asked = (t * heads + q) * d;
      const exponent = quantiseQuery(codes, qkv.chunk(asked), qkv.offset(asked), channels, step, h * C);
      fillTable(table, codes, labels.layout.wide);

      const start = ((rows.slots[t] * Hk + h) * S * bytesPerLabel) / 4;
      const chunk = packed.chunk(start);
      const bytes = new Uint8Array(chunk.buffer, 4 * packed.offset(start), S * bytesPerLabel);
      const to = (t * Hq + q) * S;
      const target = out.chunk(to);
      const at = out.offset(to);
      let largest = scoreOf(table, bytes, rows.homes[t] * bytesPerLabel, bytesPerLabel);
      target[at + position] = largest;
      for (let n = 0; n < position; n++) {
        const score = scoreOf(table, bytes, n * bytesPerLabel, bytesPerLabel);
        target[at + n] = score;
        if (score > largest) largest = score;
      }
      ints(scores.exponents).chunks[0][t * Hq + q] = exponent;
      ints(scores.maxima).chunks[0][t * Hq + q] = largest;
    }
  }
}

/** What every value of each byte of a label adds to the score: two wide codes, or four narrow ones. */
function fillTable(table: Int32Array, codes: Int32Array, wide: number): void {
  for (let byte = 0; byte < table.length / 256; byte++) {
    const isWide = 2 * byte < wide;
    const first = isWide ? 2 * byte : wide + 4 * (byte - wide / 2);
    const bits = isWide ? 4 : 2;
    for (let value = 0; value < 256; value++) {
      let sum = 0;
      for (let j = 0; j * bits < 8; j++) {
        sum += codes[first + j] * ((value >> (j * bits)) & ((1 << bits) - 1));
      }
      table[256 * byte + value] = sum;
    }
  }
}

function scoreOf(table: Int32Array, labels: Uint8Array, at: number, count: number): number {
  let score = 0;
  for (let byte = 0; byte < count; byte++) score = (score + table[256 * byte + labels[at + byte]]) | 0;
  return score;
}
