import assert from "node:assert/strict";
import { test } from "node:test";
import { openLibrary } from "../../../backends/cuda/backend.ts";
import { calibrationFacts } from "../../../calibrations/facts.ts";
import { openAttention } from "../../../core/attention/open.ts";
import { checked } from "../../../core/checked.ts";
import { openReference } from "../../../backends/reference/backend.ts";
import { Session, takeArgmax } from "../../../core/session.ts";
import { loadModel } from "../../../runtime/load.ts";
import { cacheOf, calibrated, randomIds, SPARSE } from "../../support/tiny_model.ts";
import { FakeLibrary } from "./fake_library.ts";

for (const mode of ["dense", "double-sparsity"] as const) {
  test(`a ${mode} step is its rows, the budgets that changed, one replay, and its token's 4 bytes`, async () => {
    const reference = await openReference();
    const { model: plain } = await loadModel("stories260k", { backend: reference });
    const ids = randomIds(3, 100, plain.config.vocabSize);
    const facts = calibrationFacts(await calibrated(plain, [ids]), { wide: 8, narrow: 0 });
    await reference.close();

    const library = new FakeLibrary();
    const backend = checked(openLibrary(library));
    const { model } = await loadModel("stories260k", { backend });
    const cache = cacheOf(model, 200, facts.labels);
    const attention = openAttention(mode, backend, model.config, { ...SPARSE, calibration: facts }, 200);
    const session = new Session(model, cache);
    await takeArgmax(model, await session.prefill(ids));
    const uploadsOfSteps: number[] = [];
    for (let step = 0; step < 8; step++) {
      library.take();
      await takeArgmax(model, await session.decode(1, attention));
      const calls = library.take();
      if (step < 3) continue;
      const uploads = calls.filter((name) => name === "upload").length;
      uploadsOfSteps.push(uploads);
      const token = ["argmax", "begin_download", "wait", "take_download"];
      const wanted = ["begin_step", "replay", ...token];
      assert.deepEqual(calls.filter((name) => name !== "upload"), wanted, `step ${step}`);
    }
    // The row whose logits are wanted, always, in memory that then holds the token.
    assert.equal(Math.min(...uploadsOfSteps), 1, `uploads: ${uploadsOfSteps}`);
    if (mode === "dense") assert.equal(Math.max(...uploadsOfSteps), 1);
    const fused = [...library.recordings.values()].flat().filter(([op]) => op === "score_and_select");
    assert.equal(fused.length, mode === "dense" ? 0 : model.config.numLayers);
    await backend.close();
  });
}
