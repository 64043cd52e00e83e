import assert from "node:assert/strict";
import { test } from "node:test";
import { openBackend } from "../../../backends/mod.ts";
import { calibrationFacts } from "../../../calibrations/facts.ts";
import type { AttentionMode } from "../../../core/attention/attention.ts";
import { labelsOf, openAttention } from "../../../core/attention/open.ts";
import { klDivergence, logSoftmax } from "../../../core/evaluation/metrics.ts";
import {
  evaluatePerplexity,
  type PerplexityOptions,
  type PerplexityRow,
} from "../../../core/evaluation/perplexity.ts";
import { consecutiveRows } from "../../../core/model.ts";
import { argmax } from "../../../core/sampler.ts";
import {
  cacheOf,
  calibrated,
  counted,
  denseLogits,
  denseOf,
  forward,
  randomIds,
  rowOf,
  SPARSE,
  tinyModel,
} from "../../support/tiny_model.ts";

const { backend, live } = counted(await openBackend("reference"));
const model = await tinyModel(6, { context: 160 }, backend);
const facts = calibrationFacts(await calibrated(model, [randomIds(1, 128)]), { wide: 8, narrow: 0 });
const OPTIONS: PerplexityOptions = {
  modes: ["dense"],
  attention: { ...SPARSE, calibration: facts },
  setting: "served",
  skip: 20,
  kvDtype: "f32",
};
const SPARSE_MODES = ["double-sparsity", "paper", "oracle", "streaming-llm"] as const;
// Three chunks, the last one short.
const WINDOW = randomIds(2, 135);

async function evaluate(
  windows: readonly (readonly number[])[],
  options: Partial<PerplexityOptions>,
): Promise<PerplexityRow[]> {
  return await evaluatePerplexity(model, windows, { ...OPTIONS, ...options });
}

/** What a row must be, from the logits of every counted position. */
function assertRow(row: PerplexityRow, dense: Float32Array[], own: Float32Array[], next: number[]): void {
  const logs = own.map((logits, i) => logSoftmax(logits)[next[i]]);
  assert.deepEqual(row.logProbabilities, [logs]);
  assert.equal(row.positions, own.length);
  const mean = (values: number[]) => values.reduce((a, b) => a + b) / values.length;
  const near = (actual: number, expected: number, what: string) =>
    assert.ok(
      Math.abs(actual - expected) <= 1e-9 * Math.abs(expected) + 1e-15,
      `${what}: ${actual}, ${expected}`,
    );
  near(row.perplexity, Math.exp(-mean(logs)), "perplexity");
  const kl = own.map((logits, i) => klDivergence(logSoftmax(dense[i]), logSoftmax(logits)));
  near(row.klDivergence, mean(kl), "KL");
  const variance = kl.reduce((sum, x) => sum + (x - mean(kl)) ** 2, 0) / (kl.length - 1);
  near(row.klStandardError!, Math.sqrt(variance / kl.length), "standard error");
  near(
    row.top1Agreement,
    mean(own.map((logits, i) => Number(argmax(logits) === argmax(dense[i])))),
    "agreement",
  );
  near(row.densePerplexity, Math.exp(-mean(dense.map((logits, i) => logSoftmax(logits)[next[i]]))), "dense");
}

test("evaluatePerplexity() gives a plain forward pass's log-probabilities when attention is dense", async () => {
  const logits = await denseLogits(model, WINDOW);
  const counted = Array.from({ length: 134 - 20 }, (_, i) => rowOf(logits, 20 + i));
  for (const setting of ["served", "harsh"] as const) {
    const [row] = await evaluate([WINDOW], { setting });
    assertRow(row, counted, counted, WINDOW.slice(21));
    assert.equal(row.klDivergence, 0);
    assert.equal(row.top1Agreement, 1);
    assert.equal(row.attentionRecall, null);
    assert.equal(row.perplexity, row.densePerplexity);
  }
});

for (const mode of SPARSE_MODES) {
  test(`evaluatePerplexity() decodes every position against a dense prefill when served, ${mode}`, async () => {
    const [row] = await evaluate([WINDOW], { modes: [mode] });
    const whole = await denseLogits(model, WINDOW);
    const dense: Float32Array[] = [];
    const own: Float32Array[] = [];
    const cache = cacheOf(model, 135, labelsOf(mode, facts));
    const attention = openAttention(mode, backend, model.config, OPTIONS.attention, 135);
    for (let i = 0; i < 134; i++) {
      const rows = consecutiveRows([WINDOW[i]], i);
      if (i >= 20) own.push(await forward(model, cache, rows, attention));
      if (i >= 20) dense.push(rowOf(whole, i));
      // What stays in the cache is the dense token's.
      await forward(model, cache, rows, denseOf(model));
    }
    assertRow(row, dense, own, WINDOW.slice(21));
    assert.ok(row.klDivergence > 0);
    assert.ok(row.attentionRecall! > 0 && row.attentionRecall! < 1);
    attention.free();
    cache.free();
  });

  test(`evaluatePerplexity() lets errors add up when harsh, ${mode}`, async () => {
    const [row] = await evaluate([WINDOW], { modes: [mode], setting: "harsh", skip: 70 });
    const whole = await denseLogits(model, WINDOW);
    const cache = cacheOf(model, 135, labelsOf(mode, facts));
    await forward(model, cache, consecutiveRows(WINDOW.slice(0, 70), 0), denseOf(model));
    const attention = openAttention(mode, backend, model.config, OPTIONS.attention, 135);
    const own: Float32Array[] = [];
    for (let i = 70; i < 134; i++) {
      own.push(await forward(model, cache, consecutiveRows([WINDOW[i]], i), attention));
    }
    assertRow(row, own.map((_, i) => rowOf(whole, 70 + i)), own, WINDOW.slice(71));
    attention.free();
    cache.free();
  });
}

test("evaluatePerplexity() finds no difference when sparse attention reads everything", async () => {
  const attention = { ...OPTIONS.attention, budget: { kind: "tokens", heavyTokens: 500 } } as const;
  for (const setting of ["served", "harsh"] as const) {
    const modes: AttentionMode[] = ["dense", ...SPARSE_MODES];
    const rows = await evaluate([WINDOW], { modes, setting, attention });
    for (const row of rows) {
      assert.equal(row.klDivergence, 0, row.attention);
      assert.equal(row.top1Agreement, 1);
      assert.deepEqual(row.logProbabilities, rows[0].logProbabilities);
    }
  }
});

test("evaluatePerplexity() gives the same rows when modes run together or apart", async () => {
  for (const setting of ["served", "harsh"] as const) {
    const modes: AttentionMode[] = [...SPARSE_MODES, "dense"];
    const together = await evaluate([WINDOW, randomIds(3, 80)], { modes, setting });
    for (const [i, mode] of modes.entries()) {
      assert.deepEqual(await evaluate([WINDOW, randomIds(3, 80)], { modes: [mode], setting }), [together[i]]);
    }
  }
});

test("evaluatePerplexity() counts the positions after skip, of every window", async () => {
  for (const [skip, counts] of [[0, [134, 79]], [63, [71, 16]], [64, [70, 15]], [78, [56, 1]]] as const) {
    for (const setting of ["served", "harsh"] as const) {
      const windows = [WINDOW, randomIds(4, 80)];
      const [row] = await evaluate(windows, { modes: ["streaming-llm"], setting, skip });
      assert.equal(row.positions, counts[0] + counts[1]);
      assert.deepEqual(row.logProbabilities.map(({ length }) => length), [...counts]);
    }
  }
});

test("evaluatePerplexity() throws when a window has no position that counts", async () => {
  await assert.rejects(evaluate([WINDOW, WINDOW.slice(0, 21)], {}), /skip 20.*21 tokens/);
  assert.equal((await evaluate([WINDOW.slice(0, 22)], {}))[0].positions, 1);
});

test("evaluatePerplexity() tells its progress, stops when aborted and leaves nothing allocated", async () => {
  const modes: AttentionMode[] = ["dense", ...SPARSE_MODES];
  await evaluate([WINDOW], { modes });
  const before = live.size;
  const progress: number[][] = [];
  const controller = new AbortController();
  await evaluate([WINDOW, WINDOW], { modes, onProgress: (...at) => progress.push(at) });
  assert.deepEqual(progress.at(-1), [268, 268]);
  assert.deepEqual(progress.map(([done]) => done), [64, 128, 134, 198, 262, 268]);
  assert.equal(live.size, before);
  const aborted = evaluate([WINDOW], {
    modes,
    signal: controller.signal,
    onProgress: () => controller.abort(new Error("enough")),
  });
  await assert.rejects(aborted, /enough/);
  assert.equal(live.size, before);
});
