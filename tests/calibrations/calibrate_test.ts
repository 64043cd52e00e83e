import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { openBackend } from "../../backends/mod.ts";
import { decodeCalibration, encodeCalibration } from "../../calibrations/artifact.ts";
import { cutBlocks } from "../../calibrations/blocks.ts";
import { calibrate, type CalibrateOptions, type CalibrateProgress } from "../../calibrations/calibrate.ts";
import { modelIdentity } from "../../calibrations/model_identity.ts";
import { labelPlan } from "../../calibrations/facts.ts";
import { type BlockMeasures, measureBlock, MEASURED_POSITIONS } from "../../calibrations/measure.ts";
import { rankChannels } from "../../calibrations/ranking.ts";
import { ChannelStatistics } from "../../calibrations/statistics.ts";
import { consecutiveRows } from "../../core/model.ts";
import { sha256Hex } from "../../core/sha256.ts";
import { downloadFloats } from "../../core/tensor_io.ts";
import {
  cacheOf,
  counted,
  denseOf,
  forward,
  randomIds,
  storiesModel,
  tinyModel,
} from "../support/tiny_model.ts";

const { backend, live } = counted(await openBackend("reference"));
const model = await tinyModel(12, { context: 100 }, backend);
const BLOCKS = [randomIds(1, 100), randomIds(2, 90), randomIds(3, 100)];

function options(other: Partial<CalibrateOptions> = {}): CalibrateOptions {
  return {
    identity: modelIdentity(model.config, "0123456789abcdef".repeat(4)),
    corpus: { name: "random", sha256: "fedcba9876543210".repeat(4), seed: 5 },
    toolVersion: "0.0.0",
    quick: false,
    ...other,
  };
}

const bytesOf = async (blocks: readonly (readonly number[])[], quick = false) =>
  await encodeCalibration(await calibrate(model, blocks, options({ quick })));

test("calibrate() gives the same bytes when it is run again, others when a block is another", async () => {
  const bytes = await bytesOf(BLOCKS);
  assert.deepEqual(await bytesOf(BLOCKS), bytes);
  assert.notDeepEqual(await bytesOf([...BLOCKS.slice(0, 2), randomIds(4, 100)]), bytes);
  const quick = await bytesOf(BLOCKS, true);
  assert.deepEqual(await bytesOf(BLOCKS, true), quick);
  // The first of three blocks is not measured, but counts in the statistics.
  assert.notDeepEqual(await bytesOf([randomIds(4, 100), ...BLOCKS.slice(1)], true), quick);
});

test("calibrate() ranks by the statistics of all blocks", async () => {
  const calibration = await calibrate(model, BLOCKS, options({ quick: true }));
  const statistics = new ChannelStatistics(model.config);
  for (const block of BLOCKS) {
    await forward(model, cacheOf(model, 100), consecutiveRows(block, 0), denseOf(model), {
      tap: { qkv: async (layer, qkv) => statistics.add(layer, await downloadFloats(backend, qkv), 0) },
    });
  }
  for (const statistic of ["qk2", "qk", "q", "k"] as const) {
    const { heads, data } = calibration.rankings.get(statistic)!;
    assert.equal(heads, 2);
    assert.deepEqual(data, rankChannels(statistics.perKvHead(statistic), 8), statistic);
  }
  for (const [name, statistic] of [["qPerHead", "q"], ["qkPerHead", "qk"]] as const) {
    const { heads, data } = calibration.rankings.get(name)!;
    assert.equal(heads, 4);
    assert.deepEqual(data, rankChannels(statistics.perHead(statistic), 8), name);
  }
  assert.deepEqual(calibration.importance, Float32Array.from(statistics.perKvHead("qk2")));
  assert.deepEqual(calibration.keyMean, statistics.keyMoments().mean);
  assert.deepEqual(calibration.keyStd, statistics.keyMoments().std);
  assert.equal(calibration.keyContext, 100);
  const { name, tokens, blockLength, seed } = calibration.corpus!;
  assert.deepEqual([name, tokens, blockLength, seed], ["random", 290, 100, 5]);
});

test("calibrate() leaves the measurements out when quick", async () => {
  const quick = await calibrate(model, BLOCKS, options({ quick: true }));
  assert.deepEqual([quick.layerRecall, quick.predictionRecall, quick.headKl], [null, null, null]);
  assert.deepEqual(quick.budgets, new Float32Array(4).fill(1));
  assert.deepEqual(quick.denseLayers, []);
});

test("calibrate() measures the last two blocks", async () => {
  const calibration = await calibrate(model, BLOCKS, options());
  const labels = labelPlan(calibration, { wide: 8, narrow: 0 })!;
  const measures: BlockMeasures[] = [];
  for (const ids of BLOCKS.slice(1)) {
    const cache = cacheOf(model, ids.length + MEASURED_POSITIONS);
    await forward(model, cache, consecutiveRows(ids, 0), denseOf(model));
    measures.push(await measureBlock(model, { ids, cache }, labels, { positions: MEASURED_POSITIONS / 2 }));
  }
  for (const field of ["layerRecall", "predictionRecall", "headKl"] as const) {
    const mean = measures[0][field].map((value, i) => (value + measures[1][field][i]) / 2);
    assert.deepEqual(calibration[field], Float32Array.from(mean), field);
  }
  const { budgets, headKl } = calibration;
  assert.ok(Math.abs(budgets.reduce((sum, share) => sum + share, 0) / 4 - 1) < 1e-6);
  const order = (values: Float32Array) => [...values.keys()].sort((a, b) => values[a] - values[b]);
  assert.deepEqual(order(budgets), order(headKl!));
  assert.deepEqual(await decodeCalibration(await encodeCalibration(calibration), "x"), calibration);
});

test("calibrate() keeps the rankings it is given, and measures with them", async () => {
  const own = await calibrate(model, BLOCKS, options());
  const reversed = own.rankings.get("qk2")!;
  const rankings = new Map([["qk2" as const, { heads: 2, data: reversed.data.slice().reverse() }]]);
  const kept = await calibrate(model, BLOCKS, options({ rankings }));
  assert.equal(kept.rankings, rankings);
  assert.equal(kept.importance, null);
  assert.deepEqual(kept.keyMean, own.keyMean);
  assert.equal(kept.headKl!.length, 4);
  // With rankings per query head alone there is nothing to label by.
  const paper = new Map([["qkPerHead" as const, own.rankings.get("qkPerHead")!]]);
  assert.equal((await calibrate(model, BLOCKS, options({ rankings: paper }))).headKl, null);
});

test("calibrate() measures one block when there is but one", async () => {
  const calibration = await calibrate(model, [BLOCKS[0]], options());
  assert.ok(calibration.headKl!.some((kl) => kl > 0));
});

test("calibrate() tells its progress, stops when aborted and leaves nothing allocated", async () => {
  await calibrate(model, BLOCKS, options());
  const before = live.size;
  const progress: CalibrateProgress[] = [];
  await calibrate(model, BLOCKS, options({ onProgress: (at) => progress.push(at) }));
  assert.equal(live.size, before);
  const of = (stage: string) =>
    progress.filter((at) => at.stage === stage).map(({ done, total }) => [done, total]);
  assert.deepEqual(of("statistics"), [64, 100, 164, 190, 254, 290].map((done) => [done, 290]));
  assert.deepEqual(of("measurements"), Array.from({ length: 8 }, (_, i) => [i + 1, 8]));
  for (const stop of [2, 9]) {
    const controller = new AbortController();
    let calls = 0;
    const aborted = calibrate(
      model,
      BLOCKS,
      options({
        signal: controller.signal,
        onProgress: () => ++calls === stop && controller.abort(new Error("enough")),
      }),
    );
    await assert.rejects(aborted, /enough/);
    assert.equal(live.size, before, `stopped at ${stop}`);
  }
});

test("calibrate() gives the same bytes for stories260k on every engine", async () => {
  const loaded = await storiesModel();
  const ids = loaded.tokenizer!.encode(TEXT, { addSpecial: false });
  const blocks = cutBlocks(ids, { tokens: 256, blockLength: 128, seed: 1, name: "a story" });
  assert.equal(blocks.length, 2);
  const calibration = await calibrate(loaded.model, blocks, {
    identity: loaded.identity,
    corpus: { name: "a story", sha256: await sha256Hex(new TextEncoder().encode(TEXT)), seed: 1 },
    toolVersion: "0.0.0",
    quick: false,
  });
  const hash = createHash("sha256").update(await encodeCalibration(calibration)).digest("hex");
  await loaded.close();
  assert.equal(hash, STORIES_SHA256);
});

const TEXT =
  `Once there was a small boat that lived at the end of a long pier. Every morning the sun came up and the
boat said good day to the birds. One day a big wind came, and the rope that held the boat broke. The boat was sad and
afraid, but it was also a little bit happy, because it had always wanted to see the island. "Where do you want to go?"
asked a gull. "I want to find the place where the red flowers grow," said the boat. So they went together, the gull in
front and the boat behind, over one wave and the next wave, until they saw a light. It was a girl with a lamp. She had
been looking for a boat all day, since her own boat was too old to float. "Will you take me home?" she asked. The boat
said yes. They went back to the pier, and from then on the girl and the boat and the gull were the best of friends.`;

/** Recorded once; another engine must give it too. */
const STORIES_SHA256 = "91aa2a01cce0f0448b64f04d59a02516793772c4818f9beb8b52652b1f444f36";
