import { type Case, conformance } from "./conformance.ts";
import { denseAttention } from "./oracle.ts";
import { Scenario, SCENARIOS, type ScenarioSpec } from "./scenario.ts";

// Weights and sums in f32 over up to 4,097 tokens, split and merged in any order: about √4097 roundings of 6e-8.
const BOUND = 4e-6;

function attends(scenario: Scenario, name: string, window: number): Case {
  const { Hq, d } = scenario.spec;
  const scale = 1 / Math.sqrt(d);
  return {
    name,
    run: async (bench) => {
      const { cache, qkv } = scenario.install(bench, false);
      const out = bench.output("f32", [scenario.T, Hq, d]);
      bench.backend.attend(out, qkv, cache, { scale, ...(window > 0 && { window }) });
      return { out: (await bench.read(out)) as Float32Array };
    },
    oracle: () => ({ out: denseAttention(scenario, scale, window) }),
  };
}

/** Rows at consecutive positions of one slot and nothing else: prefill, which backends may do by other means. */
function chunk(
  Hq: number,
  Hk: number,
  d: number,
  cached: number,
  T: number,
  kvDtype: "f32" | "f16" | "bf16",
): ScenarioSpec {
  const rows = Array.from({ length: T }, (_, i) => ({ slot: 1, position: cached + i, home: cached + i }));
  const name = `a chunk of ${T} rows after ${cached}, ${Hq}:${Hk} heads of ${d}, ${kvDtype}`;
  return { name, Hq, Hk, d, cached: [3, cached], rows, kvDtype };
}

const CHUNKS: readonly ScenarioSpec[] = [
  chunk(4, 2, 64, 0, 70, "f16"),
  chunk(3, 1, 48, 700, 9, "f16"),
  chunk(2, 2, 128, 130, 33, "bf16"),
  chunk(4, 1, 8, 61, 40, "bf16"),
  chunk(6, 2, 48, 20, 16, "f32"),
];

conformance("attend", BOUND, [
  ...SCENARIOS.map((spec) => attends(new Scenario(spec), spec.name, 0)),
  ...CHUNKS.flatMap((spec) => [
    attends(new Scenario(spec, 3), spec.name, 0),
    attends(new Scenario(spec, 3), `${spec.name}, window 37`, 37),
  ]),
  ...[1, 2, 64, 100].flatMap((window) =>
    SCENARIOS.filter(({ name }) => /N = 65,|N = 64,|one step|private/.test(name))
      .map((spec) => attends(new Scenario(spec, 2), `${spec.name}, window ${window}`, window))
  ),
]);
