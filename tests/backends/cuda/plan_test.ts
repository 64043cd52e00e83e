import assert from "node:assert/strict";
import { test } from "node:test";
import { planMemory } from "../../../cli/memory_plan.ts";
import { noLabels, sparseAttention } from "../../../cli/rehearse_run.ts";
import { DenseAttention } from "../../../core/attention/dense.ts";
import { DsError } from "../../../core/errors.ts";
import { Session, takeArgmax } from "../../../core/session.ts";
import { loadOpened, openModel } from "../../../runtime/load.ts";
import { cudaAbsence, openTestCuda } from "../../support/cuda.ts";
import { skip } from "../../support/skip.ts";
import { cacheOf, randomIds } from "../../support/tiny_model.ts";

const absence = cudaAbsence();
const CONTEXT = 200;
const LAYOUT = { wide: 8, narrow: 0 };

test("ds plan foretells every byte of a run on cuda: weights, K and V, labels and workspace", async (t) => {
  if (absence !== null) return skip(t, absence);
  const backend = await openTestCuda();
  const opened = await openModel("stories260k");
  const facts = { context: CONTEXT, batch: 1, kvDtype: "f16", layout: LAYOUT, sparsity: 1 / 16 } as const;
  const plan = await planMemory(opened.checkpoint, backend, facts);
  assert.deepEqual(backend.held(), { tensors: 0, workspace: 0, most: 0 }, "a rehearsal takes nothing");

  const { model, close } = await loadOpened(opened, { backend, context: CONTEXT });
  assert.equal(backend.held().tensors, plan.weightBytes);
  const cache = cacheOf(model, CONTEXT, noLabels(model.config, LAYOUT), 1, "f16");
  assert.equal(backend.held().tensors, plan.weightBytes + plan.kvBytes + plan.labelBytes);
  const session = new Session(model, cache);
  // Two passes and their last rows, as the longest run has them, then both kinds of step.
  const rows = backend.device.prefillRows ?? 64;
  const ids = randomIds(1, Math.min(CONTEXT - 2, 2 * rows - 1), model.config.vocabSize);
  let id = await takeArgmax(model, await session.prefill(ids));
  for (
    const attention of [
      new DenseAttention(backend, model.config),
      sparseAttention(backend, model.config, facts),
    ]
  ) {
    id = await takeArgmax(model, await session.decode(id, attention));
  }
  assert.equal(backend.held().most, plan.totalBytes);
  await close();
  await backend.close();
});

test("memory that the device does not have is refused with what is asked for and what is free", async (t) => {
  if (absence !== null) return skip(t, absence);
  const backend = await openTestCuda();
  const held = backend.held();
  const shape = [2 ** 20, 2 ** 20];
  assert.throws(() => backend.alloc({ dtype: "f32", shape }), (error: unknown) => {
    assert.ok(error instanceof DsError && error.kind === "out-of-memory", String(error));
    const numbers =
      /a tensor of \[1048576, 1048576\], 4398046511104 bytes: (\d+) of the device's (\d+) bytes/;
    const [, free, total] = numbers.exec(error.message) ?? assert.fail(error.message);
    assert.ok(Number(free) > 0 && Number(free) <= Number(total));
    return true;
  });
  assert.deepEqual({ ...backend.held(), most: 0 }, { ...held, most: 0 });
  await backend.close();
});
