import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { openBackend } from "../../backends/mod.ts";
import { openWebGpu } from "../../backends/webgpu/backend.ts";
import type { Backend } from "../../core/backend.ts";
import { checked } from "../../core/checked.ts";
import { logSoftmax } from "../../core/evaluation/metrics.ts";
import { consecutiveRows } from "../../core/model.ts";
import { argmax } from "../../core/sampler.ts";
import { Session, takeLogits } from "../../core/session.ts";
import { downloadFloats } from "../../core/tensor_io.ts";
import { type LoadedModel, loadModel } from "../../runtime/load.ts";
import { MISSING_MODEL, realModelPath } from "../support/real_model.ts";
import { missingShared, sharedJson, sharedPath } from "../support/shared_data.ts";
import { cacheOf, denseOf } from "../support/tiny_model.ts";
import { cudaAbsence, openTestCuda } from "../support/cuda.ts";
import { skip } from "../support/skip.ts";
import { useTestGpu } from "../support/webgpu.ts";

const LONG = process.env.DS_TEST_LONG === "1";
const NOT_LONG = "takes minutes: set DS_TEST_LONG=1";
type Tested = "reference" | "webgpu" | "cuda";
/** The model takes a second to load and half a gigabyte: all tests of a backend share one. */
const shared = new Map<Tested, Promise<LoadedModel>>();

async function model(tested: Tested): Promise<LoadedModel> {
  const known = shared.get(tested) ??
    open(tested).then((backend) => loadModel(realModelPath()!, { backend }));
  shared.set(tested, known);
  return await known;
}

/** Activations stay f32 throughout, which the golden ids are of. */
async function open(tested: Tested): Promise<Backend> {
  if (tested === "cuda") return checked(await openTestCuda());
  return tested === "reference" ? await openBackend(tested) : checked(await openWebGpu({ halves: false }));
}

/** Why a test cannot run here, or null. */
function obstacle(file: string, isLong: boolean): string | null {
  if (sharedPath(file) === null) return missingShared(file);
  if (realModelPath() === null) return MISSING_MODEL;
  return isLong && !LONG ? NOT_LONG : null;
}

/** The dense log-probability of each next token of a window's first `count` tokens. */
async function logProbabilities(ids: readonly number[], count: number): Promise<number[]> {
  const { model: { backend, config }, model: network } = await model("reference");
  const cache = cacheOf(network, count);
  const found: number[] = [];
  for (let first = 0; first < count; first += 64) {
    const rows = consecutiveRows(ids.slice(first, Math.min(first + 64, count)), first);
    const logitRows = Int32Array.from(rows.tokens, (_, t) => t);
    const logits = (await network.forward(cache, rows, denseOf(network), { logitRows }))!;
    for (let t = 0; t < rows.tokens.length && first + t + 1 < count; t++) {
      const bytes = config.vocabSize * 4;
      found.push(logSoftmax(await downloadFloats(backend, logits, t * bytes, bytes))[ids[first + t + 1]]);
    }
    backend.free(logits);
  }
  cache.free();
  return found;
}

for (const [window, count] of [["2k", 64], ["2k", 2048], ["8k", 8192]] as const) {
  const isLong = count > 64;
  test(
    `smollm2-135m gives the golden log-probabilities of the first ${count} tokens of the ${window} window`,
    {
      timeout: isLong ? 3_600_000 : 300_000,
    },
    async (t) => {
      const file = `golden/smollm2-moby-dick-${window}.json`;
      const reason = obstacle(file, isLong);
      if (reason !== null) return skip(t, reason);
      const golden = sharedJson(file);
      const found = await logProbabilities(golden.tokenIds, count);
      assert.equal(found.length, count - 1);
      const differences = found.map((value, i) => Math.abs(value - golden.logprobOfNextToken[i]));
      differences.sort((a, b) => a - b);
      assert.ok(differences.at(-1)! < 0.01, `largest difference ${differences.at(-1)}`);
      assert.ok(differences[count >> 1] < 1e-3, `median difference ${differences[count >> 1]}`);
      if (count < golden.tokenIds.length) return;
      const perplexity = (from: number) => {
        const counted = found.slice(from);
        return Math.exp(-counted.reduce((a, b) => a + b) / counted.length);
      };
      assert.ok(Math.abs(perplexity(0) / golden.perplexity - 1) < 1e-3);
      assert.ok(Math.abs(perplexity(256) / golden.perplexityFrom256 - 1) < 1e-3);
    },
  );
}

const greedyFile = "golden/smollm2-greedy.json";
const CASES = 6;

const ABSENCE: Readonly<Record<Tested, () => string | null>> = {
  reference: () => null,
  webgpu: useTestGpu,
  cuda: cudaAbsence,
};

for (const tested of ["reference", "webgpu", "cuda"] as const) {
  for (let index = 0; index < CASES; index++) {
    // In software a token takes seconds.
    const isLong = index > 1 || (tested !== "reference" && process.env.DS_TEST_GPU !== "1");
    test(
      `smollm2-135m on ${tested} gives the golden greedy ids of prompt ${index}, up to the first near tie`,
      {
        timeout: 1_200_000,
      },
      async (t) => {
        const reason = obstacle(greedyFile, isLong) ?? ABSENCE[tested]();
        if (reason !== null) return skip(t, reason);
        await followsGreedyPath(tested, index);
      },
    );
  }
}

async function followsGreedyPath(tested: Tested, index: number): Promise<void> {
  const { cases } = sharedJson(greedyFile);
  assert.equal(cases.length, CASES);
  const { promptTokenIds, generatedTokenIds, marginOrder, renderedPrompt } = cases[index];
  const { tokenizer, model: network } = await model(tested);
  assert.deepEqual(tokenizer!.encode(renderedPrompt, { parseSpecial: true }), promptTokenIds);
  const nearTie = marginOrder.findIndex((margin: number) => margin < 0.02);
  const count = nearTie < 0 ? generatedTokenIds.length : nearTie;
  assert.ok(count > 0);
  const cache = cacheOf(network, promptTokenIds.length + count);
  const session = new Session(network, cache);
  let logits = await takeLogits(network, await session.prefill(promptTokenIds));
  for (let i = 0; i < count; i++) {
    assert.equal(argmax(logits), generatedTokenIds[i], `id ${i} of ${count}`);
    if (i + 1 < count) {
      logits = await takeLogits(network, await session.decode(generatedTokenIds[i], denseOf(network)));
    }
  }
  cache.free();
}
