import assert from "node:assert/strict";
import { test } from "node:test";
import { openReference } from "../../../backends/reference/backend.ts";
import { openWebGpu } from "../../../backends/webgpu/backend.ts";
import { gpu } from "../../../backends/webgpu/tensor.ts";
import type { Backend, LayerCache } from "../../../core/backend.ts";
import { Bench } from "../../conformance/bench.ts";
import { compare, type Results } from "../../conformance/conformance.ts";
import { Scenario, type ScenarioSpec } from "../../conformance/scenario.ts";
import { skip } from "../../support/skip.ts";
import { useTestGpu } from "../../support/webgpu.ts";

const absence = useTestGpu();

/** Nine heads of 384,000 bytes of f32 each, 192,000 of a half. */
const SPEC: Omit<ScenarioSpec, "kvDtype"> = {
  name: "",
  Hq: 3,
  Hk: 3,
  d: 48,
  cached: [127, 63, 20],
  rows: [{ slot: 0, position: 127 }, { slot: 1, position: 63 }, { slot: 2, position: 7, home: 990 }],
  capacity: 1000,
};
const MOST_BYTES = 400_000;

async function contents(bench: Bench, { kv, labels }: LayerCache): Promise<Results> {
  return {
    kv: await bench.backend.download(kv),
    words: (await bench.read(labels!.words)) as Uint32Array,
    valueSums: (await bench.read(labels!.valueSums)) as Float32Array,
  };
}

for (const [kvDtype, chunks] of [["f32", 9], ["f16", 5], ["bf16", 5]] as const) {
  test(`appendKv() writes a ${kvDtype} cache that lies in ${chunks} chunks`, async (t) => {
    if (absence !== null) return skip(t, absence);
    const run = async (backend: Backend, check: (cache: LayerCache) => void) => {
      const bench = new Bench(backend);
      const { cache } = new Scenario({ ...SPEC, kvDtype }).install(bench);
      check(cache);
      const results = await contents(bench, cache);
      await bench.finish();
      await backend.close();
      return results;
    };
    const found = await run(
      await openWebGpu({ mostBufferBytes: MOST_BYTES }),
      ({ kv }) => assert.equal(gpu(kv).chunks.length, chunks),
    );
    const wanted = await run(await openReference(), () => {});
    compare(found, wanted, 2e-6);
  });
}
