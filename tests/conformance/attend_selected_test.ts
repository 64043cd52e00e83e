import type { ForcedTokens } from "../../core/backend.ts";
import { type Case, conformance } from "./conformance.ts";
import { range, selectBySorting, selectedAttention, setImportance } from "./oracle.ts";
import { Scenario, SCENARIOS } from "./scenario.ts";

// As attend; the tail adds a mean of values from differences of f32 sums over up to 4,097 tokens of a few units each.
const BOUND = 1e-5;

interface Options {
  readonly perHead: boolean;
  readonly tail: boolean;
  readonly staged: boolean;
  readonly forced: ForcedTokens;
  readonly budget: (kvLen: number) => number;
}

function attendsSelected(scenario: Scenario, name: string, options: Options): Case {
  const { Hq, Hk, d, kvDtype = "f32" } = scenario.spec;
  const { T } = scenario;
  const { perHead, tail, staged, forced, budget } = options;
  const H = perHead ? Hq : Hk;
  const scale = 1 / Math.sqrt(d);
  const kvLens = [...scenario.rows.positions].map((position) => position + 1);
  const K = Math.max(
    ...kvLens.map((n) => Math.min(n, Math.max(budget(n), forced.sinkTokens + forced.recentTokens + 1))),
  );
  const heavy = Int32Array.from({ length: T * H }, (_, i) => budget(kvLens[Math.floor(i / H)]));
  const words = [
    perHead ? "per head" : "per group",
    tail ? "tail" : "no tail",
    ...(staged ? ["staged"] : []),
  ];
  return {
    name: `${name}, ${words.join(", ")}`,
    run: async (bench) => {
      const { backend } = bench;
      const { cache, qkv } = scenario.install(bench);
      const scores = scenario.scores(bench);
      const selection = scenario.selection(bench, H, K);
      backend.scoreLabels(scores, qkv, cache);
      backend.selectTokens(selection, scores, bench.tensor(heavy, [T, H]), forced);
      const out = bench.output("f32", [T, Hq, d]);
      const staging = staged ? bench.output(kvDtype, [T, Hk, K, 2, d]) : null;
      if (staging !== null) await backend.fetchRows(staging, cache, selection);
      backend.attendSelected(out, qkv, cache, selection, {
        scale,
        ...(tail && { tail: { scores, forced } }),
        ...(staging !== null && { staging }),
      });
      return { out: (await bench.read(out)) as Float32Array };
    },
    oracle: () => {
      const chosen = range(0, T).map((t) =>
        range(0, H).map((h) => selectBySorting(setImportance(scenario, t, h, H), budget(kvLens[t]), forced))
      );
      return { out: selectedAttention(scenario, scale, chosen, tail ? forced : null) };
    },
  };
}

const USUAL: ForcedTokens = { sinkTokens: 4, recentTokens: 16 };
const FEW: ForcedTokens = { sinkTokens: 1, recentTokens: 2 };
const eighth = (kvLen: number) => Math.ceil(kvLen / 8) + 3;

conformance("attendSelected", BOUND, [
  ...SCENARIOS.flatMap((spec) => {
    const scenario = new Scenario(spec);
    const base = { staged: false, budget: eighth };
    return [
      attendsSelected(scenario, spec.name, { ...base, perHead: false, tail: true, forced: FEW }),
      attendsSelected(scenario, spec.name, { ...base, perHead: true, tail: true, forced: FEW }),
    ];
  }),
  ...SCENARIOS.filter(({ name }) => /N = 65,|N = 1,|N = 200|one step|private/.test(name)).flatMap((spec) => {
    const scenario = new Scenario(spec, 5);
    const base = { perHead: false, tail: true, staged: false, forced: USUAL };
    return [
      attendsSelected(scenario, spec.name, { ...base, tail: false, budget: eighth }),
      attendsSelected(scenario, spec.name, { ...base, staged: true, budget: (n) => eighth(n) + 21 }),
      attendsSelected(scenario, `${spec.name}: only the forced`, { ...base, budget: () => 1 }),
      attendsSelected(scenario, `${spec.name}: half`, { ...base, budget: (n) => Math.ceil(n / 2) }),
      attendsSelected(scenario, `${spec.name}: all but one`, { ...base, budget: (n) => Math.max(1, n - 1) }),
      attendsSelected(scenario, `${spec.name}: all`, { ...base, budget: (n) => n }),
    ];
  }),
]);
