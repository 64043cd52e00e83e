import assert from "node:assert/strict";
import { test } from "node:test";
import { type CpuOptions, openCpu } from "../../../backends/cpu/backend.ts";
import type { Backend, LayerCache, StepRows } from "../../../core/backend.ts";
import { Random } from "../../../core/random.ts";
import { denseAttention } from "../../conformance/oracle.ts";
import { Bench, roundTo } from "../../conformance/bench.ts";
import { worstError } from "../../conformance/conformance.ts";
import { assertSameBits } from "../../support/same_bits.ts";
import { type RowSpec, Scenario, type ScenarioSpec } from "../../conformance/scenario.ts";

type KvDtype = "f32" | "f16" | "bf16";

interface Problem {
  readonly Hq: number;
  readonly Hk: number;
  readonly d: number;
  readonly kvDtype: KvDtype;
  readonly slots: number;
  readonly S: number;
  /** f32 [slots, Hk, S, 2, d] before the cache's type rounds them. */
  readonly kv: Float32Array;
  /** f32 [places, Hq + 2·Hk, d]: what the row at a position asks with, whatever step it is in. */
  readonly queries: Float32Array;
  readonly window: number;
}

function problem(
  Hq: number,
  Hk: number,
  d: number,
  kvDtype: KvDtype,
  S: number,
  window = 0,
  slots = 1,
): Problem {
  const random = new Random(Hq * 1000 + d + S);
  const uniform = (count: number, width: number) =>
    Float32Array.from({ length: count }, () => (random.next() - 0.5) * width);
  const kv = uniform(slots * Hk * S * 2 * d, 3.5);
  const queries = uniform(S * (Hq + 2 * Hk) * d, 5);
  return { Hq, Hk, d, kvDtype, slots, S, kv, queries, window };
}

/** The outputs of these rows in one step, f32 [rows, Hq, d]. */
async function attended(backend: Backend, problem: Problem, rows: readonly RowSpec[]): Promise<Float32Array> {
  const bench = new Bench(backend);
  const { Hq, Hk, d, kvDtype, slots, S, window } = problem;
  const cache: LayerCache = { kv: bench.tensor(problem.kv, [slots, Hk, S, 2, d], kvDtype), labels: null };
  const width = (Hq + 2 * Hk) * d;
  const qkv = new Float32Array(rows.length * width);
  rows.forEach(({ position }, t) =>
    qkv.set(problem.queries.subarray(position * width, (position + 1) * width), t * width)
  );
  bench.step(stepOf(rows));
  const out = bench.output("f32", [rows.length, Hq, d]);
  const asked = bench.tensor(qkv, [rows.length, Hq + 2 * Hk, d]);
  bench.backend.attend(out, asked, cache, { scale: 1 / Math.sqrt(d), window });
  const values = (await bench.read(out)) as Float32Array;
  await bench.finish();
  return values;
}

function stepOf(rows: readonly RowSpec[]): StepRows {
  return {
    tokens: new Int32Array(rows.length),
    slots: Int32Array.from(rows, ({ slot }) => slot),
    positions: Int32Array.from(rows, ({ position }) => position),
    homes: Int32Array.from(rows, ({ position, home = position }) => home),
  };
}

function run(first: number, count: number, slot = 0): RowSpec[] {
  return Array.from({ length: count }, (_, i) => ({ slot, position: first + i }));
}

async function onCpu<A>(options: CpuOptions, body: (backend: Backend) => Promise<A>): Promise<A> {
  const backend = await openCpu(options);
  const result = await body(backend);
  await backend.close();
  return result;
}

const KV_DTYPES: readonly KvDtype[] = ["f32", "f16", "bf16"];

test("attend() gives the same bits on one thread and on two, and nearly those without relaxed SIMD", async () => {
  const rows = [
    ...run(300, 37),
    { slot: 1, position: 560 },
    { slot: 1, position: 530, home: 599 },
    ...run(3, 2, 1),
  ];
  for (const [Hq, Hk, d] of [[9, 3, 64], [2, 2, 20], [5, 1, 128]]) {
    for (const kvDtype of KV_DTYPES) {
      const one = problem(Hq, Hk, d, kvDtype, 600, 0, 2);
      const alone = await onCpu({ threads: 1 }, (backend) => attended(backend, one, rows));
      const both = await onCpu({ threads: 2 }, (backend) => attended(backend, one, rows));
      const plain = await onCpu({ threads: 2, relaxed: false }, (backend) => attended(backend, one, rows));
      assertSameBits(both, alone);
      assert.ok(worstError(plain, alone).error < 1e-6);
    }
  }
});

test("attend() gives a row the same bits in a step of two rows and in one of many", async () => {
  await onCpu({ threads: 2 }, async (backend) => {
    for (const [Hq, Hk, d, window] of [[9, 3, 64, 0], [2, 2, 128, 0], [6, 1, 12, 0], [5, 1, 48, 100]]) {
      for (const kvDtype of KV_DTYPES) {
        const one = problem(Hq, Hk, d, kvDtype, 320, window);
        const whole = await attended(backend, one, run(0, 310));
        for (const [first, count] of [[0, 2], [62, 3], [61, 64], [127, 2], [190, 100]]) {
          const part = await attended(backend, one, run(first, count));
          assertSameBits(part, whole.subarray(first * Hq * d, (first + count) * Hq * d));
        }
      }
    }
  });
});

test("attend() gives a row by itself the same bits whatever other rows the step has", async () => {
  await onCpu({ threads: 2 }, async (backend) => {
    const one = problem(6, 2, 64, "f16", 1600, 0, 2);
    const row = { slot: 1, position: 1500 };
    const alone = await attended(backend, one, [row]);
    const beside = await attended(backend, one, [{ slot: 0, position: 20 }, row, { slot: 0, position: 900 }]);
    assertSameBits(beside.subarray(6 * 64, 2 * 6 * 64), alone);
  });
});

test("attend() is as exact by rows as by runs, for every number of heads and any d", async () => {
  await onCpu({ threads: 2 }, async (backend) => {
    for (const kvDtype of KV_DTYPES) {
      for (const g of [1, 2, 3, 4, 5, 6, 7, 8, 9, 13]) {
        for (const d of [2, 10, 24]) {
          const one = problem(g * 2, 2, d, kvDtype, 140);
          const together = await attended(backend, one, run(66, 70));
          const rows = run(66, 70).reverse();
          const apart = await attended(backend, one, rows);
          const width = g * 2 * d;
          for (let t = 0; t < 70; t++) {
            const row = apart.subarray((69 - t) * width, (70 - t) * width);
            const { error } = worstError(row, together.subarray(t * width, (t + 1) * width));
            assert.ok(error < 2e-6, `${kvDtype}, g = ${g}, d = ${d}, row ${t}: ${error}`);
          }
        }
      }
    }
  });
});

test("attend() conforms over some 4,000 tokens, by rows and by runs", async () => {
  const scale = 1 / Math.sqrt(16);
  const rows = [...run(4000, 3), { slot: 1, position: 4090 }, { slot: 0, position: 3000, home: 4100 }];
  for (const kvDtype of KV_DTYPES) {
    for (const window of [0, 700]) {
      const spec: ScenarioSpec = { name: "", Hq: 2, Hk: 1, d: 16, cached: [4000, 4090], rows, kvDtype };
      const scenario = new Scenario(spec);
      const found = await onCpu({ threads: 2 }, async (backend) => {
        const bench = new Bench(backend);
        const { cache, qkv } = scenario.install(bench, false);
        const out = bench.output("f32", [rows.length, 2, 16]);
        bench.backend.attend(out, qkv, cache, { scale, window });
        const values = (await bench.read(out)) as Float32Array;
        await bench.finish();
        return values;
      });
      const { error } = worstError(found, denseAttention(scenario, scale, window));
      assert.ok(error < 4e-6, `${kvDtype}, window ${window}: ${error}`);
    }
  }
});

test("attend() holds where logits are huge, equal, or far apart", async () => {
  const { Hq, Hk, d, S } = { Hq: 3, Hk: 1, d: 16, S: 1300 };
  const kinds: Record<string, (n: number) => number> = {
    "all equal": () => 0.5,
    "all zero": () => 0,
    "one huge": (n) => n === 777 ? 3000 : 0.01,
    "rising by thousands": (n) => n * 16,
    "falling by thousands": (n) => -n * 16,
  };
  await onCpu({ threads: 2 }, async (backend) => {
    for (const kvDtype of KV_DTYPES) {
      for (const [kind, key] of Object.entries(kinds)) {
        const one = problem(Hq, Hk, d, kvDtype, S);
        one.queries.fill(1);
        for (let n = 0; n < S; n++) one.kv.fill(key(n), n * 2 * d, n * 2 * d + d);
        for (const rows of [run(1280, 20), [{ slot: 0, position: 1280 }]]) {
          const out = await attended(backend, one, rows);
          const wanted = softmaxOfEqualChannels(one, rows[0].position);
          const { error } = worstError(out.subarray(0, d), wanted);
          assert.ok(error < 4e-6, `${kvDtype}, ${kind}, ${rows.length} rows: ${error}`);
          assert.ok(out.every(Number.isFinite), `${kvDtype}, ${kind}: not finite`);
        }
      }
    }
  });
});

/** One head's output where every query channel is 1 and all channels of a key are the same. */
function softmaxOfEqualChannels({ d, kv, kvDtype }: Problem, position: number): Float64Array {
  const logits = Array.from(
    { length: position + 1 },
    (_, n) => Math.sqrt(d) * roundTo(kv[n * 2 * d], kvDtype),
  );
  const largest = logits.reduce((most, logit) => Math.max(most, logit), -Infinity);
  const out = new Float64Array(d);
  let total = 0;
  logits.forEach((logit, n) => {
    const weight = Math.exp(logit - largest);
    total += weight;
    for (let c = 0; c < d; c++) out[c] += weight * roundTo(kv[n * 2 * d + d + c], kvDtype);
  });
  return out.map((sum) => sum / total);
}
