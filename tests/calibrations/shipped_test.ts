import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeCalibration } from "../../calibrations/artifact.ts";
import { modelIdentity, requireMatch } from "../../calibrations/model_identity.ts";
import { openCheckpoint } from "../../core/formats/open.ts";
import { asset } from "../../runtime/assets.ts";
import { diskFiles } from "../../runtime/files.ts";
import { MISSING_MODEL, realModelPath } from "../support/real_model.ts";
import { skip } from "../support/skip.ts";

const PATH = "calibrations/smollm2-135m.dscal";

test("the shipped calibration was made in full, on blocks as long as the model's context", async () => {
  const { model, corpus, headKl, budgets, layerRecall, predictionRecall, keyContext } =
    await decodeCalibration(
      asset(PATH),
      PATH,
    );
  assert.deepEqual([model.numLayers, model.numHeads, model.numKvHeads, model.headDim], [30, 9, 3, 64]);
  assert.deepEqual([corpus?.blockLength, corpus?.tokens, keyContext], [8192, 16384, 8192]);
  assert.ok(headKl !== null && layerRecall !== null && predictionRecall !== null);
  const mean = budgets.reduce((sum, share) => sum + share, 0) / budgets.length;
  assert.ok(Math.abs(mean - 1) < 1e-6, `budgets of mean ${mean} read other bytes than even ones`);
  assert.ok(new Set(budgets).size > 10, "budgets are even");
});

test("the shipped calibration fits smollm2-135m", async (t) => {
  const path = realModelPath();
  if (path === null) return skip(t, MISSING_MODEL);
  const checkpoint = await openCheckpoint(diskFiles, path);
  const identity = modelIdentity(checkpoint.config, await checkpoint.fingerprint());
  requireMatch(await decodeCalibration(asset(PATH), PATH), identity, PATH);
  await checkpoint.close();
});
