import { FLOAT_POISON, roundTo } from "./bench.ts";
import { type Case, conformance } from "./conformance.ts";
import { range, selectBySorting, setImportance } from "./oracle.ts";
import { Scenario, SCENARIOS } from "./scenario.ts";

const FORCED = { sinkTokens: 2, recentTokens: 3 };

function fetches(scenario: Scenario, name: string): Case {
  const { Hk, d, kvDtype = "f32" } = scenario.spec;
  const { T } = scenario;
  const kvLens = [...scenario.rows.positions].map((position) => position + 1);
  const budget = (kvLen: number) => Math.ceil(kvLen / 3);
  const K = Math.max(...kvLens.map((n) => Math.min(n, Math.max(budget(n), 6))));
  const heavy = Int32Array.from({ length: T * Hk }, (_, i) => budget(kvLens[Math.floor(i / Hk)]));
  /** The row itself comes from the cache: what lies in its place is not looked at. */
  const others = (staging: Float32Array, chosen: (t: number, h: number) => readonly number[]) => {
    const kept = new Float32Array(staging.length);
    for (let t = 0; t < T; t++) {
      for (let h = 0; h < Hk; h++) {
        chosen(t, h).forEach((n, i) => {
          const at = ((t * Hk + h) * K + i) * 2 * d;
          if (n !== scenario.rows.positions[t]) kept.set(staging.subarray(at, at + 2 * d), at);
        });
      }
    }
    return kept;
  };
  const expected = (t: number, h: number) =>
    selectBySorting(setImportance(scenario, t, h, Hk), budget(kvLens[t]), FORCED);
  return {
    name,
    run: async (bench) => {
      const { backend } = bench;
      const { cache, qkv } = scenario.install(bench);
      const scores = scenario.scores(bench);
      const selection = scenario.selection(bench, Hk, K);
      backend.scoreLabels(scores, qkv, cache);
      backend.selectTokens(selection, scores, bench.tensor(heavy, [T, Hk]), FORCED);
      const staging = bench.output(kvDtype, [T, Hk, K, 2, d]);
      await backend.fetchRows(staging, cache, selection);
      return { rows: others((await bench.read(staging)) as Float32Array, expected) };
    },
    oracle: () => {
      const staging = new Float32Array(T * Hk * K * 2 * d).fill(roundTo(FLOAT_POISON, kvDtype));
      for (const t of range(0, T)) {
        for (const h of range(0, Hk)) {
          expected(t, h).forEach((n, i) => {
            const at = ((t * Hk + h) * K + i) * 2 * d;
            staging.set(scenario.held(t, h, n, 0), at);
            staging.set(scenario.held(t, h, n, 1), at + d);
          });
        }
      }
      return { rows: others(staging, expected) };
    },
  };
}

// A copy.
conformance("fetchRows", 0, SCENARIOS.map((spec) => fetches(new Scenario(spec, 6), spec.name)));
