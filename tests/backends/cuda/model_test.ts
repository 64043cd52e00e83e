import assert from "node:assert/strict";
import { test } from "node:test";
import { openReference } from "../../../backends/reference/backend.ts";
import type { Backend } from "../../../core/backend.ts";
import { checked } from "../../../core/checked.ts";
import { generateText } from "../../../runtime/generate_text.ts";
import { loadModel } from "../../../runtime/load.ts";
import { worstError } from "../../conformance/conformance.ts";
import { cudaAbsence, openTestCuda } from "../../support/cuda.ts";
import { modelRun } from "../../support/model_run.ts";
import { skip } from "../../support/skip.ts";
import { calibrated, randomIds } from "../../support/tiny_model.ts";

const absence = cudaAbsence();

/** What stories260k says greedily after "Once upon a time", by an independent implementation. */
const STORY = ", there was a little girl named Lily. She loved to play outside in the park.";

test("stories260k tells its golden story on cuda when decoding is greedy", async (t) => {
  if (absence !== null) return skip(t, absence);
  const backend = checked(await openTestCuda());
  const loaded = await loadModel("stories260k", { backend });
  let story = "";
  for await (const { text } of generateText(loaded, "Once upon a time", { maxTokens: 27 })) story += text;
  assert.equal(story, STORY);
  await loaded.close();
  await backend.close();
});

test("a model's logits are those of the reference on cuda, step after step", async (t) => {
  if (absence !== null) return skip(t, absence);
  for (const dtype of ["f32", "f16"] as const) {
    const wanted = await modelRun(await openReference(), 40, dtype);
    const found = await modelRun(await openTestCuda(), 40, dtype);
    found.forEach((logits, i) => {
      const { error } = worstError(logits, wanted[i]!);
      // The stored half of a key may be its neighbour's: one part in 2,048 of some keys.
      assert.ok(error < (dtype === "f32" ? 1e-5 : 1e-3), `${dtype}, step ${i}: ${error}`);
    });
  }
});

test("a calibration made on cuda has the rankings of one made on the reference", async (t) => {
  if (absence !== null) return skip(t, absence);
  const rankings = async (opened: Backend) => {
    const backend = checked(opened);
    const { model, close } = await loadModel("stories260k", { backend });
    const ids = randomIds(9, 256, model.config.vocabSize);
    const calibration = await calibrated(model, [ids.slice(0, 128), ids.slice(128)]);
    await close();
    await backend.close();
    return calibration.rankings;
  };
  assert.deepEqual(await rankings(await openTestCuda()), await rankings(await openReference()));
});
