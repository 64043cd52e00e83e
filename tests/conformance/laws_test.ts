import fc from "fast-check";
import assert from "node:assert/strict";
import type { Backend, ForcedTokens } from "../../core/backend.ts";
import { Random } from "../../core/random.ts";
import { Bench } from "./bench.ts";
import { law, worstError } from "./conformance.ts";
import { range, selectBySorting, setImportance } from "./oracle.ts";
import { gaussians, Scenario, type ScenarioSpec } from "./scenario.ts";

const RUNS = { numRuns: 25, seed: 1 };
const NONE: ForcedTokens = { sinkTokens: 0, recentTokens: 0 };

const shapes = fc.record({
  g: fc.constantFrom(1, 2, 3, 4, 8),
  Hk: fc.integer({ min: 1, max: 3 }),
  d: fc.constantFrom(8, 48, 64, 128),
  kvDtype: fc.constantFrom("f32" as const, "f16" as const, "bf16" as const),
  seed: fc.nat(1e6),
});

/** Indices of every set, row by row, for k tokens each. */
async function select(bench: Bench, scenario: Scenario, H: number, k: number, forced: ForcedTokens) {
  const { cache, qkv } = scenario.install(bench);
  const scores = scenario.scores(bench);
  const K = Math.max(k, forced.sinkTokens + forced.recentTokens + 1);
  const selection = scenario.selection(bench, H, K);
  const heavy = bench.tensor(new Int32Array(scenario.T * H).fill(k), [scenario.T, H]);
  bench.backend.scoreLabels(scores, qkv, cache);
  bench.backend.selectTokens(selection, scores, heavy, forced);
  const indices = (await bench.read(selection.indices)) as Int32Array;
  const counts = (await bench.read(selection.counts)) as Int32Array;
  const sets = range(0, scenario.T * H).map((i) => [...indices.subarray(i * K, i * K + counts[i])]);
  return { sets, cache, qkv, scores, selection };
}

/** Lets a property use one backend many times. */
function withBench<A>(backend: Backend, body: (bench: Bench, value: A) => Promise<void>) {
  return async (value: A) => {
    const bench = new Bench(backend);
    await body(bench, value);
    await bench.finish();
  };
}

law("attendSelected() with every token selected is attend()", async (backend, isReference) => {
  const cases = fc.record({
    shape: shapes,
    cached: fc.integer({ min: 0, max: 150 }),
    extra: fc.nat(50),
    perHead: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(
      cases,
      withBench(backend, async (bench, { shape, cached, extra, perHead }) => {
        const { g, Hk, d, kvDtype, seed } = shape;
        const rows = [{ slot: 0, position: cached }, { slot: 1, position: 5 }, {
          slot: 0,
          position: Math.floor(cached / 2),
          home: cached + 3,
        }];
        const spec = {
          name: "",
          Hq: g * Hk,
          Hk,
          d,
          kvDtype,
          cached: [cached, 5],
          rows,
          capacity: cached + 160,
        };
        const scenario = new Scenario(spec, seed);
        const forced = { sinkTokens: 4, recentTokens: 16 };
        const k = Math.max(6, cached + 1) + extra;
        const { cache, qkv, scores, selection } = await select(
          bench,
          scenario,
          perHead ? g * Hk : Hk,
          k,
          forced,
        );
        const options = { scale: 1 / Math.sqrt(d) };
        const dense = bench.output("f32", [3, g * Hk, d]);
        const sparse = bench.output("f32", [3, g * Hk, d]);
        bench.backend.attend(dense, qkv, cache, options);
        bench.backend.attendSelected(sparse, qkv, cache, selection, { ...options, tail: { scores, forced } });
        const [wanted, found] = [await bench.read(dense), await bench.read(sparse)];
        if (isReference) assert.deepEqual(found, wanted);
        else assert.ok(worstError(found, wanted).error < 1e-5);
      }),
    ),
    RUNS,
  );
});

law("selectTokens() always takes a planted heavy key", async (backend) => {
  const cases = fc.record({
    shape: shapes,
    cached: fc.integer({ min: 40, max: 300 }),
    at: fc.nat(),
    k: fc.integer({ min: 2, max: 30 }),
  });
  await fc.assert(
    fc.asyncProperty(
      cases,
      withBench(backend, async (bench, { shape, cached, at, k }) => {
        const { g, Hk, d, seed } = shape;
        const scenario = new Scenario({
          name: "",
          Hq: g * Hk,
          Hk,
          d,
          cached: [cached],
          rows: [{ slot: 0, position: cached }],
        }, seed);
        const place = at % cached;
        const C = scenario.channels.length / Hk;
        // One query of the group asks for the top code of every heavy channel whose step counts; only the planted key has it.
        for (let h = 0; h < Hk; h++) {
          for (let q = h * g; q < (h + 1) * g; q++) {
            scenario.query(0, q).fill(0);
            for (let j = 0; j < C; j++) scenario.query(0, q)[scenario.channels[h * C + j]] = 4;
          }
          scenario.cachedRow(0, h, place, 0).fill(100);
        }
        const { sets } = await select(bench, scenario, Hk, k, NONE);
        for (const set of sets) assert.ok(set.includes(place), `${place} is not in ${set}`);
      }),
    ),
    RUNS,
  );
});

law("selectTokens() follows a permutation of the tokens", async (backend) => {
  const cases = fc.record({
    shape: shapes,
    cached: fc.integer({ min: 2, max: 200 }),
    k: fc.integer({ min: 1, max: 60 }),
  });
  await fc.assert(
    fc.asyncProperty(
      cases,
      withBench(backend, async (bench, { shape, cached, k }) => {
        const { g, Hk, d, seed } = shape;
        const spec: ScenarioSpec = {
          name: "",
          Hq: g * Hk,
          Hk,
          d,
          cached: [cached],
          rows: [{ slot: 0, position: cached }],
        };
        const plain = new Scenario(spec, seed);
        const permuted = new Scenario(spec, seed);
        const random = new Random(seed + 1);
        /** order[n]: where token n goes. The row itself stays the last. */
        const order = range(0, cached + 1);
        for (let n = cached - 1; n > 0; n--) {
          const other = random.nextUint32() % (n + 1);
          [order[n], order[other]] = [order[other], order[n]];
        }
        for (let h = 0; h < Hk; h++) {
          for (let n = 0; n < cached; n++) {
            permuted.cachedRow(0, h, order[n], 0).set(plain.cachedRow(0, h, n, 0));
          }
        }
        const before = await select(bench, plain, Hk, k, NONE);
        const after = await select(bench, permuted, Hk, k, NONE);
        before.sets.forEach((set, h) => {
          const weights = setImportance(plain, 0, h, Hk);
          const moved = setImportance(permuted, 0, h, Hk);
          const sorted = (values: number[]) => values.sort((a, b) => a - b);
          assert.deepEqual(sorted(set.map((n) => weights[n])), sorted(after.sets[h].map((n) => moved[n])));
          const isTie = selectBySorting(weights, k + 1, NONE).some((n) =>
            !set.includes(n) && set.some((other) => weights[other] === weights[n])
          );
          if (!isTie) assert.deepEqual(sorted(set.map((n) => order[n])), sorted([...after.sets[h]]));
        });
      }),
    ),
    RUNS,
  );
});

law("appendKv() after a cut gives the sums of a fresh slot", async (backend) => {
  const cases = fc.record({
    shape: shapes,
    first: fc.integer({ min: 1, max: 200 }),
    cut: fc.nat(),
    chunk: fc.integer({ min: 1, max: 90 }),
  });
  await fc.assert(
    fc.asyncProperty(
      cases,
      withBench(backend, async (bench, { shape, first, cut, chunk }) => {
        const { g, Hk, d, kvDtype, seed } = shape;
        const from = cut % first;
        const end = 230;
        const heads = g * Hk + 2 * Hk;
        const spec: ScenarioSpec = {
          name: "",
          Hq: g * Hk,
          Hk,
          d,
          kvDtype,
          cached: [],
          rows: [{ slot: 0, position: 0 }],
          capacity: 256,
        };
        const old = gaussians(new Random(seed), first * heads * d);
        const refill = gaussians(new Random(seed + 1), end * heads * d);
        refill.set(old.subarray(0, from * heads * d));
        const fill = async (parts: readonly (readonly [Float32Array, number, number])[]) => {
          const { cache } = new Scenario(spec, seed).install(bench);
          for (const [source, start, stop] of parts) {
            for (let at = start; at < stop; at += chunk) {
              const count = Math.min(chunk, stop - at);
              const positions = Int32Array.from({ length: count }, (_, i) => at + i);
              bench.step({
                tokens: new Int32Array(count),
                slots: new Int32Array(count),
                positions,
                homes: positions,
              });
              const qkv = bench.tensor(source.slice(at * heads * d, (at + count) * heads * d), [
                count,
                heads,
                d,
              ]);
              bench.backend.appendKv(cache, qkv);
            }
          }
          return await bench.read(cache.labels!.valueSums);
        };
        const fresh = await fill([[refill, 0, end]]);
        const cutBack = await fill([[old, 0, first], [refill, from, end]]);
        assert.deepEqual(cutBack, fresh);
      }),
    ),
    RUNS,
  );
});

law("a private row sees what an ordinary row at its position would", async (backend, isReference) => {
  const cases = fc.record({ shape: shapes, cached: fc.integer({ min: 1, max: 150 }), at: fc.nat() });
  await fc.assert(
    fc.asyncProperty(
      cases,
      withBench(backend, async (bench, { shape, cached, at }) => {
        const { g, Hk, d, kvDtype, seed } = shape;
        const position = at % cached;
        const base = { name: "", Hq: g * Hk, Hk, d, kvDtype, cached: [cached], capacity: cached + 9 };
        const runAt = async (home: number) => {
          const scenario = new Scenario({ ...base, rows: [{ slot: 0, position, home }] }, seed);
          const k = Math.ceil((position + 1) / 2);
          const forced = { sinkTokens: 1, recentTokens: 1 };
          const { sets, cache, qkv, scores, selection } = await select(bench, scenario, Hk, k, forced);
          const out = bench.output("f32", [1, g * Hk, d]);
          const options = { scale: 1 / Math.sqrt(d), tail: { scores, forced } };
          bench.backend.attendSelected(out, qkv, cache, selection, options);
          return { sets, out: await bench.read(out) };
        };
        const ordinary = await runAt(position);
        const hidden = await runAt(cached + 5);
        assert.deepEqual(hidden.sets, ordinary.sets);
        if (isReference) assert.deepEqual(hidden.out, ordinary.out);
        else assert.ok(worstError(hidden.out, ordinary.out).error < 1e-5);
      }),
    ),
    RUNS,
  );
});
