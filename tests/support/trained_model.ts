import assert from "node:assert/strict";
import { test } from "node:test";
import { openReference } from "../../backends/reference/backend.ts";
import type { Backend } from "../../core/backend.ts";
import { checked } from "../../core/checked.ts";
import { generateText } from "../../runtime/generate_text.ts";
import { loadModel } from "../../runtime/load.ts";
import { skip } from "./skip.ts";
import { calibrated, randomIds } from "./tiny_model.ts";

/** What stories260k says greedily after "Once upon a time", by an independent implementation. */
const STORY = ", there was a little girl named Lily. She loved to play outside in the park.";

/**
 * The trained model that is part of ds tells its golden story and calibrates as on the reference.
 *
 * @param open a backend whose `linear` rounds nothing to less than f32 on 64 rows
 * @param absence why there is none, or null
 */
export function testTrainedModel(name: string, open: () => Promise<Backend>, absence: string | null): void {
  test(`stories260k tells its golden story on ${name} when decoding is greedy`, async (t) => {
    if (absence !== null) return skip(t, absence);
    const backend = checked(await open());
    const loaded = await loadModel("stories260k", { backend });
    let story = "";
    for await (const { text } of generateText(loaded, "Once upon a time", { maxTokens: 27 })) story += text;
    assert.equal(story, STORY);
    await loaded.close();
    await backend.close();
  });

  test(`a calibration made on ${name} has the rankings of one made on the reference`, async (t) => {
    if (absence !== null) return skip(t, absence);
    assert.deepEqual(await rankingsOn(await open()), await rankingsOn(await openReference()));
  });
}

/** Closes the backend. */
async function rankingsOn(opened: Backend) {
  const backend = checked(opened);
  const { model, close } = await loadModel("stories260k", { backend });
  const ids = randomIds(9, 256, model.config.vocabSize);
  const { rankings } = await calibrated(model, [ids.slice(0, 128), ids.slice(128)]);
  await close();
  await backend.close();
  return rankings;
}
