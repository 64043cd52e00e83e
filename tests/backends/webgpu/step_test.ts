import assert from "node:assert/strict";
import { test } from "node:test";
import { openWebGpu, WebGpuBackend } from "../../../backends/webgpu/backend.ts";
import { findGpu, openDevice } from "../../../backends/webgpu/device.ts";
import { Faults } from "../../../backends/webgpu/faults.ts";
import { Queue } from "../../../backends/webgpu/queue.ts";
import { testAbilities } from "../../../backends/webgpu/self_test.ts";
import { calibrationFacts } from "../../../calibrations/facts.ts";
import { openAttention } from "../../../core/attention/open.ts";
import { checked } from "../../../core/checked.ts";
import { Session, takeArgmax } from "../../../core/session.ts";
import { loadModel } from "../../../runtime/load.ts";
import { skip } from "../../support/skip.ts";
import { cacheOf, calibrated, randomIds, SPARSE } from "../../support/tiny_model.ts";
import { useTestGpu } from "../../support/webgpu.ts";

const absence = useTestGpu();
const MADE = ["createBindGroup", "createBuffer", "createComputePipeline", "createShaderModule"] as const;

/** Counts what is made on a device and what is handed to its queue. */
function counting(device: GPUDevice): Record<string, number> {
  const counts: Record<string, number> = {};
  const count = (owner: object, name: string) => {
    const methods = owner as Record<string, (...all: unknown[]) => unknown>;
    const original = methods[name]!.bind(owner);
    counts[name] = 0;
    methods[name] = (...all) => {
      counts[name]!++;
      return original(...all);
    };
  };
  for (const name of MADE) count(device, name);
  count(device.queue, "submit");
  return counts;
}

for (const mode of ["dense", "double-sparsity"] as const) {
  test(`a ${mode} step is one submission and makes nothing on the device, its token another of 4 bytes`, async (t) => {
    if (absence !== null) return skip(t, absence);
    const found = await findGpu(true);
    const device = await openDevice(found);
    const abilities = await testAbilities(device, found);
    const counts = counting(device);
    const queue = new Queue(device, new Faults(device), abilities, null);
    const info = { name: "a GPU", memoryBytes: null, weightDtypes: ["f32"], kvDtypes: ["f32"] } as const;
    const backend = checked(new WebGpuBackend(queue, info, 2 ** 27));
    const { model } = await loadModel("stories260k", { backend });
    const ids = randomIds(3, 100, model.config.vocabSize);
    const facts = calibrationFacts(await calibrated(model, [ids]), { wide: 8, narrow: 0 });
    const cache = cacheOf(model, 200, facts.labels);
    const attention = openAttention(mode, backend, model.config, { ...SPARSE, calibration: facts }, 200);
    const session = new Session(model, cache);
    let id = await takeArgmax(model, await session.prefill(ids));
    for (let step = 0; step < 12; step++) {
      for (const name of Object.keys(counts)) counts[name] = 0;
      const logits = await session.decode(id, attention);
      assert.equal(counts.submit, 1, `submissions of step ${step}`);
      id = await takeArgmax(model, logits);
      assert.equal(counts.submit, 2, `submissions of step ${step} and its token`);
      if (step < 3) continue;
      for (const name of MADE) assert.equal(counts[name], 0, `${name} in step ${step}`);
    }
    await backend.close();
  });
}

test("a prefill tells what the GPU has done and can be stopped", async (t) => {
  if (absence !== null) return skip(t, absence);
  const backend = checked(await openWebGpu());
  const { model } = await loadModel("stories260k", { backend });
  const cache = cacheOf(model, 200);
  const session = new Session(model, cache);
  const controller = new AbortController();
  const progress: number[] = [];
  const prefill = session.prefill(randomIds(4, 200, model.config.vocabSize), {
    chunk: 20,
    signal: controller.signal,
    onProgress: (done) => {
      progress.push(done);
      if (done === 60) controller.abort(new Error("enough"));
    },
  });
  await assert.rejects(prefill, /enough/);
  assert.deepEqual(progress, [20, 40, 60]);
  assert.ok(session.length <= 100, `${session.length} tokens were handed over when 60 were done`);
  await backend.close();
});
