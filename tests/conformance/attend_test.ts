import { type Case, conformance } from "./conformance.ts";
import { denseAttention } from "./oracle.ts";
import { CHUNKS, Scenario, SCENARIOS } from "./scenario.ts";

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
