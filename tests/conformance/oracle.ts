/** The attention ops by plain arithmetic from METHOD.md: no code in common with core or any backend but rounding to f16. */
import type { ForcedTokens } from "../../core/backend.ts";
import type { Scenario } from "./scenario.ts";

/** Exact logits of row t, head q over `tokens`. */
function logits(
  scenario: Scenario,
  t: number,
  q: number,
  tokens: readonly number[],
  scale: number,
): number[] {
  const { Hq, Hk } = scenario.spec;
  const kvHead = Math.floor(q / (Hq / Hk));
  const query = scenario.query(t, q);
  return tokens.map((n) =>
    scenario.held(t, kvHead, n, 0).reduce((sum, k, c) => sum + k * query[c], 0) * scale
  );
}

/** softmax·V of row t, head q over `tokens`, with a virtual token of weight `tail(logits, Z)` (at e^largest = 1). */
function attention(
  scenario: Scenario,
  t: number,
  q: number,
  tokens: readonly number[],
  scale: number,
  tail: (exact: number[], largest: number, z: number) => { weight: number; value: Float64Array } | null,
): Float64Array {
  const { Hq, Hk, d } = scenario.spec;
  const kvHead = Math.floor(q / (Hq / Hk));
  const exact = logits(scenario, t, q, tokens, scale);
  const largest = Math.max(...exact);
  const weights = exact.map((logit) => Math.exp(logit - largest));
  const z = weights.reduce((sum, weight) => sum + weight, 0);
  const virtual = tail(exact, largest, z);
  const out = new Float64Array(d);
  tokens.forEach((n, i) => scenario.held(t, kvHead, n, 1).forEach((v, c) => out[c] += weights[i] * v));
  virtual?.value.forEach((v, c) => out[c] += virtual.weight * v);
  return out.map((sum) => sum / (z + (virtual?.weight ?? 0)));
}

export function denseAttention(scenario: Scenario, scale: number, window = 0): Float64Array {
  const { Hq, d } = scenario.spec;
  const out = new Float64Array(scenario.T * Hq * d);
  for (let t = 0; t < scenario.T; t++) {
    const position = scenario.rows.positions[t];
    const first = window > 0 ? Math.max(0, position - window + 1) : 0;
    const tokens = range(first, position + 1);
    for (let q = 0; q < Hq; q++) {
      out.set(attention(scenario, t, q, tokens, scale, () => null), (t * Hq + q) * d);
    }
  }
  return out;
}

/** Halves to even, by cases. */
function roundEven(x: number): number {
  const low = Math.floor(x);
  const rest = x - low;
  if (rest !== 0.5) return rest < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}

/** Codes of one key, in the order of the layout. */
export function codesOf(scenario: Scenario, kvHead: number, key: Float32Array): number[] {
  const { wide, narrow } = scenario.layout;
  return range(0, wide + narrow).map((j) => {
    const c = kvHead * (wide + narrow) + j;
    const difference = Math.fround(key[scenario.channels[c]] - scenario.zero[c]);
    const code = roundEven(Math.fround(difference * scenario.inverseStep[c]));
    return Math.min(Math.max(code, 0), j < wide ? 15 : 3);
  });
}

/** Words of one key: each code at its bits. */
export function wordsOf(scenario: Scenario, kvHead: number, key: Float32Array): number[] {
  const { wide, narrow } = scenario.layout;
  const words = new Array<bigint>(wide / 8 + narrow / 16).fill(0n);
  codesOf(scenario, kvHead, key).forEach((code, j) => {
    const [word, bit] = j < wide
      ? [Math.floor(j / 8), 4 * (j % 8)]
      : [wide / 8 + Math.floor((j - wide) / 16), 2 * ((j - wide) % 16)];
    words[word] += BigInt(code) << BigInt(bit);
  });
  return words.map(Number);
}

export interface HeadScores {
  readonly exponent: number;
  readonly codes: readonly number[];
  /** Over n = 0 .. kvLen - 1. */
  readonly scores: readonly number[];
  readonly max: number;
}

const scored = new WeakMap<Scenario, HeadScores[][]>();

/** Per row and query head. */
export function labelScores(scenario: Scenario): HeadScores[][] {
  const known = scored.get(scenario);
  if (known !== undefined) return known;
  const { Hq, Hk } = scenario.spec;
  const C = scenario.layout.wide + scenario.layout.narrow;
  const all = range(0, scenario.T).map((t) => {
    const tokens = range(0, scenario.rows.positions[t] + 1);
    const labels = range(0, Hk).map((h) =>
      tokens.map((n) => codesOf(scenario, h, scenario.seen(t, h, n, 0)))
    );
    return range(0, Hq).map((q) => {
      const h = Math.floor(q / (Hq / Hk));
      const w = range(h * C, (h + 1) * C)
        .map((c) => Math.fround(scenario.query(t, q)[scenario.channels[c]] * scenario.step[c]));
      const largest = Math.max(...w.map(Math.abs));
      let exponent = 0;
      while (largest > 0 && largest * 2 ** exponent < 64) exponent++;
      while (largest * 2 ** exponent >= 128) exponent--;
      const codes = w.map((value) => Math.min(Math.max(roundEven(value * 2 ** exponent), -127), 127));
      const scores = labels[h].map((label) => label.reduce((sum, code, j) => sum + codes[j] * code, 0));
      return {
        exponent,
        codes,
        scores,
        max: scores.reduce((most, score) => Math.max(most, score), -Infinity),
      };
    });
  });
  scored.set(scenario, all);
  return all;
}

/** TABLE[y & 255] >> (y >> 8) with M, s and y as METHOD.md words them, in big integers. */
export function importanceOf(z: number, exponent: number, d: number): number {
  let s = 0;
  const rounded = (bits: number) => Math.round((Math.LOG2E / Math.sqrt(d)) * 2 ** bits);
  while (rounded(s) < 2 ** 13) s++;
  const M = BigInt(rounded(s));
  const shift = s + exponent - 8;
  const product = BigInt(z) * M;
  const y = shift >= 32 ? 0n : shift >= 0 ? product >> BigInt(shift) : product << BigInt(-shift);
  const i = y / 256n;
  return i > 24n ? 0 : Math.floor(Math.round(2 ** (24 - Number(y % 256n) / 256)) / 2 ** Number(i));
}

/** Importance of every token of set h of row t. */
export function setImportance(scenario: Scenario, t: number, h: number, H: number): number[] {
  const { Hq, d } = scenario.spec;
  const heads = labelScores(scenario)[t].slice(h * (Hq / H), (h + 1) * (Hq / H));
  return heads[0].scores.map((_, n) =>
    heads.reduce((sum, head) => sum + importanceOf(head.max - head.scores[n], head.exponent, d), 0)
  );
}

/** By sorting: forced ones, then the heaviest, among equals the lower place; ascending. */
export function selectBySorting(weights: readonly number[], k: number, forced: ForcedTokens): number[] {
  const kvLen = weights.length;
  const isForced = (n: number) => n < forced.sinkTokens || n >= kvLen - 1 - forced.recentTokens;
  const all = range(0, kvLen);
  const others = all.filter((n) => !isForced(n)).sort((a, b) => weights[b] - weights[a] || a - b);
  const chosen = all.filter(isForced);
  return [...chosen, ...others.slice(0, Math.max(0, k - chosen.length))].sort((a, b) => a - b);
}

/** Σ exp(μ·(score - max)) over the tokens not chosen. */
export function massOf(scenario: Scenario, t: number, q: number, chosen: readonly number[]): number {
  const head = labelScores(scenario)[t][q];
  const mu = 2 ** -head.exponent / Math.sqrt(scenario.spec.d);
  const kept = new Set(chosen);
  return head.scores.reduce(
    (sum, score, n) => kept.has(n) ? sum : sum + Math.exp(mu * (score - head.max)),
    0,
  );
}

/** Attention over the chosen tokens of each set, `chosen[t][h]`, with the tail where `forced` is given. */
export function selectedAttention(
  scenario: Scenario,
  scale: number,
  chosen: readonly (readonly (readonly number[])[])[],
  forced: ForcedTokens | null,
): Float64Array {
  const { Hq, Hk, d } = scenario.spec;
  const out = new Float64Array(scenario.T * Hq * d);
  for (let t = 0; t < scenario.T; t++) {
    const position = scenario.rows.positions[t];
    const H = chosen[t].length;
    for (let h = 0; h < H; h++) {
      const tokens = chosen[t][h];
      const kept = new Set(tokens);
      const others = range(0, position + 1).filter((n) => !kept.has(n));
      const mean = new Float64Array(d);
      if (forced !== null) {
        const kvHead = Math.floor(h / (H / Hk));
        for (const n of others) {
          scenario.held(t, kvHead, n, 1).forEach((v, c) => mean[c] += v / others.length);
        }
      }
      for (let q = h * (Hq / H); q < (h + 1) * (Hq / H); q++) {
        const result = attention(scenario, t, q, tokens, scale, (exact, largest, z) => {
          if (forced === null || others.length === 0) return null;
          const head = labelScores(scenario)[t][q];
          const mu = 2 ** -head.exponent / Math.sqrt(d);
          const free = tokens.map((n, i) => ({ n, i }))
            .filter(({ n }) => n >= forced.sinkTokens && n < position - forced.recentTokens);
          if (free.length === 0) return null;
          const delta = free.reduce((sum, { n, i }) => sum + exact[i] - mu * head.scores[n], 0) / free.length;
          const weight = others.reduce((sum, n) => sum + Math.exp(mu * head.scores[n] + delta - largest), 0);
          return { weight: Math.min(weight, z / 9), value: mean };
        });
        out.set(result, (t * Hq + q) * d);
      }
    }
  }
  return out;
}

export function range(first: number, end: number): number[] {
  return Array.from({ length: end - first }, (_, i) => first + i);
}
