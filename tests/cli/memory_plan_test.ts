import assert from "node:assert/strict";
import { test } from "node:test";
import { openBackend } from "../../backends/mod.ts";
import { memoryFault, planMemory, planWeights } from "../../cli/memory_plan.ts";
import { noLabels, sparseAttention } from "../../cli/rehearse_run.ts";
import { DenseAttention } from "../../core/attention/dense.ts";
import type { Backend, Tensor, TensorSpec } from "../../core/backend.ts";
import { openCheckpoint } from "../../core/formats/open.ts";
import { KvCache } from "../../core/kv_cache.ts";
import { PREFILL_CHUNK, Session, takeArgmax } from "../../core/session.ts";
import { loadWeights, tensorsOf } from "../../core/weights.ts";
import { loadOpened, openModel } from "../../runtime/load.ts";
import { storeBlocks } from "../support/stored_blocks.ts";
import { TINY_SIZES, tinyLlamaFiles } from "../support/tiny_llama.ts";
import { ds, TINY } from "./fake_process.ts";

const PLAN = { context: 128, batch: 1, kvDtype: "f32", layout: null, sparsity: 1 / 16 } as const;

/** A backend that notes what is asked of it. */
async function noting(): Promise<{ backend: Backend; asked: number[] }> {
  const backend = await openBackend("reference");
  const asked: number[] = [];
  const alloc = (spec: TensorSpec) => {
    asked.push(backend.footprint(spec));
    return backend.alloc(spec);
  };
  return { backend: Object.assign(Object.create(backend), { alloc }), asked };
}

test("planWeights() foretells every byte that loadWeights() asks for, and the largest tensor", async () => {
  const { checkpoint } = await openModel("stories260k");
  const { backend, asked } = await noting();
  const plan = planWeights(checkpoint, backend, 128);
  await loadWeights(backend, checkpoint, { context: 128 });
  assert.equal(plan.weightBytes, asked.reduce((sum, bytes) => sum + bytes, 0));
  assert.equal(plan.largestTensorBytes, Math.max(...asked));
  assert.equal((await planMemory(checkpoint, backend, PLAN)).weightBytes, plan.weightBytes);
  await checkpoint.close();
});

test("memoryFault() tells what does not fit, in numbers", () => {
  const device = { name: "d", memoryBytes: 1000, mostTensorBytes: 400, weightDtypes: [], kvDtypes: [] };
  const backend = { name: "b", device } as unknown as Backend;
  assert.equal(memoryFault("they", 1000, 400, backend), null);
  assert.match(memoryFault("they", 1001, 400, backend)!, /they take 1 kB and backend b has 1 kB/);
  assert.match(memoryFault("they", 900, 401, backend)!, /one tensor takes 401 B .* at most 400 B/);
  const boundless = { name: "b", device: { ...device, memoryBytes: null, mostTensorBytes: undefined } };
  assert.equal(memoryFault("they", 1e15, 1e15, boundless as unknown as Backend), null);
});

for (const backend of ["reference", "cpu"]) {
  test(`plan prints what cannot be held on ${backend} still, and ends with 71`, async () => {
    const argv = ["plan", ...TINY, "--backend", backend, "--kv-dtype", "f32", "--context", "512", "--json"];
    const found = await ds([...argv, "--batch", "65536"]);
    const large = JSON.parse(found.out);
    // 43 GB of K and V: a machine may have them.
    assert.equal(found.code, large.fits ? 0 : 71, found.err);
    if (!large.fits) {
      assert.match(found.err, /^ds: Cannot hold stories260k with 512 tokens: .* use a smaller --context/);
    }
    const small = JSON.parse((await ds(argv)).out);
    assert.equal(small.fits, true);
    assert.equal(small.peakBytes, small.totalBytes + small.runtimeBytes);
    assert.ok(small.runtimeBytes > 20e6 && small.runtimeBytes < 2e9, String(small.runtimeBytes));
  });
}

test("planMemory() counts the weights that loadWeights() then holds, whatever it makes of their type", async () => {
  const tiny = tinyLlamaFiles(1, { ...TINY_SIZES, tied: true });
  const checkpoint = await openCheckpoint(tiny.files, tiny.gguf);
  const tensors = new Map(checkpoint.tensors);
  const o = tensors.get("layers.0.o")!;
  const bytes = storeBlocks("q5_0", tiny.weights.get("layers.0.o")!);
  const readRows = (first: number, count: number) =>
    Promise.resolve(bytes.slice(first * 22, (first + count) * 22));
  tensors.set("layers.0.o", { ...o, dtype: "q5_0", readRows });
  const backend = await openBackend("reference");
  const found: number[] = [];
  for (const otherWeights of ["f32", "q8_0"] as const) {
    const asking = Object.create(backend) as Backend;
    Object.assign(asking, { device: { ...backend.device, otherWeights } });
    const changed = { ...checkpoint, tensors };
    const facts = { context: 16, batch: 1, kvDtype: "f32", layout: null, sparsity: 1 } as const;
    const { weightBytes } = await planMemory(changed, asking, facts);
    const weights = await loadWeights(asking, changed, { context: 16 });
    const held = [...tensorsOf(weights)].reduce((sum, tensor) => sum + backend.footprint(tensor), 0);
    assert.equal(weightBytes, held);
    found.push(weightBytes);
  }
  assert.equal(backend.footprint({ dtype: "f32", shape: [32, 32] }), 4096);
  assert.equal(found[0] - found[1], 4096 - backend.footprint({ dtype: "q8_0", shape: [32, 32] }));
  await backend.close();
});

test("planMemory() foretells what a run holds at most where it is counted tensor by tensor", async () => {
  const opened = await openModel("stories260k");
  const backend = await openBackend("reference");
  const facts = { ...PLAN, context: 200, layout: { wide: 8, narrow: 0 } } as const;
  const plan = await planMemory(opened.checkpoint, backend, facts);
  let held = 0;
  let most = 0;
  const count = (bytes: number) => most = Math.max(most, held += bytes);
  const counting: Backend = Object.assign(Object.create(backend), {
    alloc: (spec: TensorSpec) => (count(backend.footprint(spec)), backend.alloc(spec)),
    free: (tensor: Tensor) => (count(-backend.footprint(tensor)), backend.free(tensor)),
  });
  const { model } = await loadOpened(opened, { backend: counting, context: facts.context });
  const labels = noLabels(model.config, facts.layout);
  const cache = KvCache.alloc(counting, model.config, {
    slots: 1,
    capacity: facts.context,
    dtype: "f32",
    labels,
  });
  const session = new Session(model, cache);
  // The longest two passes, then both kinds of step.
  let id = await takeArgmax(model, await session.prefill(new Int32Array(2 * PREFILL_CHUNK - 1)));
  for (
    const attention of [
      new DenseAttention(counting, model.config),
      sparseAttention(counting, model.config, facts),
    ]
  ) id = await takeArgmax(model, await session.decode(id, attention));
  assert.equal(most, plan.totalBytes);
  await opened.checkpoint.close();
  await backend.close();
});
