import assert from "node:assert/strict";
import { test } from "node:test";
import { openReference } from "../../../backends/reference/backend.ts";
import { openWebGpu } from "../../../backends/webgpu/backend.ts";
import { provideDawn } from "../../../backends/webgpu/device.ts";
import { DsError } from "../../../core/errors.ts";
import { worstError } from "../../conformance/conformance.ts";
import { modelRun } from "../../support/model_run.ts";
import { skip } from "../../support/skip.ts";
import { useTestGpu } from "../../support/webgpu.ts";

const absence = useTestGpu();

/** Runs `body` as if npm `webgpu` were not installed. */
async function withoutDawn(body: () => Promise<void>): Promise<void> {
  provideDawn(() => {
    throw new Error("Cannot find package 'webgpu'");
  });
  try {
    await body();
  } finally {
    provideDawn(null);
  }
}

test("without npm webgpu the runtime's own computes the same, or what is missing is said", async (t) => {
  if (absence !== null) return skip(t, absence);
  await withoutDawn(async () => {
    if (globalThis.navigator?.gpu === undefined) {
      await assert.rejects(openWebGpu(), (error: unknown) => {
        assert.ok(error instanceof DsError && error.kind === "backend-unavailable");
        assert.match(error.message, /package webgpu cannot be loaded \(Cannot find package 'webgpu'\)/);
        return true;
      });
      return;
    }
    const backend = await openWebGpu({ halves: false });
    assert.match(backend.device.name, /this runtime's own WebGPU/);
    const found = await modelRun(backend, 65, "f32");
    const wanted = await modelRun(await openReference(), 65, "f32");
    found.forEach((logits, i) => assert.ok(worstError(logits, wanted[i]!).error < 1e-5, `step ${i}`));
  });
});
