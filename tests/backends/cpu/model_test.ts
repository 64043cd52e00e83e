import assert from "node:assert/strict";
import { test } from "node:test";
import { type CpuOptions, openCpu } from "../../../backends/cpu/backend.ts";
import { openAttention } from "../../../core/attention/open.ts";
import { consecutiveRows, privateRows } from "../../../core/model.ts";
import { checked } from "../../../core/checked.ts";
import { calibrationFacts } from "../../../calibrations/facts.ts";
import { loadModel } from "../../../runtime/load.ts";
import { worstError } from "../../conformance/conformance.ts";
import { assertSameBits } from "../../support/same_bits.ts";
import { cacheOf, calibrated, denseOf, forward, randomIds, SPARSE } from "../../support/tiny_model.ts";

const MEBI = 2 ** 20;

/** Logits of a prefill, decode steps and private rows of the trained model that is part of ds, dense and sparse. */
async function run(
  options: CpuOptions,
  chunk: number,
  dtype: "f16" | "bf16" | "f32",
): Promise<Float32Array[]> {
  const { model } = await loadModel("stories260k", { backend: checked(await openCpu(options)) });
  const ids = randomIds(5, 150, model.config.vocabSize);
  const calibration = await calibrated(model, [ids.slice(0, 64), ids.slice(64, 128)]);
  const facts = calibrationFacts(calibration, { wide: 8, narrow: 0 });
  const cache = cacheOf(model, 200, facts.labels, 1, dtype);
  const dense = denseOf(model);
  const sparse = openAttention("double-sparsity", model.backend, model.config, {
    ...SPARSE,
    calibration: facts,
  }, 200);
  const results: Float32Array[] = [];
  for (let first = 0; first < 130; first += chunk) {
    const piece = ids.slice(first, Math.min(130, first + chunk));
    results.push(await forward(model, cache, consecutiveRows(piece, first), dense));
  }
  for (let at = 130; at < 150; at++) {
    results.push(await forward(model, cache, consecutiveRows([ids[at]], at), at % 2 === 0 ? sparse : dense));
  }
  const positions = [149, 100, 70, 20];
  const rows = privateRows(positions.map((at) => ids[at]), positions, 150);
  results.push(await forward(model, cache, rows, sparse));
  await model.backend.close();
  return results;
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
