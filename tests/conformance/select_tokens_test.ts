import type { ForcedTokens } from "../../core/backend.ts";
import { type Case, conformance } from "./conformance.ts";
import { massOf, range, selectBySorting, setImportance } from "./oracle.ts";
import { Scenario, SCENARIOS } from "./scenario.ts";

// Indices and counts are exact. tailMass is a sum of up to 4,097 exponentials in f32.
const BOUND = 4e-6;

/** @param budget k of row t and set h, from its kvLen */
function selects(
  scenario: Scenario,
  name: string,
  perHead: boolean,
  forced: ForcedTokens,
  budget: (kvLen: number, h: number) => number,
): Case {
  const { Hq, Hk } = scenario.spec;
  const H = perHead ? Hq : Hk;
  const { T } = scenario;
  const kvLens = [...scenario.rows.positions].map((position) => position + 1);
  const heavy = Int32Array.from({ length: T * H }, (_, i) => budget(kvLens[Math.floor(i / H)], i % H));
  const K = Math.max(
    ...kvLens.map((kvLen, t) => {
      const largest = Math.max(...heavy.subarray(t * H, (t + 1) * H));
      return Math.min(kvLen, Math.max(largest, forced.sinkTokens + forced.recentTokens + 1));
    }),
  );
  return {
    name: `${name}, ${perHead ? "per head" : "per group"}`,
    run: async (bench) => {
      const { cache, qkv } = scenario.install(bench);
      const scores = scenario.scores(bench);
      const selection = scenario.selection(bench, H, K);
      bench.backend.scoreLabels(scores, qkv, cache);
      bench.backend.selectTokens(selection, scores, bench.tensor(heavy, [T, H]), forced);
      const counts = (await bench.read(selection.counts)) as Int32Array;
      const indices = (await bench.read(selection.indices)) as Int32Array;
      return {
        counts,
        indices: indices.map((n, i) => (i % K < counts[Math.floor(i / K)] ? n : -1)),
        tailMass: (await bench.read(selection.tailMass)) as Float32Array,
      };
    },
    oracle: () => {
      const counts = new Int32Array(T * H);
      const indices = new Int32Array(T * H * K).fill(-1);
      const tailMass = new Float64Array(T * Hq);
      for (let t = 0; t < T; t++) {
        for (let h = 0; h < H; h++) {
          const chosen = selectBySorting(setImportance(scenario, t, h, H), heavy[t * H + h], forced);
          counts[t * H + h] = chosen.length;
          indices.set(chosen, (t * H + h) * K);
          for (let q = h * (Hq / H); q < (h + 1) * (Hq / H); q++) {
            tailMass[t * Hq + q] = massOf(scenario, t, q, chosen);
          }
        }
      }
      return { counts, indices, tailMass };
    },
  };
}

/** Every token has one of three keys, so that most scores tie. */
function ties(): Scenario {
  const scenario = new Scenario({
    name: "",
    Hq: 4,
    Hk: 2,
    d: 48,
    cached: [200],
    rows: [{ slot: 0, position: 200 }],
  }, 4);
  for (const h of range(0, 2)) {
    for (const n of range(3, 200)) scenario.cachedRow(0, h, n, 0).set(scenario.cachedRow(0, h, n % 3, 0));
  }
  return scenario;
}

const USUAL: ForcedTokens = { sinkTokens: 4, recentTokens: 16 };
const NONE: ForcedTokens = { sinkTokens: 0, recentTokens: 0 };

conformance("selectTokens", BOUND, [
  ...SCENARIOS.flatMap((spec) => {
    const scenario = new Scenario(spec);
    const some = (kvLen: number, h: number) => Math.ceil(kvLen / 4) + h;
    return [
      selects(scenario, `${spec.name}: a quarter`, false, USUAL, some),
      selects(scenario, `${spec.name}: a quarter, nothing forced`, true, NONE, some),
    ];
  }),
  ...SCENARIOS.filter(({ name }) => /N = 65,|N = 1,|one step|private/.test(name)).flatMap((spec) => {
    const scenario = new Scenario(spec);
    return [
      selects(scenario, `${spec.name}: fewer than are forced`, false, USUAL, () => 1),
      selects(scenario, `${spec.name}: exactly the forced`, false, USUAL, () => 21),
      selects(scenario, `${spec.name}: one more than the forced`, false, USUAL, () => 22),
      selects(scenario, `${spec.name}: all but one`, true, USUAL, (kvLen) => Math.max(1, kvLen - 1)),
      selects(scenario, `${spec.name}: all`, false, USUAL, (kvLen) => kvLen),
      selects(scenario, `${spec.name}: more than there are`, true, USUAL, (kvLen) => kvLen + 1000),
    ];
  }),
  selects(ties(), "ties: the lower place wins", false, USUAL, () => 60),
  selects(ties(), "ties: the lower place wins, nothing forced", true, NONE, () => 50),
]);
