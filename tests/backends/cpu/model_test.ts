import assert from "node:assert/strict";
import { test } from "node:test";
import { type CpuOptions, openCpu } from "../../../backends/cpu/backend.ts";
import { worstError } from "../../conformance/conformance.ts";
import { modelRun } from "../../support/model_run.ts";
import { assertSameBits } from "../../support/same_bits.ts";

const MEBI = 2 ** 20;

async function run(
  options: CpuOptions,
  chunk: number,
  dtype: "f16" | "bf16" | "f32",
): Promise<Float32Array[]> {
  return await modelRun(await openCpu(options), chunk, dtype);
}

for (const dtype of ["f16", "bf16", "f32"] as const) {
  test(`logits have the same bits when threads and memories differ, with ${dtype} K and V`, async () => {
    const wanted = await run({ threads: 1 }, 64, dtype);
    const isSame = async (options: CpuOptions, what: string) => {
      (await run(options, 64, dtype)).forEach((found, i) => assertSameBits(found, wanted[i], what));
    };
    await isSame({ threads: 2 }, "2 threads");
    await isSame({ threads: 3 }, "3 threads");
    await isSame({ threads: 2, arenaBytes: 2 * MEBI, memoryBytes: 32 * MEBI }, "several memories");
    const plain = await run({ threads: 2, relaxed: false }, 64, dtype);
    const worst = Math.max(...plain.map((found, i) => worstError(found, wanted[i]).error));
    assert.ok(worst < 2e-3, `no relaxed SIMD: ${worst}`);
  });
}

test("logits of a prefill have the same bits when its chunks differ", async () => {
  const rows = async (chunk: number) => {
    const pieces = (await run({ threads: 2 }, chunk, "f16")).slice(0, Math.ceil(130 / chunk));
    return Float32Array.from(pieces.flatMap((piece) => [...piece]));
  };
  const wanted = await rows(65);
  assertSameBits(await rows(130), wanted, "chunks of 130");
  assertSameBits(await rows(13), wanted, "chunks of 13");
});
