import assert from "node:assert/strict";
import { test } from "node:test";
import { DenseAttention } from "../../core/attention/dense.ts";
import { logSoftmax } from "../../core/evaluation/metrics.ts";
import { openCheckpoint } from "../../core/formats/open.ts";
import { KvCache } from "../../core/kv_cache.ts";
import { consecutiveRows, Model } from "../../core/model.ts";
import { Session, takeArgmax } from "../../core/session.ts";
import { downloadFloats } from "../../core/tensor_io.ts";
import { openBackend } from "../../backends/mod.ts";
import { diskFiles } from "../../runtime/files.ts";
import { missingShared, sharedJson, sharedPath } from "../support/shared_data.ts";
import { skip } from "../support/skip.ts";

/** Families this version runs; the others must be refused by name (tests/core/formats). */
const FAMILIES = [
  "llama-mha",
  "llama-gqa",
  "llama3-rope",
  "llama-rope-linear",
  "llama-rope-yarn",
  "llama-attention-bias",
  "llama-bf16-sharded",
  "qwen2",
];

for (const family of FAMILIES) {
  test(`forward() gives the golden logits and greedy ids when the model is ${family}`, async (t) => {
    const folder = sharedPath(`golden/families/${family}`);
    if (folder === null) return skip(t, missingShared(`golden/families/${family}`));
    const golden = sharedJson(`golden/families/${family}/golden.json`);
    const ids: number[] = golden.inputIds;
    const checkpoint = await openCheckpoint(diskFiles, folder);
    const backend = await openBackend("reference");
    const capacity = ids.length + golden.greedy.length;
    const model = await Model.load(backend, checkpoint, { context: capacity });
    const options = { slots: 1, capacity, dtype: "f32", labels: null } as const;
    const dense = new DenseAttention(backend, model.config);

    const cache = KvCache.alloc(backend, model.config, options);
    const logitRows = Int32Array.from(ids, (_, i) => i);
    const logits = await downloadFloats(
      backend,
      (await model.forward(cache, consecutiveRows(ids, 0), dense, { logitRows }))!,
    );
    const V = model.config.vocabSize;
    const row = (i: number) => logits.subarray(i * V, (i + 1) * V);
    golden.lastLogits.forEach((expected: number, id: number) => {
      assert.ok(Math.abs(row(ids.length - 1)[id] - expected) < 1e-3, `logit ${id}`);
    });
    golden.logprobNext.forEach((expected: number, i: number) => {
      assert.ok(Math.abs(logSoftmax(row(i))[ids[i + 1]] - expected) < 1e-3, `log-probability ${i}`);
    });

    const session = new Session(model, KvCache.alloc(backend, model.config, options));
    const greedy = [await takeArgmax(model, await session.prefill(ids))];
    while (greedy.length < golden.greedy.length) {
      greedy.push(await takeArgmax(model, await session.decode(greedy[greedy.length - 1], dense)));
    }
    assert.deepEqual(greedy, golden.greedy);
    await checkpoint.close();
    await backend.close();
  });
}
