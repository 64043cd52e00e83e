import assert from "node:assert/strict";
import { test } from "node:test";
import { openReference } from "../../../backends/reference/backend.ts";
import { worstError } from "../../conformance/conformance.ts";
import { cudaAbsence, openTestCuda } from "../../support/cuda.ts";
import { modelRun } from "../../support/model_run.ts";
import { skip } from "../../support/skip.ts";
import { testTrainedModel } from "../../support/trained_model.ts";

const absence = cudaAbsence();

testTrainedModel("cuda", openTestCuda, absence);

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
