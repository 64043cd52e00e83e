import type { LayerCache } from "../../core/backend.ts";
import { type Bench, FLOAT_POISON, INT_POISON, roundTo } from "./bench.ts";
import { type Case, conformance, type Results } from "./conformance.ts";
import { wordsOf } from "./oracle.ts";
import { Scenario, SCENARIOS } from "./scenario.ts";

// K, V and labels are exact. Sums of at most 4,096 values of about 1 are stored as f32 and may be added up in f32 in any
// order: 64 additions within an entry, and as many entries before it.
const BOUND = 2e-6;

async function contents(bench: Bench, cache: LayerCache): Promise<Results> {
  const { words, valueSums } = cache.labels!;
  return {
    kv: bitsOf((await bench.read(cache.kv)) as Float32Array),
    words: (await bench.read(words)) as Uint32Array,
    valueSums: (await bench.read(valueSums)) as Float32Array,
  };
}

/** Equal bits: integers are compared exactly. */
function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer);
}

function wanted(scenario: Scenario): Results {
  const { Hk, d, cached, kvDtype = "f32" } = scenario.spec;
  const { S, T, rows, layout } = scenario;
  const slots = Math.max(cached.length, 1 + Math.max(...rows.slots));
  const W = layout.wide / 8 + layout.narrow / 16;
  const kv = new Float64Array(slots * Hk * S * 2 * d).fill(roundTo(FLOAT_POISON, kvDtype));
  const words = new Uint32Array(slots * Hk * S * W).fill(INT_POISON);
  const entries = Math.ceil(S / 64);
  const valueSums = new Float64Array(slots * Hk * entries * d);
  for (let slot = 0; slot < slots; slot++) {
    for (let h = 0; h < Hk; h++) {
      const put = (n: number, key: Float32Array, value: Float32Array) => {
        const place = (slot * Hk + h) * S + n;
        key.forEach((x, c) => kv[place * 2 * d + c] = roundTo(x, kvDtype));
        value.forEach((x, c) => kv[place * 2 * d + d + c] = roundTo(x, kvDtype));
        words.set(wordsOf(scenario, h, key), place * W);
      };
      for (let n = 0; n < (cached[slot] ?? 0); n++) {
        put(n, scenario.cachedRow(slot, h, n, 0), scenario.cachedRow(slot, h, n, 1));
      }
      let length = cached[slot] ?? 0;
      for (let t = 0; t < T; t++) {
        if (rows.slots[t] !== slot) continue;
        put(rows.homes[t], scenario.own(t, h, 0), scenario.own(t, h, 1));
        if (rows.homes[t] === rows.positions[t]) length = Math.max(length, rows.positions[t] + 1);
      }
      for (let entry = 1; entry < entries && entry * 64 <= length; entry++) {
        for (let n = 0; n < entry * 64; n++) {
          const from = ((slot * Hk + h) * S + n) * 2 * d + d;
          for (let c = 0; c < d; c++) valueSums[((slot * Hk + h) * entries + entry) * d + c] += kv[from + c];
        }
      }
    }
  }
  return { kv: bitsOf(Float32Array.from(kv)), words, valueSums };
}

function appends(scenario: Scenario, name: string): Case {
  return {
    name,
    run: async (bench) => await contents(bench, scenario.install(bench).cache),
    oracle: () => wanted(scenario),
  };
}

conformance("appendKv", BOUND, [
  ...SCENARIOS.map((spec) => appends(new Scenario(spec), spec.name)),
  appends(new Scenario(SCENARIOS[6]).halfway(), "keys halfway between two codes"),
]);
