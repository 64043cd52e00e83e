import { INT_POISON } from "./bench.ts";
import { type Case, conformance } from "./conformance.ts";
import { labelScores } from "./oracle.ts";
import { Scenario, SCENARIOS } from "./scenario.ts";

function scoresOf(scenario: Scenario, name: string): Case {
  const { Hq } = scenario.spec;
  return {
    name,
    run: async (bench) => {
      const { cache, qkv } = scenario.install(bench);
      const scores = scenario.scores(bench);
      bench.backend.scoreLabels(scores, qkv, cache);
      return {
        scores: used(scenario, (await bench.read(scores.scores)) as Int32Array),
        exponents: (await bench.read(scores.exponents)) as Int32Array,
        maxima: (await bench.read(scores.maxima)) as Int32Array,
      };
    },
    oracle: () => {
      const rows = labelScores(scenario);
      const scores = new Int32Array(scenario.T * Hq * scenario.S).fill(INT_POISON);
      rows.forEach((heads, t) =>
        heads.forEach((head, q) => scores.set(head.scores, (t * Hq + q) * scenario.S))
      );
      return {
        scores: used(scenario, scores),
        exponents: Int32Array.from(rows.flatMap((heads) => heads.map(({ exponent }) => exponent))),
        maxima: Int32Array.from(rows.flatMap((heads) => heads.map(({ max }) => max))),
      };
    },
  };
}

/** Beyond kvLen a backend may leave what it likes: only the entries in use are compared. */
function used(scenario: Scenario, scores: Int32Array): Int32Array {
  const { Hq } = scenario.spec;
  return scores.map((score, i) => {
    const t = Math.floor(i / (Hq * scenario.S));
    return i % scenario.S <= scenario.rows.positions[t] ? score : 0;
  });
}

/** Queries far from 1: exponents of either sign, one head all zero. */
function extremeQueries(): Scenario {
  const scenario = new Scenario({
    name: "",
    Hq: 8,
    Hk: 1,
    d: 64,
    cached: [70],
    rows: [{ slot: 0, position: 70 }],
  }, 3);
  [1e-30, 1e-6, 3, 700, 1e6, 0, 1e-35, 1e20].forEach((scale, q) => {
    const query = scenario.query(0, q);
    query.forEach((value, c) => query[c] = value * scale);
  });
  return scenario;
}

conformance("scoreLabels", 0, [
  ...SCENARIOS.map((spec) => scoresOf(new Scenario(spec), spec.name)),
  scoresOf(new Scenario(SCENARIOS[6]).halfway(), "queries halfway between two codes"),
  scoresOf(extremeQueries(), "queries from 1e-35 to 1e20 and a zero one"),
]);
