import koffi from "koffi";
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { type CudaBackend, openCuda } from "../../../backends/cuda/backend.ts";
import type { ForcedTokens, Tensor } from "../../../core/backend.ts";
import { Random } from "../../../core/random.ts";
import { Bench } from "../../conformance/bench.ts";
import { CHUNKS, gaussians, Scenario, SCENARIOS, type ScenarioSpec } from "../../conformance/scenario.ts";
import { WEIGHTS } from "../../conformance/weights.ts";
import { racesLibrary } from "../../support/cuda.ts";
import { skip } from "../../support/skip.ts";

const found = process.env.DS_TEST_RACES === "1"
  ? racesLibrary()
  : "looks at every access to shared memory, which takes minutes: set DS_TEST_RACES=1";
const library = typeof found === "string" ? null : koffi.load(found.library);
/** Since it was last called. */
const countRaces: () => number = library?.func("int ds_host_races()") ?? (() => 0);

/** Kernels of `planted_races.cu`, and whether they race. */
const PLANTED: readonly (readonly [name: string, races: boolean])[] = [
  ["warps, nothing", true],
  ["warps, shuffle", true],
  ["warps, __syncwarp", true],
  ["warps, __syncthreads", false],
  ["lanes, nothing", true],
  ["lanes, shuffle", true],
  ["lanes, __syncwarp", false],
  ["lanes, __syncthreads", false],
  ["atomics, nothing", true],
  ["atomics, __syncthreads", false],
  ["copies, nothing before", true],
  ["copies, nothing after", true],
  ["copies, __syncthreads", false],
];

test("races of the threads of a block are told of, and the kernels have none", (t) => {
  if (typeof found === "string") skip(t, found);
});

for (const [name, races] of library === null ? [] : PLANTED) {
  test(`a kernel ${races ? "with" : "without"} a race: ${name}`, () => {
    countRaces();
    assert.equal(library!.func("int ds_run_planted(const char *name)")(name), 0);
    assert.equal(countRaces() > 0, races);
  });
}

let opening: Promise<CudaBackend> | null = null;

/** No two threads of a block race in what `body` runs. */
function law(name: string, body: (bench: Bench) => void | Promise<void>): void {
  if (typeof found === "string") return;
  test(`no race: ${name}`, async () => {
    const bench = new Bench(await (opening ??= openCuda({ cudaLibrary: found.library })));
    countRaces();
    await body(bench);
    await bench.finish();
    assert.equal(countRaces(), 0, "stderr has the lines");
  });
}

const FORCED: ForcedTokens = { sinkTokens: 2, recentTokens: 5 };
/** Slots too long for one block to select from. */
const LONG: ScenarioSpec = {
  name: "a slot that several blocks select from",
  Hq: 2,
  Hk: 1,
  d: 8,
  cached: [17_000],
  rows: [{ slot: 0, position: 17_000 }],
  kvDtype: "f16",
};

/** One set per KV head and one per query head, scored and selected in one op and in two, staged and not. */
async function attends(bench: Bench, scenario: Scenario): Promise<void> {
  const { backend } = bench;
  const { T, spec: { Hq, Hk, d, kvDtype = "f32" } } = scenario;
  const { cache, qkv } = scenario.install(bench);
  const out = bench.output("f32", [T, Hq, d]);
  const scale = 1 / Math.sqrt(d);
  backend.attend(out, qkv, cache, { scale });
  backend.attend(out, qkv, cache, { scale, window: 37 });
  const k = Math.ceil(scenario.S / 8) + FORCED.sinkTokens + FORCED.recentTokens + 1;
  const scores = scenario.scores(bench);
  for (const H of [Hk, Hq]) {
    const selection = scenario.selection(bench, H, k);
    const heavy = bench.tensor(new Int32Array(T * H).fill(k), [T, H]);
    for (const isOneOp of [true, false]) {
      backend.scoreLabels(scores, qkv, cache);
      if (!isOneOp) await backend.synchronize();
      backend.selectTokens(selection, scores, heavy, FORCED);
    }
    backend.attendSelected(out, qkv, cache, selection, { scale });
    backend.attendSelected(out, qkv, cache, selection, { scale, tail: { scores, forced: FORCED } });
    if (H !== Hk) continue;
    const staging = bench.output(kvDtype, [T, Hk, k, 2, d]);
    await backend.fetchRows(staging, cache, selection);
    backend.attendSelected(out, qkv, cache, selection, { scale, tail: { scores, forced: FORCED }, staging });
  }
}

const DECODES = SCENARIOS.filter(({ name }) => /N = 65,|N = 200|4097, f16|one step|private/.test(name));
for (const spec of [...DECODES, LONG]) {
  law(`attention, ${spec.name}`, (bench) => attends(bench, new Scenario(spec)));
}

for (const spec of CHUNKS) {
  law(`attend, ${spec.name}`, (bench) => {
    const scenario = new Scenario(spec);
    const { cache, qkv } = scenario.install(bench);
    const out = bench.output("f32", [scenario.T, spec.Hq, spec.d]);
    for (const window of [1000, 37]) bench.backend.attend(out, qkv, cache, { scale: 1 / 8, window });
  });
}

function floats(bench: Bench, ...shape: number[]): Tensor {
  return bench.tensor(gaussians(new Random(1), shape.reduce((count, axis) => count * axis, 1)), shape);
}

for (const { dtype, make } of WEIGHTS) {
  const I = dtype.endsWith("_k") ? 256 : 96;
  law(`linear, ${dtype}`, (bench) => {
    const N = 70;
    const weight = bench.packed(make(new Random(2), N * I).bytes, [N, I], dtype);
    for (const R of [1, 5, 33, 67, 257]) {
      bench.backend.linear(bench.output("f32", [R, N]), floats(bench, R, I), weight, floats(bench, N));
    }
  });

  law(`linearExperts, ${dtype}`, (bench) => {
    const [E, chosen, N] = [5, 2, 19];
    const weight = bench.packed(make(new Random(3), E * N * I).bytes, [E, N, I], dtype);
    for (const R of [1, 3, 70]) {
      const experts = bench.output("i32", [R, chosen]);
      const mix = bench.output("f32", [R, chosen]);
      bench.backend.routeExperts(experts, mix, floats(bench, R, E), true);
      const out = bench.output("f32", [R, chosen, N]);
      bench.backend.linearExperts(out, floats(bench, R, I), weight, experts, null);
      bench.backend.linearExperts(
        bench.output("f32", [R, N]),
        floats(bench, R, chosen, I),
        weight,
        experts,
        mix,
      );
    }
  });
}

law("ops by the row", (bench) => {
  const { backend } = bench;
  const [T, Hq, Hk, d, V, D] = [3, 6, 2, 64, 4097, 577];
  const rows = Int32Array.of(5, 0, 9);
  bench.step({ tokens: rows, slots: Int32Array.of(0, 1, 2), positions: rows, homes: rows });
  const x = bench.output("f32", [T, D]);
  backend.embed(x, floats(bench, 10, D));
  backend.rmsNorm(x, x, floats(bench, D), 1e-5);
  backend.add(x, floats(bench, T, D));
  backend.gatherRows(bench.output("f32", [2, D]), x, bench.tensor(Int32Array.of(2, 0), [2]));
  backend.swiglu(bench.output("f32", [T, D]), floats(bench, T, 2 * D));
  const norms = { queryNorm: floats(bench, d), keyNorm: floats(bench, d), epsilon: 1e-6 };
  const table = floats(bench, 10, 2, d / 2);
  for (const options of [{}, norms]) {
    backend.rope(floats(bench, T, Hq + 2 * Hk, d), table, { numHeads: Hq, numKvHeads: Hk }, options);
  }
  backend.argmax(bench.output("i32", [T]), floats(bench, T, V));
  backend.argmax(bench.output("i32", [1]), floats(bench, 1, 49_153));
});

test("what races are looked for on is closed", async () => {
  await (await opening)?.close();
});
