import type { ForcedTokens, Scores, Selection, StepRows } from "../../core/backend.ts";
import { importance, type ImportanceScale, importanceScale } from "../../core/importance.ts";
import { exp } from "../../core/math.ts";
import { floats, ints, type IntTensor } from "./tensor.ts";

/** The heavyTokens[t, h] most important tokens of each set, ascending, and the mass of the others. */
export function selectTokens(
  selection: Selection,
  scores: Scores,
  heavyTokens: IntTensor,
  forced: ForcedTokens,
  rows: StepRows,
): void {
  const { headDim } = scores;
  const [T, Hq, S] = scores.scores.shape;
  const [, H, K] = selection.indices.shape;
  const g = Hq / H;
  const allScores = ints(scores.scores);
  const exponents = ints(scores.exponents).chunks[0];
  const maxima = ints(scores.maxima).chunks[0];
  const weights = new Uint32Array(S);
  const isSelected = new Uint8Array(S);
  for (let t = 0; t < T; t++) {
    const kvLen = rows.positions[t] + 1;
    for (let h = 0; h < H; h++) {
      weights.fill(0, 0, kvLen);
      for (let i = 0; i < g; i++) {
        const q = t * Hq + h * g + i;
        const from = q * S;
        const scale = importanceScale(headDim, exponents[q]);
        addImportance(weights, allScores.chunk(from), allScores.offset(from), kvLen, maxima[q], scale);
      }
      markSelected(isSelected, weights, kvLen, heavyTokens.chunks[0][t * H + h], forced);

      const to = (t * H + h) * K;
      const selected = isSelected.subarray(0, kvLen).reduce((sum, one) => sum + one, 0);
      if (selected > K) {
        throw new RangeError(
          `Cannot select ${selected} tokens as the selection's indices have room for ${K}`,
        );
      }
      const indices = ints(selection.indices).chunk(to);
      const at = ints(selection.indices).offset(to);
      let count = 0;
      for (let n = 0; n < kvLen; n++) if (isSelected[n] === 1) indices[at + count++] = n;
      ints(selection.counts).chunks[0][t * H + h] = count;
      for (let i = 0; i < g; i++) {
        const q = t * Hq + h * g + i;
        const perScore = 2 ** -exponents[q] / Math.sqrt(headDim);
        const from = allScores.offset(q * S);
        floats(selection.tailMass).chunks[0][q] = count === kvLen
          ? 0
          : tailMass(isSelected, allScores.chunk(q * S), from, kvLen, maxima[q], perScore);
      }
    }
  }
}

function addImportance(
  weights: Uint32Array,
  scores: Int32Array,
  at: number,
  kvLen: number,
  largest: number,
  scale: ImportanceScale,
): void {
  for (let n = 0; n < kvLen; n++) weights[n] += importance(largest - scores[at + n], scale);
}

/** Marks the forced tokens and, up to k in all, the heaviest others; among equals the lower place. */
function markSelected(
  isSelected: Uint8Array,
  weights: Uint32Array,
  kvLen: number,
  k: number,
  { sinkTokens, recentTokens }: ForcedTokens,
): void {
  if (k >= kvLen) {
    isSelected.fill(1, 0, kvLen);
    return;
  }
  isSelected.fill(0, 0, kvLen);
  isSelected.fill(1, 0, Math.min(sinkTokens, kvLen));
  isSelected.fill(1, Math.max(0, kvLen - 1 - recentTokens), kvLen);
  const firstFree = Math.min(sinkTokens, kvLen);
  const endFree = Math.max(firstFree, kvLen - 1 - recentTokens);
  const wanted = k - (kvLen - (endFree - firstFree));
  if (wanted <= 0) return;
  const { threshold, ofThreshold } = heaviest(weights, firstFree, endFree, wanted);
  let left = ofThreshold;
  for (let n = firstFree; n < endFree; n++) {
    if (weights[n] > threshold || (weights[n] === threshold && left-- > 0)) isSelected[n] = 1;
  }
}

/**
 * The value of the `wanted`-th heaviest of weights[first, end), and how many of exactly that value are among them: the
 * value is found byte by byte, from counts of the weights that share the bytes before.
 */
function heaviest(
  weights: Uint32Array,
  first: number,
  end: number,
  wanted: number,
): { threshold: number; ofThreshold: number } {
  const counts = new Uint32Array(256);
  let threshold = 0;
  let left = wanted;
  for (let shift = 24; shift >= 0; shift -= 8) {
    counts.fill(0);
    // A shift by 32 would be one by 0.
    const known = shift === 24 ? 0 : threshold >>> (shift + 8);
    for (let n = first; n < end; n++) {
      const prefix = shift === 24 ? 0 : weights[n] >>> (shift + 8);
      if (prefix === known) counts[(weights[n] >>> shift) & 255]++;
    }
    let byte = 255;
    while (counts[byte] < left) left -= counts[byte--];
    threshold = (threshold | (byte << shift)) >>> 0;
  }
  return { threshold, ofThreshold: left };
}

/**
 * Σ over the tokens not selected of exp(μ·(score - max)), by the exact exponential: the integer terms are 0.1% low, which
 * moves the output by up to 3e-5 where the tail is not capped.
 */
function tailMass(
  isSelected: Uint8Array,
  scores: Int32Array,
  at: number,
  kvLen: number,
  largest: number,
  perScore: number,
): number {
  let sum = 0;
  for (let n = 0; n < kvLen; n++) {
    if (isSelected[n] === 0) sum += exp(perScore * (scores[at + n] - largest));
  }
  return sum;
}
