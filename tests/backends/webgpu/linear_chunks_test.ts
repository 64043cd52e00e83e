import assert from "node:assert/strict";
import { test } from "node:test";
import { openReference } from "../../../backends/reference/backend.ts";
import { openWebGpu } from "../../../backends/webgpu/backend.ts";
import { gpu } from "../../../backends/webgpu/tensor.ts";
import type { Tensor } from "../../../core/backend.ts";
import { Random } from "../../../core/random.ts";
import { Bench } from "../../conformance/bench.ts";
import { compare, type Results } from "../../conformance/conformance.ts";
import { gaussians } from "../../conformance/scenario.ts";
import { WEIGHTS } from "../../conformance/weights.ts";
import { skip } from "../../support/skip.ts";
import { useTestGpu } from "../../support/webgpu.ts";

const absence = useTestGpu();
const KINDS = WEIGHTS.filter(({ dtype }) => ["f32", "f16", "q8_0", "q4_k"].includes(dtype));

/** The same on the reference backend, and on a GPU whose buffers hold no more than `mostBufferBytes`. */
async function agree(
  bound: number,
  mostBufferBytes: number,
  run: (bench: Bench, inChunks: (weight: Tensor) => Tensor) => Promise<Results>,
): Promise<void> {
  const reference = await openReference();
  const wanted = await run(new Bench(reference), (weight) => weight);
  await reference.close();
  const backend = await openWebGpu({ mostBufferBytes, halves: false });
  const found = await run(new Bench(backend), (weight) => {
    assert.ok(gpu(weight).chunks.length > 2, "the weight lies in several chunks");
    return weight;
  });
  await backend.close();
  compare(found, wanted, bound);
}

for (const { dtype, make } of KINDS) {
  test(`embed(), ${dtype}: a table in several chunks`, async (t) => {
    if (absence !== null) return skip(t, absence);
    const [V, D] = [137, 256];
    const table = make(new Random(31), V * D);
    const tokens = Int32Array.of(136, 0, 42, 43, 17, 99);
    const positions = Int32Array.from(tokens.keys());
    await agree(0, 6_200, async (bench, inChunks) => {
      bench.step({ tokens, slots: new Int32Array(tokens.length), positions, homes: positions });
      const out = bench.output("f32", [tokens.length, D]);
      bench.backend.embed(out, inChunks(bench.packed(table.bytes, [V, D], dtype)));
      const results = { out: (await bench.read(out)) as Float32Array };
      await bench.finish();
      return results;
    });
  });

  for (const R of [1, 5, 33]) {
    test(`linear(), ${dtype} on ${R} rows: a weight in several chunks`, async (t) => {
      if (absence !== null) return skip(t, absence);
      const [N, I, column, columns] = [490, 512, 3, 500];
      const random = new Random(32);
      const weight = make(random, N * I);
      const x = gaussians(random, R * I);
      const bias = gaussians(random, N);
      await agree(2e-6, 68_000, async (bench, inChunks) => {
        const out = bench.output("f32", [R, columns]);
        const weights = inChunks(bench.packed(weight.bytes, [N, I], dtype));
        bench.backend.linear(out, bench.tensor(x, [R, I]), weights, bench.tensor(bias, [N]), column);
        const results = { out: (await bench.read(out)) as Float32Array };
        await bench.finish();
        return results;
      });
    });
  }

  for (const hasMix of [false, true]) {
    test(`linearExperts(), ${dtype}, ${hasMix ? "mixed" : "apart"}: experts split between chunks`, async (t) => {
      if (absence !== null) return skip(t, absence);
      const [R, E, chosen, N, I] = [6, 5, 3, 19, 256];
      const random = new Random(33);
      const weight = make(random, E * N * I);
      const x = gaussians(random, R * I);
      const mix = gaussians(random, R * chosen);
      const experts = Int32Array.from({ length: R * chosen }, () => random.nextUint32() % E);
      await agree(2e-6, 6_200, async (bench, inChunks) => {
        const out = bench.output("f32", hasMix ? [R, N] : [R, chosen, N]);
        bench.backend.linearExperts(
          out,
          bench.tensor(x, [R, I]),
          inChunks(bench.packed(weight.bytes, [E, N, I], dtype)),
          bench.tensor(experts, [R, chosen]),
          hasMix ? bench.tensor(mix, [R, chosen]) : null,
        );
        const results = { out: (await bench.read(out)) as Float32Array };
        await bench.finish();
        return results;
      });
    });
  }
}
