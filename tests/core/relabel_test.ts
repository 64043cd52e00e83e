import assert from "node:assert/strict";
import { test } from "node:test";
import { calibrationFacts } from "../../calibrations/facts.ts";
import { parseLabelLayout } from "../../core/labels.ts";
import { consecutiveRows } from "../../core/model.ts";
import { relabel } from "../../core/relabel.ts";
import { cacheOf, calibrated, denseOf, forward, randomIds, tinyModel } from "../support/tiny_model.ts";

test("relabel() leaves what a prefill with the plan leaves, over more tokens than one chunk", async () => {
  const N = 530;
  const model = await tinyModel(1, { context: N, hidden: 16, ffn: 16, heads: 2, kvHeads: 1, headDim: 24 });
  const { backend } = model;
  const calibration = await calibrated(model, [randomIds(2, 128)]);
  const { labels } = calibrationFacts(calibration, parseLabelLayout("8x4+16x2"));
  const ids = randomIds(3, N);
  const [prefilled, plain] = [cacheOf(model, N + 8, labels), cacheOf(model, N + 8)];
  for (const cache of [prefilled, plain]) {
    for (let first = 0; first < N; first += 100) {
      const rows = consecutiveRows(ids.slice(first, first + 100), first);
      await forward(model, cache, rows, denseOf(model));
    }
  }
  const before = await backend.download(plain.layers[1].kv);
  const labelled = await relabel(model, plain, labels!, N);
  for (const l of [0, 1]) {
    const [made, wanted] = [labelled.layers[l], prefilled.layers[l]];
    assert.equal(made.kv, plain.layers[l].kv);
    assert.deepEqual(
      await backend.download(made.labels!.words),
      await backend.download(wanted.labels!.words),
    );
    const sums = await backend.download(made.labels!.valueSums);
    assert.deepEqual(sums, await backend.download(wanted.labels!.valueSums));
    assert.ok(sums.some((byte) => byte !== 0));
  }
  assert.deepEqual(await backend.download(plain.layers[1].kv), before);
  await backend.close();
});
