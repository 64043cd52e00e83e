import assert from "node:assert/strict";
import { test } from "node:test";
import { openBackend } from "../../backends/mod.ts";
import { calibrationFacts } from "../../calibrations/facts.ts";
import { openAttention } from "../../core/attention/open.ts";
import type { Attention, AttentionMode } from "../../core/attention/attention.ts";
import { PromptedModel } from "../../core/prompted.ts";
import { argmax, GREEDY, type Sampling } from "../../core/sampler.ts";
import { consecutiveRows } from "../../core/model.ts";
import { assertRefused } from "../support/refusals.ts";
import {
  cacheOf,
  calibrated,
  counted,
  denseOf,
  forward,
  randomIds,
  SPARSE,
  tinyModel,
} from "../support/tiny_model.ts";

const { backend, live } = counted(await openBackend("reference"));
const model = await tinyModel(4, { context: 256 }, backend);
const { config } = model;
const facts = calibrationFacts(await calibrated(model, [randomIds(1, 128)]), { wide: 8, narrow: 0 });
const PROMPT = randomIds(2, 120);
const OPTIONS = { maxTokens: 50, context: 256, labels: facts.labels, kvDtype: "f32" } as const;

function open(mode: AttentionMode, prompted: PromptedModel): Attention {
  return openAttention(mode, backend, config, { ...SPARSE, calibration: facts }, prompted.capacity);
}

async function continued(
  prompted: PromptedModel,
  attention: Attention,
  maxTokens = 50,
  sampling: Sampling = GREEDY,
): Promise<readonly number[]> {
  const steps = prompted.continue({ attention, sampling, maxTokens, eosTokenIds: [] });
  let next = await steps.next();
  while (!next.done) next = await steps.next();
  return next.value.tokenIds;
}

test("continue() gives the same ids when it is called again, whatever ran between", async () => {
  const prompted = await PromptedModel.prefill(model, PROMPT, OPTIONS);
  const attentions = (["dense", "double-sparsity", "paper", "oracle"] as const).map((mode) =>
    open(mode, prompted)
  );
  const first: (readonly number[])[] = [];
  for (const attention of attentions) first.push(await continued(prompted, attention));
  assert.equal(first[0].length, 50);
  assert.notDeepEqual(first[1], first[0]);
  for (const i of [3, 0, 2, 1, 1]) assert.deepEqual(await continued(prompted, attentions[i]), first[i]);
  for (const [i, mode] of (["dense", "double-sparsity", "paper", "oracle"] as const).entries()) {
    const fresh = await PromptedModel.prefill(model, PROMPT, OPTIONS);
    assert.deepEqual(await continued(fresh, open(mode, fresh)), first[i], mode);
    fresh.free();
  }
  prompted.free();
});

for (const mode of ["paper", "oracle"] as const) {
  test(`continue() and agreement() forget what ${mode} attention knew of another continuation`, async () => {
    const prompted = await PromptedModel.prefill(model, PROMPT, OPTIONS);
    const fresh = await continued(prompted, open(mode, prompted));
    const dense = await continued(prompted, open("dense", prompted));
    const agreed = await prompted.agreement(open(mode, prompted), dense);
    const used = open(mode, prompted);
    const other = await continued(prompted, used, 50, { ...GREEDY, temperature: 3, seed: 9 });
    assert.notDeepEqual(other, fresh);
    await continued(prompted, open("dense", prompted));
    assert.equal(await prompted.agreement(used, dense), agreed);
    assert.ok(agreed! < 1);
    await continued(prompted, used, 50, { ...GREEDY, temperature: 3, seed: 9 });
    assert.deepEqual(await continued(prompted, used), fresh);
    prompted.free();
  });
}

test("agreement() is 1 for dense attention and for sparse attention that reads all", async () => {
  const prompted = await PromptedModel.prefill(model, PROMPT, OPTIONS);
  const ids = await continued(prompted, open("dense", prompted));
  assert.equal(await prompted.agreement(open("dense", prompted), ids), 1);
  const all = { ...SPARSE, budget: { kind: "tokens", heavyTokens: 999 }, calibration: facts } as const;
  const full = openAttention("double-sparsity", backend, config, all, prompted.capacity);
  assert.equal(await prompted.agreement(full, ids), 1);
  prompted.free();
});

test("agreement() counts the dense steps at which the attention would have chosen the same", async () => {
  const prompted = await PromptedModel.prefill(model, PROMPT, OPTIONS);
  // Sampled ids, so that what dense attention chooses is not simply the next of them.
  const ids = await continued(prompted, open("dense", prompted), 50, { ...GREEDY, temperature: 1, seed: 3 });
  for (const mode of ["double-sparsity", "streaming-llm"] as const) {
    const cache = cacheOf(model, 180, facts.labels);
    await forward(model, cache, consecutiveRows(PROMPT, 0), denseOf(model));
    let agreed = 0;
    for (let i = 0; i < 49; i++) {
      const rows = consecutiveRows([ids[i]], 120 + i);
      const attention = openAttention(mode, backend, config, { ...SPARSE, calibration: facts }, 180);
      const ours = await forward(model, cache, rows, attention);
      // Dense last: what stays in the cache is its own.
      const theirs = await forward(model, cache, rows, denseOf(model));
      if (argmax(ours) === argmax(theirs)) agreed++;
      attention.free();
    }
    assert.ok(agreed < 49, "the sparse mode must differ somewhere");
    assert.equal(await prompted.agreement(open(mode, prompted), ids), agreed / 49, mode);
    cache.free();
  }
  prompted.free();
});

test("agreement() is null when there was no decode step, and counts no more than were decoded", async () => {
  const prompted = await PromptedModel.prefill(model, PROMPT, OPTIONS);
  const one = await continued(prompted, open("dense", prompted), 1);
  assert.equal(await prompted.agreement(open("dense", prompted), one), null);
  prompted.free();
});

test("prefill() refuses prompts that cannot run, with the counts", async () => {
  const refused = (ids: readonly number[], message: RegExp, context = 256) =>
    assertRefused(PromptedModel.prefill(model, ids, { ...OPTIONS, context }), "usage", message);
  await refused([], /empty/);
  await refused(PROMPT, /120 tokens.*100/, 100);
  await refused(PROMPT, /120 tokens.*120/, 120);
  await refused([3, 288], /id 288.*0 to 287/);
  await refused([-1], /id -1/);
  await refused([1.5], /id 1.5/);
});

test("continue() ends with context-full when the context ends before maxTokens", async () => {
  const prompted = await PromptedModel.prefill(model, PROMPT, { ...OPTIONS, context: 125 });
  const steps = prompted.continue({
    attention: denseOf(model),
    sampling: GREEDY,
    maxTokens: 50,
    eosTokenIds: [],
  });
  let next = await steps.next();
  while (!next.done) next = await steps.next();
  assert.equal(next.value.stopReason, "context-full");
  assert.equal(next.value.tokenIds.length, 6);
  prompted.free();
});

test("free() gives back what prefill() took, which gives it back itself when it is aborted", async () => {
  const warm = await PromptedModel.prefill(model, PROMPT, OPTIONS);
  warm.free();
  const level = live.size;
  const prompted = await PromptedModel.prefill(model, PROMPT, OPTIONS);
  prompted.free();
  assert.equal(live.size, level);
  const aborted = PromptedModel.prefill(model, PROMPT, { ...OPTIONS, signal: AbortSignal.abort() });
  await assert.rejects(aborted);
  assert.equal(live.size, level);
});
